/**
 * Access tokens of a real authorization server at the door of a real mcproxy: who gets in, who does not, and what each
 * is told. Keys over time, and what needs a clock, are in `oauth-keys.test.ts`.
 */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { JWT_LEEWAY_MS } from '../../src/limits.ts';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { openStream, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, errorOf, POST, rpc, startProxied, TOKEN } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const PUBLIC = 'https://mcp.example.com';
const RESOURCE = `${PUBLIC}/up/mcp`;
const METADATA = `${PUBLIC}/.well-known/oauth-protected-resource`;

const issuer = await startAuthorizationServer({ after });
const upstream = await startUpstream({ after });
const strange = await startUpstream({ after });
const jwt = `{ issuer: "${issuer.issuer}", allow_private: true, scopes: [mcp], user_claim: client_id }`;
const introspection = `{ url: "${issuer.issuer}/token/introspection", client_id: gateway, client_secret: ${SECRET_OF_CLIENT} }`;
const SETTINGS = `
public_url: ${PUBLIC}
servers:
  up: { url: "${upstream.url}/mcp", token: for-up }
  spare: { url: "${upstream.url}/mcp" }
  pass: { url: "${strange.url}/mcp", auth: passthrough }
`;
const USERS = `users:\n  alice:\n    servers: [up, spare, pass]\n  carol: { token: ${digestOf(TOKEN)}, servers: [up] }\n`;
const proxied = await startProxied(
  { after },
  {
    servers: {},
    tokens: USERS,
    settings: `${SETTINGS}auth:\n  jwt: ${jwt}\n  introspection: ${introspection}\n  servers: [up]\n  audience: [${RESOURCE}, ${PUBLIC}/opaque]\n`,
  },
);

after(() => checkNothingLeft());

const CALL = { method: 'POST', body: rpc('tools/list') } as const;
const asking = (token: string) => ({ ...POST, authorization: `Bearer ${token}` });
const ask = (token: string, path = '/up/mcp') => proxied.ask(path, { ...CALL, headers: asking(token) });
const good = await issuer.token({ client: 'alice', resource: RESOURCE });
const nowSeconds = (): number => Math.floor(Date.now() / 1_000);
const claims = () => ({
  iss: issuer.issuer,
  aud: RESOURCE,
  client_id: 'alice',
  scope: 'mcp',
  exp: nowSeconds() + 600,
});

verifies('oauth.jwt', 'a JWT of the issuer lets the user in whom it names, with their servers', async () => {
  const { answer, entry } = await ask(good);
  assert.equal(answer.status, 200);
  assert.deepEqual([entry['principal'], entry['outcome']], ['alice', 'ok']);
  assert.deepEqual(upstream.requests.at(-1)?.values('authorization'), ['Bearer for-up']);
  assert.equal((await ask(good, '/spare/mcp')).answer.status, 200);
});

verifies('oauth.both-kinds', 'a token of tokens.yml lets its user in beside that, and asks nobody', async () => {
  const before = issuer.asked.length;
  const { answer, entry } = await proxied.ask('/up/mcp', CALL);
  assert.deepEqual([answer.status, entry['principal']], [200, 'carol']);
  assert.equal(issuer.asked.length, before);
});

verifies('oauth.jwt-cached', 'a token that was verified is not verified again, and keys are read once', async () => {
  await Promise.all(Array.from({ length: 20 }, () => ask(good)));
  assert.equal(issuer.asked.filter((path) => path === '/jwks').length, 1);
});

