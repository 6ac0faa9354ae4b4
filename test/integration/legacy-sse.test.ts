import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { after } from 'node:test';
import { openStream, readUntil, send, type Answer, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { startApp, type LoggedEntry } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const TOKENS = { alice: 'alice-test-token-0123456789', bob: 'bob-test-token-0123456789' };
const digest = (token: string): string => `sha256:${createHash('sha256').update(token).digest('hex')}`;
const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2024-11-05' } };

/** What the next stream announces, and the stream that was opened last. */
let announced = '/messages?sessionId=abc';
let headersOfStream: Record<string, string> = {};
let stream: ServerResponse | undefined;

const upstream = await startUpstream(
  { after },
  {
    answer({ request, response }) {
      if (request.method === 'GET') {
        stream = response.writeHead(200, { 'content-type': 'text/event-stream', ...headersOfStream });
        response.write(`event: endpoint\ndata: ${announced}\n\n`);
        return;
      }
      response.writeHead(202).end('Accepted');
      stream?.write(`event: message\ndata: {"jsonrpc":"2.0","id":0,"result":{}}\n\n`);
    },
  },
);
const foreign = await startUpstream({ after });
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': `
listen: 127.0.0.1:0
log: { file: access.log }
admin: { socket: admin.sock }
servers:
  pass: { url: "${upstream.url}/base/sse", transport: sse, auth: passthrough }
`,
      'tokens.yml': `
users:
  alice:
    token: ${digest(TOKENS.alice)}
    servers:
      old: { url: "${upstream.url}/base/sse", transport: sse, token: alice-at-old }
      other: { url: "${upstream.url}/base/sse", transport: sse }
  bob:
    token: ${digest(TOKENS.bob)}
    servers:
      old: { url: "${upstream.url}/base/sse", transport: sse, token: bob-at-old }
`,
    },
  },
);
after(() => assert.deepEqual([...upstream.failures, ...foreign.failures], []));
after(() => checkNothingLeft());

function open(path: string, id = 'stream'): Promise<StreamedAnswer> {
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${TOKENS.alice}`, 'x-request-id': id };
  return openStream(`${app.url}${path}`, { headers });
}

function post(path: string, user: keyof typeof TOKENS = 'alice'): Promise<Answer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKENS[user]}` };
  return send(`${app.url}${path}`, { body: INITIALIZE, headers });
}

/** Opens a stream and gives the endpoint that mcproxy announces in it. */
async function openEndpoint(path: string): Promise<{ reply: StreamedAnswer; endpoint: string }> {
  const reply = await open(path);
  const text = await readUntil(reply, (all) => all.includes('\n\n'));
  const endpoint = /^event: endpoint\ndata: (\S+)\n\n$/.exec(text)?.[1];
  assert.ok(endpoint, text);
  return { reply, endpoint };
}

const same = [
  { name: 'a path', announce: '/messages?sessionId=abc', url: '/messages?sessionId=abc' },
  { name: 'a relative path', announce: 'messages?sessionId=abc', url: '/base/messages?sessionId=abc' },
  { name: 'a whole URL of the same origin', announce: `${upstream.url}/m/x?y=1&z=2`, url: '/m/x?y=1&z=2' },
];
for (const each of same) {
  for (const path of ['/old/sse', '/old/mcp']) {
    verifies(
      'routes.sse',
      `${each.name} announced over ${path} becomes a URL of ours, and messages go through it`,
      async () => {
        announced = each.announce;
        const { reply, endpoint } = await openEndpoint(path);
        assert.match(endpoint, /^\/old\/messages\?sessionId=[A-Za-z0-9_-]+$/);
        const posted = await post(endpoint);
        assert.equal(posted.status, 202);
        assert.equal(posted.text(), 'Accepted');
        assert.match(
          await readUntil(reply, (text) => text.endsWith('\n\n')),
          /^event: message\ndata: .*"result":\{\}\}\n\n$/,
        );
        reply.close();
        const request = upstream.requests.at(-1);
        assert.equal(request?.url, each.url);
        assert.deepEqual(request?.json(), INITIALIZE);
        assert.deepEqual(request?.values('authorization'), ['Bearer alice-at-old']);
      },
    );
  }
}

const others = [
  { name: 'another host', announce: 'http://elsewhere.example/messages' },
  { name: 'another port', announce: `${foreign.url}/messages` },
  { name: 'another scheme', announce: upstream.url.replace('http:', 'https:') },
  { name: 'a URL without scheme', announce: `//127.0.0.1:${foreign.port}/messages` },
  { name: 'our origin as user name', announce: `http://127.0.0.1:${upstream.port}@127.0.0.1:${foreign.port}/messages` },
  { name: 'backslashes', announce: `\\\\127.0.0.1:${foreign.port}/messages` },
  { name: 'no URL', announce: 'http://[' },
  { name: 'a script', announce: 'javascript:alert(1)' },
];
for (const { name, announce } of others) {
  verifies('routes.sse-foreign-origin', `an endpoint event that names ${name} is refused`, async () => {
    announced = announce;
    const id = `foreign-${name.replaceAll(' ', '-')}`;
    const reply = await open('/old/sse', id);
    let text = '';
    await assert.rejects(async () => {
      for await (const chunk of reply.chunks) text += chunk.toString('utf8');
    }, 'the stream is cut');
    assert.equal(text, '', 'nothing of it arrives');
    const entry = await waitFor(() => app.entries().find((each) => each['request_id'] === id));
    assert.equal((entry as LoggedEntry)['error_code'], 'UPSTREAM_PROTOCOL');
    assert.equal(foreign.requests.length, 0);
  });
}

