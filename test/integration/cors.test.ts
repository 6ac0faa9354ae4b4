/**
 * Pages of other origins: what a browser would let them read, by the fields that it goes by (WHATWG Fetch, CORS protocol).
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { POST, rpc, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';

const PAGE = 'https://app.example';
const OTHER = 'https://other.example';
const METADATA = '/.well-known/oauth-protected-resource';

const upstream = await startUpstream({ after });
const issuer = 'auth: { jwt: { issuer: https://login.example.com } }\npublic_url: https://mcp.example.com\n';
const servers = { up: `{ url: "${upstream.url}/mcp", transport: streamable, era: legacy }` };
const [named, open, closed] = await Promise.all([
  startProxied({ after }, { servers, settings: `${issuer}path_prefix: /p\nallowed_origins: ["${PAGE}"]\n` }),
  startProxied({ after }, { servers, settings: 'allowed_origins: ["*"]\n' }),
  startProxied({ after }, { servers, settings: issuer }),
]);
after(() => checkNothingLeft());

/** As a browser asks before a request that a page wants to send. */
function preflight(
  url: string,
  origin: string,
  fields = 'authorization,content-type,mcp-param-region',
): Promise<Answer> {
  return send(url, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': fields },
  });
}

const corsOf = ({ rawHeaders }: Answer): string[] =>
  rawHeaders.filter((name, at) => at % 2 === 0 && /^access-control-/i.test(name)).map((name) => name.toLowerCase());

verifies('guard.cors', 'a preflight of an allowed origin is answered at every path, without a token', async () => {
  for (const path of ['/p/mcp', '/p/up/mcp', '/p/up/sse', '/healthz']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { answer, entry } = await named.ask(path, {
      method: 'OPTIONS',
      headers: {
        origin: PAGE,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,mcp-param-region',
      },
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.header('access-control-allow-origin'), PAGE);
    assert.equal(answer.header('vary'), 'Origin');
    assert.equal(answer.header('access-control-allow-methods'), 'GET, POST, DELETE');
    assert.equal(answer.header('access-control-allow-headers'), 'authorization,mcp-param-region');
    assert.equal(answer.header('access-control-max-age'), '600');
    assert.equal(answer.header('access-control-allow-credentials'), undefined);
    assert.deepEqual([entry['outcome'], entry['http_status'], entry['principal']], ['ok', 204, null]);
  }
});

verifies('guard.cors', 'fields that are no names are not allowed to anybody', async () => {
  const answer = await preflight(`${named.url}/p/mcp`, PAGE, 'a, b; c');
  assert.deepEqual([answer.status, answer.header('access-control-allow-headers')], [204, undefined]);
});

verifies(
  'guard.cors',
  'a page of an allowed origin may read every answer: relayed, our own, and refusals',
  async () => {
    const headers = { ...POST, origin: PAGE };
    const relayed = await send(`${named.url}/p/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') });
    const own = await send(`${named.url}/p/mcp`, { method: 'POST', headers, body: rpc('ping') });
    const refused = await send(`${named.url}/p/mcp`, {
      method: 'POST',
      headers: { ...headers, authorization: 'Bearer nobody' },
      body: rpc('ping'),
    });
    assert.deepEqual([relayed.status, own.status, refused.status], [200, 200, 401]);
    for (const answer of [relayed, own, refused]) {
      assert.deepEqual(corsOf(answer).toSorted(), ['access-control-allow-origin', 'access-control-expose-headers']);
      assert.equal(answer.header('access-control-allow-origin'), PAGE);
      assert.match(answer.header('access-control-expose-headers') ?? '', /Mcp-Session-Id.*WWW-Authenticate/);
    }
    assert.notEqual(refused.header('www-authenticate'), undefined);
  },
);

verifies('guard.cors', 'a stream of ours may be read as well', async () => {
  const answer = await send(`${named.url}/p/mcp`, {
    method: 'POST',
    headers: { ...POST, origin: PAGE, 'mcp-protocol-version': '2025-11-25', accept: 'text/event-stream' },
    body: rpc('tools/list'),
  });
  assert.match(answer.header('content-type') ?? '', /event-stream/);
  assert.equal(answer.header('access-control-allow-origin'), PAGE);
});

verifies('guard.cors', 'every page may where the operator says so', async () => {
  const answer = await preflight(`${open.url}/mcp`, OTHER);
  assert.deepEqual([answer.status, answer.header('access-control-allow-origin')], [204, '*']);
  assert.equal(answer.header('vary'), undefined);
});

verifies('guard.cors', 'nobody else is told anything: other origins, no origin, the service itself', async () => {
  const before = upstream.requests.length;
  for (const { url, origin, status } of [
    { url: `${named.url}/p/mcp`, origin: OTHER, status: 403 },
    { url: `${named.url}/p/mcp`, origin: 'null', status: 403 },
    { url: `${closed.url}/mcp`, origin: PAGE, status: 403 },
    // Let in by the guard, but not one that was named.
    { url: `${closed.url}/mcp`, origin: 'http://localhost:6274', status: 401 },
    { url: `${closed.url}/up/mcp`, origin: closed.url, status: 401 },
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await preflight(url, origin);
    assert.equal(answer.status, status, origin);
    assert.deepEqual(corsOf(answer), []);
  }
  assert.equal(upstream.requests.length, before);
  const plain = await send(`${named.url}/p/up/mcp`, { method: 'POST', headers: POST, body: rpc('tools/list') });
  assert.deepEqual(corsOf(plain), []);
});

verifies('guard.cors', 'a server cannot allow a page what the operator does not', async (t) => {
  upstream.answerWith(({ response }) => {
    response.writeHead(200, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
    });
    response.end('{}');
  });
  t.after(() => upstream.answerWith(({ response }) => void response.end('{}')));
  const headers = { ...POST, origin: 'http://localhost:6274' };
  const answer = await send(`${closed.url}/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') });
  assert.equal(answer.status, 200);
  assert.deepEqual(corsOf(answer), []);
});

verifies(
  ['guard.cors', 'oauth.metadata'],
  'every page may read the metadata of a resource, and nothing beside it',
  async () => {
    for (const base of [named.url, `${named.url}/p`, closed.url]) {
      for (const path of ['', '/mcp', '/up/mcp', '/x/y/z']) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const answer = await send(`${base}${METADATA}${path}`, { headers: { origin: OTHER } });
        assert.equal(answer.status, path === '/x/y/z' ? 404 : 200, path);
        assert.equal(answer.header('access-control-allow-origin'), '*');
      }
    }
    const asked = await preflight(`${closed.url}${METADATA}/mcp`, OTHER, 'mcp-protocol-version');
    assert.deepEqual([asked.status, asked.header('access-control-allow-methods')], [204, 'GET']);
    assert.equal(asked.header('access-control-allow-headers'), 'mcp-protocol-version');
    for (const path of [
      `${METADATA}x`,
      '/.well-known/oauth-authorization-server',
      '/healthz',
      `${METADATA}/%2e%2e/mcp`,
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await send(`${closed.url}${path}`, { headers: { origin: OTHER } });
      assert.deepEqual([answer.status, corsOf(answer)], [403, []], path);
    }
    const rebound = await send(`${closed.url}${METADATA}`, { headers: { origin: OTHER, host: 'evil.example' } });
    assert.deepEqual([rebound.status, corsOf(rebound)], [403, []]);
  },
);
