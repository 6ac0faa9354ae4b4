import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, startProxied } from '../support/proxied-app.ts';
import { jsonAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { verifies } from '../support/verifies.ts';

const RESULT = '{"jsonrpc":"2.0","id":1,"result":{}}';

/** The bytes before the end of the next connections; afterwards answers are whole. */
let halves: { readonly bytes: string; readonly end: (socket: Socket) => unknown }[] = [];
const upstream = await startRawUpstream(
  { after },
  {
    onRequest(socket) {
      const half = halves.shift();
      if (half === undefined) return void socket.write(jsonAnswer(RESULT));
      socket.write(half.bytes, () => half.end(socket));
    },
  },
);
const proxied = await startProxied({ after }, { servers: { up: `{ url: "${upstream.url}/mcp" }` } });
after(() => checkNothingLeft());

const pieces = [
  { name: 'nothing', bytes: '' },
  { name: 'half a version', bytes: 'HTT' },
  { name: 'half a status line', bytes: 'HTTP/1.1 200' },
  { name: 'half a header', bytes: 'HTTP/1.1 200 OK\r\nContent-Le' },
  { name: 'headers without an end', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n' },
  { name: 'an interim answer', bytes: 'HTTP/1.1 102 Processing\r\n\r\n' },
];
const ends = [
  { how: 'closes', end: (socket: Socket) => socket.end() },
  { how: 'resets', end: (socket: Socket) => socket.resetAndDestroy() },
];
for (const { name, bytes } of pieces) {
  for (const { how, end } of ends) {
    verifies(
      'retries.only-safe',
      `an upstream that sends ${name} and ${how}: a call is 502 after one attempt`,
      async () => {
        halves = [{ bytes, end }];
        const { answer, entry } = await proxied.call('up', 'tools/call');
        assert.equal(answer.status, 502);
        assert.match(errorOf(answer).message, /server up closed the connection before it answered/);
        assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
        assert.equal(entry['attempts'], 1);
      },
    );

    verifies(
      'retries.only-safe',
      `an upstream that sends ${name} and ${how}: what only reads is asked again`,
      async () => {
        halves = [{ bytes, end }];
        const { answer, entry } = await proxied.call('up', 'tools/list');
        assert.equal(answer.text(), RESULT);
        assert.equal(entry['attempts'], 2);
        assert.equal(entry['outcome'], 'ok');
      },
    );
  }
}
