/**
 * Noticing that one of a few files has become another, within a second, whatever way it was changed.
 *
 * Two senses, because neither is enough: events of the directories (prompt: an editor's rename-over, a write in
 * place, Kubernetes' swap of the `..data` link) and a look at the files each `WATCH_POLL_MS` (sure: network file
 * systems and bind mounts send no events, and a directory that is replaced or not there yet has none to send). That
 * look is libuv's, which compares by itself and calls only for a change: an idle process makes no garbage with it.
 * `onChange` is called only when the digest of a file has changed (existence, mode or content), once things are
 * quiet for `RELOAD_DEBOUNCE_MS`. It does not read for others, and it does not keep the process alive.
 */
import { unwatchFile, watch, watchFile, type FSWatcher, type Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';

import { LINK_COUNT_MAX, RELOAD_DEBOUNCE_MS, WATCH_POLL_MS, WATCH_QUIET_MS_MAX } from '../limits.ts';
import { readOperatorFile } from './operator-file.ts';

export interface WatchOptions {
  /** What the files were when they were read; a file that is not in it is taken as it is now. */
  readonly known?: ReadonlyMap<string, string>;
  /** Told once when events cannot be had and the slower look alone remains. */
  readonly onFallback?: (reason: string) => void;
  /** For tests: in place of `fs.watch`. */
  readonly watchDirectory?: typeof watch;
  /** For tests: in place of reading. */
  readonly read?: typeof readOperatorFile;
}

/** Watches `files` (absolute paths, existing or not) until `close`. */
export function watchFiles(files: readonly string[], onChange: () => void, options: WatchOptions = {}): FileWatch {
  return new FileWatch({ ...options, files, onChange });
}

export class FileWatch {
  readonly #options: WatchOptions & { readonly onChange: () => void };
  #files: readonly string[];
  /** Per file: the digest that was last reported. */
  readonly #digests: Map<string, string>;
  /** Files whose `stat` is compared. */
  #polled: readonly string[] = []; // Bounded by FILE_COUNT_MAX and SECRET_FILE_COUNT_MAX.
  #watchers: FSWatcher[] = [];
  #againTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  /** When the first event of the present unrest came, on the monotonic clock. */
  #unrestSinceMs: number | undefined;
  #eventsFailed = false;
  readonly #onStat = (): void => this.#onEvent();
  /** One look at a time, so that a slow disk does not pile them up. */
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: WatchOptions & { files: readonly string[]; onChange: () => void }) {
    this.#options = options;
    this.#files = options.files;
    this.#digests = new Map(options.known);
    void this.#look();
    this.#poll(options.files);
  }

  /** Watches these files from now on, and resolves when it does. What is known of those watched before stays known. */
  update(files: readonly string[]): Promise<void> {
    this.#files = files;
    for (const path of this.#digests.keys()) if (!files.includes(path)) this.#digests.delete(path);
    this.#poll(files);
    return this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#poll([]);
    clearTimeout(this.#againTimer);
    clearTimeout(this.#quietTimer);
    this.#dropWatchers();
  }

  #poll(files: readonly string[]): void {
    for (const path of this.#polled) if (!files.includes(path)) unwatchFile(path, this.#onStat);
    const added = files.filter((path) => !this.#polled.includes(path));
    for (const path of added) watchFile(path, { persistent: false, interval: WATCH_POLL_MS }, this.#onStat);
    this.#polled = files;
    // A change before the first `stat` is in it already.
    if (added.length > 0) this.#lookAgain();
  }

  #lookAgain(): void {
    clearTimeout(this.#againTimer);
    this.#againTimer = setTimeout(() => this.#onEvent(), WATCH_POLL_MS).unref();
  }

  /** Something moved: looks once it is quiet, or once it has been restless for long enough. */
  #onEvent(): void {
    if (this.#closed) return;
    const nowMs = performance.now();
    this.#unrestSinceMs ??= nowMs;
    if (this.#quietTimer !== undefined && nowMs - this.#unrestSinceMs > WATCH_QUIET_MS_MAX) return;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => void this.#look(), RELOAD_DEBOUNCE_MS).unref();
  }

  #look(): Promise<void> {
    this.#unrestSinceMs = undefined;
    this.#quietTimer = undefined;
    const run = async (): Promise<void> => {
      if (this.#closed) return;
      await this.#watchDirectories();
      // Read after the watchers stand: a change between the two is then an event.
      if ((await this.#anyDigestChanged()) && !this.#closed) this.#options.onChange();
    };
    // A look that failed does not keep the next from being taken.
    this.#looking = this.#looking.then(run, run);
    return this.#looking;
  }

  async #anyDigestChanged(): Promise<boolean> {
    let changed = false;
    for (const path of this.#files) {
      const file = await (this.#options.read ?? readOperatorFile)(path);
      const { digest } = file;
      // Nothing but another look would show that it can be read again.
      if (file.state === 'unusable' && file.passing && !this.#closed) this.#lookAgain();
      const before = this.#digests.get(path);
      this.#digests.set(path, digest);
      if (before !== undefined && before !== digest) changed = true;
    }
    return changed;
  }

  /** Replaces all watchers: links and directories may have become others since they were set. */
  async #watchDirectories(): Promise<void> {
    const names = new Map<string, Set<string>>(); // Bounded by LINK_COUNT_MAX for each file.
    for (const path of this.#files) await collectNames(path, names);
    this.#dropWatchers();
    if (this.#closed) return;
    for (const [directory, wanted] of names) this.#watchDirectory(directory, wanted);
  }

  #watchDirectory(directory: string, wanted: ReadonlySet<string>): void {
    const open = this.#options.watchDirectory ?? watch;
    try {
      const watcher = open(directory, { persistent: false }, (_event, name) => {
        if (name === null || wanted.has(name)) this.#onEvent();
      });
      watcher.on('error', (error: NodeJS.ErrnoException) => this.#onEventsFailed(error));
      this.#watchers.push(watcher);
    } catch (error) {
      this.#onEventsFailed(error as NodeJS.ErrnoException);
    }
  }

  #onEventsFailed(error: NodeJS.ErrnoException): void {
    // A directory that has just gone is a change, not a lack of events.
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return;
    if (this.#eventsFailed) return;
    this.#eventsFailed = true;
    this.#options.onFallback?.(error.code ?? error.message);
  }

  #dropWatchers(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }
}

/**
 * Adds the directories whose entries decide what `path` is, with the names of those entries: at each symbolic link
 * on the way the directory that holds the link, at the end the directory of the file, and where a part is missing
 * the directory in which it would appear.
 */
async function collectNames(path: string, names: Map<string, Set<string>>): Promise<void> {
  let current = '/';
  let rest = partsOf(path);
  let linkCount = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = resolve(current, part);
    const entry = await lstat(next).catch((): Stats | undefined => undefined);
    if (entry?.isSymbolicLink() === true && linkCount < LINK_COUNT_MAX) {
      linkCount += 1;
      add(names, next);
      const target = await readlink(next).catch(() => '');
      rest = [...partsOf(resolve(current, target)), ...rest];
      current = '/';
      continue;
    }
    if (entry === undefined || rest.length === 0) return add(names, next);
    current = next;
  }
}

function add(names: Map<string, Set<string>>, path: string): void {
  const directory = dirname(path);
  const wanted = names.get(directory) ?? new Set(); // Bounded by LINK_COUNT_MAX for each file.
  wanted.add(basename(path));
  names.set(directory, wanted);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}
