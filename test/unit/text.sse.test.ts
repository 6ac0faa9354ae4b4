import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { createSseDecoder, encodeSseComment, encodeSseEvent } from '../../src/text/sse.ts';
import type { SseEvent } from '../../src/text/sse.ts';

function decode(text: string | Buffer): SseEvent[] {
  const events: SseEvent[] = [];
  const decoder = createSseDecoder({ onEvent: (event) => events.push(event) });
  decoder.feed(Buffer.from(text));
  decoder.end();
  return events;
}

const event = (fields: Partial<SseEvent>): SseEvent => ({
  event: '',
  data: '',
  id: undefined,
  retryMs: undefined,
  ...fields,
});

const cases = [
  { name: 'one data line is one event', text: 'data: x\n\n', events: [event({ data: 'x' })] },
  {
    name: 'data lines are joined with a newline',
    text: 'data: x\ndata:  y\ndata\n\n',
    events: [event({ data: 'x\n y\n' })],
  },
  {
    name: 'LF, CR and CRLF end lines',
    text: 'data: a\r\n\r\ndata: b\r\rdata: c\n\r\n',
    events: [event({ data: 'a' }), event({ data: 'b' }), event({ data: 'c' })],
  },
  {
    name: 'one byte order mark at the start is stripped',
    text: '\ufeffdata: x\n\n\ufeffdata: y\n\n',
    events: [event({ data: 'x' })],
  },
  { name: 'comments and unknown fields are no events', text: ': ka\n\nfoo: bar\n\n', events: [] },
  {
    name: 'event, id and retry come with the event',
    text: 'event: e\nid: 7\nretry: 1500\ndata: x\n\n',
    events: [{ event: 'e', data: 'x', id: '7', retryMs: 1500 }],
  },
  {
    name: 'the last event name of a block wins',
    text: 'event: a\nevent: b\ndata:\n\n',
    events: [event({ event: 'b' })],
  },
  {
    name: 'a priming event has an id and empty data',
    text: 'id: s3:0\nretry: 2000\ndata:\n\n',
    events: [event({ id: 's3:0', retryMs: 2000 })],
  },
  { name: 'an id without data is reported without a name', text: 'event: x\nid: 1\n\n', events: [event({ id: '1' })] },
  { name: 'an empty id is an id', text: 'id\ndata: x\n\n', events: [event({ id: '', data: 'x' })] },
  {
    name: 'an id with NUL and a retry that is no number are ignored',
    text: 'id: a\0b\nretry: 1.5\nretry: \ndata: x\n\n',
    events: [event({ data: 'x' })],
  },
  { name: 'an unfinished event is dropped at the end', text: 'data: x\n\ndata: y\n', events: [event({ data: 'x' })] },
  { name: 'the retry of an unfinished block counts', text: 'retry: 9\nid: 3\n', events: [event({ retryMs: 9 })] },
  { name: 'field names are case-sensitive', text: 'Data: x\n\n', events: [] },
];
for (const c of cases) test(`decoding: ${c.name}`, () => assert.deepEqual(decode(c.text), c.events));

test('a byte that is not UTF-8 becomes a replacement character and the stream goes on', () => {
  assert.deepEqual(decode(Buffer.from('data: \xe4\n\ndata: y\n\n', 'latin1')), [
    event({ data: '\ufffd' }),
    event({ data: 'y' }),
  ]);
});

test('an event ended by CR is reported before the byte that follows', () => {
  const events: SseEvent[] = [];
  const decoder = createSseDecoder({ onEvent: (e) => events.push(e) });
  decoder.feed(Buffer.from('data: x\r\n\r'));
  assert.equal(events.length, 1);
  decoder.feed(Buffer.from('\ndata: y\n\n'));
  assert.deepEqual(
    events.map((e) => e.data),
    ['x', 'y'],
  );
});

test('a decoder is at a boundary only between events', () => {
  const decoder = createSseDecoder({ onEvent: () => undefined });
  const steps: [string, boolean][] = [
    ['', true],
    [': comment\n', true],
    ['d', false],
    ['ata: x', false],
    ['\n', false],
    ['\n', true],
    ['id: 4\r', false],
    ['\n\r', true],
  ];
  for (const [text, expected] of steps) {
    decoder.feed(Buffer.from(text));
    assert.equal(decoder.atBoundary, expected, JSON.stringify(text));
  }
  decoder.feed(Buffer.from('data'));
  decoder.reset();
  assert.equal(decoder.atBoundary, true);
});

for (const bound of ['line', 'event'] as const) {
  const limits = bound === 'line' ? { lineBytesMax: 20 } : { eventBytesMax: 20 };
  const long = bound === 'line' ? `data: ${'x'.repeat(30)}` : 'data: 12345\ndata: 67890\ndata: !';
  const text = `data: a\n\n${long}\ndata: tail\n\ndata: b\n\n`;

  test(`an event over its ${bound} bound is an error when nobody listens`, () => {
    const decoder = createSseDecoder({ ...limits, onEvent: () => undefined });
    assert.throws(
      () => decoder.feed(Buffer.from(text)),
      (error) => error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL',
    );
  });

  test(`an event over its ${bound} bound is skipped, told once, and the next is read`, () => {
    for (const size of [1, 7, 1_000]) {
      const seen: string[] = [];
      const decoder = createSseDecoder({
        ...limits,
        onEvent: (e) => seen.push(e.data),
        onOverflow: () => seen.push('overflow'),
      });
      for (let at = 0; at < text.length; at += size) decoder.feed(Buffer.from(text.slice(at, at + size)));
      assert.deepEqual(seen, ['a', 'overflow', 'b']);
    }
  });
}

test('comments are reported without their leading space', () => {
  const comments: string[] = [];
  const decoder = createSseDecoder({ onEvent: () => undefined, onComment: (text) => comments.push(text) });
  decoder.feed(Buffer.from(':a\n:  b\n:\n'));
  assert.deepEqual(comments, ['a', ' b', '']);
});

test('a megabyte in single bytes is read in linear time', () => {
  const lengths: number[] = [];
  const decoder = createSseDecoder({ onEvent: (e) => lengths.push(e.data.length) });
  const bytes = Buffer.from(`data: ${'x'.repeat(1 << 20)}\n\n`);
  for (let at = 0; at < bytes.length; at += 1) decoder.feed(bytes.subarray(at, at + 1));
  assert.deepEqual(lengths, [1 << 20]);
});

test('an encoded event has its fields in a fixed order', () => {
  assert.equal(
    encodeSseEvent({ event: 'message', id: '1', retryMs: 5, data: 'a\nb' }),
    'event: message\nid: 1\nretry: 5\ndata: a\ndata: b\n\n',
  );
  assert.equal(encodeSseEvent({ data: '' }), 'data: \n\n');
});

test('a line break in an event name or id is refused, not written', () => {
  for (const fields of [{ event: 'a\nb' }, { id: 'a\rb' }, { id: 'a\0b' }]) {
    assert.throws(() => encodeSseEvent({ data: '', ...fields }), ProxyError);
  }
});

test('a comment never becomes an event, whatever its text', () => {
  assert.equal(encodeSseComment('ka'), ': ka\n\n');
  assert.deepEqual(decode(encodeSseComment('a\ndata: x\r\rdata: y')), []);
});
