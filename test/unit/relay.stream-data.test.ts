import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createStreamData } from '../../src/relay/stream-data.ts';
import { createSseDecoder } from '../../src/text/sse.ts';

interface Seen {
  readonly events: string[];
  readonly boundaries: boolean[];
}

function read(chunks: readonly Buffer[]): Seen {
  const events: string[] = [];
  const boundaries: boolean[] = [];
  let data: Buffer[] = [];
  const reader = createStreamData({
    onBegin: () => (data = []),
    onData: (bytes) => data.push(Buffer.from(bytes)),
    onEvent: () => events.push(Buffer.concat(data).toString('utf8')),
  });
  for (const chunk of chunks) {
    reader.feed(chunk);
    boundaries.push(reader.atBoundary);
  }
  return { events, boundaries };
}

const cases = [
  { name: 'one event', in: ['data: {"a":1}\n\n'], events: ['{"a":1}'], boundaries: [true] },
  { name: 'no space, and one space only', in: ['data:a\n\ndata:  b\n\n'], events: ['a', ' b'], boundaries: [true] },
  { name: 'several lines', in: ['data: a\ndata\ndata:\ndata: b\n\n'], events: ['a\n\n\nb'], boundaries: [true] },
  {
    name: 'other fields and a comment',
    in: ['event: x\n', ': c\n', 'id: 1\n\n'],
    events: [],
    boundaries: [false, false, true],
  },
  { name: 'a comment is no event', in: [': half', ' a comment\n', '\n'], events: [], boundaries: [false, true, true] },
  {
    name: 'names that only resemble it',
    in: ['dat: a\ndatax: b\n data: c\ndata : d\n\n'],
    events: [],
    boundaries: [true],
  },
  { name: 'a byte order mark', in: ['\ufeffdata: a\n\n\ufeffdata: b\n\n'], events: ['a'], boundaries: [true] },
  {
    name: 'CRLF that is cut',
    in: ['data: a\r', '\n\r', '\ndata: b\r\n\r\n'],
    events: ['a', 'b'],
    boundaries: [false, true, true],
  },
  { name: 'an unfinished event', in: ['data: a\n'], events: [], boundaries: [false] },
];
for (const each of cases) {
  test(`event data: ${each.name}`, () => {
    const chunks = each.in.map((text) => Buffer.from(text));
    assert.deepEqual(read(chunks), { events: each.events, boundaries: each.boundaries });
    const bytes = Array.from(Buffer.concat(chunks), (byte) => Buffer.from([byte]));
    assert.deepEqual(read(bytes).events, each.events, 'byte by byte');
  });
}

const line = fc.constantFrom(
  '',
  '',
  'data',
  'data:',
  'data: {"a":1}',
  'data:é',
  'event: message',
  'id: 7',
  ': c',
  ':',
  'dat',
  '\ufeffdata: x',
);
const stream = fc
  .tuple(
    fc.constantFrom('', '\ufeff'),
    fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 }),
  )
  .map(([mark, lines]) => Buffer.from(mark + lines.flat().join('')));

test('event data: any cut gives what the decoder gives', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(40), { maxLength: 10 }), (bytes, cuts) => {
      const events: string[] = [];
      const decoder = createSseDecoder({ onEvent: ({ data }) => void events.push(data) });
      decoder.feed(bytes);
      // Blocks without data are events to the decoder only, with empty data; they say nothing here.
      const chunks: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) chunks.push(bytes.subarray(at, (at += cut)));
      chunks.push(bytes.subarray(at));
      const seen = read(chunks);
      assert.deepEqual(
        seen.events.filter((data) => data !== ''),
        events.filter((data) => data !== ''),
      );
      // A comment may follow the mark alone, which the decoder still takes for a line.
      if (bytes.toString() !== '\ufeff') assert.equal(seen.boundaries.at(-1), decoder.atBoundary);
    }),
  );
});
