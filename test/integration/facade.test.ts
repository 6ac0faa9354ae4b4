/**
 * mcproxy as its own authorization server: what a login gives, how long it lasts, and what ends it. What hostile clients
 * and people try is in `facade-hostile.test.ts`.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import {
  ALICE,
  approve,
  askToken,
  authorizeUrl,
  CALLBACK,
  encode,
  FORM,
  formOf,
  getTokens,
  loginOf,
  logIn,
  makePkce,
  refreshOf,
  register,
  requestOf,
  returnOf,
  startFacade,
  submit,
  tokensOf,
} from '../support/facade.ts';
import { openStream, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, rpc } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const BOB = 'token-of-bob-0123456789abcdef';
const upstream = await startUpstream({ after });
const strange = await startUpstream({ after });
const TOKENS = `users:
  alice: { token: ${digestOf(ALICE)}, servers: "*" }
  bob: { token: ${digestOf(BOB)}, servers: [up] }
`;
const facade = await startFacade(
  { after },
  {
    servers: {
      up: `{ url: "${upstream.url}/mcp", token: for-up }`,
      spare: `{ url: "${upstream.url}/mcp" }`,
      pass: `{ url: "${strange.url}/mcp", auth: passthrough }`,
    },
    tokens: TOKENS,
  },
);
after(() => checkNothingLeft());
const { url } = facade;

function call(token: string, path = '/up/mcp'): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  return send(url + path, { method: 'POST', headers, body: rpc('tools/list') });
}

const entriesOf = (route: string) => facade.app.entries().filter((entry) => entry['route'] === route);

verifies('facade.metadata', 'a client finds the way from the challenge to every endpoint', async () => {
  const refused = await call('');
  assert.equal(refused.status, 401);
  const where = /resource_metadata="([^"]+)"/.exec(refused.header('www-authenticate') ?? '')?.[1] ?? '';
  const resource = (await send(where)).json() as { resource: string; authorization_servers: string[] };
  assert.deepEqual(resource.authorization_servers, [url]);
  assert.equal(resource.resource, `${url}/up/mcp`);
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(`${url}/.well-known/${name}`, { headers: { origin: 'https://page.example' } });
    assert.equal(answer.header('access-control-allow-origin'), '*');
    const metadata = answer.json() as Record<string, unknown>;
    assert.equal(metadata['issuer'], url);
    assert.deepEqual(metadata['code_challenge_methods_supported'], ['S256']);
    assert.deepEqual(metadata['token_endpoint_auth_methods_supported'], ['none']);
    assert.equal(metadata['client_id_metadata_document_supported'], true);
    assert.equal(metadata['authorization_response_iss_parameter_supported'], true);
    for (const each of ['authorization', 'token', 'registration', 'revocation'])
      assert.ok(String(metadata[`${each}_endpoint`]).startsWith(`${url}/oauth/`));
  }
});

verifies('facade.metadata', 'below a path the documents are where each kind of client looks', async (t) => {
  const below = await startFacade(t, { servers: { up: `{ url: "${upstream.url}/mcp" }` }, pathPrefix: '/tools' });
  const { origin } = new URL(below.url);
  for (const path of [
    '/.well-known/oauth-authorization-server/tools',
    '/.well-known/openid-configuration/tools',
    '/tools/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
  ]) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(origin + path);
    assert.equal((answer.json() as { issuer?: string }).issuer, below.url, path);
  }
  const { tokens } = await getTokens(below.url);
  const headers = { authorization: `Bearer ${tokens.access_token}`, accept: '*/*' };
  assert.equal(
    (await send(`${below.url}/up/mcp`, { headers, body: JSON.parse(rpc('tools/list')) as unknown })).status,
    200,
  );
});