verifies('oauth.unlisted', 'who is in no file may use what `servers` names and nothing else', async () => {
  const token = await issuer.token({ client: 'bob', resource: RESOURCE });
  const { answer, entry } = await ask(token);
  assert.deepEqual([answer.status, entry['principal']], [200, 'oauth:bob']);
  assert.equal((await ask(token, '/spare/mcp')).answer.status, 404);
  const all = await proxied.ask('/mcp', {
    headers: { ...asking(token), 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    method: 'POST',
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
      params: {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  });
  assert.deepEqual([all.answer.status, all.entry['principal']], [200, 'oauth:bob'], all.answer.text());
});

const CHALLENGE = new RegExp(
  `^Bearer realm="mcproxy", error="invalid_token", error_description="[^"]+", resource_metadata="${METADATA}/up/mcp", scope="mcp"$`,
);
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signed with HMAC, the public key of the issuer as the secret (RFC 8725 §2.1). */
async function confused(): Promise<string> {
  const { keys } = (await send(`${issuer.issuer}/jwks`)).json() as { keys: (JsonWebKey & { kid: string })[] };
  const [key] = keys;
  assert.ok(key);
  const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const signed = `${part({ alg: 'HS256', typ: 'at+jwt', kid: key.kid })}.${part(claims())}`;
  return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
}

const [head = '', body = '', signature = ''] = good.split('.');
const refused: readonly { name: string; token: () => string | Promise<string>; reason: RegExp }[] = [
  {
    name: 'that has expired',
    token: () => issuer.forge({ ...claims(), exp: nowSeconds() - 61 }),
    reason: /has expired/,
  },
  {
    name: 'for another audience',
    token: () => issuer.token({ client: 'alice', resource: `${PUBLIC}.evil/up/mcp` }),
    reason: /aud/,
  },
  {
    name: 'for a path below the audience',
    token: () => issuer.token({ client: 'alice', resource: `${RESOURCE}/x` }),
    reason: /aud/,
  },
  { name: 'without an audience', token: () => issuer.forge({ ...claims(), aud: undefined }), reason: /aud/ },
  {
    name: 'of another issuer',
    token: () => issuer.forge({ ...claims(), iss: 'https://evil.example' }),
    reason: /another issuer/,
  },
  { name: 'without an issuer', token: () => issuer.forge({ ...claims(), iss: undefined }), reason: /another issuer/ },
  { name: 'without an end', token: () => issuer.forge({ ...claims(), exp: undefined }), reason: /no end/ },
  { name: 'for later', token: () => issuer.forge({ ...claims(), nbf: nowSeconds() + 120 }), reason: /nbf/ },
  {
    name: 'that is an id token',
    token: () => issuer.forge(claims(), { typ: 'id_token+jwt' }),
    reason: /no access token/,
  },
  { name: 'bound to a key', token: () => issuer.forge({ ...claims(), cnf: { jkt: 'x' } }), reason: /cnf/ },
  {
    name: 'with another algorithm than the key',
    token: () => issuer.forge(claims(), { alg: 'PS256' }),
    reason: /algorithm/,
  },
  { name: 'signed with the public key as a secret', token: confused, reason: /algorithm/ },
  { name: 'without a signature', token: () => `${part({ alg: 'none' })}.${part(claims())}.`, reason: /algorithm/ },
  {
    name: 'with another body',
    token: () => `${head}.${part({ ...claims(), client_id: 'carol' })}.${signature}`,
    reason: /signature/,
  },
  { name: 'cut short', token: () => `${head}.${body}.${signature.slice(0, -8)}`, reason: /signature/ },
  { name: 'opaque and of nobody', token: () => 'opaque-and-of-nobody-0123456789', reason: /not active/ },
];
for (const { name, token, reason } of refused) {
  verifies(
    ['oauth.invalid-401', 'protocol.case-95'],
    `a token ${name} is refused, and only the log says why`,
    async () => {
      const before = upstream.requests.length;
      const text = await token();
      const { answer, entry } = await ask(text);
      assert.equal(answer.status, 401, answer.text());
      assert.match(answer.header('www-authenticate') ?? '', CHALLENGE);
      assert.equal(errorOf(answer).message, refusal.message);
      assert.match(String(entry['error']), reason);
      assert.deepEqual([entry['error_code'], entry['principal']], ['AUTH_INVALID', null]);
      assert.equal(upstream.requests.length, before);
      assert.equal(JSON.stringify(entry).includes(text.slice(0, 20)), false);
    },
  );
}
const refusal = errorOf((await ask('opaque-and-of-nobody-9876543210')).answer);

verifies(
  ['oauth.insufficient-scope', 'protocol.case-95'],
  'a token without the scope is 403 and says which is needed',
  async () => {
    const { answer, entry } = await ask(await issuer.token({ client: 'alice', resource: RESOURCE, scope: 'other' }));
    assert.equal(answer.status, 403);
    assert.equal(
      answer.header('www-authenticate'),
      `Bearer realm="mcproxy", error="insufficient_scope", resource_metadata="${METADATA}/up/mcp", scope="mcp"`,
    );
    assert.match(String(entry['error']), /scope mcp/);
  },
);

verifies('oauth.introspection', 'an opaque token is asked about once, and lets its user in', async () => {
  const token = await issuer.token({ client: 'alice', resource: `${PUBLIC}/opaque` });
  const asked = (): number => issuer.asked.filter((path) => path === '/token/introspection').length;
  const before = asked();
  const found = await Promise.all(Array.from({ length: 5 }, () => ask(token)));
  assert.deepEqual(new Set(found.map(({ entry }) => entry['principal'])), new Set(['alice']));
  assert.equal(asked(), before + 1);
});

verifies('oauth.introspection', 'an opaque token for another audience or without the scope is refused', async () => {
  const other = await issuer.token({ client: 'alice', resource: `${PUBLIC}/opaque2` });
  assert.equal((await ask(other)).answer.status, 401);
  const less = await issuer.token({ client: 'alice', resource: `${PUBLIC}/opaque`, scope: 'other' });
  assert.equal((await ask(less)).answer.status, 403);
});

verifies(
  'oauth.passthrough',
  'a token for a passthrough server is not shown to the issuer, one of ours not to it',
  async () => {
    const before = issuer.asked.length;
    const theirs = await ask('opaque-token-of-the-server', '/pass/mcp');
    assert.equal(theirs.answer.status, 200);
    assert.deepEqual(strange.requests.at(-1)?.values('authorization'), ['Bearer opaque-token-of-the-server']);
    assert.equal(issuer.asked.length, before);
    const count = strange.requests.length;
    assert.equal((await ask(good, '/pass/mcp')).answer.status, 403);
    assert.equal(strange.requests.length, count);
    const missing = await send(`${proxied.url}/pass/mcp`, {
      ...CALL,
      headers: { ...POST, authorization: 'Basic eA==' },
    });
    assert.equal(missing.header('www-authenticate')?.includes('resource_metadata'), false);
  },
);

verifies(
  ['oauth.metadata', 'protocol.case-94'],
  'each mounted path has its metadata, servers that do not exist too, others none',
  async () => {
    const document = async (path: string): Promise<Answer> => send(`${proxied.url}${path}`);
    for (const path of ['', '/mcp', '/sse', '/up/mcp', '/up/sse', '/unknown/mcp']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await document(`/.well-known/oauth-protected-resource${path}`);
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.json(), {
        resource: `${PUBLIC}${path}`,
        authorization_servers: [issuer.issuer],
        scopes_supported: ['mcp'],
        bearer_methods_supported: ['header'],
        resource_name: 'mcproxy',
      });
    }
    for (const path of ['/pass/mcp', '/status', '/up', '/up/messages', 'x']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal((await document(`/.well-known/oauth-protected-resource${path}`)).status, 404, path);
    }
    assert.equal((await document('/.well-known/oauth-authorization-server')).status, 404);
    const post = await send(`${proxied.url}/.well-known/oauth-protected-resource`, { method: 'POST', body: '{}' });
    assert.equal(post.status, 405);
  },
);

verifies(
  'oauth.reload',
  'a reload keeps the stream of an access token, and ends it when its issuer is no longer believed',
  async (t) => {
    const streams = await startUpstream(t, {
      answer: ({ response }) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': on\n\n'),
    });
    const door = 'listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n';
    const servers = `public_url: ${PUBLIC}\nservers:\n  up: { url: "${streams.url}/mcp", transport: streamable, era: legacy }\n`;
    const tokens = `users:\n  alice: { servers: [up] }\n`;
    const { app } = await startProxied(t, { servers: {}, tokens, settings: `${servers}auth: { jwt: ${jwt} }\n` });
    const write = (more: string): void => writeFileSync(join(app.dir, 'mcproxy.yml'), `${door}${servers}${more}`);
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${good}`, 'mcp-session-id': 's' };
    const stream = await openStream(`${app.url}/up/mcp`, { headers });
    assert.equal(stream.status, 200);
    let ended = false;
    void (async () => {
      try {
        for await (const chunk of stream.chunks) void chunk;
      } finally {
        ended = true;
      }
    })();
    const reloads = (): number => app.stderr().split('configuration reloaded').length - 1;
    write(`auth: { jwt: ${jwt} }\nheartbeat: 20s\n`);
    await waitFor(() => reloads() === 1, { what: 'the reload' });
    assert.equal(ended, false);
    write('heartbeat: 20s\n');
    // A user without a token is an error again now, so that the file of users has to change as well.
    writeFileSync(join(app.dir, 'tokens.yml'), `users:\n  carol: { token: ${digestOf(TOKEN)}, servers: [up] }\n`);
    await waitFor(() => ended, { what: 'the end of the stream' });
  },
);

verifies('oauth.expiry-ends-streams', 'a stream ends when its token does', async (t) => {
  const streams = await startUpstream(t, {
    answer: ({ response }) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': on\n\n'),
  });
  const settings = `public_url: ${PUBLIC}\nservers:\n  up: { url: "${streams.url}/mcp", transport: streamable, era: legacy }\nauth: { jwt: ${jwt} }\n`;
  const { app } = await startProxied(t, { servers: {}, tokens: 'users:\n  alice: { servers: [up] }\n', settings });
  // Within the leeway for clocks that differ, whose end is near.
  const token = issuer.forge({ ...claims(), exp: nowSeconds() - JWT_LEEWAY_MS / 1_000 + 4 });
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'mcp-session-id': 's' };
  const stream = await openStream(`${app.url}/up/mcp`, { headers });
  assert.equal(stream.status, 200);
  const text = await within(textOf(stream.chunks), { deadlineMs: 15_000, what: 'the end of the stream' });
  assert.match(text, /^: on/);
  assert.equal((await send(`${app.url}/up/mcp`, { ...CALL, headers: asking(token) })).status, 401);
});

verifies('oauth.no-login', 'without an authorization server a client is not sent to one', async (t) => {
  const { url } = await startProxied(t, { servers: {} });
  const answer = await send(`${url}/mcp`, { ...CALL, headers: { ...POST, authorization: `Bearer ${good}` } });
  assert.equal(answer.status, 401);
  assert.equal(answer.header('www-authenticate')?.includes('resource_metadata'), false);
  assert.equal((await send(`${url}/.well-known/oauth-protected-resource/mcp`)).status, 404);
});

verifies('oauth.issuer-down', 'while nobody can tell, a token is 503 and only the log says where', async (t) => {
  const away = await startAuthorizationServer(t);
  const token = await away.token({ client: 'alice', resource: RESOURCE });
  away.answers = false;
  const settings = `${SETTINGS}auth: { jwt: { issuer: "${away.issuer}", allow_private: true } }\n`;
  const { ask: askAway } = await startProxied(t, { servers: {}, tokens: USERS, settings });
  const { answer, entry } = await askAway('/up/mcp', { ...CALL, headers: asking(token) });
  assert.equal(answer.status, 503);
  assert.equal(answer.text().includes(away.issuer), false);
  assert.equal(entry['error_code'], 'ISSUER_UNREACHABLE');
  assert.ok(String(entry['error']).includes(away.issuer));
  assert.equal((await askAway('/up/mcp', CALL)).answer.status, 200, 'a token of the files');
});

async function textOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk.toString('utf8');
  return text;
}
