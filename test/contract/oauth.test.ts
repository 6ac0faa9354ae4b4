/**
 * The official client 2 and a real authorization server: from the URL of mcproxy alone to a call, with the client's own
 * discovery, its own login and the checks that it makes of our metadata.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import {
  Client,
  ClientCredentialsProvider,
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startEverything } from '../support/peers.ts';
import { findClosedPort } from '../support/ports.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';

const issuer = await startAuthorizationServer({ after });
const everything = await startEverything({ after }, 'streamableHttp');
const port = await findClosedPort();
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': JSON.stringify({
        listen: `127.0.0.1:${port}`,
        public_url: `http://127.0.0.1:${port}`,
        log: { file: 'access.log' },
        admin: { socket: 'admin.sock' },
        servers: { tools: { url: everything.url } },
        auth: { jwt: { issuer: issuer.issuer, allow_private: true, scopes: ['mcp'] } },
      }),
      'tokens.yml': 'users:\n  alice: { servers: "*" }\n',
    },
  },
);
after(() => checkNothingLeft());

for (const path of ['/mcp', '/tools/mcp']) {
  verifies(['oauth.sdk', 'oauth.metadata', 'protocol.case-93'], `the client gets in at ${path} by itself`, async () => {
    const url = new URL(`${app.url}${path}`);
    const refused = await fetch(url, {
      method: 'POST',
      headers: { accept: '*/*', 'content-type': 'application/json' },
    });
    await refused.body?.cancel();
    assert.equal(refused.status, 401);
    const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(refused);
    assert.equal(resourceMetadataUrl?.href, `${app.url}/.well-known/oauth-protected-resource${path}`);
    assert.equal(scope, 'mcp');
    const metadata = await discoverOAuthProtectedResourceMetadata(url);
    assert.deepEqual([metadata.resource, metadata.authorization_servers], [url.href, [issuer.issuer]]);

    const authProvider = new ClientCredentialsProvider({
      clientId: 'alice',
      clientSecret: SECRET_OF_CLIENT,
      expectedIssuer: issuer.issuer,
    });
    const client = new Client({ name: 'contract-test', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(url, { authProvider }));
    const { tools } = await client.listTools();
    assert.ok(tools.some(({ name }) => name.endsWith('echo')));
    await client.close();
    assert.ok(app.entries().some((entry) => entry['principal'] === 'alice' && entry['rpc_method'] === 'tools/list'));
  });
}
