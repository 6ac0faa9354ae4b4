/**
 * The bundle and a Node binary as one file that needs nothing beside the C library (a single executable application).
 *
 * Each blob holds the bundle and V8's code cache of it, which saves memory and time at the start, because the bundle is
 * not parsed. V8 takes a cache only from the same Node, architecture and flags, and otherwise warns at every start; so
 * the blob is made by the Node it is injected into, under an emulator where it is foreign, and each product is run
 * before it counts. V8's flags go in here, since the process cannot set all of them later: small young generation, no
 * Maglev and no helper threads, which together keep memory low under load, and no notes on functions that hardly run.
 */
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchRuntime, type Architecture } from './node-runtime.ts';
import { runTool } from './run-tool.ts';
import { commandFor } from './try-executable.ts';

/** Why each: packaging/README.md, "Memory". */
export const V8_FLAGS = [
  '--max-semi-space-size=1',
  '--no-maglev',
  '--v8-pool-size=0',
  '--invocation-count-for-feedback-allocation=100',
] as const;

/** @see nodejs.org, Single executable applications: the sentinel that tells Node that something was injected */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/**
 * The cache is written in the order of hashes, and their seed is random otherwise. Of all flags V8 ignores this one when
 * it compares; the seed of the program that is built stays random.
 */
const REPRODUCIBLE = '--random-seed=1';

export interface ExecutableOptions {
  readonly root: string;
  readonly bundle: string;
  readonly outDir: string;
}

/** Writes `mcproxy-linux-x64` and `mcproxy-linux-arm64` into `outDir` and returns their paths. */
export function buildExecutables(options: ExecutableOptions): Record<Architecture, string> {
  const work = mkdtempSync(join(tmpdir(), 'mcproxy-build-'));
  try {
    // The names stand in the blob and in stack traces: relative, so that they do not tell where it was built.
    copyFileSync(options.bundle, join(work, 'mcproxy.cjs'));
    const build = (architecture: Architecture): string => inject(options, makeBlob(work, architecture), architecture);
    return { x64: build('x64'), arm64: build('arm64') };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function makeBlob(work: string, architecture: Architecture): string {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64'))
    throw new Error(`packages are built on Linux, x64 or arm64; this is ${process.platform} ${process.arch}`);
  const blob = `mcproxy-${architecture}.blob`;
  const config = {
    main: 'mcproxy.cjs',
    output: blob,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    useSnapshot: false,
    execArgv: V8_FLAGS,
    execArgvExtension: 'none',
  };
  writeFileSync(join(work, 'sea.json'), JSON.stringify(config));
  const command = commandFor(architecture, fetchRuntime(architecture).node);
  const options = { cwd: work, install: 'apt install qemu-user-static' };
  runTool([...command, ...V8_FLAGS, REPRODUCIBLE, '--experimental-sea-config', 'sea.json'], options);
  return join(work, blob);
}

function inject(options: ExecutableOptions, blob: string, architecture: Architecture): string {
  const target = join(options.outDir, `mcproxy-linux-${architecture}`);
  const making = `${target}.making`;
  copyFileSync(fetchRuntime(architecture).stripped, making);
  chmodSync(making, 0o755);
  const postject = join(options.root, 'node_modules/.bin/postject');
  runTool([postject, making, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE], { install: 'npm ci' });
  renameSync(making, target);
  return target;
}
