import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { after } from 'node:test';
import { send, type Answer, type RequestOptions } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';
import { errorOf, POST, rpc, startProxied, TOKEN, type ProxiedApp } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { within } from '../support/wait.ts';
import type { RequirementId } from '../requirements.ts';

const upstream = await startUpstream({ after });
const servers = { up: `{ url: "${upstream.url}/mcp" }` };
const [proxied, named, open] = await Promise.all([
  startProxied({ after }, { servers, settings: 'limits: { body: 100KiB }\n' }),
  startProxied(
    { after },
    {
      servers,
      settings: 'path_prefix: /tools\nallowed_hosts: [mcp.example]\nallowed_origins: ["https://app.example"]\n',
    },
  ),
  startProxied(
    { after },
    {
      servers: {},
      tokens: 'users: {}\n',
      settings: `auth: none\nservers: { up: ${servers.up} }\n`,
    },
  ),
]);
after(() => checkNothingLeft());

const LIST = { method: 'POST', body: rpc('tools/list') } as const;

/** The headers of a good request as a list, with those of the same name replaced. */
function headers(...changes: readonly (readonly [name: string, value: string])[]): string[] {
  const replaced = new Set(changes.map(([name]) => name.toLowerCase()));
  const kept = Object.entries(POST).filter(([name]) => !replaced.has(name));
  return [...kept, ...changes].flat();
}

interface Refusal {
  readonly id: RequirementId;
  readonly name: string;
  readonly path?: string;
  readonly request: RequestOptions;
  readonly status: number;
  readonly code: string;
  readonly text: RegExp;
}

const TWICE = 'guard.conflicting-headers';
const refusals: readonly Refusal[] = [
  ...['Host', 'Authorization', 'Content-Type', 'Origin', 'X-Request-Id', 'traceparent', 'Last-Event-ID', 'Expect'].map(
    (name) => ({
      id: TWICE as RequirementId,
      name: `${name} sent twice`,
      request: { ...LIST, headers: [...headers([name, 'localhost']), name.toUpperCase(), 'localhost'] },
      status: 400,
      code: 'REQUEST_INVALID',
      text: /more than once/,
    }),
  ),
  {
    id: TWICE,
    name: 'Mcp-Session-Id sent twice',
    request: { ...LIST, headers: [...headers(['Mcp-Session-Id', 'a']), 'mcp-session-id', 'a'] },
    status: 400,
    code: 'REQUEST_INVALID',
    text: /more than once/,
  },
  ...['Mcp-Method', 'Mcp-Name', 'MCP-Protocol-Version', 'Mcp-Param-Region'].map((name) => ({
    id: TWICE as RequirementId,
    name: `${name} sent twice`,
    request: { ...LIST, headers: [...headers([name, 'a']), name.toLowerCase(), 'b'] },
    status: 400,
    code: 'HEADER_MISMATCH',
    text: /more than once/,
  })),
  {
    id: 'guard.origin',
    name: 'an Origin that is not allowed',
    request: { ...LIST, headers: headers(['Origin', 'https://evil.example']) },
    status: 403,
    code: 'ORIGIN_REJECTED',
    text: /allowed_origins/,
  },
  {
    id: 'guard.origin',
    name: 'the Origin null',
    request: { ...LIST, headers: headers(['Origin', 'null']) },
    status: 403,
    code: 'ORIGIN_REJECTED',
    text: /allowed_origins/,
  },
  {
    id: 'guard.host',
    name: 'a Host that was rebound to this machine',
    request: { ...LIST, headers: headers(['Host', 'evil.example']) },
    status: 403,
    code: 'ORIGIN_REJECTED',
    text: /allowed_hosts/,
  },
  {
    id: 'guard.host',
    name: 'a Host that is none',
    request: { ...LIST, headers: headers(['Host', 'local host']) },
    status: 400,
    code: 'REQUEST_INVALID',
    text: /Host/,
  },
  ...['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE'].map((method) => ({
    id: 'guard.method' as RequirementId,
    name: `the method ${method}`,
    request: { method, headers: headers() },
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
    text: /use POST, GET, DELETE/,
  })),
  {
    id: 'guard.accept',
    name: 'a GET that takes no events',
    request: { method: 'GET', headers: headers(['Accept', 'application/json']) },
    status: 406,
    code: 'NOT_ACCEPTABLE',
    text: /text\/event-stream/,
  },
  {
    id: 'guard.accept',
    name: 'a POST that takes web pages only',
    request: { ...LIST, headers: headers(['Accept', 'text/html']) },
    status: 406,
    code: 'NOT_ACCEPTABLE',
    text: /application\/json/,
  },
  {
    id: 'guard.accept',
    name: 'a POST that forbids what there is',
    request: { ...LIST, headers: headers(['Accept', '*/*, application/json;q=0, text/event-stream;q=0']) },
    status: 406,
    code: 'NOT_ACCEPTABLE',
    text: /application\/json/,
  },
  ...['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'json', ''].map((type) => ({
    id: 'guard.content-type' as RequirementId,
    name: `the body type '${type}'`,
    request: { ...LIST, headers: headers(['Content-Type', type]) },
    status: 415,
    code: 'MEDIA_TYPE',
    text: /Content-Type: application\/json/,
  })),
  {
    id: 'guard.content-type',
    name: 'a compressed body',
    request: { ...LIST, headers: headers(['Content-Encoding', 'gzip']) },
    status: 415,
    code: 'MEDIA_TYPE',
    text: /send it plain/,
  },
  {
    id: 'guard.header-bounds',
    name: 'more than a hundred headers',
    request: {
      ...LIST,
      headers: headers(...Array.from({ length: 100 }, (_, at) => [`X-${at}`, 'x'] as const)),
    },
    status: 431,
    code: 'HEADERS_TOO_LARGE',
    text: /100/,
  },
  {
    id: 'guard.body-bound',
    name: 'a body that is announced too long',
    request: { ...LIST, headers: headers(), body: ' '.repeat(100 * 1024 + 1) },
    status: 413,
    code: 'BODY_TOO_LARGE',
    text: /limits\.body/,
  },
  {
    id: 'guard.body-bound',
    name: 'a body that turns out too long',
    request: { ...LIST, headers: headers(['Transfer-Encoding', 'chunked']), body: ' '.repeat(100 * 1024 + 1) },
    status: 413,
    code: 'BODY_TOO_LARGE',
    text: /limits\.body/,
  },
  ...[
    '/up/%6dcp',
    '/up/mcp%2f',
    '/up//mcp',
    '//up/mcp',
    '/./up/mcp',
    '/x/../up/mcp',
    '/up/mcp?x=\\',
    '/up\\mcp',
    '/up/m"cp',
    'http://localhost/up/mcp',
    `/up/mcp?${'x'.repeat(9_000)}`,
    '/up/mcp?access_token=abc',
    '/up/mcp?a=1&access%5FTOKEN=abc',
    '/up/mcp?a=b&Access_Token=abc',
  ].map((path) => ({
    id: 'guard.path-normalisation' as RequirementId,
    name: `the target ${path.slice(0, 40)}`,
    path,
    request: { ...LIST, headers: headers() },
    status: 400,
    code: 'REQUEST_INVALID',
    text: /path|query|target/,
  })),
];
for (const each of refusals) {
  verifies(each.id, `${each.name} is ${each.status}, forwarded to nobody, and one entry`, async () => {
    const before = upstream.requests.length;
    const { status, body, header } = await askTarget(proxied, each.path ?? '/up/mcp', each.request);
    assert.equal(status, each.status);
    const id = header('x-request-id') ?? assert.fail('no request id');
    if (each.request.method === 'HEAD') assert.equal(body, '');
    else {
      const error = (JSON.parse(body) as { error: { message: string; data: Record<string, unknown> } }).error;
      assert.equal(error.data['code'], each.code);
      assert.equal(error.data['request_id'], id);
      assert.match(error.message, each.text);
    }
    if (each.status === 405) assert.equal(header('allow'), 'POST, GET, DELETE');
    assert.equal(upstream.requests.length, before);
    const entry = await proxied.entryOf(id);
    assert.equal(entry['http_status'], each.status);
    assert.equal(entry['error_code'], each.code);
    assert.equal(entry['outcome'], 'client_error');
    assert.equal(entry['attempts'], 0);
  });
}

