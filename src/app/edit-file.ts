/**
 * Changing one of the operator's files so that nobody ever sees half of it and no other change is lost.
 *
 * Promises: one editor at a time (a lock file beside it, freed when its holder has died); the new text stands in a
 * temporary file of the same directory, is on the disk, and then takes the place by rename; mode, owner and group
 * stay; of a symbolic link the target is changed. What cannot be kept is refused, not dropped silently. A new file
 * is readable by its owner only, or by the group of the service. What the change is, is passed in.
 */
import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, readFile, readlink, realpath, unlink, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { ProxyError } from '../errors.ts';
import { EDIT_LOCK_MS_MAX, LINK_COUNT_MAX } from '../limits.ts';
import { readOperatorFile } from './operator-file.ts';
import { replaceFile } from './replace-file.ts';

const LOCK_RETRY_MS = 25;
/** The group that the package makes; a new file made by root is for it to read. */
const SERVICE_GROUP = 'mcproxy';

/**
 * Writes what `change` makes of the file's text (empty when the file does not exist) and returns the path that was
 * written: the target when `path` is a link.
 *
 * @throws {ProxyError} CONFIG_INVALID when the file cannot be read, locked or replaced; and what `change` throws
 */
export async function editFile(path: string, change: (text: string) => string | Promise<string>): Promise<string> {
  const target = await finalTarget(path);
  try {
    return await editTarget(target, change);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    throw new ProxyError('CONFIG_INVALID', explain(target, error as NodeJS.ErrnoException), { cause: error });
  }
}

async function editTarget(target: string, change: (text: string) => string | Promise<string>): Promise<string> {
  await mkdir(dirname(target), { recursive: true, mode: 0o750 });
  const lock = await takeLock(target);
  try {
    const file = await readOperatorFile(target);
    if (file.state === 'unusable') throw new ProxyError('CONFIG_INVALID', `${target}: ${file.text}: ${file.fix}`);
    const before = file.state === 'read' ? file.text : '';
    const after = await change(before);
    if (after !== before || file.state === 'absent') await replace(target, after);
    return target;
  } finally {
    await lock.release();
  }
}

/** Where a path leads in the end, even when the last link points to what does not exist yet. */
async function finalTarget(path: string): Promise<string> {
  let current = resolve(path);
  for (let count = 0; count < LINK_COUNT_MAX; count += 1) {
    const entry = await lstat(current).catch(() => undefined);
    if (entry?.isSymbolicLink() !== true) break;
    current = resolve(await realpath(dirname(current)), await readlink(current));
  }
  return current;
}

async function replace(target: string, text: string): Promise<void> {
  const old = await lstat(target).catch(() => undefined);
  await replaceFile(target, text, async (handle) => {
    if (old === undefined) return giveToService(handle);
    const made = await handle.stat();
    if (made.uid !== old.uid || made.gid !== old.gid) await handle.chown(old.uid, old.gid);
    await handle.chmod(old.mode & 0o7777); // after chown, which clears bits
  });
}

/** A file that root makes belongs to root and is readable by the service. */
async function giveToService(handle: FileHandle): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const groups = await readFile('/etc/group', 'utf8').catch(() => '');
  const line = groups.split('\n').find((candidate) => candidate.startsWith(`${SERVICE_GROUP}:`));
  const id = Number(line?.split(':')[2]);
  if (!Number.isInteger(id)) return;
  await handle.chown(0, id);
  await handle.chmod(0o640);
}

interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock of `target`. It appears with its content in one step (a link to a finished file), so nobody ever
 * reads an empty one; its content names host and process and is unlike any other, so that only its holder, or who
 * has proof that the holder is dead, takes it away.
 */
async function takeLock(target: string): Promise<Lock> {
  const path = `${target}.lock`;
  const nonce = randomBytes(6).toString('hex');
  const content = `${process.pid} ${hostname()} ${nonce}\n`;
  const own = `${path}.${nonce}`;
  const handle = await open(own, 'wx', 0o644);
  try {
    await handle.writeFile(content);
    await handle.close();
    const deadlineMs = performance.now() + EDIT_LOCK_MS_MAX;
    while (!(await linkIfFree(own, path))) {
      const holder = await readFile(path, 'utf8').catch(() => undefined);
      if (holder !== undefined && isDead(holder)) await breakLock(path, holder);
      if (performance.now() > deadlineMs) {
        const [pid = '?', host = '?'] = (holder ?? '').split(' ');
        const text = `${target} is being edited by process ${pid} on ${host}; if that is not so, delete ${path}`;
        throw new ProxyError('CONFIG_INVALID', text);
      }
      await delay(LOCK_RETRY_MS);
    }
  } finally {
    await unlink(own);
  }
  return {
    release: async () => {
      const holder = await readFile(path, 'utf8').catch(() => undefined);
      if (holder === content) await unlink(path);
    },
  };
}

async function linkIfFree(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Tells whether the process that a lock names has ended; of another machine's nobody here can tell. */
function isDead(holder: string): boolean {
  const [pid, host, nonce] = holder.trim().split(' ');
  if (host !== hostname() || !/^[1-9]\d*$/.test(pid ?? '') || !/^[0-9a-f]+$/.test(nonce ?? '')) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Takes a dead holder's lock away. Of several that try, one gets the claim: a second link to the lock, named after
 * the dead holder. Until the claim is given back nobody else removes this lock, so what is unlinked cannot be the
 * new lock of somebody alive.
 */
async function breakLock(path: string, holder: string): Promise<void> {
  const claim = `${path}.${holder.trim().split(' ')[2] ?? ''}.dead`;
  try {
    await link(path, claim);
  } catch {
    return; // another is at it, or done
  }
  // A new lock may have taken the place before the claim was made; then the old one is gone already.
  if ((await readFile(claim, 'utf8')) === holder) await unlink(path);
  await unlink(claim);
}

function explain(target: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return `${target} may not be changed by this user; run the command with sudo`;
    case 'EROFS':
      return `${target} is on a read-only file system; change it where it comes from`;
    case 'EBUSY':
      return `${target} is mounted as a single file and cannot be replaced; change it where it comes from`;
    default:
      return `${target} cannot be changed: ${error.message}`;
  }
}
