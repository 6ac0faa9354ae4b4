/**
 * A small Debian to install packages in: a root directory from the archive, entered by chroot or booted in namespaces.
 *
 * The root directory is made once per suite by mmdebstrap, from the archive that this machine's own apt uses, and kept
 * in the build's cache. `boot` runs the real systemd as process 1 of its own namespaces (mounts, processes, network),
 * without a virtual machine; whatever it started ends with it. Both need root.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../build/node-runtime.ts';
import { runTool } from '../../build/run-tool.ts';
import type { DebianArchitecture } from './products.ts';
import { makeTempDir, type Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine {
  /** Its root directory, as seen from here. */
  readonly root: string;
  /** Runs a shell script in it to its end. */
  run(script: string): Outcome;
  /** The standard output of a script that must succeed. @throws {Error} with all that it said */
  must(script: string): string;
}

export type Suite = 'bookworm' | 'trixie';

/** Which Debian. */
export interface Debian {
  readonly suite: Suite;
  readonly architecture: DebianArchitecture;
  /** In front of every command in it, when its programs are foreign here (`emulateArm`). */
  readonly entry?: readonly string[];
}

/** The oldest that is supported. */
export const BOOKWORM: Debian = { suite: 'bookworm', architecture: 'amd64' };

/** What a root directory is made for: services and packages alone, containers too, or booting it with a kernel of its own. */
type Purpose = 'services' | 'containers' | 'kernel';

const PACKAGES = 'systemd-sysv,dbus,ca-certificates,iproute2,procps,curl,logrotate';
const CONTAINER_PACKAGES = 'podman,crun,netavark,aardvark-dns,nftables,catatonit,podman-compose,docker-compose,openssl';
/** For arm64 the one with pages of 16 KiB, which a Raspberry Pi 5 has too; bookworm has none. */
const KERNEL = { amd64: 'linux-image-cloud-amd64', arm64: 'linux-image-arm64-16k' } as const;
const SCRIPT_MS_MAX = 300_000;
const BOOT_MS_MAX = 60_000;
const CGROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
export const SAFE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Why machines cannot be made here; undefined when they can. */
export function whyNoMachine(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'packages are installed on Linux, x64';
  return process.getuid?.() === 0 ? undefined : 'installing packages needs root';
}

/** A fresh root directory of a Debian; `files` are copied into it. */
export function makeRoot(cleanup: Cleanup, debian: Debian, files: Readonly<Record<string, string>> = {}): string {
  return unpackRoot(cleanup, rootArchive(debian, 'services'), files);
}

/** The same with Podman, its network and its Compose. */
export function makeRootWithPodman(cleanup: Cleanup, debian: Debian, files: Readonly<Record<string, string>>): string {
  return unpackRoot(cleanup, rootArchive(debian, 'containers'), files);
}

/** The same with a kernel of Debian: `vmlinuz` and `initrd.img` are at its top. */
export function makeRootWithKernel(cleanup: Cleanup, debian: Debian, files: Readonly<Record<string, string>>): string {
  return unpackRoot(cleanup, rootArchive(debian, 'kernel'), files);
}

function unpackRoot(cleanup: Cleanup, archive: string, files: Readonly<Record<string, string>>): string {
  const root = makeTempDir(cleanup);
  runTool(['tar', '-xf', archive, '-C', root], { install: 'apt install tar' });
  for (const [from, to] of Object.entries(files)) copyFileSync(from, join(root, to));
  return root;
}

/**
 * The machine of a root directory without booting it: no service runs, as in an image build. Each script has mounts of
 * its own, which end with it, so that nothing is ever left mounted in a directory that will be removed.
 */
