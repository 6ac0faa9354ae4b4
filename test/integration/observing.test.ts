import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { LoggedEntry } from '../support/start-app.ts';
import { call, deferred, digestOf, JSON_TYPE, POST, startStreamingApp, STREAM } from '../support/streaming-app.ts';
import { verifies } from '../support/verifies.ts';

const { app, upstream, answerWith, entryOf, url } = await startStreamingApp({ after });
after(() => checkNothingLeft());

verifies(
  'streaming.observer-is-passive',
  'random bytes in random pieces pass unchanged in both directions',
  async () => {
    const random = seededRandom(20_261_121);
    const types = ['application/json', 'text/event-stream', 'application/octet-stream'];
    for (let round = 0; round < 60; round += 1) {
      const up = cut(random.bytes(random.integer(2_000)));
      // Half of the answers look like what is read along.
      const down = cut(random.next() < 0.5 ? random.bytes(random.integer(2_000)) : nearlyEvents(random.integer(40)));
      const withLength = random.next() < 0.5;
      let received = Buffer.alloc(0);
      answerWith(async (incoming, response) => {
        for await (const chunk of incoming) received = Buffer.concat([received, chunk as Buffer]);
        const length = withLength ? { 'content-length': String(Buffer.concat(down).length) } : {};
        response.writeHead(200, { 'content-type': random.pick(types), ...length });
        for (const piece of down) {
          response.write(piece);
          // oxlint-disable-next-line no-await-in-loop -- pieces of their own
          if (random.next() < 0.2) await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      });
      // oxlint-disable-next-line no-await-in-loop
      const reply = await send(url, { method: 'POST', headers: POST, body: Readable.from(up) });
      assert.ok(received.equals(Buffer.concat(up)), `request of round ${round}, seed ${random.seed}`);
      assert.ok(reply.body.equals(Buffer.concat(down)), `answer of round ${round}, seed ${random.seed}`);
    }

    function cut(bytes: Buffer): Buffer[] {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const next = at + 1 + random.integer(200);
        pieces.push(bytes.subarray(at, next));
        at = next;
      }
      return pieces;
    }

    function nearlyEvents(count: number): Buffer {
      const lines = [
        'data: {"jsonrpc":"2.0","id":1,"result":{}}',
        'event: message',
        '',
        'data:',
        ':',
        'id: é',
        '{"error":',
        '\ufeffdata',
      ];
      return Buffer.from(
        Array.from({ length: count }, () => random.pick(lines) + random.pick(['\n', '\r', '\r\n'])).join(''),
      );
    }
  },
);

const observed = [
  { name: 'a tool call', headers: [], body: call(1, 'search'), method: 'tools/call', rpcName: 'search' },
  {
    name: 'a resource',
    headers: [],
    body: '{"id":1,"method":"resources/read","params":{"uri":"file:///a"},"jsonrpc":"2.0"}',
    method: 'resources/read',
    rpcName: 'file:///a',
  },
  { name: 'a batch', headers: [], body: `[${call(1)},${call(2)}]`, method: 'batch', rpcName: null },
  { name: 'no JSON', headers: [], body: 'hello', method: null, rpcName: null },
];
for (const each of observed) {
  verifies('streaming.observer-is-passive', `method and name of ${each.name} are in the log`, async () => {
    const entry = await observe(each, '{"jsonrpc":"2.0","id":1,"result":{}}');
    assert.equal(entry['rpc_method'], each.method);
    assert.equal(entry['rpc_name'], each.rpcName);
    assert.equal(entry['outcome'], 'ok');
  });
}

async function observe(
  request: { headers: readonly string[]; body: string },
  reply: string,
  type = JSON_TYPE,
): Promise<LoggedEntry> {
  answerWith((incoming, response) => {
    incoming.resume();
    response.writeHead(200, type).end(reply);
  });
  const id = `observed-${app.entries().length}`;
  await send(url, { method: 'POST', headers: [...POST, ...request.headers, 'X-Request-Id', id], body: request.body });
  return entryOf(id) ?? assert.fail('the answer came before its entry');
}