/** Sends a request to a target exactly as it is written. */
async function askTarget(
  { app }: ProxiedApp,
  path: string,
  options: RequestOptions,
): Promise<{ status: number; body: string; header: (name: string) => string | undefined }> {
  const given = options.headers as string[];
  const hasHost = given.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  const list = hasHost ? given : ['Host', `127.0.0.1:${app.port}`, ...given];
  const body = typeof options.body === 'string' ? options.body : '';
  const framing = given.includes('Transfer-Encoding') || body === '' ? [] : ['Content-Length', String(body.length)];
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port: app.port,
    method: options.method ?? 'GET',
    path,
    agent: false,
    headers: [...list, ...framing],
    setHost: false,
  });
  // The answer may come before the body is sent, and the connection then ends under it.
  outgoing.on('error', () => undefined).end(body);
  const [incoming] = (await within(once(outgoing, 'response'), { what: 'an answer' })) as [IncomingMessage];
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk);
  return {
    status: incoming.statusCode ?? 0,
    body: text,
    header: (name) => incoming.headers[name] as string | undefined,
  };
}

const accepted: readonly { id: RequirementId; name: string; path?: string; change: readonly [string, string] }[] = [
  { id: 'guard.host', name: 'localhost as Host', change: ['Host', 'localhost:1234'] },
  { id: 'guard.host', name: 'an IPv6 loopback Host', change: ['Host', '[::1]:80'] },
  { id: 'guard.origin', name: 'an Origin on this machine', change: ['Origin', 'http://localhost:6274'] },
  { id: 'guard.accept', name: 'only JSON accepted', change: ['Accept', 'application/json'] },
  { id: 'guard.accept', name: 'anything accepted', change: ['Accept', '*/*'] },
  { id: 'guard.content-type', name: 'a charset', change: ['Content-Type', 'Application/JSON; charset=utf-8'] },
  { id: 'guard.path-normalisation', name: 'a slash at the end', path: '/up/mcp/', change: ['X-A', 'b'] },
  { id: 'guard.conflicting-headers', name: 'an expectation that nobody knows', change: ['Expect', 'wonders'] },
];
for (const { id, name, path = '/up/mcp', change } of accepted) {
  verifies(id, `${name} is served`, async () => {
    const before = upstream.requests.length;
    assert.equal((await askTarget(proxied, path, { ...LIST, headers: headers(change) })).status, 200);
    assert.equal(upstream.requests.length, before + 1);
    assert.equal(upstream.requests.at(-1)?.url, '/mcp');
    assert.deepEqual(upstream.requests.at(-1)?.values('expect'), []);
  });
}

