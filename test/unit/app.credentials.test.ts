/**
 * Whom the failure of an OAuth client names: the one user who has it, and nobody where others are told of it too.
 */
import assert from 'node:assert/strict';
import { CLOCK } from '../../src/app/clock.ts';
import { openCredentials } from '../../src/app/credentials.ts';
import { createUpstreamPool } from '../../src/upstream/pool.ts';
import { validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const DIAG = { info: () => undefined, warn: () => undefined, redact: (text: string) => text };
// Nobody is asked: an address that is not on the public internet is refused before.
const CLIENT =
  '{ up: { auth: { client_id: own, client_secret: own-secret-012, token_url: "https://127.0.0.1:1/t" } } }';
const CLAIMS = 'public_url: https://m.example\nauth: { jwt: { issuer: "https://as.example" }, role_claim: roles }\n';
const zoe = (more: string): string => `users:\n  zoe: { token: "sha256:${'0'.repeat(64)}", ${more} }\n`;
const ROLE = `roles:\n  dev: { servers: ${CLIENT} }\n${zoe('roles: [dev]')}`;

for (const { name, config, tokens, label } of [
  { name: 'their own names them', config: '', tokens: zoe(`servers: ${CLIENT}`), label: 'server up of user zoe' },
  { name: 'a role that they alone have names them', config: '', tokens: ROLE, label: 'server up of user zoe' },
  { name: 'a role that claims give names nobody', config: CLAIMS, tokens: ROLE, label: 'server up' },
]) {
  verifies('oauth-out.refusal', `the failure of ${name}`, async (t) => {
    const parsed = validConfig({ config: `servers: { up: { url: "https://up.example/mcp" } }\n${config}`, tokens });
    const pool = createUpstreamPool();
    t.after(() => pool.close());
    const credentials = openCredentials({ clock: CLOCK, diag: DIAG, pool, stateDirectory: undefined });
    credentials.apply(parsed);
    const server = parsed.principals[0]?.servers.get('up');
    assert.ok(server?.kind === 'http');
    const prepared = credentials.for(server).renewal?.prepare();
    assert.ok(prepared !== undefined);
    await assert.rejects(prepared, { message: new RegExp(`^no access token for ${label}: `) });
  });
}
