import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { SSE_ENDPOINT_BYTES_MAX } from '../../src/limits.ts';
import { createEndpointRewriter } from '../../src/text/sse-endpoint.ts';

const rewrite = (uri: string): string => `/files${uri}`;

function run(chunks: readonly string[]): { steps: string[]; end: string } {
  const rewriter = createEndpointRewriter(rewrite);
  const text = (out: Buffer[]): string => Buffer.concat(out).toString();
  return { steps: chunks.map((chunk) => text(rewriter.feed(Buffer.from(chunk)))), end: text(rewriter.end()) };
}

const cases = [
  {
    name: 'the URI is replaced',
    in: ['event: endpoint\ndata: /m?s=1\n\n'],
    out: ['event: endpoint\ndata: /files/m?s=1\n\n'],
  },
  {
    name: 'CRLF, a byte order mark and no space',
    in: ['\ufeffevent:endpoint\r\ndata:/m\r\n\r\n'],
    out: ['event: endpoint\ndata: /files/m\n\n'],
  },
  {
    name: 'lone CR',
    in: ['event: endpoint\rdata: /m\r\rdata: x\r\r'],
    out: ['event: endpoint\ndata: /files/m\n\ndata: x\r\r'],
  },
  {
    name: 'id and retry lines stay',
    in: ['event: endpoint\nid: 1\nretry: 5\ndata: /m\n\n'],
    out: ['event: endpoint\nid: 1\nretry: 5\ndata: /files/m\n\n'],
  },
  {
    name: 'a message passes as it is',
    in: ['event: message\r\ndata: {"event: endpoint"}\r\n\r\n'],
    out: ['event: message\r\ndata: {"event: endpoint"}\r\n\r\n'],
  },
  {
    name: 'bytes of a data line pass at once',
    in: ['d', 'ata: he', 'llo', '\n', '\n'],
    out: ['d', 'ata: he', 'llo', '\n', '\n'],
  },
  {
    name: 'a beginning is held only while it may become the endpoint line',
    in: ['ev', 'ent: ', 'm', 'essage\n'],
    out: ['', '', 'event: m', 'essage\n'],
  },
  {
    name: 'a longer name is another name',
    in: ['event: endpoint', 's\ndata: /m\n\n'],
    out: ['', 'event: endpoints\ndata: /m\n\n'],
  },
  {
    name: 'the event leaves with its blank line',
    in: ['event: end', 'point\n', 'data: /m\n', '\n'],
    out: ['', '', '', 'event: endpoint\ndata: /files/m\n\n'],
  },
  {
    name: 'the event is sent on at the CR, and the LF that follows is dropped',
    in: ['event: endpoint\r\ndata: /m\r\n\r', '\ndata: x\n\n'],
    out: ['event: endpoint\ndata: /files/m\n\n', 'data: x\n\n'],
  },
  {
    name: 'an event that renames itself passes',
    in: ['event: endpoint\nevent: message\ndata: /m\n\n'],
    out: ['event: endpoint\nevent: message\ndata: /m\n\n'],
  },
  {
    name: 'an endpoint without data passes',
    in: ['event: endpoint\n\ndata: x\n\n'],
    out: ['event: endpoint\n\ndata: x\n\n'],
  },
  {
    name: 'data of an earlier event does not count',
    in: ['data: x\n\nevent: endpoint\ndata: /m\n\n'],
    out: ['data: x\n\nevent: endpoint\ndata: /files/m\n\n'],
  },
  {
    name: 'every endpoint event is replaced',
    in: ['event: endpoint\ndata: /1\n\nevent: endpoint\ndata: /2\n\n'],
    out: ['event: endpoint\ndata: /files/1\n\nevent: endpoint\ndata: /files/2\n\n'],
  },
];
for (const c of cases) test(`rewriting: ${c.name}`, () => assert.deepEqual(run(c.in), { steps: c.out, end: '' }));

test('an unfinished endpoint event is dropped at the end, an unfinished beginning is sent on', () => {
  assert.deepEqual(run(['event: endpoint\ndata: /m\n']), { steps: [''], end: '' });
  assert.deepEqual(run(['data: x\n\neve']), { steps: ['data: x\n\n'], end: 'eve' });
});

const refusals = [
  { name: 'the data came before the name', text: 'data: /m\nevent: endpoint\n\n' },
  {
    name: 'the event is longer than its bound',
    text: `event: endpoint\n${`data: ${'x'.repeat(1_000)}\n`.repeat(SSE_ENDPOINT_BYTES_MAX / 1_000 + 1)}`,
  },
  {
    name: 'one line of the event is longer than its bound',
    text: `event: endpoint\ndata: ${'x'.repeat(SSE_ENDPOINT_BYTES_MAX)}`,
  },
  { name: 'the URI has several lines', text: 'event: endpoint\ndata: /a\ndata: /b\n\n' },
];
for (const c of refusals) {
  test(`an endpoint event is refused when ${c.name}`, () => {
    assert.throws(
      () => run([c.text]),
      (error) => error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL',
    );
  });
}

test('a failure of the rewriting function reaches the caller', () => {
  const rewriter = createEndpointRewriter(() => {
    throw new ProxyError('UPSTREAM_PROTOCOL', 'foreign origin');
  });
  assert.throws(() => rewriter.feed(Buffer.from('event: endpoint\ndata: http://evil/\n\n')), /foreign origin/);
});

test('a rewriter is at a boundary only between events', () => {
  const rewriter = createEndpointRewriter(rewrite);
  const steps: [string, boolean][] = [
    ['', true],
    ['e', false],
    ['vent: endpoint\n', false],
    ['data: /m\n', false],
    ['\n', true],
    [': c\n', true],
    ['data: x\n', false],
    ['\r', true],
  ];
  for (const [text, expected] of steps) {
    rewriter.feed(Buffer.from(text));
    assert.equal(rewriter.atBoundary, expected, JSON.stringify(text));
  }
});

test('a chunk without an endpoint event is passed on without a copy', () => {
  const chunk = Buffer.from('event: message\ndata: x\n\n');
  const [out, ...more] = createEndpointRewriter(rewrite).feed(chunk);
  assert.equal(more.length, 0);
  assert.equal(out?.buffer, chunk.buffer);
});