verifies('guard.conflicting-headers', 'an offer to upgrade is passed over and does not travel on', async () => {
  const list = headers(['Upgrade', 'h2c'], ['Connection', 'Upgrade, HTTP2-Settings'], ['HTTP2-Settings', 'AAMA']);
  assert.equal((await askTarget(proxied, '/up/mcp', { ...LIST, headers: list })).status, 200);
  const { rawHeaders } = upstream.requests.at(-1) ?? assert.fail();
  assert.doesNotMatch(rawHeaders.join(), /h2c|HTTP2/i);
});

const byName = [
  { name: 'the allowed Host', change: ['Host', 'MCP.example:8443'], status: 200 },
  { name: 'another Host', change: ['Host', 'other.example'], status: 403 },
  { name: 'the allowed Origin', change: ['Origin', 'https://app.example'], status: 200 },
  { name: 'the allowed Origin with another scheme', change: ['Origin', 'http://app.example'], status: 403 },
  { name: 'the allowed Origin with another port', change: ['Origin', 'https://app.example:444'], status: 403 },
  { name: 'an Origin that begins like it', change: ['Origin', 'https://app.example.evil.example'], status: 403 },
] as const;
for (const { name, change, status } of byName) {
  verifies(
    [change[0] === 'Host' ? 'guard.host' : 'guard.origin'],
    `${name} is ${status} where names are configured`,
    async () => {
      assert.equal((await askTarget(named, '/tools/up/mcp', { ...LIST, headers: headers(change) })).status, status);
    },
  );
}

verifies('routes.path-prefix', 'below a prefix the same paths are served, and nothing beside it', async () => {
  const paths = {
    '/tools/up/mcp': 200,
    '/tools/up/mcp/': 200,
    '/up/mcp': 404,
    '/toolsup/mcp': 404,
    '/Tools/up/mcp': 404,
  };
  for (const [path, status] of Object.entries(paths)) {
    // oxlint-disable-next-line no-await-in-loop
    assert.equal((await named.ask(path, LIST)).answer.status, status, path);
  }
});

verifies('guard.host', 'without tokens only names of this machine are served on loopback', async () => {
  const rebound = { ...LIST, headers: headers(['Host', 'evil.example'], ['Origin', 'http://evil.example']) };
  assert.equal((await askTarget(open, '/up/mcp', rebound)).status, 403);
  assert.equal((await askTarget(open, '/up/mcp', { ...LIST, headers: headers() })).status, 200);
});

verifies(
  'guard.body-bound',
  'a client that waits to be asked for its body is asked only when it is wanted',
  async () => {
    for (const [token, status, isAsked] of [
      [POST.authorization, 200, true],
      ['Bearer nobody', 401, false],
    ] as const) {
      const given = { ...POST, authorization: token, expect: '100-continue', 'content-length': LIST.body.length };
      const outgoing = httpRequest(`${proxied.url}/up/mcp`, { method: 'POST', agent: false, headers: given });
      let wasAsked = false;
      outgoing.on('continue', () => {
        wasAsked = true;
        outgoing.end(LIST.body);
      });
      outgoing.flushHeaders();
      // oxlint-disable-next-line no-await-in-loop
      const [incoming] = (await within(once(outgoing, 'response'), { what: 'an answer' })) as [IncomingMessage];
      incoming.resume();
      assert.equal(incoming.statusCode, status);
      assert.equal(wasAsked, isAsked);
      outgoing.destroy();
    }
  },
);

verifies('guard.loop', 'a server whose url leads back here is refused after one round, with a clear text', async () => {
  const port = await findClosedPort();
  const self = `http://127.0.0.1:${port}/self/mcp`;
  const looping = await startProxied(
    { after },
    { listen: `127.0.0.1:${port}`, servers: { self: `{ url: "${self}", token: "${TOKEN}" }` } },
  );
  let refused: Answer | undefined;
  const entries = await looping.entriesDuring(2, async () => {
    refused = await send(`${looping.url}/self/mcp`, { ...LIST, headers: POST });
  });
  assert.equal(refused?.status, 400);
  assert.match(errorOf(refused).message, /leads back/);
  assert.deepEqual(
    entries.map((entry) => entry['error_code']),
    ['REQUEST_INVALID', null],
  );
});
