/**
 * A whole machine: a root directory as a disk under qemu with Debian's own kernel, driven over a serial line.
 *
 * Emulated in software, so that it runs where no hypervisor may be used; that takes a minute where metal takes seconds,
 * and says nothing of speed. The directory becomes a disk image once; what happens afterwards is in the image alone. A
 * unit in the guest reads scripts from the line, one a line in base64, and answers with their exit code and output. The
 * machine has no network but its own. It ends with this process, however that ends; nothing is ever mounted here.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { runTool } from '../../build/run-tool.ts';
import type { Debian, Outcome } from './machine.ts';
import { makeTempDir, type Cleanup } from './temp-dir.ts';
import { within } from './wait.ts';

export interface VirtualMachine {
  /** Runs a shell script in it to its end. */
  run(script: string): Promise<Outcome>;
  /** The standard output of a script that must succeed. @throws {Error} with all that it said */
  must(script: string): Promise<string>;
  /** Restarts the system and resolves once it is up again. */
  reboot(): Promise<void>;
}

const BOOT_MS_MAX = 300_000;
const SCRIPT_MS_MAX = 300_000;
const DISK_MIB = 2_048;
const MEMORY_MIB = 1_024;

interface Hardware {
  readonly qemu: string;
  /** The Debian package of qemu. */
  readonly install: string;
  /** Arguments: board and processor. */
  readonly machine: string;
  /** What the kernel calls the line that it writes its messages to. */
  readonly console: string;
  /** The line for scripts. */
  readonly line: string;
  /** That line in the machine. */
  readonly device: string;
}

const HARDWARE: Readonly<Record<Debian['architecture'], Hardware>> = {
  amd64: {
    qemu: 'qemu-system-x86_64',
    install: 'apt install qemu-system-x86',
    machine: '-machine q35 -cpu max',
    console: 'ttyS0',
    line: '-serial chardev:line',
    device: '/dev/ttyS1',
  },
  // The processor of a Raspberry Pi 5. The board has only one serial line; a second one is put into it.
  arm64: {
    qemu: 'qemu-system-aarch64',
    install: 'apt install qemu-system-arm',
    machine: '-machine virt,gic-version=3 -cpu cortex-a76',
    console: 'ttyAMA0',
    line: '-device pci-serial,chardev=line',
    device: '/dev/ttyS0',
  },
};

const LISTENER_UNIT = `[Unit]
After=multi-user.target
[Service]
Type=idle
ExecStart=/bin/bash /usr/local/lib/listener
[Install]
WantedBy=multi-user.target
`;

/** Raw, because a line that is edited is cut at 4096 bytes. "up" says that the system has started. */
const listener = (device: string): string => `exec 3<>${device}
stty -F ${device} raw -echo
echo up >&3
while read -r line <&3; do
  base64 -d <<<"$line" >/run/script
  sh /run/script >/run/out 2>/run/err </dev/null 3>&-
  echo "$? $(base64 -w0 /run/out) $(base64 -w0 /run/err)" >&3
done
`;

