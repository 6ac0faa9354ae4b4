import assert from 'node:assert/strict';
import test from 'node:test';

import { describeDiff, diffConfig } from '../../src/config/diff.ts';
import { validConfig, type TestInput } from '../support/parse-files.ts';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const CONFIG =
  'servers: { a: { url: "https://a.example/", token: secret-1 }, b: { command: x, env: { K: secret-2 } } }';
const TOKENS = `users: { alice: { token: "${A}", servers: { a: { token: secret-3 }, b: {} } }, bob: { token: "${B}", servers: "*" } }`;

function lines(before: TestInput, after: TestInput): string[] {
  return describeDiff(diffConfig(validConfig(before), validConfig(after)));
}

const cases: { name: string; replace: [string, string][]; expected: string[] }[] = [
  { name: 'nothing', replace: [], expected: [] },
  {
    name: 'a server more',
    replace: [['servers: { a: { url', 'servers: { c: { command: y }, a: { url']],
    expected: ['server c: added'],
  },
  { name: 'a shared credential', replace: [['secret-1', 'secret-9']], expected: ['server a: credential changed'] },
  {
    name: 'a shared URL',
    replace: [['https://a.example/"', 'https://a.example/v2"']],
    expected: ['server a: url changed'],
  },
  { name: 'a command', replace: [['command: x', 'command: z']], expected: ['server b: command changed'] },
  { name: 'a secret of a command', replace: [['secret-2', 'secret-9']], expected: ['server b: env changed'] },
  {
    name: 'a server disabled',
    replace: [['command: x', 'command: x, enabled: false']],
    expected: ['server b: disabled'],
  },
  {
    name: 'a credential of one user',
    replace: [['secret-3', 'secret-9']],
    expected: ['user alice: credential for a changed'],
  },
  { name: 'a prefix', replace: [['command: x', 'command: x, prefix: ""']], expected: ['server b: prefix changed'] },
  {
    name: 'what is shown of a server',
    replace: [['command: x', 'command: x, tools: { arguments: { t: { a: 1 } } }, resources: { deny: [a] }']],
    expected: ['server b: tools changed', 'server b: resources changed'],
  },
  { name: 'a token', replace: [[A, `sha256:${'c'.repeat(64)}`]], expected: ['user alice: token changed'] },
  {
    name: 'a role',
    replace: [[`token: "${B}"`, `token: "${B}", role: admin`]],
    expected: ['user bob: role is admin now'],
  },
  { name: 'a server taken away', replace: [[', b: {} }', ' }']], expected: ['user alice: may no longer use b'] },
  { name: 'a user renamed', replace: [['bob', 'carol']], expected: ['user carol: added', 'user bob: removed'] },
  {
    name: 'settings',
    replace: [['servers: { a: { url', 'listen: 4000\nlog: { level: debug }\nservers: { a: { url']],
    expected: ['setting listen: changed', 'setting log.level: changed'],
  },
  {
    name: 'a default of all servers',
    replace: [['servers: { a: { url', 'retries: 1\nservers: { a: { url']],
    expected: ['server a: retries changed', 'server b: retries changed'],
  },
];
for (const { name, replace, expected } of cases) {
  test(`a change is told once: ${name}`, () => {
    const apply = (text: string): string => replace.reduce((result, [from, to]) => result.replace(from, to), text);
    const found = lines({ config: CONFIG, tokens: TOKENS }, { config: apply(CONFIG), tokens: apply(TOKENS) });
    assert.deepEqual(found, expected);
    assert.doesNotMatch(found.join(), /secret/);
  });
}

test('a diff names what is added, removed, changed, enabled and disabled', () => {
  const before = validConfig({
    config: 'servers: { a: { command: x }, b: { command: x }, c: { command: x, enabled: false } }',
  });
  const after = validConfig({
    config: 'servers: { b: { command: y, enabled: false }, c: { command: x }, d: { command: x } }',
  });
  assert.deepEqual(diffConfig(before, after).servers, {
    added: ['d'],
    removed: ['a'],
    changed: ['b'],
    enabled: ['c'],
    disabled: ['b'],
  });
});
