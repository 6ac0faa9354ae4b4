import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { after } from 'node:test';
import { openStream, readUntil, send, sendRaw } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  call,
  deferred,
  digestOf,
  GET,
  JSON_TYPE,
  POST,
  startStreamingApp,
  STREAM,
  TOKEN,
} from '../support/streaming-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const { app, upstream, answerWith, entryWhenWritten, url } = await startStreamingApp({ after });
after(() => checkNothingLeft());

const MIB = 1024 * 1024;

function sse(value: unknown): string {
  return `event: message\ndata: ${JSON.stringify(value)}\n\n`;
}

interface Hold {
  readonly response: ServerResponse;
  readonly closed: Promise<unknown>;
}

/** The upstream keeps every answer open after these bytes and tells when its side is closed. */
function holdAnswers(text: string, headers: Readonly<Record<string, string>>): { next: Promise<Hold> } {
  const held: { next: Promise<Hold>; set?: (hold: Hold) => void } = {
    next: new Promise((resolve) => {
      answerWith((incoming, response) => {
        incoming.resume();
        const closed = once(response, 'close');
        response.writeHead(200, headers).write(text);
        resolve({ response, closed });
      });
    }),
  };
  return held;
}

const departures = [
  { name: 'a GET stream', method: 'GET', headers: GET, type: STREAM, sent: ': hello\n\n', code: null, outcome: 'ok' },
  {
    name: 'a POST stream',
    method: 'POST',
    headers: POST,
    type: STREAM,
    sent: ': hello\n\n',
    code: 'CLIENT_GONE',
    outcome: 'cancelled',
  },
  {
    name: 'a JSON answer',
    method: 'POST',
    headers: POST,
    type: JSON_TYPE,
    sent: '{"jsonrpc":',
    code: 'CLIENT_GONE',
    outcome: 'cancelled',
  },
] as const;
for (const each of departures) {
  verifies('streaming.client-gone', `a client that leaves ${each.name} closes the upstream at once`, async () => {
    const held = holdAnswers(each.sent, each.type);
    const id = `gone-${each.name.replaceAll(' ', '-')}`;
    const body = each.method === 'POST' ? { body: call(1) } : {};
    const reply = await openStream(url, {
      method: each.method,
      headers: [...each.headers, 'X-Request-Id', id],
      ...body,
    });
    await readUntil(reply, (text) => text === each.sent);
    reply.close();
    await within((await held.next).closed, { what: 'the end of the upstream request' });
    const entry = await entryWhenWritten(id);
    assert.equal(entry['error_code'], each.code);
    assert.equal(entry['outcome'], each.outcome);
  });
}

verifies(
  'streaming.client-gone',
  'a client that leaves before the answer begins closes the upstream and is logged',
  async () => {
    const asked = deferred();
    const closed = deferred();
    answerWith((_incoming, response) => {
      response.on('close', closed.resolve);
      asked.resolve();
    });
    const controller = new AbortController();
    const headers = [...POST, 'X-Request-Id', 'gone-early'];
    const sent = send(url, { method: 'POST', headers, body: call(1), signal: controller.signal });
    await within(asked.promise);
    controller.abort();
    await assert.rejects(sent);
    await within(closed.promise, { what: 'the end of the upstream request' });
    const entry = await entryWhenWritten('gone-early');
    assert.equal(entry['error_code'], 'CLIENT_GONE');
    assert.equal(entry['http_status'], 499);
  },
);

verifies(
  'streaming.client-gone',
  'a client that leaves in the middle of its upload takes the upstream request with it',
  async () => {
    const broken = deferred();
    answerWith((incoming) => {
      incoming.resume().on('error', broken.resolve);
    });
    const outgoing = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: ['Host', 'localhost', ...POST, 'X-Request-Id', 'gone-up'],
    });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.alloc(MIB, ' '));
    await waitFor(() => upstream.requests.some((request) => request.values('x-request-id').includes('gone-up')));
    outgoing.destroy();
    await within(broken.promise, { what: 'a cut upload at the upstream' });
    assert.equal((await entryWhenWritten('gone-up'))['error_code'], 'CLIENT_GONE');
  },
);

const breaks = [
  { name: 'in an event stream', type: STREAM, sent: 'data: {"jsonrpc"' },
  { name: 'in chunked JSON', type: JSON_TYPE, sent: '{"jsonrpc":"2.0",' },
  { name: 'in JSON with a length', type: { ...JSON_TYPE, 'content-length': '1000' }, sent: '{"jsonrpc":"2.0",' },
];
for (const each of breaks) {
  verifies(
    'streaming.upstream-gone',
    `an upstream that leaves ${each.name} cuts the connection of the client`,
    async () => {
      const held = holdAnswers(each.sent, each.type);
      const id = `broken-${each.name.replaceAll(' ', '-')}`;
      const reply = await openStream(url, { method: 'POST', headers: [...POST, 'X-Request-Id', id], body: call(1) });
      await readUntil(reply, (text) => text === each.sent);
      (await held.next).response.destroy();
      await assert.rejects(digestOf(reply.chunks), /aborted|ECONNRESET/);
      const entry = await entryWhenWritten(id);
      assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
      assert.equal(entry['outcome'], 'upstream_error');
    },
  );
}

