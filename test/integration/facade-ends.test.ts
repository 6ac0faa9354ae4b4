/**
 * mcproxy as its own authorization server, beyond one process and one address: terms of the pasted token, instances beside
 * each other, documents of clients, what commands say, and that no secret of a login comes out anywhere.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  ALICE,
  approve,
  askToken,
  authorizeUrl,
  CALLBACK,
  encode,
  formOf,
  FORM,
  getTokens,
  logIn,
  loginOf,
  makePkce,
  refreshOf,
  register,
  requestOf,
  startFacade,
  submit,
  tokensOf,
} from '../support/facade.ts';
import { CONSENT_MS_MAX, OAUTH_ACCESS_MS, OAUTH_CODE_MS_MAX, OAUTH_REFRESH_MS } from '../../src/limits.ts';
import { openStream, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, rpc } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { runCommand } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const upstream = await startUpstream({ after });
const STEPS_CLOCK = pathToFileURL(join(import.meta.dirname, '../peers/steps-clock.mjs')).href;
const SERVERS = { up: `{ url: "${upstream.url}/mcp" }` };
after(() => checkNothingLeft());

function call(url: string, token: string, from?: string): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(from === undefined ? {} : { 'x-forwarded-for': from }),
  };
  return send(`${url}/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') });
}

verifies(
  'facade.ends-with-token',
  'the networks of the pasted token hold for the browser and for the client',
  async (t) => {
    const { url } = await startFacade(t, {
      servers: SERVERS,
      settings: 'trusted_proxies: [127.0.0.1]\n',
      tokens: `users:\n  alice: { token: { sha256: ${digestOf(ALICE).slice(7)}, networks: [192.0.2.0/24] }, servers: [up] }\n`,
    });
    const [clientId, pkce] = [await register(url), makePkce()];
    const page = await send(authorizeUrl(url, requestOf(clientId, pkce)));
    const { request } = formOf(page);
    const paste = (from: string): Promise<Answer> =>
      send(`${url}/oauth/authorize`, {
        body: encode({ request, token: ALICE, decision: 'allow' }),
        headers: { ...FORM, 'x-forwarded-for': from },
      });
    const refused = await paste('198.51.100.1');
    assert.equal(refused.status, 401);
    assert.match(refused.text(), /This token is not valid here/);
    const back = /code=(mcpcode_[\w-]+)/.exec((await paste('192.0.2.7')).text())?.[1] ?? assert.fail();
    const exchange = (from: string): Promise<Answer> =>
      send(`${url}/oauth/token`, {
        body: encode(loginOf({ clientId, pkce, code: back }).exchange),
        headers: { ...FORM, 'x-forwarded-for': from },
      });
    assert.equal((await exchange('198.51.100.1')).status, 400);
    const tokens = await tokensOf(exchange('192.0.2.8'));
    assert.equal((await call(url, tokens.access_token, '192.0.2.9')).status, 200);
    assert.equal((await call(url, tokens.access_token, '198.51.100.1')).status, 401);
  },
);

verifies(
  ['facade.ends-with-token', 'facade.expiry'],
  'the expiry of the pasted token ends its logins and their streams',
  async (t) => {
    const expires = new Date(Date.now() + 6_000).toISOString();
    const { url } = await startFacade(t, {
      servers: SERVERS,
      tokens: `users:\n  alice: { token: { sha256: ${digestOf(ALICE).slice(7)}, expires: "${expires}" }, servers: [up] }\n`,
    });
    const { tokens, ...login } = await getTokens(url);
    assert.equal((await call(url, tokens.access_token)).status, 200);
    const stream = await openStream(`${url}/mcp`, {
      headers: {
        authorization: `Bearer ${tokens.access_token}`,
        accept: 'text/event-stream',
        'mcp-protocol-version': '2025-11-25',
      },
    });
    const rest = async (): Promise<void> => {
      // oxlint-disable-next-line no-empty -- read to its end
      for await (const _ of stream.chunks) {
      }
    };
    await within(rest(), { deadlineMs: 15_000, what: 'the end of the stream' });
    await waitFor(async () => (await call(url, tokens.access_token)).status === 401, { deadlineMs: 15_000 });
    assert.equal((await askToken(url, refreshOf(login, tokens.refresh_token))).status, 400);
  },
);

verifies('facade.expiry', 'page, code, access token and refresh token end when they say', async (t) => {
  const stepFile = join(makeTempDir(t), 'step');
  const { url, app } = await startFacade(t, {
    servers: SERVERS,
    env: { NODE_OPTIONS: `--import ${STEPS_CLOCK}`, CLOCK_STEP_FILE: stepFile },
  });
  let stepMs = 0;
  const wait = (ms: number): void => writeFileSync(stepFile, String((stepMs += ms)));
  const page = await send(authorizeUrl(url, requestOf(await register(url), makePkce())));
  wait(CONSENT_MS_MAX + 1_000);
  const late = await submit(page, { token: ALICE, decision: 'allow' }, url);
  assert.equal(late.status, 400);
  assert.match(late.text(), /This page is too old/);
  const unused = await logIn(url);
  wait(OAUTH_CODE_MS_MAX + 1_000);
  assert.equal((await askToken(url, unused.exchange)).status, 400);
  const { tokens, ...login } = await getTokens(url);
  assert.equal((await call(url, tokens.access_token)).status, 200);
  wait(OAUTH_ACCESS_MS + 1_000);
  const expired = await call(url, tokens.access_token);
  assert.equal(expired.status, 401);
  assert.match(expired.header('www-authenticate') ?? '', /error="invalid_token".*resource_metadata=/);
  await waitFor(() => app.entries().some(({ error }) => /not valid: it has expired/.test(String(error))));
  const second = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  assert.equal((await call(url, second.access_token)).status, 200);
  wait(OAUTH_REFRESH_MS + 1_000);
  assert.equal((await askToken(url, refreshOf(login, second.refresh_token))).status, 400);
});

verifies('facade.instances', 'an instance with the same key continues every step of a login of another', async (t) => {
  const settings = `cluster: { key: "${'0123456789abcdef'.repeat(2)}" }\n`;
  const first = await startFacade(t, { servers: SERVERS, settings });
  const second = await startFacade(t, { servers: SERVERS, settings, issuer: first.url });
  const clientId = await register(first.url);
  const pkce = makePkce();
  const page = await send(authorizeUrl(second.url, requestOf(clientId, pkce)));
  const { request } = formOf(page);
  const done = await send(`${first.url}/oauth/authorize`, {
    body: encode({ request, token: ALICE, decision: 'allow' }),
    headers: FORM,
  });
  const code = /code=(mcpcode_[\w-]+)/.exec(done.text())?.[1] ?? assert.fail();
  const login = loginOf({ clientId, pkce, code });
  const tokens = await tokensOf(askToken(second.url, login.exchange));
  assert.equal((await call(first.url, tokens.access_token)).status, 200);
  const renewed = await tokensOf(askToken(first.url, refreshOf(login, tokens.refresh_token)));
  assert.equal((await call(second.url, renewed.access_token)).status, 200);
  assert.equal((await askToken(second.url, refreshOf(login, renewed.refresh_token))).status, 200);
});

verifies(
  'facade.config',
  'a reload switches it on and off, and what was issued is good again after both',
  async (t) => {
    const { url, dir } = await startFacade(t, { servers: SERVERS });
    const { tokens } = await getTokens(url);
    const path = join(dir, 'mcproxy.yml');
    const text = readFileSync(path, 'utf8');
    const becomes = (status: number): Promise<boolean> =>
      waitFor(async () => (await call(url, tokens.access_token)).status === status, { what: `the answer ${status}` });
    writeFileSync(path, text.replace('oauth: facade', 'oauth: off'));
    await becomes(401);
    assert.equal((await send(`${url}/.well-known/oauth-authorization-server`)).status, 404);
    assert.equal((await send(`${url}/oauth/token`, { body: '', headers: FORM })).status, 401);
    assert.equal((await call(url, 'nonsense')).header('www-authenticate')?.includes('resource_metadata'), false);
    writeFileSync(path, text);
    await becomes(200);
  },
);

verifies('facade.cimd', 'a document is asked for where it may be, once, and its host is shown', async (t) => {
  const documents = await startUpstream(t, {
    answer({ request, response }) {
      const client = {
        client_id: `${documents.url}${request.url}`,
        client_name: 'Documented',
        redirect_uris: [CALLBACK],
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(client));
    },
  });
  const open = await startFacade(t, { servers: SERVERS, oauth: '{ allow_private: true }' });
  const closed = await startFacade(t, { servers: SERVERS });
  const request = requestOf(`${documents.url}/client.json`, makePkce());
  assert.equal((await send(authorizeUrl(closed.url, request))).status, 400);
  assert.equal(documents.requests.length, 0);
  const page = await send(authorizeUrl(open.url, request));
  assert.match(page.text(), new RegExp(`Documented[\\s\\S]*published at ${new URL(documents.url).host}`));
  await approve(authorizeUrl(open.url, request), ALICE);
  assert.equal(documents.requests.length, 1);
  // Redirects are not followed, and the reason is in the log alone.
  documents.answerWith(({ response }) => void response.writeHead(302, { location: 'http://127.0.0.1:1/secret' }).end());
  const moved = await send(authorizeUrl(open.url, { ...request, client_id: `${documents.url}/moved.json` }));
  assert.match(moved.text(), /its metadata document cannot be read now/);
  await waitFor(() => open.app.entries().some(({ error }) => /is not followed/.test(String(error))));
});

verifies('facade.commands', 'check, client-config and status tell what hosted clients need', async (t) => {
  const { dir, url } = await startFacade(t, { servers: SERVERS });
  const run = async (...args: string[]) => runCommand([...args, '--config', dir], { dir });
  const check = await run('check');
  assert.match(check.stdout, new RegExp(`Connector URL .*: ${url}/mcp\n`));
  assert.equal(
    (JSON.parse((await run('check', '--json')).stdout) as { connector_url: string }).connector_url,
    `${url}/mcp`,
  );
  for (const client of ['claude-ai', 'chatgpt']) {
    // oxlint-disable-next-line no-await-in-loop
    const { stdout, stderr } = await run('client-config', client);
    assert.equal(stdout, `${url}/mcp\n`);
    assert.match(stderr, /a page of this service asks for the token/);
  }
  await getTokens(url);
  const status = JSON.parse((await run('status', '--json')).stdout) as { oauth_logins?: number };
  assert.equal(status.oauth_logins, 1);
  writeFileSync(join(dir, 'mcproxy.yml'), 'servers: {}\n');
  const without = await run('client-config', 'chatgpt');
  assert.equal(without.code, 64);
  assert.match(without.stderr, /oauth: facade/);
});

verifies('facade.secrets', 'no token, code or verifier of a login is in any output or file', async (t) => {
  const { url, dir, app } = await startFacade(t, { servers: SERVERS });
  const pkce = makePkce();
  const clientId = await register(url);
  const state = 'marked-state-0123456789';
  const asked = authorizeUrl(url, requestOf(clientId, pkce, { state }));
  const wrong = 'wrong-but-secret-0123456789';
  await submit(await send(asked), { token: wrong, decision: 'allow' }, url);
  const code = (await approve(asked, ALICE)).searchParams.get('code') ?? assert.fail();
  const login = loginOf({ clientId, pkce, code });
  const { exchange } = login;
  const tokens = await tokensOf(askToken(url, exchange));
  const second = await tokensOf(askToken(url, refreshOf(login, tokens.refresh_token)));
  await call(url, second.access_token);
  await call(url, `${second.access_token}x`);
  await askToken(url, exchange);
  await askToken(url, { ...exchange, code_verifier: makePkce().verifier });
  await call(url, second.access_token);
  await send(`${url}/oauth/token?code=${code}&code_verifier=${pkce.verifier}`);
  const status = await runCommand(['status', '--json', '--config', dir], { dir });
  await app.stop();
  assert.ok(
    upstream.requests.every(({ rawHeaders }) => !rawHeaders.join(' ').includes('mcpaccess_')),
    'an upstream got one',
  );
  const texts = [app.stdout(), app.stderr(), status.stdout, readFileSync(join(dir, 'access.log'), 'utf8')];
  const kept = readdirSync(join(dir, 'state'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.json'),
  );
  assert.ok(kept.length > 0);
  for (const name of kept) texts.push(readFileSync(join(dir, 'state', name), 'utf8'));
  const secrets = [ALICE, wrong, code, pkce.verifier, state, tokens.access_token, tokens.refresh_token];
  for (const secret of [...secrets, second.access_token, second.refresh_token]) {
    const body = secret.slice(secret.indexOf('_') + 1).slice(0, 24);
    for (const text of texts) assert.ok(!text.includes(body), `${secret} in ${text.slice(0, 200)}`);
  }
});
