/**
 * The bundle and a Node binary as one file that needs nothing beside the C library (a single executable application).
 *
 * One blob serves both architectures, because it holds no machine code: no code cache and no snapshot, which also keeps
 * the bytes reproducible. It must be made by Node of the very version it is injected into: other pairs give a program
 * that ends silently, so each product is run before it counts. V8's flags go in here, since the process cannot set all
 * of them later: small young generation, no Maglev and no helper threads, which together keep memory low under load.
 */
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchRuntime, type Architecture } from './node-runtime.ts';
import { runTool } from './run-tool.ts';

/** Why each: packaging/README.md, "Memory". */
export const V8_FLAGS = ['--max-semi-space-size=1', '--no-maglev', '--v8-pool-size=0'] as const;

/** @see nodejs.org, Single executable applications: the sentinel that tells Node that something was injected */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

export interface ExecutableOptions {
  readonly root: string;
  readonly bundle: string;
  readonly outDir: string;
}

/** Writes `mcproxy-linux-x64` and `mcproxy-linux-arm64` into `outDir` and returns their paths. */
export async function buildExecutables(options: ExecutableOptions): Promise<Record<Architecture, string>> {
  const work = mkdtempSync(join(tmpdir(), 'mcproxy-build-'));
  try {
    const blob = makeBlob(options.bundle, work);
    return { x64: await inject(options, blob, 'x64'), arm64: await inject(options, blob, 'arm64') };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function makeBlob(bundle: string, work: string): string {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64'))
    throw new Error(`packages are built on Linux, x64 or arm64; this is ${process.platform} ${process.arch}`);
  // The names stand in the blob and in stack traces: relative, so that they do not tell where it was built.
  copyFileSync(bundle, join(work, 'mcproxy.cjs'));
  const config = {
    main: 'mcproxy.cjs',
    output: 'mcproxy.blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: false,
    useSnapshot: false,
    execArgv: V8_FLAGS,
    execArgvExtension: 'none',
  };
  writeFileSync(join(work, 'sea.json'), JSON.stringify(config));
  const { node } = fetchRuntime(process.arch);
  runTool([node, '--experimental-sea-config', 'sea.json'], { cwd: work, install: 'npm run package' });
  return join(work, 'mcproxy.blob');
}

async function inject(options: ExecutableOptions, blob: string, architecture: Architecture): Promise<string> {
  const target = join(options.outDir, `mcproxy-linux-${architecture}`);
  const making = `${target}.making`;
  copyFileSync(fetchRuntime(architecture).stripped, making);
  chmodSync(making, 0o755);
  const postject = join(options.root, 'node_modules/.bin/postject');
  runTool([postject, making, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE], { install: 'npm ci' });
  renameSync(making, target);
  return target;
}
