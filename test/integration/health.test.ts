import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { POST, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const upstream = await startUpstream({ after });
const servers = {
  up: `{ url: "${upstream.url}/mcp" }`,
  down: '{ url: "http://127.0.0.1:1/mcp", token: very-secret-credential }',
};
const [plain, prefixed] = await Promise.all([
  startProxied({ after }, { servers }),
  startProxied({ after }, { servers, settings: 'path_prefix: /tools\n' }),
]);
after(() => checkNothingLeft());
after(() => assert.equal(upstream.requests.length, 0, 'nothing of all this is for an upstream'));

const TOKEN = { authorization: POST.authorization };
const NOBODY = { accept: '*/*' };

const answers = [
  { path: '/healthz', body: { status: 'ok' } },
  { path: '/readyz', body: { status: 'ready' } },
  { path: '/health', body: { status: 'healthy', service: 'mcproxy', ready: true } },
];
for (const { path, body } of answers) {
  verifies('guard.health', `${path} answers without a token, at the root also where there is a prefix`, async () => {
    const places = [
      { proxied: plain, at: path },
      { proxied: plain, at: `${path}/` },
      { proxied: prefixed, at: path },
      { proxied: prefixed, at: `/tools${path}` },
    ];
    for (const { proxied, at } of places) {
      // oxlint-disable-next-line no-await-in-loop
      const { answer, entry } = await proxied.ask(at, { headers: NOBODY });
      assert.equal(answer.status, 200, at);
      assert.deepEqual(answer.json(), body);
      assert.equal(answer.header('content-type'), 'application/json');
      assert.equal(answer.header('cache-control'), 'no-store');
      assert.equal(entry['outcome'], 'ok');
      assert.equal(entry['error_code'], null);
    }
  });

  verifies('guard.health', `${path} answers HEAD without a body and refuses POST`, async () => {
    const head = await send(`${plain.url}${path}`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    const post = await send(`${plain.url}${path}`, { method: 'POST', body: {} });
    assert.equal(post.status, 405);
    assert.equal(post.header('allow'), 'GET, HEAD');
  });
}

verifies('guard.health', '/health names the servers only to a valid token, and never what is configured', async () => {
  const { answer } = await plain.ask('/health', { headers: TOKEN });
  assert.deepEqual((answer.json() as { servers: string[] }).servers, ['up', 'down']);
  assert.doesNotMatch(answer.text(), /http:|secret/);
  for (const authorization of ['Bearer nobody', 'nonsense', '']) {
    // oxlint-disable-next-line no-await-in-loop
    const other = await plain.ask('/health', { headers: { authorization } });
    assert.equal(other.answer.status, 200);
    assert.equal('servers' in (other.answer.json() as object), false);
  }
});

verifies(['guard.health', 'reload.readyz'], 'broken files make it not ready, and alive all the same', async () => {
  const path = join(prefixed.app.dir, 'tokens.yml');
  renameSync(path, `${path}.good`);
  writeFileSync(path, 'users: [very-secret-credential\n', { mode: 0o600 });
  let broken = await send(`${prefixed.url}/readyz`);
  await waitFor(async () => {
    broken = await send(`${prefixed.url}/readyz`);
    return broken.status === 503;
  });
  const { status, reasons } = broken.json() as { status: string; reasons: string[] };
  assert.equal(status, 'not_ready');
  assert.match(reasons.join(), /mcproxy check/);
  assert.doesNotMatch(broken.text(), /secret/);
  assert.equal((await send(`${prefixed.url}/healthz`)).status, 200);
  const health = await send(`${prefixed.url}/health`);
  assert.equal(health.status, 503);
  assert.equal((health.json() as { status: string }).status, 'unhealthy');

  renameSync(`${path}.good`, path);
  await waitFor(async () => (await send(`${prefixed.url}/readyz`)).status === 200);
});

/** What clients ask for after a 401, in the spellings that were seen. */
const probes = [
  'GET /.well-known/oauth-protected-resource',
  'GET /.well-known/oauth-protected-resource/mcp',
  'GET /.well-known/oauth-protected-resource/up/mcp',
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/oauth-authorization-server/mcp',
  'GET /.well-known/oauth-authorization-server/up/mcp',
  'GET /.well-known/openid-configuration',
  'GET /.well-known/openid-configuration/mcp',
  'GET /mcp/.well-known/openid-configuration',
  'GET /up/mcp/.well-known/openid-configuration',
  'GET /up/.well-known/oauth-protected-resource',
  'OPTIONS /.well-known/oauth-protected-resource',
  'POST /register',
  'GET /authorize',
  'POST /token',
];
for (const probe of probes) {
  verifies('guard.well-known', `${probe} is a small 404 of our own and no failure of access`, async () => {
    const [method = '', path = ''] = probe.split(' ');
    const body = method === 'POST' ? { body: { redirect_uris: ['http://localhost/'] } } : {};
    // At the root of the origin clients ask whatever the prefix; relative to an endpoint they ask below it.
    const isAtRoot = !path.slice(1).includes('/.well-known/');
    for (const [proxied, at] of [
      [plain, path],
      [prefixed, isAtRoot ? path : `/tools${path}`],
      [prefixed, `/tools${path}`],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop
      const { answer, entry } = await proxied.ask(at, { method, headers: NOBODY, ...body });
      assert.equal(answer.status, 404, at);
      assert.equal(answer.header('content-type'), 'application/json');
      assert.equal(answer.header('www-authenticate'), undefined);
      assert.equal((answer.json() as { error: string }).error, 'not_found');
      assert.ok(answer.body.length < 200);
      assert.equal(entry['http_status'], 404);
      assert.equal(entry['outcome'], 'ok', at);
      assert.equal(entry['error_code'], null);
    }
  });
}

verifies('guard.well-known', 'a path that merely looks like a probe is refused as any other', async () => {
  for (const path of ['/registered', '/up/register', '/well-known/oauth-protected-resource', '/x.well-known/y']) {
    // oxlint-disable-next-line no-await-in-loop
    assert.equal((await plain.ask(path, { headers: NOBODY })).answer.status, 401, path);
  }
});
