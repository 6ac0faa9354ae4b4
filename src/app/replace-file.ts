/**
 * A file that is replaced as a whole: readers see the old text or the new one, also after kill -9 and a power cut.
 *
 * The text goes to a temporary file of the same directory, is on the disk, and then takes the place by rename. Owner and
 * mode (0600) are those of the temporary file, unless who asks gives it others. A failure leaves the old file and no
 * temporary one; a crash may leave one.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What a crash may leave ends so. */
export const TEMPORARY = '.tmp';

/** @param prepare gives the new file its owner and mode, before anything is in it. @throws the system's error */
export async function replaceFile(
  target: string,
  text: string,
  prepare?: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}${TEMPORARY}`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await prepare?.(handle);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(target));
}

/** Makes the rename survive a power cut. Some file systems cannot; the change is then only less durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
