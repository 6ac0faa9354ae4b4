import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printLockFile, readLockFile, type Locked, type LockedTool } from '../../src/config/lock-file.ts';
import { collectProblems } from '../../src/config/problems.ts';
import { LOCKED_DEFINITION_CHARS_MAX } from '../../src/limits.ts';
import { parseYaml } from '../../src/text/yaml.ts';
import { oneLine, parseFiles } from '../support/parse-files.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const tool = (definition?: Record<string, unknown>): LockedTool => ({ digest: DIGEST, definition });

function read(text: string): { locked: Locked; problems: string[] } {
  const list = collectProblems();
  const document = parseYaml(text);
  assert.deepEqual(document.problems, []);
  const locked = readLockFile(document.root, list.forFile('mcproxy.lock', text, new Set()));
  return { locked, problems: list.list().map(oneLine) };
}

test('what is printed is read again, whatever a server called its tools and said of them', () => {
  const definition = {
    name: 'x: "#{',
    description: 'line\none \u0007 \u202e ${VAR} é 😀 \\u0041',
    inputSchema: { properties: { '': {}, 'a: b': { type: ['string', 'null'], default: 1e21 } } },
  };
  const locked = new Map([
    [
      'no',
      new Map([
        ['x: "#{', tool(definition)],
        ['~', tool({})],
      ]),
    ],
    ['empty', new Map<string, LockedTool>()],
  ]);
  const text = printLockFile(locked);
  assert.doesNotMatch(text, /[^\P{Cc}\n]|\p{Cf}/u);
  assert.deepEqual(read(text), { locked: new Map([...locked].toReversed()), problems: [] });
  assert.equal(printLockFile(read(text).locked), text);
});

test('a definition that is too long or that YAML cannot hold is left out, its digest stays', () => {
  const odd = {
    long: 'x'.repeat(LOCKED_DEFINITION_CHARS_MAX),
    deep: JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as unknown,
  };
  for (const [name, value] of Object.entries(odd)) {
    const text = printLockFile(new Map([['s', new Map([['t', tool({ value })]])]]));
    assert.deepEqual(read(text).locked.get('s')?.get('t'), tool(undefined), name);
  }
});

for (const [name, text, expected] of [
  ['another version', 'version: 2\n', 'this lock file is of another version'],
  ['a list', '- a\n', 'this is not what `mcproxy lock` writes'],
  ['a digest of another kind', 'version: 1\nservers: { a: { t: { digest: "md5:1" } } }\n', 'this is not what'],
  ['a tool without a digest', 'version: 1\nservers: { a: { t: {} } }\n', 'this is not what'],
] as const) {
  test(`${name} is a problem with its place, and nothing is locked by it`, () => {
    const { locked, problems } = read(text);
    assert.match(problems[0] ?? '', new RegExp(`^error \\d+:\\d+ ${expected}`));
    assert.equal([...(locked.get('a') ?? [])].length, 0);
  });
}

test('the lock of a passthrough server is refused where it is written, and left out where it is the default', () => {
  const server = (more: string): string => `servers: { a: { url: "https://a.example", auth: passthrough${more} } }\n`;
  const own = parseFiles({ config: server(', lock: block') });
  assert.match(
    own.problems.map(oneLine).join('\n'),
    /^error 1:\d+ the tools of "a" cannot be locked: with passthrough/m,
  );
  const inherited = parseFiles({ config: `lock: block\n${server('')}` });
  assert.equal(inherited.config?.servers.get('a')?.lock, 'off');
  assert.match(inherited.problems.map(oneLine).join('\n'), /^warning - the tools of "a" cannot be locked/m);
});
