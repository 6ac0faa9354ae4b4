import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  type watch,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { readOperatorFile } from '../../src/app/operator-file.ts';
import { watchFiles, type FileWatch, type WatchOptions } from '../../src/app/watch.ts';
import { waitFor } from '../support/wait.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-watch-'));
after(() => rmSync(root, { recursive: true }));

interface Watched {
  readonly directory: string;
  readonly watch: FileWatch;
  /** Resolves at the next report, rejects when none comes within the second that is promised. */
  changed(): Promise<void>;
  readonly count: () => number;
}

/** Watches `names` in a fresh directory, once the watch knows what is there. */
async function start(
  names: string[],
  prepare: (directory: string) => void,
  options: WatchOptions = {},
): Promise<Watched> {
  const directory = mkdtempSync(join(root, 'd'));
  prepare(directory);
  const files = names.map((name) => join(directory, name));
  const known = new Map<string, string>();
  for (const file of files) known.set(file, (await readOperatorFile(file)).digest);
  let count = 0;
  let told: (() => void) | undefined;
  const watch = watchFiles(
    files,
    () => {
      count += 1;
      told?.();
    },
    { known, ...options },
  );
  const changed = (): Promise<void> => {
    const before = count;
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error('no report within a second')), 1_000);
      told = () => {
        clearTimeout(timer);
        done();
      };
      if (count > before) told();
    });
  };
  return { directory, watch, changed, count: () => count };
}

