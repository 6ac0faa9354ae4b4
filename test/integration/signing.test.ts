/**
 * Signed requests as a server sees them: a validator that was written from the description of the scheme, not from the
 * signer, stands before each upstream and refuses what it would refuse.
 */
import assert from 'node:assert/strict';
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { after, type TestContext } from 'node:test';
import { modernBody, modernHeaders, type Json } from '../support/downstream-clients.ts';
import { openStream, readUntil, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { usersFile } from '../support/message-app.ts';
import { echo, startUpstream, type RecordedRequest, type RecordingUpstream } from '../support/recording-upstream.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const SECRET = 'marked-shared-secret-0123456789';
const WINDOW_MS = 300_000;

/** go-core-stack/auth: method, decoded path and RFC 3339 time, each on a line. */
function isGocorestack(request: RecordedRequest): boolean {
  const [time = ''] = request.values('x-timestamp');
  const [given = ''] = request.values('x-signature');
  const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
  const wanted = createHmac('sha256', SECRET).update(`${request.method}\n${path}\n${time}`).digest('hex');
  const isFresh = Date.now() - Date.parse(time) < WINDOW_MS && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(time);
  return isFresh && request.values('x-api-key-id')[0] === 'key-1' && isEqual(given, wanted);
}

/** Standard Webhooks: id, time and body. */
function isStandardWebhook(request: RecordedRequest): boolean {
  const [id = '', time = '', given = ''] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
    (name) => request.values(name)[0] ?? '',
  );
  const signed = Buffer.concat([Buffer.from(`${id}.${time}.`), request.body]);
  const key = Buffer.from(Buffer.from(SECRET).toString('base64'), 'base64');
  return isEqual(given, `v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
}

/** RFC 9421 with the components of the preset. */
function isMessageSigned(request: RecordedRequest): boolean {
  const [input = ''] = request.values('signature-input');
  const params = input.replace(/^sig1=/, '');
  const digest = `sha-256=:${createHash('sha256').update(request.body).digest('base64')}:`;
  const url = new URL(request.url, 'http://x');
  const values: Record<string, string> = {
    '@method': request.method,
    '@authority': request.values('host')[0] ?? '',
    '@path': url.pathname,
    '@query': url.search === '' ? '?' : url.search,
    'content-type': request.values('content-type')[0] ?? '',
    'content-digest': request.values('content-digest')[0] ?? '',
  };
  const names = [...params.matchAll(/"([^"]+)"(?=[ )])/g)].map((match) => match[1] ?? '');
  const lines = [...names.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${params}`];
  const key = Buffer.from(Buffer.from(SECRET).toString('base64'), 'base64');
  const wanted = `sig1=:${createHmac('sha256', key).update(lines.join('\n')).digest('base64')}:`;
  return values['content-digest'] === digest && isEqual(request.values('signature')[0] ?? '', wanted);
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

const RESULTS: Readonly<Record<string, Json>> = {
  'server/discover': {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {} },
    ttlMs: 0,
    cacheScope: 'private',
  },
  'tools/list': {
    resultType: 'complete',
    tools: [{ name: 'work', inputSchema: { type: 'object' } }],
    ttlMs: 0,
    cacheScope: 'private',
  },
  'tools/call': { resultType: 'complete', content: [{ type: 'text', text: 'signed' }] },
};

/** @param fails answers before the first good one: 503, so that the request is sent again */
function startValidated(
  t: TestContext,
  isValid: (request: RecordedRequest) => boolean,
  fails = 0,
): Promise<RecordingUpstream> {
  let left = fails;
  return startUpstream(t, {
    answer(conversation) {
      const { request, response } = conversation;
      if (!isValid(request)) return void response.writeHead(401).end('Invalid Signature');
      if (request.method !== 'POST') return void response.writeHead(405).end();
      const { id, method } = request.json() as Json;
      if (method === 'tools/call' && left > 0) {
        left -= 1;
        return void response.writeHead(503, { 'retry-after': '0' }).end();
      }
      const result = RESULTS[method as string];
      if (result === undefined) return echo(conversation);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    },
  });
}

function start(t: TestContext, url: string, auth: string): Promise<RunningApp> {
  return startApp(t, {
    files: {
      'mcproxy.yml': [
        'listen: 127.0.0.1:0',
        'log: { file: access.log }',
        'admin: { socket: admin.sock }',
        `servers: { up: { url: "${url}/mcp", auth: ${auth} } }`,
        '',
      ].join('\n'),
      'tokens.yml': usersFile({ alice: '"*"' }),
    },
    env: { SHARED: SECRET, SHARED_BASE64: Buffer.from(SECRET).toString('base64') },
  });
}

