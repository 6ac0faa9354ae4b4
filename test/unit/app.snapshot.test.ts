/**
 * Which servers a configuration has, for whoever prepares something for each: work that must not grow with the users.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpServers } from '../../src/app/snapshot.ts';
import { validConfig } from '../support/parse-files.ts';

const DIGEST = `sha256:${'0'.repeat(63)}`;

test('a server is one, however many users have it, and each of their own another', () => {
  const config = validConfig({
    config: 'servers:\n  a: { url: "https://a.example/" }\n  b: { url: "https://b.example/", token: shared-token-1 }\n',
    tokens: `users:
  all: { token: "${DIGEST}1", servers: "*" }
  too: { token: "${DIGEST}2", servers: "*" }
  one: { token: "${DIGEST}3", servers: { a: {} } }
  own: { token: "${DIGEST}4", servers: { b: { token: own-token-1 } } }
`,
  });
  assert.deepEqual(
    [...httpServers(config)].map(({ name, credentialFrom }) => `${name} ${credentialFrom}`),
    ['a none', 'b shared', 'b user'],
  );
});
