/**
 * Roles and servers that claims of access tokens give, from a real authorization server through the door to what a
 * client sees: who gets which tools, what ends when a role goes, and what is told of names that are not there.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { SECRET_OF_CLIENT, startAuthorizationServer, type TokenWish } from '../support/authorization-server.ts';
import { openStream, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command } from '../support/message-app.ts';
import { errorOf, POST, rpc, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { runCommand } from '../support/start-app.ts';
import { waitFor, within } from '../support/wait.ts';

const PUBLIC = 'https://mcp.example.com';
const SERVERS_CLAIM = `${PUBLIC}/servers`;
const SESSION_PING = { method: 'POST', body: rpc('ping') } as const;
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});
const issuer = await startAuthorizationServer({ after });
const upstream = await startUpstream({ after });
const SETTINGS = `
public_url: ${PUBLIC}
servers:
  crm: ${command('tells-who.mjs')}
  up: { url: "${upstream.url}/mcp", token: for-up }
auth:
  jwt: { issuer: "${issuer.issuer}", allow_private: true, user_claim: client_id }
  introspection: { url: "${issuer.issuer}/token/introspection", client_id: gateway, client_secret: ${SECRET_OF_CLIENT} }
  audience: [${PUBLIC}/mcp, ${PUBLIC}/opaque]
  role_claim: realm_access.roles
  servers_claim: ${SERVERS_CLAIM}
  admin_role: mcp-admin
`;
const ROLES = `
roles:
  worker: { servers: [crm], tools: [crm__work], limits: { rate: 2/h } }
  reader: { servers: [crm], tools: "!crm__work" }
`;
const USERS = 'users:\n  alice: { servers: [up] }\n';
const proxied = await startProxied({ after }, { servers: {}, tokens: USERS + ROLES, settings: SETTINGS, debug: true });

after(() => checkNothingLeft());

const asking = (token: string) => ({ ...POST, authorization: `Bearer ${token}` });
const tokenWith = (claims: TokenWish['claims'], more: Partial<TokenWish> = {}): Promise<string> =>
  issuer.token({ client: 'bob', resource: `${PUBLIC}/mcp`, ...more, ...(claims && { claims }) });
const roles = (...names: string[]): TokenWish['claims'] => ({ realm_access: { roles: names } });

async function toolsOf(token: string, url = proxied.url): Promise<string[]> {
  const answer = await send(`${url}/mcp`, { method: 'POST', headers: asking(token), body: rpc('tools/list') });
  assert.equal(answer.status, 200, answer.text());
  const data = answer.text().replace(/^(?:(?!data: \{).*\n)*data: /, '');
  return (JSON.parse(data) as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name);
}

verifies('oauth.claims', 'the role of a token decides what its user sees, and the log says who it is', async () => {
  const token = await tokenWith(roles('reader', 'offline_access'));
  assert.deepEqual(await toolsOf(token), ['crm__crash', 'crm__only-all']);
  const { answer, entry } = await proxied.ask('/mcp', {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'crm__work' } }),
    headers: asking(token),
  });
  assert.match(answer.text(), /Unknown tool/);
  assert.deepEqual([entry['principal'], entry['error_code']], ['oauth:bob', 'ACCESS_DENIED']);
  assert.equal(
    (await proxied.ask('/up/mcp', { headers: asking(token), method: 'POST', body: rpc('ping') })).answer.status,
    404,
  );
});

verifies('oauth.claims', 'what an introspection says of roles counts as well', async () => {
  const token = await tokenWith(roles('reader'), { resource: `${PUBLIC}/opaque` });
  assert.equal(token.includes('.'), false);
  assert.deepEqual(await toolsOf(token), ['crm__crash', 'crm__only-all']);
});

verifies('oauth.claims', 'a claim whose name is a URL gives servers', async () => {
  const token = await tokenWith({ [SERVERS_CLAIM]: ['up', 'unknown', '*'] });
  const up = await proxied.ask('/up/mcp', { headers: asking(token), method: 'POST', body: rpc('tools/list') });
  assert.equal(up.answer.status, 200);
  assert.deepEqual(upstream.requests.at(-1)?.values('authorization'), ['Bearer for-up']);
  const crm = await proxied.ask('/crm/mcp', { headers: asking(token), method: 'POST', body: rpc('tools/list') });
  assert.equal(crm.answer.status, 404);
  const told = (): string[] =>
    proxied.app
      .stderr()
      .split('\n')
      .filter((line) => line.includes('that are not there'));
  assert.equal(told().length, 2, 'once for the token of the reader, once for this');
  assert.match(told().at(-1) ?? '', /bob.*unknown/);
});

verifies('oauth.claims', 'a user of the files has what the files say, whatever the token names', async () => {
  const token = await tokenWith(roles('reader', 'mcp-admin'), { client: 'alice' });
  const options = { headers: asking(token), method: 'POST', body: rpc('tools/list') };
  const { answer, entry } = await proxied.ask('/up/mcp', options);
  assert.deepEqual([answer.status, entry['principal']], [200, 'alice']);
  assert.equal((await proxied.ask('/crm/mcp', options)).answer.status, 404);
  assert.equal((await send(`${proxied.url}/status`, { headers: asking(token) })).status, 403);
});

verifies('oauth.claims', 'the limits of a role hold for its user, over all of their tokens', async () => {
  const status = async (token: string): Promise<number> =>
    (await send(`${proxied.url}/mcp`, { method: 'POST', headers: asking(token), body: rpc('ping') })).status;
  const one = await tokenWith(roles('worker'), { client: 'nobody' });
  const other = await tokenWith({ ...roles('worker'), [SERVERS_CLAIM]: 'up' }, { client: 'nobody' });
  assert.deepEqual([await status(one), await status(other), await status(one)], [200, 200, 429]);
});

verifies(
  'oauth.claims-closed',
  'only the chosen value makes an administrator, and who has nothing is 403',
  async () => {
    const status = async (claims: TokenWish['claims'], path: string): Promise<number> =>
      (await send(`${proxied.url}${path}`, { headers: asking(await tokenWith(claims)) })).status;
    assert.equal(await status(roles('mcp-admin'), '/status'), 200);
    assert.equal(await status(roles('reader', 'admin'), '/status'), 403);
    const { answer, entry } = await proxied.ask('/up/mcp', {
      headers: asking(await tokenWith({ ...roles('admin', '*', 'worker*'), [SERVERS_CLAIM]: '* up*' })),
      method: 'POST',
      body: rpc('tools/list'),
    });
    assert.equal(answer.status, 403);
    assert.match(errorOf(answer).message, /may use nothing here/);
    assert.match(String(entry['error']), /is no user here and has nothing by a claim/);
  },
);

verifies(
  'oauth.claims-streams',
  'a reload without the role ends its streams, and what is remembered has it no more',
  async (t) => {
    const { app } = await startProxied(t, { servers: {}, tokens: USERS + ROLES, settings: SETTINGS });
    const token = await tokenWith({ ...roles('reader'), [SERVERS_CLAIM]: 'up' });
    const opened = await send(`${app.url}/mcp`, { method: 'POST', headers: asking(token), body: INITIALIZE });
    const id = opened.header('mcp-session-id') ?? assert.fail(opened.text());
    const headers = { ...asking(token), accept: 'text/event-stream', 'mcp-session-id': id };
    const stream = await openStream(`${app.url}/mcp`, { headers });
    const ended = (async () => {
      for await (const chunk of stream.chunks) void chunk;
    })();
    const asked = issuer.asked.length;
    writeFileSync(join(app.dir, 'tokens.yml'), USERS + ROLES.replace('reader:', 'other:'));
    await within(ended, { what: 'the end of the stream' });
    assert.deepEqual(await toolsOf(token, app.url).then((tools) => tools.filter((tool) => tool.startsWith('crm'))), []);
    const later = await send(`${app.url}/mcp`, {
      ...SESSION_PING,
      headers: { ...asking(token), 'mcp-session-id': id },
    });
    assert.equal(later.status, 404, 'a session belongs to what it was opened with');
    writeFileSync(join(app.dir, 'tokens.yml'), USERS + ROLES);
    await waitFor(async () => (await toolsOf(token, app.url)).includes('crm__crash'), { what: 'the role' });
    assert.equal(issuer.asked.length, asked, 'the token was remembered');
  },
);

async function why(...words: string[]) {
  const { dir } = proxied.app;
  return runCommand(['why', ...words, '--config', dir, '--socket', join(dir, 'admin.sock')]);
}

verifies('why.access-tokens', 'why knows whose access token the service has seen, by what it named', async () => {
  const unseen = await why('oauth:gateway', 'crm');
  assert.equal(unseen.code, 1);
  assert.match(unseen.stdout, /^user {8}oauth:gateway, role user\ntoken {7}none\nnote {8}refused \(403\).*--role/);
  const slip = await why('gateway', 'crm');
  assert.equal(slip.stderr, 'mcproxy: there is no user "gateway"; did you mean "oauth:gateway"?\n');

  await toolsOf(await tokenWith(roles('reader', 'offline_access'), { client: 'gateway' }));
  for (const name of ['oauth:gateway', 'gateway']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const denied = await why(name, 'crm__work');
    assert.equal(denied.code, 1, denied.stderr);
    assert.match(denied.stdout, /^user {8}oauth:gateway, role user, reader$/m);
    assert.match(denied.stdout, /^token {7}access token: roles reader, offline_access; valid until 20/m);
    assert.match(denied.stdout, /^rule {8}crm__work \(role reader, .*tokens\.yml:\d+:\d+\)$/m);
    assert.match(denied.stdout, /^upstream {4}up$/m);
  }
  assert.equal((await why('gateway', 'crm__crash')).code, 0);
  const told = await why('gateway', 'crm__work', '--role', 'worker');
  assert.match(told.stdout, /ALLOWED[^]*crm__work \(role worker/);
  await toolsOf(await tokenWith(roles('worker'), { client: 'gateway' }));
  assert.match(
    (await why('gateway', 'crm__work')).stdout,
    /name different rights; this is about the newest[^]*ALLOWED/,
  );
  const alice = await why('oauth:alice', 'crm', '--role', 'reader');
  assert.equal(alice.code, 1);
  assert.match(alice.stdout, /^user {8}alice, role user$[^]*counts for nothing[^]*DENIED/m);
});

verifies('why.access-tokens', 'why answers from the files what claims would give', async (t) => {
  const { app } = await startProxied(t, { servers: {}, tokens: USERS + ROLES, settings: SETTINGS });
  await app.stop();
  const ask = (...words: string[]) => runCommand(['why', ...words, '--config', app.dir]);
  const up = await ask('oauth:bob', 'up', '--server', 'up', '--role', 'unknown');
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stdout, /^rule {8}up \(auth\.servers_claim\)$/m);
  const admin = await ask('oauth:bob', 'up', '--role', 'mcp-admin');
  assert.match(admin.stdout, /^user {8}oauth:bob, role admin$[^]*DENIED: no rule gives this user the server/m);
  assert.equal(admin.code, 1);
  assert.match((await ask('alice', 'up')).stdout, /^token {7}none\nnote {8}an access token that names this user/m);
});
