/**
 * Programs for arm64 run here as if they were this machine's own, for what is started with the words in front.
 *
 * The kernel hands such programs to qemu (binfmt_misc). Where the machine does so already, no words are needed. Otherwise a
 * user namespace of its own gets that setting (Linux 6.7 or later), so that nothing changes for the rest of the machine
 * and nothing is left: it ends with this process, however that ends. All users and groups are the same in it, but no
 * device can be made. Needs root.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Cleanup } from './temp-dir.ts';
import { within } from './wait.ts';

/** Whether tests of the package are about the one for arm64, and everything in their machines is emulated. */
export const ON_ARM = process.env['MCPROXY_TEST_ARM64'] === '1';

const SETTING = '/usr/lib/binfmt.d/qemu-aarch64.conf';
const KNOWN = '/proc/sys/fs/binfmt_misc/qemu-aarch64';
/** All that there are, as they are. @see user_namespaces(7) */
const ALL = '0 0 4294967295';

/** Waits for its users before it mounts anything, and then for the end of what it reads. */
const HOLDER = `echo made; read -r _; set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat ${SETTING} >/proc/sys/fs/binfmt_misc/register
echo ready; exec cat`;

/** Resolves with the words to put in front of a command. @throws {Error} with what is missing */
export async function emulateArm(cleanup: Cleanup): Promise<readonly string[]> {
  if (existsSync(KNOWN)) return [];
  if (!existsSync(SETTING)) throw new Error(`${SETTING} is missing; run: apt install qemu-user-static`);
  const words = ['--user', '--mount', '--propagation', 'private', 'sh', '-c', HOLDER];
  const holder = spawn('unshare', words, { stdio: 'pipe' });
  const ended = new Promise((resolve) => holder.once('close', resolve));
  cleanup.after(async () => {
    holder.kill('SIGKILL');
    await ended;
  });
  const hears = listen(holder);
  await hears('made');
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, ALL);
  holder.stdin.write('go\n');
  await hears('ready');
  const inside = ['nsenter', '--target', String(holder.pid), '--user', '--mount', '--'];
  return [...inside, 'unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
}

/** A function that resolves when the next line is the word. @throws {Error} with what is said instead */
function listen({ stdout, stderr }: ChildProcessWithoutNullStreams): (word: string) => Promise<void> {
  let complaints = '';
  stderr.on('data', (bytes: Buffer) => (complaints += String(bytes)));
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return async (word) => {
    const { value, done } = await within(lines.next(), { deadlineMs: 10_000, what: 'the emulation of arm64' });
    if (done === true || value !== word) throw new Error(`arm64 cannot be emulated here: ${complaints.trim()}`);
  };
}
