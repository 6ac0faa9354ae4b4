import assert from 'node:assert/strict';
import { after } from 'node:test';
import { openStream } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, POST, rpc, startProxied } from '../support/proxied-app.ts';
import { jsonAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { verifies } from '../support/verifies.ts';

/** What the upstream answers; every test sets its own. */
let bytes = '';
const upstream = await startRawUpstream({ after }, { onRequest: (socket) => void socket.write(bytes, 'latin1') });
const banner = await startRawUpstream(
  { after },
  { onConnect: (socket) => void socket.write('SSH-2.0-OpenSSH_9.6\r\n') },
);
const proxied = await startProxied(
  { after },
  {
    servers: {
      up: `{ url: "${upstream.url}/mcp" }`,
      banner: `{ url: "${banner.url}/mcp" }`,
      secure: `{ url: "https://127.0.0.1:${banner.port}/mcp", retries: 1 }`,
    },
  },
);
after(() => checkNothingLeft());
after(() => assert.doesNotMatch(proxied.app.stderr(), /uncaught|unhandled|Warning/));

const NOT_HTTP = /answered something that is not HTTP/;
const nonsense = [
  { name: 'text', answer: 'hello\r\n\r\n', text: NOT_HTTP },
  { name: 'a TLS alert', answer: '\x15\x03\x03\x00\x02\x02\x46', text: NOT_HTTP },
  { name: 'HTTP/2', answer: '\0\0\x12\x04\0\0\0\0\0', text: NOT_HTTP },
  { name: 'a status that is no number', answer: 'HTTP/1.1 abc OK\r\n\r\n', text: NOT_HTTP },
  {
    name: 'the status 099',
    answer: 'HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n',
    text: /status 99, which is no answer/,
  },
  {
    name: 'the status 000',
    answer: 'HTTP/1.1 000 What\r\nContent-Length: 0\r\n\r\n',
    text: /status 0, which is no answer/,
  },
  { name: 'a header with a NUL', answer: 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n', text: NOT_HTTP },
  {
    name: 'a length and chunks',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    text: NOT_HTTP,
  },
  {
    name: 'two lengths',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    text: NOT_HTTP,
  },
  {
    name: 'endless headers',
    answer: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`,
    text: /answered with headers of more than \d+ bytes/,
  },
];
for (const { name, answer: sent, text } of nonsense) {
  for (const method of ['tools/call', 'tools/list']) {
    verifies('retries.protocol', `${name} in answer to ${method} is 502 at once`, async () => {
      bytes = sent;
      const { answer, entry } = await proxied.call('up', method);
      assert.equal(answer.status, 502);
      assert.match(errorOf(answer).message, text);
      assert.equal(entry['error_code'], 'UPSTREAM_PROTOCOL');
      assert.equal(entry['outcome'], 'upstream_error');
      assert.equal(entry['attempts'], 1);
    });
  }
}

verifies('retries.protocol', 'a server that greets before it is asked is 502', async () => {
  const { answer, entry } = await proxied.call('banner', 'tools/call');
  assert.equal(answer.status, 502);
  assert.match(errorOf(answer).message, NOT_HTTP);
  assert.equal(entry['error_code'], 'UPSTREAM_PROTOCOL');
});

verifies('retries.protocol', 'https:// to a port without TLS says so', async () => {
  const { answer, entry } = await proxied.call('secure', 'tools/call');
  assert.equal(answer.status, 502);
  assert.match(errorOf(answer).message, /does not speak TLS as expected; check http:\/\/ against https:\/\//);
  assert.equal(entry['error_code'], 'UPSTREAM_UNREACHABLE');
});

verifies('retries.protocol', 'a switch of protocols that nobody asked for is 502', async () => {
  bytes = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
  const { answer, entry } = await proxied.call('up', 'tools/call');
  assert.equal(answer.status, 502);
  assert.match(errorOf(answer).message, /status 101, which is no answer/);
  assert.equal(entry['error_code'], 'UPSTREAM_PROTOCOL');
  assert.equal(entry['attempts'], 1);
});

const odd = [
  { name: 'an unknown status', answer: 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}', status: 999 },
  {
    name: 'an interim answer first',
    answer: `HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${jsonAnswer('{}')}`,
    status: 200,
  },
  {
    name: 'long headers within their bound',
    answer: jsonAnswer('{}', `X-Long: ${'x'.repeat(20_000)}\r\n`),
    status: 200,
  },
  { name: 'bytes beyond ASCII in a header', answer: jsonAnswer('{}', 'X-Name: gr\xfc\xdfe\r\n'), status: 200 },
  { name: 'HTTP/1.0 without a length', answer: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}', status: 200 },
];
for (const { name, answer: sent, status } of odd) {
  verifies('retries.protocol', `${name} is passed on`, async () => {
    bytes = sent;
    const { answer, entry } = await proxied.call('up', 'tools/call');
    assert.equal(answer.status, status);
    assert.equal(answer.text(), '{}');
    assert.equal(entry['error_code'], null);
  });
}

verifies('streaming.upstream-gone', 'an answer whose chunks go wrong is cut, with one entry', async () => {
  bytes = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n';
  const headers = { ...POST, 'x-request-id': 'bad-chunk' };
  const stream = await openStream(`${proxied.url}/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') }).catch(
    () => undefined,
  );
  await assert.rejects(async () => {
    if (stream === undefined) throw new Error('cut before its head');
    for await (const chunk of stream.chunks) assert.equal(chunk.toString(), '{');
  });
  const entry = await proxied.entryOf('bad-chunk');
  assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
});

verifies('streaming.upstream-gone', 'bytes behind a complete answer spoil neither it nor the next one', async () => {
  for (const method of ['tools/call', 'tools/list', 'tools/call']) {
    bytes = `${jsonAnswer(`{"of":"${method}"}`)}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"`;
    // oxlint-disable-next-line no-await-in-loop
    const { answer, entry } = await proxied.call('up', method);
    assert.deepEqual(answer.json(), { of: method });
    assert.equal(entry['outcome'], 'ok');
  }
});
