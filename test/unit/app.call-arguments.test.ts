import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { readArguments } from '../../src/app/call-arguments.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const GOOD = [
  { name: 'nothing', words: [], value: {} },
  { name: 'JSON', words: ['{"a": [1]}'], value: { a: [1] } },
  {
    name: 'pairs',
    words: ['a=1', 'b:=1', 'c=x:=y', 'd:={"e": "="}'],
    value: { a: '1', b: 1, c: 'x:=y', d: { e: '=' } },
  },
  { name: 'an empty text', words: ['a='], value: { a: '' } },
  { name: 'standard input', words: ['-'], value: { a: 'é' } },
] as const;
for (const { name, words, value } of GOOD) {
  verifies('cli.call-arguments', `arguments are read from ${name}`, async () => {
    assert.deepEqual(await readArguments(words, Readable.from(['{"a"', ': "é"}'])), value);
  });
}

const BAD = [
  { name: 'text that is no JSON', words: ['{a}'], text: /are no JSON;/ },
  { name: 'JSON that is no object', words: ['[1]'], text: /are no JSON object/ },
  { name: 'two objects', words: ['{}', '{}'], text: /one JSON object, or pairs/ },
  { name: 'a pair whose JSON is none', words: ['a:=x'], text: /a:= needs JSON/ },
  { name: 'a word among pairs', words: ['a=1', 'b'], text: /"b" is no pair/ },
  { name: 'a file that is not there', words: ['@/does/not/exist'], text: /cannot be read \(ENOENT\)/ },
] as const;
for (const { name, words, text } of BAD) {
  verifies('cli.call-arguments', `${name} is refused with what to write instead`, async () => {
    const wrong = await readArguments(words, undefined);
    assert.ok(typeof wrong === 'string');
    assert.match(wrong, text);
  });
}

verifies('cli.call-arguments', 'arguments are read from a file', async (t) => {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'a.json': '{"a": 1}\n' });
  assert.deepEqual(await readArguments([`@${join(dir, 'a.json')}`], undefined), { a: 1 });
});
