/**
 * What hostile clients, pages and people try at the authorization server, one row each: nobody is let in, no browser is
 * sent anywhere, nothing is told, and each request leaves one entry.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { LOGIN_FAILURE_COUNT_FREE, OAUTH_BODY_BYTES_MAX } from '../../src/limits.ts';
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
  logIn,
  makePkce,
  refreshOf,
  register,
  requestOf,
  returnOf,
  startFacade,
  submit,
  type Login,
  type Parameters,
} from '../support/facade.ts';
import { send, sendRaw, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const upstream = await startUpstream({ after });
const facade = await startFacade({ after }, { servers: { up: `{ url: "${upstream.url}/mcp" }` } });
after(() => checkNothingLeft());
const { url } = facade;
const clientId = await register(url, {
  redirect_uris: [CALLBACK, 'https://client.example/back?x=1', 'app.client:/back'],
});
const pkce = makePkce();
const sound = requestOf(clientId, pkce);

/** Nothing leads on by itself, and nothing says where to. */
function assertStays(answer: Answer): void {
  assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
  assert.equal(answer.header('location'), undefined);
  assert.doesNotMatch(answer.text(), /http-equiv="refresh"/);
  assert.equal(answer.header('cache-control'), 'no-store');
}

const BAD_REDIRECTS: readonly (readonly [name: string, uri: string | undefined])[] = [
  ['of nobody', 'https://evil.example/'],
  ['missing', undefined],
  ['with more path', `${CALLBACK}/more`],
  ['with dots', `${CALLBACK}/../callback`],
  ['with more query', `${CALLBACK}?x=1`],
  ['with a fragment', `${CALLBACK}#x`],
  ['with a user', 'http://127.0.0.1:9@evil.example/callback'],
  ['of another loopback name', 'http://localhost:9/callback'],
  ['of a longer name', 'http://127.0.0.1.evil.example:9/callback'],
  ['in other case', 'https://CLIENT.example/back?x=1'],
  ['escaped', 'https://client.example/%62ack?x=1'],
  ['without its query', 'https://client.example/back'],
  ['of another port that is no loopback one', 'https://client.example:444/back?x=1'],
  ['with a line break', `${CALLBACK}\r\nLocation: https://evil.example`],
  ['a script', 'javascript:alert(1)'],
];
for (const [name, uri] of BAD_REDIRECTS) {
  verifies(['facade.redirects', 'facade.no-redirect'], `a redirect URI ${name} ends on a page`, async () => {
    const answer = await send(authorizeUrl(url, { ...sound, redirect_uri: uri }));
    assertStays(answer);
    assert.doesNotMatch(answer.text(), /href=/);
  });
}

verifies('facade.redirects', 'a loopback redirect URI may have another port, and a query keeps its own', async () => {
  const back = await approve(authorizeUrl(url, { ...sound, redirect_uri: 'http://127.0.0.1:54321/callback' }), ALICE);
  assert.equal(back.origin, 'http://127.0.0.1:54321');
  const other = await approve(authorizeUrl(url, { ...sound, redirect_uri: 'https://client.example/back?x=1' }), ALICE);
  assert.match(other.href, /^https:\/\/client\.example\/back\?x=1&code=mcpcode_/);
  const own = await approve(authorizeUrl(url, { ...sound, redirect_uri: 'app.client:/back' }), ALICE);
  assert.match(own.href, /^app\.client:\/back\?code=/);
});