verifies('facade.login', 'a login lets its user in with their servers and credentials', async () => {
  const clientId = await register(url, { client_name: 'Some client' });
  const pkce = makePkce();
  const page = await send(authorizeUrl(url, requestOf(clientId, pkce)));
  assert.match(page.text(), /Some client/);
  assert.match(page.text(), /127\.0\.0\.1:9 \(a program on your own device\)/);
  const back = returnOf(await submit(page, { token: ` Bearer ${BOB}\n`, decision: 'allow' }, url));
  assert.equal(`${back.origin}${back.pathname}`, CALLBACK);
  assert.deepEqual([back.searchParams.get('state'), back.searchParams.get('iss')], ['state-of-client', url]);
  const answer = await askToken(url, loginOf({ clientId, pkce, code: back.searchParams.get('code') ?? '' }).exchange);
  assert.equal(answer.header('cache-control'), 'no-store');
  const tokens = answer.json() as Record<string, unknown>;
  assert.deepEqual([tokens['token_type'], tokens['expires_in'], tokens['scope']], ['Bearer', 3_600, 'mcp']);
  assert.equal((await call(String(tokens['access_token']))).status, 200);
  assert.deepEqual(upstream.requests.at(-1)?.values('authorization'), ['Bearer for-up']);
  assert.equal((await call(String(tokens['access_token']), '/spare/mcp')).status, 404);
  await waitFor(() => entriesOf('/oauth/token').some((entry) => entry['principal'] === 'bob'));
  assert.ok(entriesOf('/oauth/authorize').some((entry) => entry['principal'] === 'bob'));
});

verifies('facade.old-clients', 'clients that know no metadata find the endpoints at the root', async () => {
  const registered = await send(`${url}/register`, { body: { redirect_uris: [CALLBACK] } });
  const { client_id: clientId } = registered.json() as { client_id: string };
  const pkce = makePkce();
  const back = await approve(`${url}/authorize?${encode(requestOf(clientId, pkce))}`, ALICE);
  const body = encode(loginOf({ clientId, pkce, code: back.searchParams.get('code') ?? '' }).exchange);
  assert.equal((await send(`${url}/token`, { body, headers: FORM })).status, 200);
});

verifies('facade.public-clients', 'a client that asks for a secret is registered without one', async () => {
  const answer = await send(`${url}/oauth/register`, {
    body: { redirect_uris: [CALLBACK], token_endpoint_auth_method: 'client_secret_basic', client_name: 'x' },
  });
  const metadata = answer.json() as Record<string, unknown>;
  assert.equal(metadata['token_endpoint_auth_method'], 'none');
  assert.equal(metadata['client_secret'], undefined);
});

verifies('facade.refresh', 'refresh tokens are renewed, and the one before is good for a moment more', async () => {
  const { tokens, ...login } = await getTokens(url);
  const second = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  assert.notEqual(second.refresh_token, tokens.refresh_token);
  // Its answer was lost: the client asks with the old one again.
  const again = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  const third = await tokensOf(askToken(url, refreshOf(login, again.refresh_token)));
  assert.equal((await call(third.access_token)).status, 200);
});

verifies('facade.reuse', 'an old refresh token ends the login, for thief and owner alike', async () => {
  const { tokens, ...login } = await getTokens(url);
  const second = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  const third = await tokensOf(askToken(url, refreshOf(login, second.refresh_token)));
  assert.equal((await call(third.access_token)).status, 200);
  const stolen = await askToken(url, refreshOf(login, tokens.refresh_token));
  assert.deepEqual([stolen.status, (stolen.json() as { error: string }).error], [400, 'invalid_grant']);
  assert.equal((await askToken(url, refreshOf(login, third.refresh_token))).status, 400);
  assert.equal((await call(third.access_token)).status, 401);
  assert.match(facade.app.stderr(), /a refresh token was used twice, so that its login was ended.*principal=alice/);
});

