/**
 * A published server that checks its bearer token: each user goes out with a credential of their own, and one that
 * the server refuses is reported as such instead of sending the user to log in at mcproxy.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { send, type Answer } from '../support/http-client.ts';
import { connectClient1 } from '../support/official-clients.ts';
import { startNotion } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';

const ALICE = 'contract-notion-alice-0123456789abcdef';
const BOB = 'contract-notion-bob-0123456789abcdef';
const CAROL = 'contract-notion-carol-0123456789abcdef';
const RIGHT_CREDENTIAL = 'notion-credential-that-is-right';
const WRONG_CREDENTIAL = 'notion-credential-that-is-wrong';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'contract-test', version: '1.0.0' } },
};

const notion = await startNotion({ after }, RIGHT_CREDENTIAL);
const users = {
  alice: { token: ALICE, servers: { notion: { url: notion.url, token: RIGHT_CREDENTIAL } } },
  // This server answers 401 when Authorization is missing, and 403 to any that is wrong.
  bob: { token: BOB, servers: { notion: { url: notion.url, headers: { 'x-api-key': WRONG_CREDENTIAL } } } },
  carol: { token: CAROL, servers: { notion: { url: notion.url, token: WRONG_CREDENTIAL } } },
};
const app = await startApp({ after }, { files: { 'tokens.yml': JSON.stringify({ users }) } });

verifies('contract.notion-bearer', 'a user with the right credential lists the tools', async () => {
  const connected = await connectClient1({ url: `${app.url}/notion/mcp`, transport: 'streamable', token: ALICE });
  const { tools } = (await connected.client.listTools()) as { tools: unknown[] };
  await connected.close();
  assert.ok(tools.length > 10, `${tools.length} tools`);
});

verifies('contract.notion-bearer', 'a 403 of the server, as to a wrong token, passes as it is', async () => {
  const direct = await initialize(notion.url, WRONG_CREDENTIAL);
  const proxied = await initialize(`${app.url}/notion/mcp`, CAROL);
  assert.equal(direct.status, 403);
  assert.equal(proxied.status, 403);
  assert.deepEqual(proxied.body, direct.body);
});

verifies(
  ['contract.notion-bearer', 'credentials.refused-credential-502'],
  'a 401 to the credential of a user is 502 and names server and user',
  async () => {
    const answer = await initialize(`${app.url}/notion/mcp`, BOB);
    assert.equal(answer.status, 502);
    assert.equal(answer.header('www-authenticate'), undefined);
    const { error } = answer.json() as { error: { message: string; data: { code: string } } };
    assert.equal(error.data.code, 'UPSTREAM_CREDENTIAL');
    assert.match(error.message, /notion/);
    assert.match(error.message, /bob/);

    const entry = app.entries().findLast(({ principal }) => principal === 'bob');
    assert.equal(entry?.['error_code'], 'UPSTREAM_CREDENTIAL');
    assert.equal(entry?.['http_status'], 502);
  },
);

verifies('credentials.refused-credential-502', 'no credential is in anything mcproxy wrote', () => {
  const written = [app.stdout(), app.stderr(), JSON.stringify(app.entries())].join('\n');
  for (const secret of [ALICE, BOB, CAROL, RIGHT_CREDENTIAL, WRONG_CREDENTIAL]) assert.ok(!written.includes(secret));
});

function initialize(url: string, token: string): Promise<Answer> {
  const accept = 'application/json, text/event-stream';
  const headers = { 'content-type': 'application/json', accept, authorization: `Bearer ${token}` };
  return send(url, { method: 'POST', headers, body: JSON.stringify(INITIALIZE) });
}