const BAD_REQUESTS: readonly (readonly [name: string, changed: Parameters, error: string])[] = [
  ['without PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
  ['with plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['with PKCE of no method', { code_challenge_method: undefined }, 'invalid_request'],
  ['with a short challenge', { code_challenge: 'short' }, 'invalid_request'],
  ['for a token at once', { response_type: 'token' }, 'unsupported_response_type'],
  ['without a type', { response_type: undefined }, 'invalid_request'],
  ['for an answer in the fragment', { response_mode: 'fragment' }, 'invalid_request'],
  ['with a request object', { request: 'e30.e30.' }, 'request_not_supported'],
  ['for another service', { resource: 'https://other.example/mcp' }, 'invalid_target'],
  ['for a service of a similar name', { resource: `${url}.evil.example/mcp` }, 'invalid_target'],
  ['for no URL', { resource: 'mcp' }, 'invalid_target'],
  ['for a URL with a fragment', { resource: `${url}/mcp#x` }, 'invalid_target'],
];
for (const [name, changed, error] of BAD_REQUESTS) {
  verifies(
    ['facade.pkce', 'facade.no-redirect'],
    `a request ${name} is told to the client by a click alone`,
    async () => {
      const answer = await send(authorizeUrl(url, { ...sound, ...changed }));
      assertStays(answer);
      const href = /<a href="([^"]+)"/.exec(answer.text())?.[1]?.replaceAll('&amp;', '&') ?? assert.fail(answer.text());
      const { searchParams: told } = new URL(href);
      assert.ok(href.startsWith(`${CALLBACK}?`));
      assert.deepEqual([told.get('error'), told.get('state'), told.get('iss')], [error, 'state-of-client', url]);
    },
  );
}

const REPEATED = [
  'client_id',
  'redirect_uri',
  'state',
  'response_type',
  'code_challenge',
  'code_challenge_method',
  'resource',
];
for (const name of REPEATED) {
  verifies('facade.hostile', `${name} given twice is refused`, async () => {
    const value = name === 'resource' ? `${url}/mcp` : (sound[name] ?? '');
    const twice = name === 'resource' ? `&resource=${encodeURIComponent(value)}` : '';
    assertStays(await send(`${authorizeUrl(url, sound)}${twice}&${name}=${encodeURIComponent(value)}`));
  });
}

for (const [name, id] of [
  ['nothing', ''],
  ['unknown', 'somebody'],
  ['altered', `${clientId.slice(0, -2)}AA`],
  ['a code', `mcpcode_${clientId.slice('mcpclient_'.length)}`],
  ['too long', `mcpclient_${'A'.repeat(7_000)}`],
  ['a private document', 'https://127.0.0.1/client.json'],
  ['a document of the cloud', 'https://169.254.169.254/latest/meta-data/'],
  ['a document by plain HTTP', 'http://client.example/client.json'],
  ['a document without a path', 'https://client.example'],
  ['a document with a user', 'https://me:secret@client.example/c'],
] as const) {
  verifies(['facade.hostile', 'facade.cimd'], `a client_id that is ${name} ends on a page`, async () => {
    const answer = await send(authorizeUrl(url, { ...sound, client_id: id }));
    assertStays(answer);
    assert.doesNotMatch(answer.text(), /public internet|ENOTFOUND|ECONN/);
  });
}

verifies('facade.hostile', 'a state with line breaks and markup comes back as it was, and in no field', async () => {
  const state = 'a\r\nSet-Cookie: x=1\r\n\r\n<script>"\'&';
  const back = await approve(authorizeUrl(url, { ...sound, state }), ALICE);
  assert.equal(back.searchParams.get('state'), state);
  const page = await send(authorizeUrl(url, { ...sound, state }));
  assert.ok(!page.rawHeaders.some((field) => /set-cookie/i.test(field)));
  const long = 'x'.repeat(3_000);
  const kept = await approve(authorizeUrl(url, { ...sound, state: long }), ALICE);
  assert.equal(kept.searchParams.get('state'), long);
  assertStays(await send(authorizeUrl(url, { ...sound, state: 'x'.repeat(5_000) })));
});

verifies('facade.hostile', 'a form that was altered, made up or of another page gives nothing', async () => {
  const page = await send(authorizeUrl(url, sound));
  const { action, request } = formOf(page);
  const post = (fields: Parameters, headers: Record<string, string> = {}, more = '') =>
    send(url + action, { body: encode(fields) + more, headers: { ...FORM, ...headers } });
  const good = { request, token: ALICE, decision: 'allow' };
  for (const answer of await Promise.all([
    post({ ...good, request: `${request.slice(0, -4)}AAAA` }),
    post({ ...good, request: 'mcpask_made-up' }),
    post({ token: ALICE, decision: 'allow' }),
    post(good, {}, `&request=${encodeURIComponent(request)}`),
    post(good, {}, `&token=${ALICE}`),
    post(good, { origin: 'https://evil.example' }),
    post(good, { origin: 'null' }),
    post(good, { 'content-type': 'text/plain' }),
    post({ ...good, token: 'x'.repeat(OAUTH_BODY_BYTES_MAX) }),
    send(url + action, { method: 'PUT', body: '', headers: FORM }),
  ]))
    assertStays(answer);
  // What comes beside the sealed request means nothing.
  const back = returnOf(await post({ ...good, redirect_uri: 'https://evil.example/', client_id: 'other' }));
  assert.equal(`${back.origin}${back.pathname}`, CALLBACK);
});