/** Boots the system of a root directory made by `makeRootWithKernel` and resolves once it is up. */
export async function bootVirtually(cleanup: Cleanup, root: string, { architecture }: Debian): Promise<VirtualMachine> {
  const hardware = HARDWARE[architecture];
  const dir = makeTempDir(cleanup);
  writeListener(root, hardware.device);
  const disk = makeDisk(root, dir);
  const lines = serialLine(cleanup, join(dir, 'line'));
  const command = qemuCommand(root, hardware, { disk, line: join(dir, 'line'), console: join(dir, 'console') });
  const qemu = startQemu(cleanup, command, join(dir, 'console'));
  const next = async (deadlineMs: number, what: string): Promise<string> => {
    const line = await within(Promise.race([lines.next(), qemu.ended]), { deadlineMs, what });
    if (line === undefined)
      throw new Error(`the machine ended while ${what} was waited for; last it said: ${qemu.said()}`);
    return line;
  };
  const up = async (): Promise<void> => {
    const line = await next(BOOT_MS_MAX, 'the start of the machine');
    if (line !== 'up') throw new Error(`the machine said ${JSON.stringify(line)} instead of "up"`);
  };
  const run = async (script: string): Promise<Outcome> => {
    lines.write(Buffer.from(script).toString('base64'));
    const [code, stdout = '', stderr = ''] = (await next(SCRIPT_MS_MAX, `the end of: ${script}`)).split(' ');
    return { code: Number(code), stdout: decode(stdout), stderr: decode(stderr) };
  };
  const must = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await run(script);
    if (code !== 0) throw new Error(`code ${code}: ${script}\n${stdout}${stderr}`);
    return stdout;
  };
  const reboot = async (): Promise<void> => {
    // The order is acknowledged before the listener is stopped along with everything else.
    await must('systemd-run --quiet --on-active=1 systemctl reboot');
    await up();
  };
  await up();
  return { run, must, reboot };
}

const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

function writeListener(root: string, device: string): void {
  writeFileSync(join(root, 'etc/systemd/system/listener.service'), LISTENER_UNIT);
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants');
  mkdirSync(wants, { recursive: true });
  symlinkSync('../listener.service', join(wants, 'listener.service'));
  mkdirSync(join(root, 'usr/local/lib'), { recursive: true });
  writeFileSync(join(root, 'usr/local/lib/listener'), listener(device));
}

/** A file system of the directory, with owners and modes. */
function makeDisk(root: string, dir: string): string {
  const disk = join(dir, 'disk');
  runTool(['mke2fs', '-q', '-t', 'ext4', '-d', root, disk, `${DISK_MIB}M`], { install: 'apt install e2fsprogs' });
  return disk;
}

interface SerialLine {
  /** The next line that comes; undefined after the end. */
  next(): Promise<string | undefined>;
  write(line: string): void;
}

/** This side listens, so that no start of qemu is too early or too late. */
function serialLine(cleanup: Cleanup, path: string): SerialLine {
  const server = createServer().listen(path);
  cleanup.after(() => void server.close());
  const connected = once(server, 'connection').then(([socket]) => socket as Socket);
  const lines = connected.then((socket) => createInterface({ input: socket })[Symbol.asyncIterator]());
  return {
    next: async () => {
      const { value, done } = await (await lines).next();
      return done === true ? undefined : value;
    },
    write: (line) => void connected.then((socket) => socket.write(`${line}\n`)),
  };
}

interface Qemu {
  /** Resolves with nothing when the machine has ended. */
  readonly ended: Promise<undefined>;
  said(): string;
}

function qemuCommand(
  root: string,
  { qemu, machine, line, console, install }: Hardware,
  files: Readonly<Record<'disk' | 'line' | 'console', string>>,
): string[] {
  const args = [
    `${machine} -accel tcg,thread=multi -smp 2 -m ${MEMORY_MIB}`,
    '-display none -nodefaults -no-user-config -nic none',
    `-serial file:${files.console} -chardev socket,id=line,path=${files.line} ${line}`,
    `-drive if=none,id=disk,file=${files.disk},format=raw,cache=unsafe -device virtio-blk-pci,drive=disk`,
    `-kernel ${realpathSync(join(root, 'vmlinuz'))} -initrd ${realpathSync(join(root, 'initrd.img'))}`,
  ].flatMap((words) => words.split(' '));
  runTool([qemu, '--version'], { install });
  return [qemu, ...args, '-append', `root=/dev/vda rw console=${console} quiet panic=-1`];
}

function startQemu(cleanup: Cleanup, command: readonly string[], console: string): Qemu {
  let said = '';
  // The kernel ends it with its parent, also when that is killed.
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes: Buffer) => (said += String(bytes)));
  const ended = new Promise<undefined>((resolve) => child.once('close', () => resolve(undefined)));
  cleanup.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { ended, said: () => `${said}${readFileSync(console, 'utf8')}`.slice(-1_000) };
}