verifies('streaming.upstream-gone', 'what an upstream sent right before it left still arrives', async () => {
  const response = sse({ jsonrpc: '2.0', id: 3, result: { text: 'last words' } });
  answerWith((incoming, up) => {
    incoming.resume();
    up.writeHead(200, STREAM).write(response, () => up.socket?.destroySoon());
  });
  const reply = await openStream(url, { method: 'POST', headers: POST, body: call(3) });
  assert.equal(await readUntil(reply, (text) => text.endsWith('\n\n')), response);
  await assert.rejects(digestOf(reply.chunks));
});

verifies(
  'streaming.early-answer',
  'an answer before the upload is complete arrives, and the upload is dropped',
  async () => {
    answerWith((_incoming, response) => {
      response.writeHead(413, JSON_TYPE).end('{"error":"too much"}');
    });
    const outgoing = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: ['Host', 'localhost', ...POST, 'X-Request-Id', 'early'],
    });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.alloc(MIB, ' '));
    const [reply] = (await within(once(outgoing, 'response'), { what: 'the early answer' })) as [IncomingMessage];
    assert.equal(reply.statusCode, 413);
    assert.equal((await digestOf(reply)).bytes, 20);
    assert.equal((await entryWhenWritten('early'))['http_status'], 413);
    await within(once(outgoing, 'close'), { what: 'the end of the connection' });
  },
);

verifies('streaming.early-answer', 'a refusal arrives whole although the upload goes on', async () => {
  const refused = await new Promise<string>((resolve, reject) => {
    const socket = connect(app.port, '127.0.0.1');
    let text = '';
    let refusedAt = 0;
    const writeOn = (): void => {
      // Writes on for a while after the answer, as a client does that looks at answers later.
      while (refusedAt < 50 && socket.writable && socket.write(Buffer.alloc(16 * 1024)))
        refusedAt += text === '' ? 0 : 1;
    };
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket
      .on('drain', writeOn)
      .on('error', reject)
      .on('close', () => resolve(text))
      .on('end', () => socket.destroy());
    socket.write(
      `POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${1024 * MIB}\r\n\r\n`,
    );
    writeOn();
  });
  assert.match(refused, /^HTTP\/1\.1 401 /);
  assert.match(refused, /connection: close/i);
  assert.match(refused, /"AUTH_MISSING"/);
});

verifies(
  'streaming.connections',
  'connections on both sides are used again, without listeners that pile up',
  async () => {
    const sockets = new Set<unknown>();
    answerWith((incoming, response) => {
      sockets.add(incoming.socket);
      incoming.resume();
      const isEmpty = sockets.size > 0 && upstream.requests.length % 2 === 0;
      // An empty answer is one too: its connection must come back.
      if (isEmpty) response.writeHead(202, { 'content-length': '0' }).end();
      else response.writeHead(200, JSON_TYPE).end('{"jsonrpc":"2.0","id":1,"result":{}}');
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let round = 0; round < 30; round += 1) {
      // Every third one is refused, which must not cost the connection either.
      const token = round % 3 === 0 ? 'Bearer wrong-token' : `Bearer ${TOKEN}`;
      const outgoing = httpRequest(url, {
        method: 'POST',
        agent,
        headers: { authorization: token, 'content-type': 'application/json' },
      });
      outgoing.end(call(round));
      // oxlint-disable-next-line no-await-in-loop
      const [reply] = (await once(outgoing, 'response')) as [IncomingMessage];
      ports.add(reply.socket.localPort);
      assert.equal(reply.statusCode, round % 3 === 0 ? 401 : reply.statusCode);
      // oxlint-disable-next-line no-await-in-loop
      await digestOf(reply);
    }
    agent.destroy();
    assert.equal(ports.size, 1, 'one connection of the client');
    assert.equal(sockets.size, 1, 'one connection to the upstream');
    assert.doesNotMatch(app.stderr(), /MaxListenersExceededWarning/);
  },
);

for (const status of [204, 304]) {
  verifies('streaming.connections', `an answer ${status} has no body and ends`, async () => {
    answerWith((incoming, response) => {
      incoming.resume();
      response.writeHead(status, { etag: '"x"' }).end();
    });
    const reply = await within(send(url, { method: 'DELETE', headers: GET }));
    assert.equal(reply.status, status);
    assert.equal(reply.header('etag'), '"x"');
    assert.equal(reply.body.length, 0);
  });
}

verifies('streaming.client-gone', 'a client that closes its sending side is gone', async () => {
  const held = holdAnswers('data: ', STREAM);
  const text = await sendRaw(
    `POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Request-Id: half-closed\r\n\r\n{}`,
    { port: app.port },
  );
  assert.doesNotMatch(text, /0\r\n\r\n$/, 'no clean end');
  const entry = await entryWhenWritten('half-closed');
  assert.equal(entry['error_code'], 'CLIENT_GONE');
  void held.next.then(({ response }) => response.destroy());
});