const failures = [
  { name: 'JSON', type: JSON_TYPE, frame: (text: string) => text },
  { name: 'an event', type: STREAM, frame: (text: string) => `: hello\n\nevent: message\ndata: ${text}\n\n` },
];
for (const { name, type, frame } of failures) {
  verifies('streaming.observer-is-passive', `the JSON-RPC error code in ${name} is in the log`, async () => {
    const reply = frame('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such tool"}}');
    const entry = await observe({ headers: [], body: call(1) }, reply, type);
    assert.equal(entry['rpc_error'], -32_602);
    assert.equal(entry['outcome'], 'client_error');
    assert.equal(entry['bytes_out'], reply.length);
  });
}

const MODERN = ['MCP-Protocol-Version', '2026-07-28'];
const mirrored = [
  {
    name: 'plain',
    headers: ['Mcp-Method', 'tools/call', 'Mcp-Name', 'search'],
    body: '{}',
    method: 'tools/call',
    rpcName: 'search',
  },
  {
    name: 'encoded',
    headers: ['Mcp-Method', 'tools/call', 'Mcp-Name', '=?base64?c8O8w59lcw==?='],
    body: '{}',
    method: 'tools/call',
    rpcName: 'süßes',
  },
  {
    name: 'contradicted by the body',
    headers: ['Mcp-Method', 'tools/list'],
    body: call(1, 'delete'),
    method: 'tools/call',
    rpcName: 'delete',
  },
];
for (const each of mirrored) {
  verifies(
    'streaming.modern-headers',
    `mirrored headers of the modern era that are ${each.name} give method and name`,
    async () => {
      const entry = await observe({ headers: [...MODERN, ...each.headers], body: each.body }, '{}');
      assert.equal(entry['rpc_method'], each.method);
      assert.equal(entry['rpc_name'], each.rpcName);
      const got = upstream.requests.at(-1);
      assert.deepEqual(got?.values('mcp-method'), [each.headers[1]], 'they travel on as they came');
    },
  );
}

verifies('streaming.modern-headers', 'mirrored headers of a legacy request mean nothing', async () => {
  const headers = ['MCP-Protocol-Version', '2025-11-25', 'Mcp-Method', 'tools/list', 'Mcp-Name', 'x'];
  const entry = await observe({ headers, body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }, '{}');
  assert.equal(entry['rpc_method'], 'notifications/initialized');
  assert.equal(entry['rpc_name'], null);
});

const lastBytes = [
  {
    name: 'JSON with a length',
    type: { ...JSON_TYPE, 'content-length': '36' },
    first: '{"jsonrpc":"2.0",',
    last: '"id":1,"result":{}}',
    rest: '',
  },
  { name: 'chunked JSON', type: JSON_TYPE, first: '{"jsonrpc":"2.0",', last: '"id":1,"result":{}}', rest: '\n' },
  {
    name: 'an event stream that stays open',
    type: STREAM,
    first: ': x\n\ndata: {"jsonrpc":"2.0",',
    last: '"id":1,"result":{}}\n\n',
    rest: ': bye\n\n',
  },
  {
    name: 'the response in an event stream with a length',
    type: { ...STREAM, 'content-length': '52' },
    first: ': x\n\ndata: {"jsonrpc":"2.0",',
    last: '"id":1,"result":{}}\n\n',
    rest: '\n\n\n',
  },
];
for (const { name, type, first, last, rest } of lastBytes) {
  verifies('log.one-entry-per-exchange', `the entry is in the file when the last byte of ${name} arrives`, async () => {
    const more = deferred();
    const done = deferred();
    answerWith(async (incoming, response) => {
      incoming.resume();
      response.writeHead(200, type).write(first);
      await more.promise;
      response.write(last);
      await done.promise;
      response.end(rest);
    });
    const id = `last-byte-of-${name.replaceAll(' ', '-')}`;
    const reply = await openStream(url, { method: 'POST', headers: [...POST, 'X-Request-Id', id], body: call(1) });
    await readUntil(reply, (text) => text === first);
    assert.equal(entryOf(id), undefined);
    more.resolve();
    await readUntil(reply, (text) => text === last);
    assert.notEqual(entryOf(id), undefined, 'the entry came after the answer');
    done.resolve();
    assert.equal((await digestOf(reply.chunks)).bytes, rest.length);
  });
}