function call(app: RunningApp, [path, name]: readonly [string, string], args: Json = {}): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${tokenOf('alice')}`,
    ...modernHeaders('tools/call', name),
    // What a client says of itself must not stand beside the signature.
    'x-timestamp': '1999-01-01T00:00:00Z',
    'webhook-id': 'forged',
  };
  return send(`${app.url}${path}`, { headers, body: modernBody('tools/call', { name, arguments: args }) });
}

const SCHEMES = [
  {
    name: 'gocorestack',
    auth: '{ type: hmac, key_id: key-1, secret: "${SHARED}" }',
    isValid: isGocorestack,
    fields: ['x-timestamp'],
  },
  {
    name: 'standard-webhooks',
    auth: '{ type: hmac, preset: standard-webhooks, secret: "whsec_${SHARED_BASE64}" }',
    isValid: isStandardWebhook,
    fields: ['webhook-id'],
  },
  {
    name: 'rfc9421',
    auth: '{ type: hmac, preset: rfc9421, key_id: key-1, secret: "${SHARED_BASE64}" }',
    isValid: isMessageSigned,
    fields: ['signature', 'content-digest'],
  },
];

for (const { name, auth, isValid, fields } of SCHEMES) {
  verifies('signing.accepted', `${name} is accepted in the relay and in the gateway`, async (t) => {
    const upstream = await startValidated(t, isValid);
    const app = await start(t, upstream.url, auth);
    for (const [path, tool] of [
      ['/up/mcp', 'work'],
      ['/mcp', 'up__work'],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one path after the other
      const answer = await call(app, [path, tool], { text: 'ü'.repeat(1_000) });
      assert.equal(answer.status, 200, answer.text());
      assert.match(answer.text(), /"signed"/);
    }
    const all = JSON.stringify(upstream.requests.map(({ rawHeaders, body }) => [rawHeaders, body.toString()]));
    assert.ok(!all.includes(SECRET));
    for (const request of upstream.requests) for (const field of fields) assert.equal(request.values(field).length, 1);
    assert.ok(!`${app.stderr()}${JSON.stringify(app.entries())}`.includes(SECRET));
  });
}

for (const [path, tool] of [
  ['/up/mcp', 'work'],
  ['/mcp', 'up__work'],
] as const) {
  verifies('signing.attempts', `a request to ${path} that is sent again is signed again, and counted`, async (t) => {
    const upstream = await startValidated(t, isStandardWebhook, 2);
    const app = await start(t, upstream.url, SCHEMES[1]?.auth ?? '');
    const answer = await call(app, [path, tool]);
    assert.match(answer.text(), /"signed"/);
    const calls = upstream.requests.filter((request) => request.text().includes('tools/call'));
    assert.equal(calls.length, 3);
    assert.equal(new Set(calls.map((request) => request.values('webhook-id')[0])).size, 3);
    assert.equal(app.entries().at(-1)?.['attempts'], 3);
  });
}

verifies(
  'signing.long-body',
  'a body that cannot be held is refused by what covers it, and reaches nobody',
  async (t) => {
    const upstream = await startValidated(t, isStandardWebhook);
    const app = await start(t, upstream.url, SCHEMES[1]?.auth ?? '');
    const answer = await call(app, ['/up/mcp', 'work'], { text: 'x'.repeat(300 * 1024) });
    assert.equal(answer.status, 413);
    assert.match(answer.text(), /covers the body/);
    assert.equal(upstream.requests.filter((request) => request.body.length > 1_000).length, 0);
    assert.equal(app.entries().at(-1)?.['error_code'], 'BODY_TOO_LARGE');
  },
);

verifies('signing.long-body', 'a long body streams where the signature does not cover it', async (t) => {
  const upstream = await startValidated(t, isGocorestack);
  const app = await start(t, upstream.url, SCHEMES[0]?.auth ?? '');
  const answer = await call(app, ['/up/mcp', 'work'], { text: 'x'.repeat(300 * 1024) });
  assert.equal(answer.status, 200, answer.text());
});

verifies('signing.environment', 'a local signing proxy needs three variables and no file', async (t) => {
  const upstream = await startValidated(t, isGocorestack);
  const app = await startApp(t, {
    env: {
      MCP_UPSTREAM_URL: upstream.url,
      MCP_API_KEY: 'key-1',
      MCP_API_SECRET: SECRET,
      MCP_LISTEN_ADDR: '127.0.0.1:0',
      MCPROXY_HEARTBEAT: '1s',
    },
    bare: true,
  });
  const headers = { accept: 'application/json, text/event-stream' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const first = await send(`${app.url}/mcp`, {
    headers,
    body: { jsonrpc: '2.0', id: 1, method: 'initialize', params },
  });
  assert.equal(first.status, 200, first.text());
  const session = { 'mcp-session-id': first.header('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' };
  const called = await send(`${app.url}/mcp`, {
    headers: { ...headers, ...session },
    body: { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'work', arguments: {} } },
  });
  assert.match(called.text(), /"signed"/);
  // The upstream has no stream (405), and this one stays open all the same.
  const stream = await openStream(`${app.url}/mcp`, { headers: { accept: 'text/event-stream', ...session } });
  await readUntil(stream, (text) => text.split('\n: ').length >= 3);
  stream.close();
  assert.ok(!`${app.stdout()}${app.stderr()}`.includes(SECRET));
});

verifies('signing.environment', 'elsewhere than on loopback nobody comes in without a token', async (t) => {
  const app = await startApp(t, {
    env: {
      MCP_UPSTREAM_URL: 'http://127.0.0.1:1/',
      MCP_API_KEY: 'key-1',
      MCP_API_SECRET: SECRET,
      MCP_LISTEN_ADDR: '0.0.0.0:0',
    },
    bare: true,
  });
  const answer = await send(`http://127.0.0.1:${app.port}/mcp`, {
    headers: { accept: 'application/json, text/event-stream' },
    body: { jsonrpc: '2.0', id: 1, method: 'ping' },
  });
  assert.equal(answer.status, 401);
});
