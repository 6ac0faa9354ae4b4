/**
 * Runs each executable once and compares what it says of itself: nothing that does not start leaves the build.
 *
 * A foreign architecture runs under qemu's user mode, with the C library of that architecture from Debian's archive,
 * unpacked into the build cache. Any output on standard error counts as failure too: V8 and Node complain there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, NODE_VERSION, type Architecture } from './node-runtime.ts';
import { isMissing, runTool } from './run-tool.ts';
import type { Identity } from './version.ts';

/** The command that runs a program of that architecture here, without its arguments. */
export function commandFor(architecture: Architecture, program: string): [name: string, ...args: string[]] {
  if (architecture === process.arch) return [program];
  if (architecture !== 'arm64') throw new Error(`a program for ${architecture} cannot be tried on ${process.arch}`);
  return ['qemu-aarch64-static', '-L', armLibraries(), program];
}

/** @throws {Error} when it does not run, or is another one than was built */
export function tryExecutable(architecture: Architecture, program: string, identity: Identity): void {
  const [name, ...args] = commandFor(architecture, program);
  const result = spawnSync(name, [...args, '--version'], { encoding: 'utf8' });
  if (isMissing(result.error))
    throw new Error(`${name} is needed and not installed; run: apt install qemu-user-static`);
  const wanted = `mcproxy ${identity.version} (${identity.commit}), Node v${NODE_VERSION}\n`;
  if (result.stdout === wanted && result.stderr === '' && result.status === 0) return;
  const said = `${result.stdout}${result.stderr}`.trim();
  throw new Error(`${program} does not run as it should: code ${result.status}, ${said === '' ? 'silent' : said}`);
}

/** libc6 and what Node needs beside it, of Debian arm64. */
function armLibraries(): string {
  const home = join(cacheDirectory(), 'arm64-libraries');
  if (existsSync(home)) return home;
  mkdirSync(cacheDirectory(), { recursive: true });
  const work = mkdtempSync(join(cacheDirectory(), 'making-'));
  try {
    const root = join(work, 'root');
    fetchArmPackages(work, ['libc6', 'libgcc-s1', 'libstdc++6']);
    for (const file of readdirSync(work).filter((each) => each.endsWith('.deb')))
      runTool(['dpkg-deb', '-x', join(work, file), root], { install: 'apt install dpkg' });
    if (!existsSync(home)) renameSync(root, home);
    return home;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads packages of a foreign architecture with an apt state of its own, so that the machine's is not touched. */
function fetchArmPackages(work: string, names: readonly string[]): void {
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(work, part), { recursive: true });
  const state = [
    ['Dir::State::Lists', join(work, 'lists')],
    ['Dir::Cache', work],
    ['APT::Architecture', 'arm64'],
    ['APT::Architectures', 'arm64'],
    ['APT::Sandbox::User', ''],
    ['Acquire::Languages', 'none'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const options = { cwd: work, install: 'apt install apt', env: { DEBIAN_FRONTEND: 'noninteractive' } };
  runTool(['apt-get', ...state, '-qq', 'update'], options);
  runTool(['apt-get', ...state, '-qq', 'download', ...names], options);
}