verifies('facade.reuse', 'a code that is used twice ends the login', async () => {
  const login = await logIn(url);
  const tokens = await tokensOf(askToken(url, login.exchange));
  assert.equal((await askToken(url, login.exchange)).status, 400);
  assert.equal((await call(tokens.access_token)).status, 401);
  assert.equal((await askToken(url, refreshOf(login, tokens.refresh_token))).status, 400);
});

verifies('facade.revoke', 'a client ends its login, and nobody else does', async () => {
  const { tokens, ...login } = await getTokens(url);
  const revoke = (clientId: string, token: string) =>
    send(`${url}/oauth/revoke`, { body: encode({ token, client_id: clientId }), headers: FORM });
  assert.equal((await revoke(await register(url, { client_name: 'other' }), tokens.refresh_token)).status, 200);
  assert.equal((await revoke(login.clientId, 'nonsense')).status, 200);
  assert.equal((await call(tokens.access_token)).status, 200);
  assert.equal((await revoke(login.clientId, tokens.refresh_token)).status, 200);
  assert.equal((await call(tokens.access_token)).status, 401);
});

verifies('facade.audience', 'a login for one server is good for no other', async () => {
  const login = await logIn(url, ALICE, { resource: `${url}/up/mcp` });
  const elsewhere = await askToken(url, { ...login.exchange, resource: `${url}/spare/mcp` });
  assert.equal((elsewhere.json() as { error: string }).error, 'invalid_target');
  // What was wrong with the request has not spent the code.
  const tokens = await tokensOf(askToken(url, { ...login.exchange, resource: `${url}/up/mcp` }));
  assert.equal((await call(tokens.access_token)).status, 200);
  for (const path of ['/spare/mcp', '/mcp']) {
    // oxlint-disable-next-line no-await-in-loop
    const refused = await call(tokens.access_token, path);
    assert.equal(refused.status, 401);
    assert.match(refused.header('www-authenticate') ?? '', /error="invalid_token".*resource_metadata=/);
  }
  await waitFor(() => facade.app.entries().some(({ error }) => /it is for the server up alone/.test(String(error))));
});

verifies('facade.audience', 'a login for the whole can be narrowed, and not widened', async () => {
  const { tokens, ...login } = await getTokens(url, ALICE, { resource: url });
  const narrow = await tokensOf(
    askToken(url, { ...refreshOf(login, tokens.refresh_token), resource: `${url}/spare/mcp` }),
  );
  assert.deepEqual(
    [(await call(narrow.access_token, '/spare/mcp')).status, (await call(narrow.access_token)).status],
    [200, 401],
  );
});

verifies('facade.passthrough', 'a passthrough server gets no token of ours, and offers no login', async () => {
  const { tokens } = await getTokens(url);
  const before = strange.requests.length;
  assert.equal((await call(tokens.access_token, '/pass/mcp')).status, 403);
  assert.equal(strange.requests.length, before);
  assert.equal((await send(`${url}/.well-known/oauth-protected-resource/pass/mcp`)).status, 404);
});

verifies('facade.browser', 'a page of any origin may ask for metadata, registration and tokens', async () => {
  const headers = { origin: 'https://page.example', 'access-control-request-method': 'POST' };
  for (const path of [
    '/oauth/token',
    '/oauth/register',
    '/oauth/revoke',
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-protected-resource/mcp',
  ]) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(url + path, { method: 'OPTIONS', headers });
    assert.deepEqual([answer.status, answer.header('access-control-allow-origin')], [204, '*'], path);
    assert.match(answer.header('access-control-allow-methods') ?? '', path.startsWith('/oauth/') ? /^POST$/ : /^GET$/);
  }
  const answer = await send(`${url}/oauth/token`, { body: '', headers: { ...FORM, origin: 'https://page.example' } });
  assert.deepEqual([answer.status, answer.header('access-control-allow-origin')], [401, '*']);
  // The page with the form is nobody else's.
  const page = await send(`${url}/oauth/authorize`, { headers: { origin: 'https://page.example' } });
  assert.equal(page.status, 403);
});

