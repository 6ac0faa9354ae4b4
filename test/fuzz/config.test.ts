import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';

import fc from 'fast-check';

import { AUTH, SERVER, SETTINGS } from '../../src/config/schema.ts';
import { ROLE, TOKEN, USER } from '../../src/config/schema-users.ts';
import { PROBLEM_COUNT_MAX } from '../../src/limits.ts';
import { parseFiles, type TestInput } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

/** A marked value as it may stand in a place for secrets; long, with letters and digits, as real ones are. */
const MARK = 'sk-PLANTED';
const planted = fc.stringMatching(/^[A-Za-z0-9]{8,20}$/).map((tail) => `${MARK}${tail}0`);

const KEYS = [
  ...new Set(
    [SETTINGS, SERVER, AUTH, USER, ROLE, TOKEN].flatMap((table) =>
      Object.keys(table).flatMap((name) => name.split('.')),
    ),
  ),
  'mcpServers',
  'proxy',
  'features',
  'mcp',
  'destinations',
  'name',
  'host',
  'port',
  'a',
  'b',
  '*',
  '__proto__',
  'toString',
];
const SCALARS = [
  'x',
  'none',
  'bearer',
  'basic',
  'headers',
  'passthrough',
  '10s',
  '3000',
  '*',
  'https://x.example/',
  '${X}',
  '${NOPE}',
  '${',
  '',
];

/** JSON values that look like configurations, with secrets anywhere. */
const { value: configuration } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.oneof(fc.constantFrom(...SCALARS), fc.integer(), fc.boolean(), fc.constant(null), planted),
    fc.dictionary(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: planted }),
      tie('value'),
      { maxKeys: 6 },
    ),
    fc.array(tie('value'), { maxLength: 4 }),
  ),
}));

/** Wrapped so that the random part stands where something of its kind belongs. */
const document = fc.oneof(
  configuration,
  configuration.map((value) => ({ servers: value })),
  configuration.map((value) => ({ servers: { a: value, b: { command: 'x' } } })),
  configuration.map((value) => ({ servers: { a: { url: 'https://x.example/', auth: value } } })),
  configuration.map((value) => ({ users: value })),
  configuration.map((value) => ({ users: { a: value } })),
  configuration.map((value) => ({ users: { a: { token: 'x', servers: value } } })),
);

/** Text of a document, sometimes damaged. */
const text = fc
  .tuple(
    document,
    fc.boolean(),
    fc.option(
      fc.tuple(fc.nat(), fc.constantFrom('', '"', '{', '}', ':', '\n', '\t', '|', '\n  ', '# ', '&', '\u0000')),
    ),
  )
  .map(([value, pretty, damage]) => {
    const whole = JSON.stringify(value, null, pretty ? 2 : 0);
    if (damage === null) return whole;
    const at = damage[0] % (whole.length + 1);
    return whole.slice(0, at) + damage[1] + whole.slice(at);
  });

function judge(input: TestInput): void {
  const { config, problems } = parseFiles(input);
  assert.equal(
    config === undefined,
    problems.some(({ severity }) => severity === 'error'),
  );
  assert.ok(problems.length <= PROBLEM_COUNT_MAX);
  assert.ok(!inspect(problems, { depth: 9 }).includes(MARK), 'a secret stands in a problem');
}

test('any text is answered with a configuration or with problems, never with an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 }), (config, tokens) => {
      const result = parseFiles({ config, tokens });
      assert.equal(
        result.config === undefined,
        result.problems.some(({ severity }) => severity === 'error'),
      );
    }),
    { numRuns: 1_000 },
  );
});

verifies('files.no-secrets-in-messages', 'no problem shows a secret, however broken the files are', () => {
  fc.assert(
    fc.property(text, text, planted, (config, tokens, value) => judge({ config, tokens, env: { X: value } })),
    { numRuns: 1_000 },
  );
});

test('no problem shows a secret of the environment or the command line', () => {
  const name = fc.constantFrom(
    'MCP_API_KEYS',
    'MCP_PORT',
    'MCP_HOST',
    'MCPROXY_LISTEN',
    'MCPROXY_LOG_LEVEL',
    'MCPROXY_TRUSTED_PROXIES',
    'MCP_DISABLE_AUTH',
  );
  const value = fc.oneof(
    planted,
    fc.tuple(planted, planted).map((pair) => pair.join(':')),
    fc.tuple(planted, planted).map((pair) => pair.join(',')),
  );
  fc.assert(fc.property(fc.dictionary(name, value), value, (env, port) => judge({ env, overrides: { port } })));
});

test('no warning of a sound file shows a secret', () => {
  fc.assert(
    fc.property(planted, planted, (one, two) => {
      const config = `servers: { a: { url: "https://x.example/?key=${one}", token: ${two} }, b: { url: "https://x.example/", auth: passthrough } }`;
      const input = { config, tokens: `users: { a: { token: ${one}, servers: [a] } }` };
      assert.equal(parseFiles(input).problems.length, 2);
      judge(input);
    }),
  );
});
