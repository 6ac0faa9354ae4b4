import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after } from 'node:test';
import { openStream, readUntil, send, type Answer, type RequestOptions } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { echo, startUpstream } from '../support/recording-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';

const TOKENS = { alice: 'alice-test-token-0123456789', bob: 'bob-test-token-0123456789' };
const digest = (token: string): string => `sha256:${createHash('sha256').update(token).digest('hex')}`;
const POST = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

const upstream = await startUpstream({ after });
const prefixed = await startUpstream({ after });
const files = {
  'tokens.yml': `
users:
  alice:
    token: ${digest(TOKENS.alice)}
    servers:
      up: { url: "${upstream.url}/base/mcp?tenant=7" }
      plain: { url: "${upstream.url}/mcp" }
      moved: { url: "${upstream.url}/moved" }
  bob:
    token: ${digest(TOKENS.bob)}
    servers:
      secret: { url: "${upstream.url}/secret" }
`,
};
const app = await startApp({ after }, { files });
const below = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': `
listen: 127.0.0.1:0
path_prefix: /tools/mcp
log: { file: access.log }
admin: { socket: admin.sock }
`,
      'tokens.yml': `users: { alice: { token: "${digest(TOKENS.alice)}", servers: { up: { url: "${prefixed.url}/mcp" } } } }\n`,
    },
  },
);
after(() => assert.deepEqual([...upstream.failures, ...prefixed.failures], []));
after(() => checkNothingLeft());

function ask(path: string, options: RequestOptions = {}, user: keyof typeof TOKENS = 'alice'): Promise<Answer> {
  const headers = { ...POST, authorization: `Bearer ${TOKENS[user]}`, ...(options.headers as Record<string, string>) };
  return send(`${app.url}${path}`, { ...options, headers });
}

verifies('routes.streamable', 'POST, GET and DELETE of Streamable HTTP are relayed with their sessions', async () => {
  upstream.answerWith(({ request, response }) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`id: 7\ndata: ${request.values('last-event-id').join()}\n\n`);
    } else if (request.method === 'DELETE') response.writeHead(200, { 'content-length': '0' }).end();
    else {
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-1' });
      response.end('{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}');
    }
  });
  const session = { 'mcp-session-id': 'session-1', 'mcp-protocol-version': '2025-11-25' };

  const posted = await ask('/plain/mcp', { body: CALL });
  assert.equal(posted.status, 200);
  assert.equal(posted.header('mcp-session-id'), 'session-1');
  assert.equal(posted.text(), '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}');

  const stream = await openStream(`${app.url}/plain/mcp`, {
    headers: { ...session, 'last-event-id': '6', accept: 'text/event-stream', authorization: `Bearer ${TOKENS.alice}` },
  });
  assert.equal(await readUntil(stream, (text) => text.endsWith('\n\n')), 'id: 7\ndata: 6\n\n');
  stream.close();

  const deleted = await ask('/plain/mcp', { method: 'DELETE', headers: session });
  assert.equal(deleted.status, 200);

  const [post, get, del] = upstream.requests.slice(-3);
  assert.deepEqual([post?.method, get?.method, del?.method], ['POST', 'GET', 'DELETE']);
  assert.deepEqual(post?.json(), CALL);
  assert.deepEqual(del?.values('mcp-session-id'), ['session-1']);
  assert.deepEqual(del?.values('mcp-protocol-version'), ['2025-11-25']);
  assert.equal(new Set(upstream.requests.map((request) => request.url)).size, 1);
});

verifies(
  'routes.streamable',
  'the queries of the configured URL and of the request both reach the upstream',
  async () => {
    upstream.answerWith(echo);
    await ask('/up/mcp', { body: CALL });
    assert.equal(upstream.requests.at(-1)?.url, '/base/mcp?tenant=7');
    await ask('/up/mcp?a=1&b=%20', { body: CALL });
    assert.equal(upstream.requests.at(-1)?.url, '/base/mcp?tenant=7&a=1&b=%20');
    await ask('/plain/mcp?a=1', { body: CALL });
    assert.equal(upstream.requests.at(-1)?.url, '/mcp?a=1');
  },
);

const statuses = [
  { status: 202, body: '' },
  { status: 400, body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"bad"}}' },
  { status: 403, body: 'no' },
  { status: 404, body: '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"none"}}' },
  { status: 405, body: '' },
  { status: 500, body: 'oh' },
];
for (const { status, body } of statuses) {
  verifies('routes.streamable', `an upstream's ${status} passes with its fields and body`, async () => {
    upstream.answerWith(({ response }) => {
      response.writeHead(status, { 'content-type': 'application/json', 'X-Own': 'ä', allow: 'POST' }).end(body);
    });
    const reply = await ask('/plain/mcp', { body: { ...CALL, method: 'tools/call' } });
    assert.equal(reply.status, status);
    assert.equal(reply.text(), body);
    assert.equal(reply.header('x-own'), 'ä');
    assert.equal(reply.header('allow'), 'POST');
    assert.ok(reply.rawHeaders.includes('X-Own'), 'spelled as it came');
  });
}