verifies('facade.deny', 'whoever refuses goes back with an error and without a token', async () => {
  const page = await send(authorizeUrl(url, requestOf(await register(url), makePkce())));
  const back = returnOf(await submit(page, { decision: 'deny' }, url));
  const { searchParams: told } = back;
  assert.deepEqual(
    [told.get('error'), told.get('state'), told.get('iss'), told.get('code')],
    ['access_denied', 'state-of-client', url, null],
  );
});

verifies('facade.page', 'the page runs nothing, is framed by nobody, and escapes what clients write', async () => {
  const name = '<script>alert(1)</script> & "friends" \u202e\u0007';
  const clientId = await register(url, { client_name: name });
  const page = await send(authorizeUrl(url, requestOf(clientId, makePkce(), { state: '"><b>' })));
  const text = page.text();
  assert.match(text, /&lt;script&gt;alert\(1\)&lt;\/script&gt; &amp; &quot;friends&quot;/);
  for (const part of ['<script', '\u202e', '\u0007', '"><b>']) assert.ok(!text.includes(part), part);
  const policy = page.header('content-security-policy') ?? '';
  assert.match(
    policy,
    /default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'/,
  );
  assert.deepEqual(
    ['x-frame-options', 'referrer-policy', 'cache-control', 'x-content-type-options'].map((field) =>
      page.header(field),
    ),
    ['DENY', 'same-origin', 'no-store', 'nosniff'],
  );
  assert.equal(new URL(formOf(page).action, url).pathname, '/oauth/authorize');
});

verifies('facade.restart', 'a restart in the middle of a login, and later, changes nothing', async () => {
  const [clientId, pkce] = [await register(url), makePkce()];
  const page = await send(authorizeUrl(url, requestOf(clientId, pkce)));
  await facade.restart();
  const back = returnOf(await submit(page, { token: ALICE, decision: 'allow' }, url));
  await facade.restart();
  const code = back.searchParams.get('code') ?? '';
  const login = loginOf({ clientId, pkce, code });
  const { exchange } = login;
  const tokens = await tokensOf(askToken(url, exchange));
  const second = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  const third = await tokensOf(askToken(url, refreshOf(login, second.refresh_token)));
  await facade.restart();
  assert.equal((await call(third.access_token)).status, 200);
  // What was used before the restart is remembered.
  assert.equal((await askToken(url, refreshOf(login, tokens.refresh_token))).status, 400);
  assert.equal((await call(third.access_token)).status, 401);
  const file = join(facade.dir, 'state/mcproxy/oauth-logins.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /mcp(?:access|refresh|code)_/);
});

verifies('facade.ends-with-token', 'a token that is removed takes its logins and streams along at once', async () => {
  const { tokens, ...login } = await getTokens(url);
  const { tokens: other } = await getTokens(url, BOB);
  const stream = await openStream(`${url}/mcp`, {
    headers: {
      authorization: `Bearer ${tokens.access_token}`,
      accept: 'text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    },
  });
  writeFileSync(join(facade.dir, 'tokens.yml'), TOKENS.replace(/ {2}alice.*\n/, ''));
  await waitFor(async () => (await call(tokens.access_token)).status === 401, { what: 'the reload' });
  const rest = async (): Promise<void> => {
    // oxlint-disable-next-line no-empty -- read to its end
    for await (const _ of stream.chunks) {
    }
  };
  await within(rest(), { what: 'the end of the stream' });
  const refused = await askToken(url, refreshOf(login, tokens.refresh_token));
  assert.deepEqual([refused.status, (refused.json() as { error: string }).error], [400, 'invalid_grant']);
  assert.equal((await call(other.access_token)).status, 200);
  writeFileSync(join(facade.dir, 'tokens.yml'), TOKENS);
  await waitFor(async () => (await call(tokens.access_token)).status === 200, { what: 'the reload' });
});
