/**
 * The Node binaries that the single executables are made from: fetched, checked, unpacked, stripped.
 *
 * Version and checksums stand in `node-runtime.json`; to change the version, change the three lines there (the error for
 * a wrong checksum prints the right one). The packages come from npm's registry through npm itself and stay in a cache
 * outside the tree: MCPROXY_BUILD_CACHE, else `mcproxy-build` in the user's cache directory. Stripping comes before the
 * injection, because afterwards it would remove what was injected.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import PINNED from './node-runtime.json' with { type: 'json' };
import { runTool } from './run-tool.ts';

export const ARCHITECTURES = ['x64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const NODE_VERSION = PINNED.version;

export interface Runtime {
  /** As published. */
  readonly node: string;
  /** Without symbols, to inject into. */
  readonly stripped: string;
  readonly license: string;
}

const STRIP = {
  x64: { name: 'x86_64-linux-gnu-strip', install: 'apt install binutils-x86-64-linux-gnu' },
  arm64: { name: 'aarch64-linux-gnu-strip', install: 'apt install binutils-aarch64-linux-gnu' },
} as const;

/** The runtime of an architecture, from the cache when it is there. @throws {Error} for a failed download or check */
export function fetchRuntime(architecture: Architecture): Runtime {
  const name = `node-linux-${architecture}`;
  const home = join(cacheDirectory(), `${name}-${NODE_VERSION}-${PINNED.sha256[architecture].slice(0, 12)}`);
  const runtime = { node: join(home, 'node'), stripped: join(home, 'stripped'), license: join(home, 'LICENSE') };
  if (existsSync(home)) return runtime;
  mkdirSync(cacheDirectory(), { recursive: true });
  // Made beside its place and moved there whole, so that an interrupted build leaves no half of it.
  const work = mkdtempSync(join(cacheDirectory(), 'making-'));
  try {
    const tarball = download(name, work);
    verify(tarball, architecture);
    const members = ['package/bin/node', 'package/LICENSE'];
    const install = 'apt install tar';
    runTool(['tar', '-xzf', tarball, '-C', work, '--no-same-owner', ...members], { install });
    const unpacked = join(work, 'unpacked');
    mkdirSync(unpacked);
    renameSync(join(work, 'package/bin/node'), join(unpacked, 'node'));
    renameSync(join(work, 'package/LICENSE'), join(unpacked, 'LICENSE'));
    const strip = STRIP[architecture];
    runTool([strip.name, join(unpacked, 'node'), '-o', join(unpacked, 'stripped')], strip);
    // Another build may have been faster; its result is the same.
    if (!existsSync(home)) renameSync(unpacked, home);
    return runtime;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where downloads are kept between builds. */
export function cacheDirectory(): string {
  const { MCPROXY_BUILD_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  if (own !== undefined && own !== '') return own;
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'mcproxy-build');
}

function download(name: string, work: string): string {
  const spec = `${name}@${NODE_VERSION}`;
  try {
    runTool(['npm', 'pack', spec, '--silent', '--pack-destination', work], { cwd: work, install: 'apt install npm' });
  } catch (error) {
    throw new Error(`the Node binary ${spec} could not be downloaded: ${(error as Error).message}`, { cause: error });
  }
  return join(work, `${name}-${NODE_VERSION}.tgz`);
}

function verify(tarball: string, architecture: Architecture): void {
  const found = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  const pinned = PINNED.sha256[architecture];
  if (found === pinned) return;
  throw new Error(`${tarball}: the checksum is ${found}, build/node-runtime.json says ${pinned}; it is not used`);
}
