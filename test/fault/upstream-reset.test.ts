import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, rpc, startProxied } from '../support/proxied-app.ts';
import { openStream } from '../support/http-client.ts';
import { POST } from '../support/proxied-app.ts';
import { startRawUpstream } from '../support/raw-upstream.ts';
import { verifies } from '../support/verifies.ts';

/** What the upstream does with the next connection or request; every test sets its own. */
let onConnect: (socket: Socket) => void = () => undefined;
let onRequest: (socket: Socket) => void = () => undefined;
const upstream = await startRawUpstream(
  { after },
  { onConnect: (socket) => onConnect(socket), onRequest: (socket) => onRequest(socket) },
);
const proxied = await startProxied({ after }, { servers: { up: `{ url: "${upstream.url}/mcp", retries: 1 }` } });
after(() => checkNothingLeft());

const ends = [
  { name: 'reset', end: (socket: Socket) => void socket.resetAndDestroy() },
  // Not end(): it would go on reading, and count the request of one test in the next.
  { name: 'closed', end: (socket: Socket) => socket.destroySoon() },
];

for (const { name, end } of ends) {
  verifies('retries.unreachable', `a connection that is ${name} before it was used: 502 and one entry`, async () => {
    onConnect = end;
    onRequest = () => undefined;
    const { answer, entry } = await proxied.call('up', 'tools/list');
    assert.equal(answer.status, 502);
    assert.equal(entry['http_status'], 502);
    assert.equal(entry['attempts'], 2);
    assert.match(errorOf(answer).message, /server up (?:closed the connection|cannot be reached)/);
  });

  verifies('retries.only-safe', `a connection that is ${name} after the request: a call is made once`, async () => {
    onConnect = () => undefined;
    onRequest = end;
    const before = upstream.requestCount;
    const { answer, entry } = await proxied.call('up', 'tools/call');
    assert.equal(answer.status, 502);
    assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
    assert.equal(entry['attempts'], 1);
    assert.equal(upstream.requestCount, before + 1);
  });

  for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
    const title = `a connection that is ${name} in an answer with ${framing} leaves the answer visibly cut, with one entry`;
    verifies('streaming.upstream-gone', title, async () => {
      onConnect = () => undefined;
      const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
      const first = framing.startsWith('C') ? '{"jsonrpc":' : 'b\r\n{"jsonrpc":\r\n';
      let broken: Socket | undefined;
      onRequest = (socket) => {
        broken = socket;
        socket.write(head + first);
      };
      const id = `cut-${name}-${framing.length}`;
      const headers = { ...POST, 'x-request-id': id };
      const stream = await openStream(`${proxied.url}/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') });
      assert.equal(stream.status, 200);
      let text = '';
      await assert.rejects(async () => {
        for await (const chunk of stream.chunks) {
          text += chunk.toString();
          // A reset overtakes what was sent before it, so that it comes after the beginning has arrived.
          if (broken !== undefined) end(broken);
        }
      }, /aborted|hang up|ECONNRESET/);
      assert.equal(text, '{"jsonrpc":');
      const entry = await proxied.entryOf(id);
      assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
      assert.equal(entry['outcome'], 'upstream_error');
      assert.equal(entry['http_status'], 200);
      assert.equal(entry['attempts'], 1);
    });
  }
}