verifies('routes.streamable', 'a redirect is not followed and not passed on', async () => {
  upstream.answerWith(({ response }) => {
    response.writeHead(307, { location: 'https://user:pw@elsewhere.example/mcp?key=hidden' }).end();
  });
  const before = upstream.requests.length;
  const reply = await ask('/moved/mcp', { body: CALL });
  assert.equal(reply.status, 502);
  assert.equal(reply.header('location'), undefined);
  assert.match(reply.text(), /UPSTREAM_PROTOCOL/);
  assert.match(reply.text(), /server moved redirects to https:\/\/elsewhere\.example\/mcp;/);
  assert.doesNotMatch(reply.text(), /pw|hidden/);
  assert.equal(upstream.requests.length, before + 1);
});

verifies('routes.unknown-equals-forbidden', 'an unknown server and one of somebody else get the same 404', async () => {
  const before = upstream.requests.length;
  const headers = { 'x-request-id': 'same-for-all' };
  const replies = [
    await ask('/secret/mcp', { body: CALL, headers }),
    await ask('/nothing/mcp', { body: CALL, headers }),
    await ask('/secret/sse', { headers }),
    await ask('/nothing/sse', { headers }),
    await ask('/secret/messages?sessionId=x', { body: CALL, headers }),
    await ask('/nothing/messages?sessionId=x', { body: CALL, headers }),
    await ask('/secret/other', { headers }),
    // A method that the path does not serve must not tell either.
    await ask('/secret/mcp', { method: 'PUT', headers }),
  ];
  const seen = replies.map((reply) => ({
    status: reply.status,
    body: reply.text(),
    fields: reply.rawHeaders.filter((_, at, all) => all[at - (at % 2)]?.toLowerCase() !== 'date'),
  }));
  for (const each of seen) assert.deepEqual(each, seen[0]);
  assert.equal(seen[0]?.status, 404);
  assert.match(seen[0]?.body ?? '', /"ROUTE_UNKNOWN"/);
  assert.equal(upstream.requests.length, before, 'nothing was forwarded');
  assert.equal((await ask('/secret/mcp', { body: CALL }, 'bob')).status, 502, 'bob may');
});

verifies('routes.path-prefix', 'a path prefix stands before every path', async () => {
  const headers = { ...POST, authorization: `Bearer ${TOKENS.alice}` };
  const asked = (path: string): Promise<Answer> => send(`${below.url}${path}`, { body: CALL, headers });
  assert.equal((await asked('/tools/mcp/up/mcp')).status, 200);
  assert.equal((await asked('/up/mcp')).status, 404);
  assert.equal((await asked('/tools/mcpup/mcp')).status, 404);
  assert.equal(prefixed.requests.length, 1);
  assert.equal(prefixed.requests[0]?.url, '/mcp', 'the prefix stays here');

  prefixed.answerWith(({ response }) => {
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .write('event: endpoint\ndata: /messages?sessionId=1\n\n');
  });
  const stream = await openStream(`${below.url}/tools/mcp/up/sse`, { headers });
  const announced = await readUntil(stream, (text) => text.endsWith('\n\n'));
  const endpoint = /^event: endpoint\ndata: (\/tools\/mcp\/up\/messages\?sessionId=[\w-]+)\n\n$/.exec(announced)?.[1];
  assert.ok(endpoint, announced);
  stream.close();
  prefixed.answerWith(echo);
  assert.equal((await asked(endpoint)).status, 200);
  assert.equal(prefixed.requests.at(-1)?.url, '/messages?sessionId=1');
});
