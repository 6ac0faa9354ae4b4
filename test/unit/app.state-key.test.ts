import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadStateKey } from '../../src/app/state-key.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const places: readonly {
  readonly title: string;
  readonly env: (dir: string) => Record<string, string>;
  readonly at: string;
}[] = [
  { title: 'the directory of the service', env: (dir) => ({ STATE_DIRECTORY: dir }), at: 'seal.key' },
  { title: 'the first of several', env: (dir) => ({ STATE_DIRECTORY: `${dir}:/nowhere` }), at: 'seal.key' },
  { title: 'the directory of the desktop', env: (dir) => ({ XDG_STATE_HOME: dir }), at: 'mcproxy/seal.key' },
  {
    title: 'the directory of the service before that of the desktop',
    env: (dir) => ({ STATE_DIRECTORY: join(dir, 'own'), XDG_STATE_HOME: dir }),
    at: 'own/seal.key',
  },
];
for (const { title, env, at } of places) {
  verifies('gateway.servers.state-key', `${title} keeps the key for the next process`, (t) => {
    const dir = makeTempDir(t);
    const first = loadStateKey(env(dir));
    assert.equal(first.trouble, undefined);
    assert.deepEqual(Buffer.from(first.key), readFileSync(join(dir, at)));
    assert.equal(statSync(join(dir, at)).mode & 0o777, 0o600);
    assert.deepEqual(Buffer.from(loadStateKey(env(dir)).key), Buffer.from(first.key));
  });
}

const troubles: readonly { readonly title: string; readonly make: (path: string) => void; readonly trouble: RegExp }[] =
  [
    {
      title: 'a key that others can read',
      make(path) {
        writeFileSync(path, Buffer.alloc(32, 1));
        chmodSync(path, 0o644);
      },
      trouble: /others can read it; run: chmod 600 .*seal\.key$/,
    },
    {
      title: 'a key of another length',
      make: (path) => writeFileSync(path, Buffer.alloc(31, 1), { mode: 0o600 }),
      trouble: /it does not hold 32 bytes/,
    },
    { title: 'a directory in its place', make: (path) => mkdirSync(path, { mode: 0o700 }), trouble: /seal\.key: / },
  ];
for (const { title, make, trouble } of troubles) {
  verifies('gateway.servers.state-key', `${title} is not used, and is told`, (t) => {
    const dir = makeTempDir(t);
    make(join(dir, 'seal.key'));
    const first = loadStateKey({ STATE_DIRECTORY: dir });
    assert.match(first.trouble ?? '', trouble);
    assert.equal(first.key.length, 32);
    assert.notDeepEqual(loadStateKey({ STATE_DIRECTORY: dir }).key, first.key);
  });
}

verifies('gateway.servers.state-key', 'without a directory each process has a key of its own', () => {
  for (const env of [{}, { STATE_DIRECTORY: '' }, { XDG_STATE_HOME: '' }]) {
    const { key, trouble } = loadStateKey(env);
    assert.match(trouble ?? '', /no state directory/);
    assert.notDeepEqual(loadStateKey(env).key, key);
  }
});