/** Their SHA-256 begin with the same eight digits, which is all that the log says of them. */
const ALIKE = ['passthrough-token-48105', 'passthrough-token-52304'] as const;

verifies(
  'gateway.front.endpoint-handle',
  'two tokens that look alike in the log do not share an endpoint',
  async () => {
    const [first, second] = ALIKE.map((token) => ({ authorization: `Bearer ${token}` }));
    announced = '/messages?sessionId=abc';
    const reply = await openStream(`${app.url}/pass/sse`, { headers: { accept: 'text/event-stream', ...first } });
    const text = await readUntil(reply, (all) => all.includes('\n\n'));
    const url = `${app.url}${/^data: (\S+)$/m.exec(text)?.[1] ?? ''}`;
    assert.equal((await send(url, { body: INITIALIZE, headers: { ...second } })).status, 404);
    assert.equal((await send(url, { body: INITIALIZE, headers: { ...first } })).status, 202);
    reply.close();
    const named = app
      .entries()
      .map(({ principal }) => String(principal))
      .filter((name) => name.startsWith('passthrough:'));
    assert.deepEqual([...new Set(named)], ['passthrough:48903f43']);
  },
);

verifies(
  'routes.sse-foreign-origin',
  'a stream that is compressed, so that its endpoint cannot be seen, is refused',
  async () => {
    headersOfStream = { 'content-encoding': 'gzip' };
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${TOKENS.alice}` };
    const reply = await send(`${app.url}/old/sse`, { headers });
    headersOfStream = {};
    assert.equal(reply.status, 502);
    assert.match(reply.text(), /UPSTREAM_PROTOCOL/);
    assert.deepEqual(upstream.requests.at(-1)?.values('accept-encoding'), ['identity']);
  },
);

verifies(
  'routes.sse',
  'an endpoint is of no use to another user, at another server, altered, or after its stream',
  async () => {
    announced = '/messages?sessionId=abc';
    const { reply, endpoint } = await openEndpoint('/old/sse');
    const before = upstream.requests.length;
    const handle = endpoint.slice(endpoint.indexOf('=') + 1);
    const altered = `${handle.slice(0, -2)}${handle.endsWith('AA') ? 'BB' : 'AA'}`;
    const refused = [
      await post(endpoint, 'bob'),
      await post(`/other/messages?sessionId=${handle}`),
      await post(`/old/messages?sessionId=${altered}`),
      await post('/old/messages?sessionId=abc'),
    ];
    for (const each of refused) {
      assert.equal(each.status, 404);
      assert.match(each.text(), /"SESSION_UNKNOWN"/);
    }
    const missing = await post('/old/messages');
    assert.equal(missing.status, 400);
    assert.match(missing.text(), /"SESSION_MISSING"/);
    assert.equal(upstream.requests.length, before, 'nothing was forwarded');
    assert.equal((await post(endpoint)).status, 202, 'its owner may use it');
    reply.close();
  },
);

verifies('routes.sse', 'the paths of HTTP+SSE serve their methods only', async () => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKENS.alice}` };
  const posted = await send(`${app.url}/old/sse`, { body: INITIALIZE, headers });
  assert.equal(posted.status, 405);
  assert.equal(posted.header('allow'), 'GET');
  const got = await send(`${app.url}/old/messages?sessionId=x`, { headers });
  assert.equal(got.status, 405);
  assert.equal(got.header('allow'), 'POST');
});