/** Kubernetes' layout: tokens.yml → ..data/tokens.yml, ..data → a directory with a time stamp. */
function mountVersion(directory: string, version: string, text: string): void {
  mkdirSync(join(directory, version));
  writeFileSync(join(directory, version, 'tokens.yml'), text);
  symlinkSync(version, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
}

const changes = [
  {
    name: 'a write in place',
    prepare: (d: string) => writeFileSync(join(d, 'tokens.yml'), 'a'),
    act: (d: string) => appendFileSync(join(d, 'tokens.yml'), 'b'),
  },
  {
    name: 'another file renamed over it',
    prepare: (d: string) => writeFileSync(join(d, 'tokens.yml'), 'a'),
    act: (d: string) => {
      writeFileSync(join(d, 'tmp'), 'b');
      renameSync(join(d, 'tmp'), join(d, 'tokens.yml'));
    },
  },
  {
    name: 'a deletion',
    prepare: (d: string) => writeFileSync(join(d, 'tokens.yml'), 'a'),
    act: (d: string) => unlinkSync(join(d, 'tokens.yml')),
  },
  {
    name: 'a creation',
    prepare: () => undefined,
    act: (d: string) => writeFileSync(join(d, 'tokens.yml'), 'a'),
  },
  {
    name: 'a change of the mode',
    prepare: (d: string) => writeFileSync(join(d, 'tokens.yml'), 'a', { mode: 0o600 }),
    act: (d: string) => chmodSync(join(d, 'tokens.yml'), 0o644),
  },
  {
    name: 'a swap of the directory behind a link',
    prepare: (d: string) => {
      mountVersion(d, '..1', 'a');
      symlinkSync('..data/tokens.yml', join(d, 'tokens.yml'));
    },
    act: (d: string) => mountVersion(d, '..2', 'b'),
  },
];
for (const { name, prepare, act } of changes) {
  for (const events of [true, false]) {
    test(`${name} is noticed within a second ${events ? 'with' : 'without'} file events`, async () => {
      const blind = (() => {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      }) as unknown as typeof watch;
      const watched = await start(['tokens.yml'], prepare, events ? {} : { watchDirectory: blind });
      try {
        const changed = watched.changed();
        act(watched.directory);
        await changed;
        assert.equal(watched.count(), 1);
      } finally {
        watched.watch.close();
      }
    });
  }
}

test('two changes in a row are both noticed', async () => {
  const watched = await start(['a.yml', 'b.yml'], (d) => writeFileSync(join(d, 'a.yml'), '1'));
  try {
    for (const [name, text] of [
      ['a.yml', '2'],
      ['b.yml', '1'],
      ['a.yml', '3'],
    ] as const) {
      const changed = watched.changed();
      writeFileSync(join(watched.directory, `${name}.tmp`), text);
      renameSync(join(watched.directory, `${name}.tmp`), join(watched.directory, name));
      await changed;
    }
  } finally {
    watched.watch.close();
  }
});

test('a directory that is replaced, and one that does not exist yet, are noticed', async () => {
  const watched = await start(['conf/tokens.yml'], () => undefined);
  try {
    let changed = watched.changed();
    mkdirSync(join(watched.directory, 'conf'));
    writeFileSync(join(watched.directory, 'conf', 'tokens.yml'), 'a');
    await changed;
    changed = watched.changed();
    mkdirSync(join(watched.directory, 'next'));
    writeFileSync(join(watched.directory, 'next', 'tokens.yml'), 'b');
    renameSync(join(watched.directory, 'conf'), join(watched.directory, 'old'));
    renameSync(join(watched.directory, 'next'), join(watched.directory, 'conf'));
    await changed;
    changed = watched.changed();
    writeFileSync(join(watched.directory, 'conf', 'tokens.yml'), 'c');
    await changed;
  } finally {
    watched.watch.close();
  }
});

test('a write of the same text and a new time stamp are no change', async () => {
  const watched = await start(['tokens.yml', 'other.yml'], (d) => writeFileSync(join(d, 'tokens.yml'), 'a'));
  try {
    writeFileSync(join(watched.directory, 'tokens.yml'), 'a');
    utimesSync(join(watched.directory, 'tokens.yml'), 1, 1);
    // What comes after is reported alone, so what came before was looked at and passed over.
    await delay(300);
    const changed = watched.changed();
    writeFileSync(join(watched.directory, 'other.yml'), 'x');
    await changed;
    assert.equal(watched.count(), 1);
  } finally {
    watched.watch.close();
  }
});

test('a change between reading and watching is noticed', async () => {
  const directory = mkdtempSync(join(root, 'd'));
  const path = join(directory, 'tokens.yml');
  writeFileSync(path, 'a');
  const known = new Map([[path, (await readOperatorFile(path)).digest]]);
  writeFileSync(path, 'b');
  await new Promise<void>((done, failed) => {
    const timer = setTimeout(() => failed(new Error('no report within a second')), 1_000);
    const watched = watchFiles(
      [path],
      () => {
        clearTimeout(timer);
        watched.close();
        done();
      },
      { known },
    );
  });
});

test('a file that never goes quiet is reported all the same', async () => {
  const watched = await start(['tokens.yml'], (d) => writeFileSync(join(d, 'tokens.yml'), ''));
  const writing = setInterval(() => appendFileSync(join(watched.directory, 'tokens.yml'), 'x'), 20);
  try {
    await watched.changed();
  } finally {
    clearInterval(writing);
    watched.watch.close();
  }
});

test('files that are added later are watched, files that are dropped are not', async () => {
  const watched = await start(['a.yml'], (d) => writeFileSync(join(d, 'a.yml'), '1'));
  const path = join(watched.directory, 'b.yml');
  try {
    await watched.watch.update([path]);
    const changed = watched.changed();
    writeFileSync(join(watched.directory, 'a.yml'), '2');
    writeFileSync(path, '1');
    await changed;
    assert.equal(watched.count(), 1);
  } finally {
    watched.watch.close();
  }
});

test('a lack of file events is told once', async () => {
  const reasons: string[] = [];
  const watched = await start(['a.yml', 'conf/b.yml'], (d) => mkdirSync(join(d, 'conf')), {
    watchDirectory: (() => {
      throw Object.assign(new Error('too many'), { code: 'EMFILE' });
    }) as unknown as typeof watch,
    onFallback: (reason) => reasons.push(reason),
  });
  try {
    const changed = watched.changed();
    writeFileSync(join(watched.directory, 'a.yml'), 'x');
    await changed;
    assert.deepEqual(reasons, ['EMFILE']);
  } finally {
    watched.watch.close();
  }
});

test('a file that could not be read for a while is reported again when it can, though nobody touches it', async () => {
  let isShort = false;
  let failures = 0;
  const watched = await start(['a.yml'], (d) => writeFileSync(join(d, 'a.yml'), '1'), {
    async read(path) {
      if (!isShort) return readOperatorFile(path);
      failures += 1;
      const said = { text: 'the file cannot be read (EMFILE)', fix: '', line: undefined, denied: false, passing: true };
      return { path, state: 'unusable', digest: said.text, ...said };
    },
  });
  try {
    isShort = true;
    const unreadable = watched.changed();
    writeFileSync(join(watched.directory, 'a.yml'), '2');
    await unreadable;
    // The event, and the first look at the stamps, are over.
    await waitFor(() => failures > 3);
    isShort = false;
    await watched.changed();
    assert.equal(watched.count(), 2);
  } finally {
    watched.watch.close();
  }
});
