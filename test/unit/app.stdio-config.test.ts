/**
 * What `mcproxy stdio` runs: whose servers, and which of them.
 */
import assert from 'node:assert/strict';

import {
  choiceProblem,
  leftOut,
  narrowConfig,
  principalOf,
  remoteConfig,
  type Chosen,
} from '../../src/app/stdio-config.ts';
import { PIPED_GRACE_MS_MAX } from '../../src/limits.ts';
import { validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const CONFIG = validConfig({
  config: `servers:
  files: { command: files }
  off: { command: off, enabled: false }
  own: { url: "http://own.test/mcp", auth: passthrough }
`,
  tokens: `users:
  alice: { token: alice-token-0123456789abcdef, servers: { files: { env: { WHO: alice } }, mail: { url: "http://mail.test/mcp" } } }
  bob: { token: bob-token-0123456789abcdef, servers: [files] }
`,
});
const chosen = (userName?: string, serverName?: string): Chosen => ({ userName, serverName });

const CHOICES = [
  { name: 'nobody', choice: chosen(), id: 'local', servers: ['files', 'off', 'own'] },
  { name: 'a user', choice: chosen('alice'), id: 'alice', servers: ['files', 'mail'] },
  { name: 'a server', choice: chosen(undefined, 'files'), id: 'local', servers: ['files'] },
  { name: 'a server of a user', choice: chosen('alice', 'mail'), id: 'alice', servers: ['mail'] },
  { name: 'somebody who was removed', choice: chosen('carol'), id: 'carol', servers: [] },
];
for (const { name, choice, id, servers } of CHOICES) {
  verifies('stdio.principal', `for ${name} it is ${id} with ${servers.join(', ') || 'nothing'}`, () => {
    const config = narrowConfig(CONFIG, choice);
    const principal = principalOf(config);
    assert.equal(principal.id, id);
    assert.deepEqual([...principal.servers.keys()], servers);
    // Nobody else is there, and nothing is started that is not used.
    assert.equal(config.principals.length, 1);
    assert.equal(config.servers, principal.servers);
    assert.equal(config.shutdownGraceMs, PIPED_GRACE_MS_MAX);
  });
}

verifies('stdio.principal', "a user's own environment and credential stay theirs", () => {
  const { servers } = principalOf(narrowConfig(CONFIG, chosen('alice')));
  const files = servers.get('files');
  assert.deepEqual(files?.kind === 'stdio' && files.env.map(([name, value]) => [name, value.reveal()]), [
    ['WHO', 'alice'],
  ]);
});

const PROBLEMS = [
  { choice: chosen('bobb'), says: /there is no user "bobb"; did you mean "bob"\?/ },
  { choice: chosen('\u001b[31m'), says: /there is no user "·\[31m"; there are: alice, bob/ },
  { choice: chosen(undefined, 'fles'), says: /there is no server "fles" for local; did you mean "files"\?/ },
  { choice: chosen(undefined, 'off'), says: /off is disabled/ },
  { choice: chosen(undefined, 'own'), says: /own takes the client's own token/ },
];
for (const { choice, says } of PROBLEMS) {
  verifies('stdio.principal', `a choice that cannot be is said: ${String(says)}`, () => {
    assert.match(choiceProblem(CONFIG, choice) ?? '', says);
  });
}

verifies('stdio.principal', 'servers of users alone are found by naming one', () => {
  const tokens = 'users: { alice: { token: alice-token-0123456789abcdef, servers: { a: { command: a } } } }';
  const config = validConfig({ tokens });
  assert.match(choiceProblem(config, chosen()) ?? '', /for those of a user: --user alice/);
  assert.equal(choiceProblem(config, chosen('alice')), undefined);
  assert.deepEqual(leftOut(CONFIG), ['own']);
});

verifies('stdio.remote-secret', 'token and headers are secrets, and stand for nothing else', () => {
  const { config } = remoteConfig(
    {
      url: 'https://mcp.test/mcp',
      token: 'token-${HOME}',
      headers: ['X-Api-Key: ${KEY}', 'X-Team:a:b'],
      transport: 'sse',
      log: false,
    },
    { KEY: 'key-of-the-test', MCP_PORT: '1', HOME: '/root' },
  );
  const [server] = [...(config?.servers.values() ?? [])];
  assert.ok(config !== undefined && server?.kind === 'http');
  assert.deepEqual([server.url, server.transport, config.listen.port], ['https://mcp.test/mcp', 'sse', 3000]);
  const secrets = config.secrets.map((secret) => secret.reveal());
  for (const secret of ['token-${HOME}', 'key-of-the-test']) assert.ok(secrets.includes(secret), secret);
  assert.ok(!JSON.stringify(config).includes('key-of-the-test'));
});
