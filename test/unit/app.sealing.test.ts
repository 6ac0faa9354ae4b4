import assert from 'node:assert/strict';
import { openSealing } from '../../src/app/sealing.ts';
import { describeDiff, diffConfig } from '../../src/config/diff.ts';
import { oneLine, parseFiles, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const KEY = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const OTHER_KEY = 'YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=';
const withKey = (key: string) => validConfig({ config: `cluster: { key: "${key}" }\n` });
const PLAIN = validConfig({ config: 'servers: {}\n' });
const [here, there] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

verifies('instances.key', 'two with one key open what the other sealed, and without it they do not', () => {
  const sealed = openSealing(here, withKey(KEY)).seal('text', 'context');
  assert.equal(openSealing(there, withKey(KEY)).open(sealed, 'context'), 'text');
  assert.equal(openSealing(there, withKey(OTHER_KEY)).open(sealed, 'context'), undefined);
  assert.equal(openSealing(here, PLAIN).open(sealed, 'context'), undefined);
  assert.equal(openSealing(there, PLAIN).open(openSealing(here, PLAIN).seal('text', 'a'), 'a'), undefined);
});

verifies(
  'instances.key-changes',
  'what was sealed before a change still opens, and new handles have the new key',
  () => {
    const sealing = openSealing(here, withKey(KEY));
    const before = sealing.seal('before', 'context');
    sealing.apply(withKey(OTHER_KEY));
    sealing.apply(withKey(OTHER_KEY));
    assert.equal(sealing.open(before, 'context'), 'before');
    const after = sealing.seal('after', 'context');
    assert.equal(openSealing(there, withKey(OTHER_KEY)).open(after, 'context'), 'after');
    assert.equal(openSealing(there, withKey(KEY)).open(after, 'context'), undefined);
    assert.deepEqual(describeDiff(diffConfig(withKey(KEY), withKey(OTHER_KEY))), ['setting cluster.key: changed']);
  },
);

for (const { title, key } of [
  { title: 'a short one', key: 'short' },
  { title: 'one of 31 characters', key: KEY.slice(0, 31) },
  { title: 'one character again and again', key: 'a'.repeat(64) },
]) {
  verifies('instances.key', `${title} is no key`, () => {
    const { config, problems } = parseFiles({ config: `cluster: { key: "${key}" }\n` });
    assert.equal(config, undefined);
    const [first] = problems;
    assert.match(
      first === undefined ? '' : oneLine(first),
      /^error 1:17 "cluster\.key" could be guessed \| write a text of 32 characters or more/,
    );
    assert.ok(!JSON.stringify(problems).includes(key));
  });
}

verifies('instances.key', 'it may be a reference, and is a secret', () => {
  for (const written of ['${KEY}', 'file:key', 'cred:key']) {
    const files = {
      config: `cluster: { key: "${written}" }\n`,
      env: { KEY },
      secrets: { key: KEY, '/etc/mcproxy/key': KEY },
    };
    const config = validConfig(files);
    assert.equal(config.clusterKey?.reveal(), KEY);
    assert.ok(config.secrets.some((secret) => secret.reveal() === KEY));
  }
});
