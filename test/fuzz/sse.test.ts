import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { ProxyError } from '../../src/errors.ts';
import { createEndpointRewriter } from '../../src/text/sse-endpoint.ts';
import { createSseDecoder, encodeSseEvent } from '../../src/text/sse.ts';
import type { SseEvent } from '../../src/text/sse.ts';

const lineEnd = fc.constantFrom('\n', '\r', '\r\n');
const line = fc.oneof(
  fc.constantFrom(
    '',
    '',
    'data',
    'data:',
    'data: {"a":1}',
    'event: endpoint',
    'event:endpoint',
    'event: message',
    'event',
    'id: 7',
    'id',
    'retry: 30',
    'retry: x',
    ': ka',
    ':',
  ),
  fc
    .tuple(
      fc.constantFrom('data', 'event', 'id', 'dat', ' data'),
      fc.constantFrom(':', ': ', ':  ', ''),
      fc.string({ unit: 'grapheme' }),
    )
    .map((parts) => parts.join('').replace(/[\r\n\0]/g, '')),
);
const stream = fc
  .tuple(
    fc.constantFrom('', '\ufeff'),
    fc.array(fc.tuple(line, lineEnd), { maxLength: 20 }),
    fc.constantFrom('', 'data: cut', 'event: end'),
  )
  .map(([bom, lines, tail]) => bom + lines.map((parts) => parts.join('')).join('') + tail);
const cuts = fc.array(fc.nat(), { maxLength: 10 });

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...at.map((end) => end % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

function decode(chunks: readonly Buffer[]): SseEvent[] {
  const events: SseEvent[] = [];
  const decoder = createSseDecoder({ onEvent: (event) => events.push(event) });
  for (const chunk of chunks) decoder.feed(chunk);
  decoder.end();
  return events;
}

test('any cut of the same bytes gives the same events', () => {
  const bytes = fc.oneof(
    stream.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 60 }).map((list) => Buffer.from(list)),
  );
  fc.assert(
    fc.property(bytes, cuts, (whole, at) => assert.deepEqual(decode(cut(whole, at)), decode([whole]))),
    { numRuns: 3_000 },
  );
});

test('events are those of eventsource-parser', () => {
  fc.assert(
    fc.property(stream, cuts, (text, at) => {
      const expected: unknown[] = [];
      const oracle = createParser({ onEvent: (e) => expected.push({ event: e.event ?? '', data: e.data }) });
      oracle.feed(text);
      // A block without data is no event to the oracle, and the same empty text to us; neither is a message.
      const withData = (list: readonly unknown[]): unknown[] => list.filter((e) => (e as SseEvent).data !== '');
      const actual = decode(cut(Buffer.from(text), at)).map(({ event, data }) => ({ event, data }));
      assert.deepEqual(withData(actual), withData(expected));
    }),
    { numRuns: 3_000 },
  );
});

test('the last event id and the retry times are those of eventsource-parser', () => {
  fc.assert(
    fc.property(stream, (text) => {
      const retries: number[] = [];
      let lastId: string | undefined;
      const oracle = createParser({
        onEvent: () => undefined,
        onId: (id) => (lastId = id),
        onRetry: (ms) => retries.push(ms),
      });
      oracle.feed(text);
      const events = decode([Buffer.from(text)]);
      assert.equal(events.findLast((e) => e.retryMs !== undefined)?.retryMs, retries.at(-1));
      // The oracle tells an id with its line; one whose block the end cuts off does not count.
      const blocks = text.replace(/\r\n?/g, '\n');
      if (blocks.endsWith('\n\n')) assert.equal(events.findLast((e) => e.id !== undefined)?.id, lastId);
    }),
    { numRuns: 3_000 },
  );
});

test('what is encoded is decoded to the same', () => {
  const single = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n\0]/g, ''));
  const fields = fc.record({
    event: single,
    data: fc.string({ unit: 'grapheme' }).map((text) => text.replace(/\r/g, '')),
    id: single,
    retryMs: fc.nat(),
  });
  fc.assert(
    fc.property(fields, (event) => assert.deepEqual(decode([Buffer.from(encodeSseEvent(event))]), [{ ...event }])),
  );
});

/** Bytes sent on, or the code of the failure; what was sent before a failure does not count. */
function rewrite(chunks: readonly Buffer[]): Buffer | string {
  const rewriter = createEndpointRewriter((uri) => `/rewritten?${uri}`);
  try {
    const out = chunks.flatMap((chunk) => rewriter.feed(chunk));
    return Buffer.concat([...out, ...rewriter.end()]);
  } catch (error) {
    if (error instanceof ProxyError) return error.code;
    throw error;
  }
}

test('the endpoint rewriter gives the same bytes for any cut, changes endpoint events and nothing else', () => {
  fc.assert(
    fc.property(stream, cuts, (text, at) => {
      const bytes = Buffer.from(text);
      const whole = rewrite([bytes]);
      assert.deepEqual(rewrite(cut(bytes, at)), whole);
      if (typeof whole === 'string') return assert.equal(whole, 'UPSTREAM_PROTOCOL');
      const expected = decode([bytes]).map((e) =>
        e.event === 'endpoint' ? { ...e, data: `/rewritten?${e.data}` } : e,
      );
      const seen = decode([whole]);
      const facts = (list: readonly SseEvent[]): unknown =>
        list.map(({ event, data }) => ({ event, data })).filter((e) => e.data !== '');
      if (!expected.some((e) => e.event === 'endpoint' && e.data.includes('\n')))
        assert.deepEqual(facts(seen), facts(expected));
      if (!/event: ?endpoint/.test(text)) assert.deepEqual(whole, bytes);
    }),
    { numRuns: 5_000 },
  );
});
