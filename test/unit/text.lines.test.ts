import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { createByteHold, createLineFramer } from '../../src/text/lines.ts';

function lines(chunks: readonly (string | Buffer)[], end = true): string[] {
  const seen: string[] = [];
  const framer = createLineFramer({ onLine: (line) => seen.push(line) });
  for (const chunk of chunks) framer.feed(Buffer.from(chunk));
  if (end) framer.end();
  return seen;
}

const cases = [
  { name: 'each newline ends a line', in: ['{"a":1}\n{"b":2}\n'], out: ['{"a":1}', '{"b":2}'] },
  { name: 'a line may come in pieces', in: ['{"a"', ':1', '}\n{'], out: ['{"a":1}', '{'] },
  { name: 'a carriage return before the newline is dropped', in: ['a\r', '\nb\rc\n'], out: ['a', 'b\rc'] },
  { name: 'empty lines are not reported', in: ['\n\r\n\na\n\n'], out: ['a'] },
  { name: 'an unterminated last line is reported at the end', in: ['a\nb'], out: ['a', 'b'] },
  { name: 'U+2028 does not end a line', in: ['a\u2028b\n'], out: ['a\u2028b'] },
  { name: 'a character cut in two is one character', in: [Buffer.from([0xc3]), Buffer.from([0xa9, 0x0a])], out: ['é'] },
  {
    name: 'bytes that are not UTF-8 are replaced and the next line is whole',
    in: [Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a])],
    out: ['a\ufffd', 'b'],
  },
];
for (const c of cases) test(`framing: ${c.name}`, () => assert.deepEqual(lines(c.in), c.out));

test('an unterminated line is not reported before the end', () => assert.deepEqual(lines(['a\nb'], false), ['a']));

test('a line over its bound is an error as soon as that is known, also without a newline', () => {
  const framer = createLineFramer({ lineBytesMax: 10, onLine: () => undefined });
  framer.feed(Buffer.from('0123456789\n012345'));
  assert.throws(
    () => framer.feed(Buffer.from('67890')),
    (error) => error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL',
  );
});

test('a hold keeps bytes of its own, in order', () => {
  const hold = createByteHold();
  const chunk = Buffer.from('ab');
  hold.append(chunk);
  chunk.fill(0x78);
  hold.append(Buffer.from('c'));
  assert.equal(hold.length, 3);
  assert.equal(hold.take().toString(), 'abc');
  assert.equal(hold.length, 0);
  assert.equal(hold.take().length, 0);
});
