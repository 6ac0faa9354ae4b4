import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { readOperatorFile } from '../../src/app/operator-file.ts';
import { CONFIG_BYTES_MAX } from '../../src/limits.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcproxy-file-'));
after(() => rmSync(directory, { recursive: true }));

test('a readable file gives its text without byte order mark and its mode', async () => {
  const path = join(directory, 'plain.yml');
  writeFileSync(path, '\uFEFFlisten: 1\n');
  chmodSync(path, 0o640);
  const file = await readOperatorFile(path);
  assert.equal(file.state, 'read');
  assert.equal(file.text, 'listen: 1\n');
  assert.equal(file.mode, 0o640);
});

test('the digest tells apart content, mode and absence, and nothing else', async () => {
  const path = join(directory, 'digest.yml');
  const digests = new Set<string>();
  const note = async (): Promise<void> => void digests.add((await readOperatorFile(path)).digest);
  await note();
  writeFileSync(path, 'a');
  await note();
  writeFileSync(path, 'b');
  await note();
  chmodSync(path, 0o600);
  await note();
  assert.equal(digests.size, 4);
  writeFileSync(path, 'b');
  await note();
  assert.equal(digests.size, 4);
});

const unusable = [
  { name: 'a directory', make: (path: string) => mkdirSync(path), text: /directory/ },
  {
    name: 'a named pipe that nobody writes',
    make: (path: string) => execFileSync('mkfifo', [path]),
    text: /no regular/,
  },
  {
    name: 'a file over the bound',
    make: (path: string) => {
      writeFileSync(path, '');
      truncateSync(path, CONFIG_BYTES_MAX + 1);
    },
    text: /at most 4194304/,
  },
];
for (const { name, make, text } of unusable) {
  test(`${name} is refused with a reason`, { timeout: 5_000 }, async () => {
    const path = join(directory, name.replaceAll(' ', '-'));
    make(path);
    const file = await readOperatorFile(path);
    assert.equal(file.state, 'unusable');
    assert.match(file.text, text);
  });
}

test('a file that is not UTF-8 is refused with the line where it stops being so', async () => {
  const path = join(directory, 'latin1.yml');
  writeFileSync(path, Buffer.concat([Buffer.from('a: é\nb: '), Buffer.from([0xe9, 0x0a])]));
  const file = await readOperatorFile(path);
  assert.equal(file.state, 'unusable');
  assert.equal(file.line, 2);
});