const stolen = await logIn(url);
const other = await register(url, { client_name: 'other' });
const BAD_EXCHANGES: readonly (readonly [name: string, make: (login: Login) => Parameters, error: string])[] = [
  ['without a verifier', (login) => ({ ...login.exchange, code_verifier: undefined }), 'invalid_grant'],
  ['with a wrong verifier', (login) => ({ ...login.exchange, code_verifier: makePkce().verifier }), 'invalid_grant'],
  ['with the challenge', (login) => ({ ...login.exchange, code_verifier: login.pkce.challenge }), 'invalid_grant'],
  ['by another client', (login) => ({ ...login.exchange, client_id: other }), 'invalid_grant'],
  ['by nobody', (login) => ({ ...login.exchange, client_id: undefined }), 'invalid_client'],
  ['by an unknown client', (login) => ({ ...login.exchange, client_id: 'x' }), 'invalid_client'],
  ['with another redirect URI', (login) => ({ ...login.exchange, redirect_uri: `${CALLBACK}2` }), 'invalid_grant'],
  ['of a made-up code', (login) => ({ ...login.exchange, code: 'mcpcode_x' }), 'invalid_grant'],
  ['of an altered code', (login) => ({ ...login.exchange, code: `${login.code.slice(0, -3)}AAA` }), 'invalid_grant'],
  ['of a refresh token that is a code', (login) => refreshOf(login, login.code), 'invalid_grant'],
  ['of another grant', (login) => ({ ...login.exchange, grant_type: 'password' }), 'unsupported_grant_type'],
  ['for another service', (login) => ({ ...login.exchange, resource: 'https://other.example/' }), 'invalid_target'],
];
for (const [name, make, error] of BAD_EXCHANGES) {
  verifies(['facade.pkce', 'facade.hostile'], `an exchange ${name} gives ${error}`, async () => {
    const answer = await askToken(url, make(stolen));
    assert.equal(answer.status, error === 'invalid_client' ? 401 : 400);
    assert.deepEqual((answer.json() as { error: string }).error, error);
    assert.deepEqual([answer.header('cache-control'), answer.header('content-type')], ['no-store', 'application/json']);
  });
}

verifies('facade.pkce', 'whoever has a code and nothing else can neither use nor spoil it', async () => {
  assert.equal((await askToken(url, stolen.exchange)).status, 200);
});

verifies(
  'facade.hostile',
  'a refresh token of another client, a repeated parameter and other methods are refused',
  async () => {
    const { tokens, ...login } = await getTokens(url);
    const refresh = refreshOf(login, tokens.refresh_token);
    const refused = [
      await askToken(url, { ...refresh, client_id: other }),
      await askToken(url, { ...refresh, refresh_token: tokens.access_token }),
      await send(`${url}/oauth/token`, { body: `${encode(refresh)}&client_id=${login.clientId}`, headers: FORM }),
      await send(`${url}/oauth/token`, {
        body: JSON.stringify(refresh),
        headers: { 'content-type': 'application/json' },
      }),
      await send(`${url}/oauth/token?${encode(refresh)}`),
      await send(`${url}/oauth/token`, { body: 'x'.repeat(OAUTH_BODY_BYTES_MAX + 1), headers: FORM }),
    ];
    assert.deepEqual(
      refused.map(({ status }) => status),
      [400, 400, 400, 415, 405, 413],
    );
    assert.equal(refused[4]?.header('allow'), 'POST');
    assert.equal((await askToken(url, refresh)).status, 200);
  },
);