export function enterRoot(root: string, { entry = [] }: Partial<Debian> = {}): Machine {
  const script = `cd "$0"; mount -t proc proc proc; mount -t tmpfs -o mode=755 run run; ${DEVICES} exec chroot . "$@"`;
  return machine(root, [...entry, 'unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, root]);
}

/** The devices that programs take for granted, on a file system of their own: this machine's, since not all may make them. */
const DEVICES = `mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty; do
  : >"dev/$device"; mount --bind "/dev/$device" "dev/$device"
done
`;

/** Boots the system of a root directory and resolves once it is up. */
export async function boot(cleanup: Cleanup, root: string): Promise<Machine> {
  const group = join(
    CGROUPS.find((path) => existsSync(join(path, 'cgroup.procs'))) ?? '/sys/fs/cgroup',
    `mcproxy-${process.pid}`,
  );
  mkdirSync(group, { recursive: true });
  const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--net', '--cgroup', '--propagation', 'private'];
  const script = `echo $$ > ${group}/cgroup.procs; exec unshare ${namespaces.join(' ')} --fork --kill-child sh -c "$INIT"`;
  const child = spawn('sh', ['-c', script], { env: { PATH: SAFE_PATH, INIT, ROOT: root }, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  cleanup.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await waitFor(() => removeGroup(group), { deadlineMs: 10_000, what: 'the end of the machine' });
  });
  const init = await waitFor(() => childOf(child), { what: 'the first process of the machine' });
  const booted = machine(root, ['nsenter', '--target', String(init), '--all', '--']);
  await waitFor(() => /running|degraded/.test(booted.run('systemctl is-system-running').stdout), {
    deadlineMs: BOOT_MS_MAX,
    what: 'systemd in its namespaces',
  });
  booted.run('ip link set lo up');
  return booted;
}

/** Removes a control group with those below it. @throws {Error} while a process is left in one */
function removeGroup(group: string): boolean {
  const inner = readdirSync(group, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const entry of inner.toReversed()) rmdirSync(join(entry.parentPath, entry.name));
  rmdirSync(group);
  return true;
}

/** Makes the tree of a container and becomes its init. @see systemd.io, the container interface */
const INIT = `
mount --bind "$ROOT" "$ROOT"; cd "$ROOT"
mount -t proc proc proc; mount -t sysfs -o ro sys sys; mount -t cgroup2 cg sys/fs/cgroup
mount -t tmpfs -o mode=755 run run; ${DEVICES} mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 p dev/pts; ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
mkdir -p run/host; echo box > run/host/container-manager; pivot_root . mnt; umount -l /mnt; cd /
exec env -i container=box PATH=${SAFE_PATH} /lib/systemd/systemd --system
`;

function childOf({ pid }: ChildProcess): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? undefined : Number(children.split(' ')[0]);
}

function machine(root: string, enter: readonly string[]): Machine {
  const env = { PATH: SAFE_PATH, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8', HOME: '/root' };
  const run = (script: string): Outcome => {
    const [name, ...args] = [...enter, 'sh', '-c', script];
    const result = spawnSync(name, args, {
      env,
      encoding: 'utf8',
      timeout: SCRIPT_MS_MAX,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { code: result.status ?? -1, stdout: result.stdout, stderr: result.stderr };
  };
  const must = (script: string): string => {
    const { code, stdout, stderr } = run(script);
    if (code !== 0) throw new Error(`code ${code}: ${script}\n${stdout}${stderr}`);
    return stdout;
  };
  return { root, run, must };
}

/** What the kernel needs to find a virtual disk and to be spoken to, and no more: the file is read at each start. */
const LEAN_INITRD = [
  'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"',
  'echo MODULES=list > "$1/etc/initramfs-tools/conf.d/machine"',
  'printf "virtio_pci\\nvirtio_blk\\next4\\n" > "$1/usr/share/initramfs-tools/modules.d/machine"',
].join('; ');

/** A root directory as a tar file, made when it is not in the cache. */
export function rootArchive({ suite, architecture, entry = [] }: Debian, purpose: Purpose): string {
  const foreign = architecture === 'amd64' ? '' : `-${architecture}`;
  const name = { services: 'root', containers: 'root-containers', kernel: 'root-kernel' }[purpose];
  const archive = join(cacheDirectory(), `${name}-${suite}${foreign}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(cacheDirectory(), { recursive: true });
  const making = `${archive}.${process.pid}.making.tar`;
  const source = join(cacheDirectory(), `${suite}.list`);
  writeFileSync(source, `deb ${archiveAddress()} ${suite} main\n`);
  const options = ['--quiet', '--mode=root', '--variant=minbase', `--arch=${architecture}`];
  options.push(`--include=${PACKAGES}`);
  if (purpose === 'containers') options.push(`--include=${CONTAINER_PACKAGES}`);
  if (purpose === 'kernel')
    options.push(`--include=${KERNEL[architecture]},initramfs-tools,zstd`, `--essential-hook=${LEAN_INITRD}`);
  const [program, ...args] = [...entry, 'mmdebstrap', ...options, suite, making, source];
  runTool([program, ...args], { install: 'apt install mmdebstrap arch-test' });
  renameSync(making, archive);
  return archive;
}

/** Where this machine's apt gets Debian from. */
function archiveAddress(): string {
  const format = '$(REPO_URI)|$(ORIGIN)|$(RELEASE)';
  const printed = runTool(['apt-get', 'indextargets', '--format', format, 'Identifier: Packages'], {
    install: 'apt install apt',
  });
  const debian = printed
    .split('\n')
    .map((line) => line.split('|'))
    .find(([, origin, release]) => origin === 'Debian' && !/[-/]/.test(release ?? ''));
  if (debian?.[0] === undefined) throw new Error('apt has no source of Debian here; add one and run apt-get update');
  return debian[0];
}
