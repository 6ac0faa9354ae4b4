/**
 * Podman where it is not at home: images of its own, without cgroups, and nothing left behind.
 *
 * Images are kept in a temporary directory. Each script runs in mounts of its own, in which the control groups are those
 * of version 2 alone, because crun refuses a mixture and needs to see some. What containers hold is never limited here
 * (`RUN_OPTIONS`), since lifting limits is not everybody's right. Base images come from Debian's archive, as no registry
 * may be reachable. Needs root.
 */
import { spawnSync } from 'node:child_process';
import { SAFE_PATH, type Outcome } from './machine.ts';
import { makeTempDir, type Cleanup } from './temp-dir.ts';

export interface Podman {
  /** Runs podman with these arguments; `input` is a file. */
  run(args: readonly string[]): Outcome;
  /** The standard output of a run that must succeed. @throws {Error} with all that it said */
  must(args: readonly string[]): string;
}

/** What every container needs here. */
export const RUN_OPTIONS = [
  '--cgroups=disabled',
  '--network=host',
  '--ulimit=nofile=1024:1024',
  '--ulimit=nproc=1000:1000',
] as const;

const MS_MAX = 300_000;
const SCRIPT = `mount --make-rprivate /; umount --recursive /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
exec podman "$@"`;

/**
 * Podman with one image, made from a root file system.
 *
 * @returns why this machine runs no container at all, when the root itself does not run in one
 * @throws {Error} where podman is missing
 */
export function makePodman(cleanup: Cleanup, { archive, image }: { archive: string; image: string }): Podman | string {
  let why = '';
  // One file system on another of the same kind is not everywhere allowed.
  for (const driver of ['overlay', 'vfs'] as const) {
    const podman = openStore(cleanup, driver);
    podman.must(['--version']);
    const imported = podman.run(['import', archive, image]);
    const tried = imported.code === 0 ? podman.run(['run', '--rm', ...RUN_OPTIONS, image, '/bin/true']) : imported;
    if (tried.code === 0) return podman;
    why += `${driver}: ${tried.stderr.trim().slice(-500)} `;
  }
  return `no container runs on this machine: ${why}`;
}

function openStore(cleanup: Cleanup, driver: 'overlay' | 'vfs'): Podman {
  const dir = makeTempDir(cleanup);
  const store = [
    `--storage-driver=${driver}`,
    '--root',
    `${dir}/root`,
    '--runroot',
    `${dir}/run`,
    '--events-backend=none',
  ];
  const env = { PATH: SAFE_PATH, HOME: dir, TMPDIR: dir };
  const run = (args: readonly string[]): Outcome => {
    const words = ['--mount', 'sh', '-ec', SCRIPT, 'podman', ...store, ...args];
    const { status, stdout, stderr } = spawnSync('unshare', words, { env, encoding: 'utf8', timeout: MS_MAX });
    return { code: status ?? -1, stdout, stderr };
  };
  const must = (args: readonly string[]): string => {
    const { code, stdout, stderr } = run(args);
    if (code === 127) throw new Error(`podman is needed and not installed; run: apt install podman crun\n${stderr}`);
    if (code !== 0) throw new Error(`code ${code}: podman ${args.join(' ')}\n${stdout}${stderr}`);
    return stdout;
  };
  return { run, must };
}
