/**
 * Authorization servers behind a private CA: trusted where the operator names it, on both sides, and by nobody else's.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, who } from '../support/guarded-app.ts';
import { startGuarded } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { POST, rpc, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { TLS_CA, TLS_OTHER_CA } from '../support/tls-front.ts';
import { verifies } from '../support/verifies.ts';

const issuer = await startAuthorizationServer({ after }, 'RS256', { secure: true });
after(() => checkNothingLeft());

/** Of an entry for a server behind TLS. */
const beside = (entry: string, file: string): string => entry.replace('{ url', `{ ca_file: "${file}", url`);

for (const { name, secure, ofServer, underAuth, expected } of [
  { name: 'the CA under auth', secure: false, underAuth: TLS_CA, expected: /client gateway/ },
  { name: 'both CAs', secure: true, ofServer: TLS_CA, underAuth: TLS_CA, expected: /client gateway/ },
  { name: 'no CA', secure: false, expected: /self-signed certificate; name its CA in `ca_file` under its auth/ },
  { name: 'the CA of the server alone', secure: true, ofServer: TLS_CA, expected: /`ca_file` under its auth/ },
  { name: 'the CA under auth alone', secure: true, underAuth: TLS_CA, expected: /`ca_file` of the server/ },
  { name: 'the CA of somebody else', secure: false, underAuth: TLS_OTHER_CA, expected: /`ca_file` under its auth/ },
] as const) {
  verifies('oauth-out.ca', `with ${name}${secure ? ' and the server behind TLS' : ''}`, async (t) => {
    const server = await startGuarded(t, { issuer, secure });
    const before = issuer.asked.length;
    const entry = entryOf(server, underAuth === undefined ? '' : `, ca_file: "${underAuth}"`);
    const app = await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile({ up: ofServer === undefined ? entry : beside(entry, ofServer) }),
        'tokens.yml': usersFile({ alice: '"*"' }),
      },
    });
    const answer = await who(app);
    assert.match(answer.text(), expected);
    if (answer.status !== 200) assert.equal(issuer.asked.length, before, 'nothing was said to it');
    else assert.equal(server.tokens().length, 1);
  });
}

for (const { name, auth } of [
  { name: 'a server', auth: '' },
  {
    name: 'the door',
    auth: 'public_url: https://mcp.example.com\nauth: { jwt: { issuer: "https://as.example", ca_file: tokens.yml } }\n',
  },
]) {
  verifies(
    ['oauth-out.ca', 'oauth.ca'],
    `a ca_file under the auth of ${name} that is none ends the start with exit 78`,
    async (t) => {
      const dir = makeTempDir(t);
      const entry = entryOf({ url: 'https://127.0.0.1:1/mcp' }, ', ca_file: missing.pem');
      writeFiles(dir, {
        'mcproxy.yml': settingsFile(auth === '' ? { up: entry } : {}, auth),
        'tokens.yml': usersFile({ alice: '"*"' }),
      });
      const run = await runCommand(['serve', '--config', dir], { dir });
      assert.equal(run.code, 78, run.stderr);
      assert.match(run.stderr, /ca_file under auth.*(?:missing\.pem|tokens\.yml) is no readable certificate/);
      assert.ok(!run.stderr.includes(SECRET_OF_CLIENT));
    },
  );
}

const RESOURCE = 'https://mcp.example.com/up/mcp';
for (const { name, file, status } of [
  { name: 'its CA', file: TLS_CA, status: 200 },
  { name: 'the CA of somebody else', file: TLS_OTHER_CA, status: 503 },
  { name: 'no CA', file: undefined, status: 503 },
]) {
  verifies('oauth.ca', `with ${name} tokens of an issuer are answered ${status}`, async (t) => {
    const upstream = await startUpstream(t);
    const ca = file === undefined ? '' : `, ca_file: "${file}"`;
    const introspection = `{ url: "${issuer.issuer}/token/introspection", client_id: gateway, client_secret: ${SECRET_OF_CLIENT}${ca} }`;
    const jwt = `{ issuer: "${issuer.issuer}" }`;
    const proxied = await startProxied(t, {
      servers: {},
      tokens: 'users: {}\n',
      settings: `public_url: https://mcp.example.com\nservers: { up: { url: "${upstream.url}/mcp" } }\nauth:\n  jwt: ${jwt}\n  introspection: ${introspection}\n  allow_private: true\n  user_claim: client_id\n  servers: "*"\n  audience: [${RESOURCE}, ${RESOURCE}/opaque]\n`,
    });
    for (const resource of [RESOURCE, `${RESOURCE}/opaque`]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const token = await issuer.token({ client: 'alice', resource });
      // oxlint-disable-next-line no-await-in-loop
      const { answer } = await proxied.ask('/up/mcp', {
        method: 'POST',
        body: rpc('tools/list'),
        headers: { ...POST, authorization: `Bearer ${token}` },
      });
      assert.equal(answer.status, status, answer.text());
    }
  });
}
