import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { editFile } from '../../src/app/edit-file.ts';
import { ProxyError } from '../../src/errors.ts';
import { verifies } from '../support/verifies.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-edit-'));
after(() => rmSync(root, { recursive: true }));
const fresh = (): string => mkdtempSync(join(root, 'd'));

verifies('identity.token-edit-in-place', 'a changed file keeps its mode and leaves nothing else behind', async () => {
  const directory = fresh();
  const path = join(directory, 'tokens.yml');
  writeFileSync(path, 'a\n');
  chmodSync(path, 0o604);
  assert.equal(await editFile(path, (text) => `${text}b\n`), path);
  assert.equal(readFileSync(path, 'utf8'), 'a\nb\n');
  assert.equal(statSync(path).mode & 0o777, 0o604);
  assert.deepEqual(readdirSync(directory), ['tokens.yml']);
});

test('owner and group are kept', { skip: process.getuid?.() !== 0 }, async () => {
  const { chownSync } = await import('node:fs');
  const path = join(fresh(), 'tokens.yml');
  writeFileSync(path, 'a');
  chownSync(path, 12_345, 54_321);
  await editFile(path, () => 'b');
  const { uid, gid } = statSync(path);
  assert.deepEqual({ uid, gid }, { uid: 12_345, gid: 54_321 });
});

test('a file that does not exist is made together with its directory, closed to others', async () => {
  const path = join(fresh(), 'new', 'tokens.yml');
  await editFile(path, (text) => `${text}made`);
  assert.equal(readFileSync(path, 'utf8'), 'made');
  assert.equal(statSync(path).mode & 0o027, 0);
});

test('of a chain of links the last target is changed and the links stay', async () => {
  const directory = fresh();
  const target = join(directory, 'target.yml');
  writeFileSync(target, 'a');
  symlinkSync('target.yml', join(directory, 'middle.yml'));
  symlinkSync(join(directory, 'middle.yml'), join(directory, 'tokens.yml'));
  assert.equal(await editFile(join(directory, 'tokens.yml'), () => 'b'), target);
  assert.equal(readFileSync(target, 'utf8'), 'b');
  assert.deepEqual(readdirSync(directory).toSorted(), ['middle.yml', 'target.yml', 'tokens.yml']);
  assert.ok(!statSync(target).isSymbolicLink());
});

test('a link to what does not exist yet makes the target', async () => {
  const directory = fresh();
  symlinkSync('later.yml', join(directory, 'tokens.yml'));
  await editFile(join(directory, 'tokens.yml'), () => 'x');
  assert.equal(readFileSync(join(directory, 'later.yml'), 'utf8'), 'x');
});

test('a change that throws leaves file and lock as they were', async () => {
  const directory = fresh();
  const path = join(directory, 'tokens.yml');
  writeFileSync(path, 'a');
  const failure = new ProxyError('CONFIG_INVALID', 'no');
  await assert.rejects(
    editFile(path, () => {
      throw failure;
    }),
    failure,
  );
  assert.equal(readFileSync(path, 'utf8'), 'a');
  assert.deepEqual(readdirSync(directory), ['tokens.yml']);
});

test('twenty changes at once are all in the file', async () => {
  const path = join(fresh(), 'tokens.yml');
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  await Promise.all(lines.map((line) => editFile(path, (text) => `${text}${line}\n`)));
  assert.deepEqual(readFileSync(path, 'utf8').trimEnd().split('\n').toSorted(), lines.toSorted());
});

test('the lock of a dead process is taken over', async () => {
  const directory = fresh();
  const path = join(directory, 'tokens.yml');
  // No process has this number: it is over the kernel's bound.
  writeFileSync(`${path}.lock`, `4194305 ${hostname()} 0123456789ab\n`);
  await editFile(path, () => 'x');
  assert.equal(readFileSync(path, 'utf8'), 'x');
  assert.ok(!existsSync(`${path}.lock`));
});

test('twenty changes that all find a dead lock are all in the file', async () => {
  const path = join(fresh(), 'tokens.yml');
  writeFileSync(`${path}.lock`, `4194305 ${hostname()} 0123456789ab\n`);
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  await Promise.all(lines.map((line) => editFile(path, (text) => `${text}${line}\n`)));
  assert.deepEqual(readFileSync(path, 'utf8').trimEnd().split('\n').toSorted(), lines.toSorted());
});
