import assert from 'node:assert/strict';
import test from 'node:test';

import { changesItems, plainExposure } from '../../src/config/exposure.ts';
import type { ExposureConfig } from '../../src/model.ts';
import { oneLine, parseFiles, revealed, serverOf, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

function exposureOf(options: string, env: Record<string, string> = {}): ExposureConfig {
  const { servers } = validConfig({ config: `servers:\n  files:\n    command: x\n${options}`, env });
  return serverOf(servers, 'files').exposure;
}

test('a server without rules is shown as it is, under its name', () => {
  assert.deepEqual(exposureOf(''), plainExposure('files'));
  assert.equal(changesItems(exposureOf('    prefix: ""\n')), false);
});

test('every rule can be written', () => {
  const exposure = exposureOf(
    `    prefix: ""
    tools:
      allow: [read_*, "*"]
      deny: delete_*
      rename: { read_file: read }
      describe: { read_file: "Reads a file of \${WHERE}" }
      arguments:
        read_file: { root: /srv, deep: [1, "\${WHERE}"], on: true, none: { force: null }, map: { force: { force: 1 } } }
        search_*: { limit: { default: 20 }, filter: { default: { a: [~] } } }
    prompts: { allow: [] }
    resources: { deny: ["file:///etc/*"] }
`,
    { WHERE: 'the shared folder' },
  );
  const forced = (argument: string, value: unknown) => ({ tool: 'read_file', argument, mode: 'forced', value });
  const fallback = (argument: string, value: unknown) => ({ tool: 'search_*', argument, mode: 'default', value });
  assert.deepEqual(exposure, {
    prefix: '',
    tools: { allow: ['read_*', '*'], deny: ['delete_*'] },
    prompts: { allow: [], deny: [] },
    resources: { allow: undefined, deny: ['file:///etc/*'] },
    rename: [['read_file', 'read']],
    describe: [['read_file', 'Reads a file of the shared folder']],
    arguments: [
      forced('root', '/srv'),
      forced('deep', [1, 'the shared folder']),
      forced('on', true),
      forced('none', null),
      forced('map', { force: 1 }),
      fallback('limit', 20),
      fallback('filter', { a: [null] }),
    ],
  });
  assert.ok(changesItems(exposure));
  assert.ok(Object.isFrozen(exposure.arguments[1]?.value));
});

for (const option of ['tools: { allow: [a] }', 'prompts: { deny: [a] }', 'resources: { allow: [] }']) {
  test(`${option} changes what is shown`, () => assert.ok(changesItems(exposureOf(`    ${option}\n`))));
}

const WRONG = [
  { option: 'prefix: a b', problem: '3:32 "prefix" is not valid' },
  { option: `prefix: ${'x'.repeat(33)}`, problem: '3:32 "prefix" is not valid' },
  { option: 'tool: { allow: [a] }', problem: '3:24 "tool" is not an option here | did you mean "tools"?' },
  { option: 'tools: { alow: [a] }', problem: '3:33 "alow" is not an option here | did you mean "allow"?' },
  { option: 'prompts: { rename: { a: b } }', problem: '3:35 "rename" is not an option here' },
  { option: 'tools: [a]', problem: '3:31 "tools" must be a map' },
  { option: 'tools: { allow: [a, ""] }', problem: '3:44 "tools.allow" is not valid | write a pattern of 1 to 256' },
  { option: 'tools: { deny: { a: b } }', problem: '3:39 "tools.deny" is not valid' },
  { option: 'tools: { rename: [a] }', problem: '3:41 "tools.rename" must be a map' },
  { option: 'tools: { rename: { a: "" } }', problem: '3:46 "a" of "tools.rename" is not valid | write 1 to 50 of' },
  { option: 'tools: { rename: { a: } }', problem: '3:45 "a" of "tools.rename" is not valid' },
  { option: 'tools: { rename: { a: b/c } }', problem: '3:46 "a" of "tools.rename" is not valid' },
  { option: 'tools: { rename: { a: [b] } }', problem: '3:46 "a" of "tools.rename" is not valid' },
  { option: 'tools: { rename: { a: c, b: c } }', problem: '3:52 "b" and "a" get the same name | give each tool' },
  { option: 'tools: { rename: { "a*": b } }', problem: '3:43 a pattern cannot stand in "tools.rename"' },
  { option: 'tools: { describe: { a: [b] } }', problem: '3:48 "a" of "tools.describe" is not valid | write a text' },
  { option: 'tools: { describe: { a: "${GONE}" } }', problem: '3:49 the variable GONE is not set' },
  { option: 'tools: { arguments: { a: b } }', problem: '3:49 "tools.arguments" must be a map' },
  { option: 'tools: { arguments: { "": { b: 1 } } }', problem: '3:46 this cannot be the name of a tool' },
  { option: 'tools: { arguments: { a: { b: } } }', problem: '3:53 "b" has no value | write one; {force: null}' },
  { option: 'tools: { arguments: { a: { b: { c: 1 } } } }', problem: '3:54 "b" must be a value, or a map of "force"' },
  {
    option: 'tools: { arguments: { a: { b: { forse: 1 } } } }',
    problem: '"forse" is not an option here | did you mean "force"',
  },
  { option: 'tools: { arguments: { a: { b: {} } } }', problem: '3:54 "b" must be a value, or a map of "force" or' },
  { option: 'tools: { arguments: { a: { b: { force: 1, default: 2 } } } }', problem: '3:54 "b" must be a value' },
  { option: 'tools: { arguments: { a: { b: .inf } } }', problem: '3:54 JSON has no such number' },
  { option: 'tools: { arguments: { a: { b: "${GONE}" } } }', problem: '3:55 the variable GONE is not set' },
  {
    option: 'auth: passthrough, tools: { deny: [a] }',
    url: true,
    problem: '3:65 a passthrough server cannot have filters',
  },
];

for (const { option, problem, url } of WRONG) {
  verifies('files.exposure', `'${option}' is a problem with its place and what to write`, () => {
    const config = `# a comment\nservers:\n  files: { ${url === true ? 'url: "https://a/"' : 'command: x'}, ${option} }\n`;
    const { config: made, problems } = parseFiles({ config });
    const errors = problems.filter(({ severity }) => severity === 'error').map(oneLine);
    assert.equal(made, undefined);
    assert.equal(errors.length, 1, errors.join('\n'));
    assert.ok(errors[0]?.includes(problem), errors[0]);
  });
}

test('a pattern that YAML takes for an alias is an error that says how to write it', () => {
  const { problems } = parseFiles({ config: 'servers: { files: { command: x, tools: { deny: [*_file] } } }' });
  assert.match(problems.map(oneLine).join(), /1:49 .*quote a text that begins with/);
});

verifies('files.exposure', 'a rule for a tool that the filter hides is a warning', () => {
  const options = 'tools: { deny: [a*], rename: { ab: x, b: y }, arguments: { a*: { c: 1 } } }';
  const { config, problems } = parseFiles({ config: `servers:\n  files: { command: x, ${options} }` });
  assert.ok(config);
  const warnings = problems.map(oneLine).filter((line) => line.includes('hidden'));
  assert.deepEqual(warnings, [
    'warning 2:55 "ab" is hidden by "tools.allow" or "tools.deny", so "tools.rename" does nothing for it | delete it, or let the filter show it',
  ]);
});

test('values are secrets only where a name says so', () => {
  const config = `servers:
  files:
    command: x
    tools:
      describe: { t: "\${SAID_TOKEN}" }
      arguments:
        t: { root: "\${ROOT}", api_key: plain-key, more: { force: { password: [pass-word] } }, q: "a \${API_TOKEN}" }
`;
  const env = { ROOT: '/srv/root', API_TOKEN: 'from-env', SAID_TOKEN: 'said' };
  const { secrets } = validConfig({ config, env });
  const texts = revealed(secrets) as string[];
  assert.deepEqual(texts.toSorted(), ['from-env', 'pass-word', 'plain-key', 'said']);
});

test('what a user says about a server wins option by option', () => {
  const digest = 'ab'.repeat(32);
  const { principals } = validConfig({
    config: 'servers: { files: { command: x, prefix: f, tools: { allow: [r*], deny: [rm], rename: { ra: b } } } }',
    tokens: `users: { alice: { token: "sha256:${digest}", servers: { files: { tools: { allow: [ra, rm] } } } } }`,
  });
  const own = principals[0]?.servers.get('files')?.exposure;
  assert.deepEqual([own?.prefix, own?.tools, own?.rename], ['f', { allow: ['ra', 'rm'], deny: ['rm'] }, [['ra', 'b']]]);
});

test('what another program means by the same words is ignored with a warning', () => {
  const config = '{"mcpServers": {"files": {"command": "x", "tools": ["*"], "prompts": true}}}';
  const { config: made, problems } = parseFiles({ config });
  assert.deepEqual(serverOf(made?.servers ?? new Map(), 'files').exposure, plainExposure('files'));
  assert.equal(problems.filter(({ text }) => /means nothing/.test(text)).length, 2);
});