verifies('facade.public-clients', 'what cannot be registered is refused, and said why', async () => {
  const bodies: readonly unknown[] = [
    {},
    { redirect_uris: [] },
    { redirect_uris: 'https://client.example/' },
    { redirect_uris: [1] },
    { redirect_uris: ['http://client.example/'] },
    { redirect_uris: ['javascript:alert(1)'] },
    { redirect_uris: ['data:text/html,x'] },
    { redirect_uris: ['https://client.example/#x'] },
    { redirect_uris: ['https://a@client.example/'] },
    { redirect_uris: ['https://client.example/ x'] },
    { redirect_uris: ['https://client.example/"'] },
    { redirect_uris: ['/relative'] },
    { redirect_uris: Array.from({ length: 40 }, (_, at) => `https://client.example/${at}`) },
    { redirect_uris: Array.from({ length: 4 }, (_, at) => `https://client.example/${at}${'x'.repeat(900)}`) },
    { redirect_uris: [CALLBACK], response_types: ['token'] },
    [],
  ];
  for (const body of bodies) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(`${url}/oauth/register`, { body });
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.match((answer.json() as { error: string }).error, /^invalid_(?:redirect_uri|client_metadata)$/);
  }
  const headers = { 'content-type': 'application/json' };
  assert.equal((await send(`${url}/oauth/register`, { body: '{', headers })).status, 400);
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  assert.equal((await send(`${url}/oauth/register`, { body: deep, headers })).status, 400);
});

verifies('facade.hostile', 'a request that is split in two is none', async () => {
  const port = Number(new URL(url).port);
  const head = 'POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n';
  const answer = await sendRaw(`${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, { port });
  assert.match(answer, /^HTTP\/1\.1 400 /);
});

verifies(
  'facade.browser',
  'where pages of every origin are allowed, the form is taken from our own all the same',
  async (t) => {
    const open = await startFacade(t, {
      servers: { up: `{ url: "${upstream.url}/mcp" }` },
      settings: 'allowed_origins: "*"\n',
    });
    const page = await send(authorizeUrl(open.url, requestOf(await register(open.url), pkce)));
    const { action, request } = formOf(page);
    const body = encode({ request, token: ALICE, decision: 'allow' });
    for (const origin of ['https://evil.example', 'null', `${open.url}0`])
      // oxlint-disable-next-line no-await-in-loop
      assertStays(await send(open.url + action, { body, headers: { ...FORM, origin } }));
    returnOf(await send(open.url + action, { body, headers: { ...FORM, origin: open.url } }));
  },
);

verifies(
  'facade.lock-out',
  'a wrong token counts as a failed login, tells nothing, and a right one gets in',
  async (t) => {
    const own = await startFacade(t, { servers: { up: `{ url: "${upstream.url}/mcp" }` } });
    const page = await send(authorizeUrl(own.url, requestOf(await register(own.url), pkce)));
    const answers: Answer[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let at = 0; at <= LOGIN_FAILURE_COUNT_FREE + 1; at += 1)
      answers.push(await submit(page, { token: `wrong-${at}`, decision: 'allow' }, own.url));
    assert.equal(answers[0]?.status, 401);
    assert.match(answers[0].text(), /This token is not valid here/);
    assert.ok(formOf(answers[0]).request !== '');
    const locked = answers.at(-1);
    assert.equal(locked?.status, 429);
    assert.ok(Number(locked.header('retry-after')) > 0);
    assert.match(locked.text(), /Too many failed logins from this address/);
    returnOf(await submit(page, { token: ALICE, decision: 'allow' }, own.url));
    const { tokens } = await getTokens(own.url);
    // An access token is no token of the files: it must not renew itself for ever.
    assertStays(await submit(page, { token: tokens.access_token, decision: 'allow' }, own.url));
  },
);

verifies('facade.hostile', 'each of these requests left one entry, and none says what was sent', async () => {
  const seen = new Set<unknown>();
  await waitFor(() => facade.app.entries().length > 100);
  for (const entry of facade.app.entries()) {
    assert.ok(!seen.has(entry['request_id']));
    seen.add(entry['request_id']);
    assert.doesNotMatch(JSON.stringify(entry), /mcp(?:code|ask|client|access|refresh)_|state-of-client|evil\.example/);
    assert.notEqual(entry['error_code'], 'INTERNAL');
  }
});
