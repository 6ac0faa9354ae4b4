/**
 * `npm run package`: everything that is released, into `dist/`, from one commit and with the same bytes each time.
 *
 * Executables for both architectures, Debian packages, the npm package, a bill of materials and the checksums of all.
 * Needs Linux, npm, dpkg-deb, xz, binutils of both architectures and qemu-user-static; what is missing is named. The
 * steps are in the files that are imported here; each can be read alone.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from './bundle.ts';
import { buildDebianPackage } from './debian.ts';
import { buildExecutables } from './executable.ts';
import { ARCHITECTURES, fetchRuntime } from './node-runtime.ts';
import { buildNpmPackage } from './npm-package.ts';
import { runTool } from './run-tool.ts';
import { billOfMaterials } from './sbom.ts';
import { tryExecutable } from './try-executable.ts';
import { readIdentity } from './version.ts';

export interface PackageOptions {
  readonly root: string;
  readonly outDir: string;
  /** `gzip` is quicker and larger: for tests, not for release. */
  readonly compression?: 'xz' | 'gzip';
}

export const CHECKSUMS = 'SHA256SUMS';

/** Builds everything into `outDir` and returns the paths, the checksums last. */
export async function packageAll(options: PackageOptions): Promise<string[]> {
  const { root, outDir } = options;
  mkdirSync(outDir, { recursive: true });
  const identity = readIdentity(root);
  for (const architecture of ARCHITECTURES) fetchRuntime(architecture);
  const bundled = await bundle({ root, entry: 'src/main.ts', outDir });
  const executables = buildExecutables({ root, bundle: bundled, outDir });
  for (const architecture of ARCHITECTURES) tryExecutable(architecture, executables[architecture], identity);
  const { compression = 'xz' } = options;
  const epoch = commitTime(root);
  const packages = ARCHITECTURES.map((architecture) => {
    const executable = executables[architecture];
    return buildDebianPackage({ root, outDir, identity, epoch, architecture, executable, compression });
  });
  const npmPackage = buildNpmPackage({ root, bundle: bundled, outDir });
  const bill = join(outDir, `mcproxy-${identity.version}.cdx.json`);
  writeFileSync(bill, billOfMaterials(identity));
  const products = [...ARCHITECTURES.map((architecture) => executables[architecture]), ...packages, npmPackage, bill];
  const sums = join(outDir, CHECKSUMS);
  writeFileSync(sums, products.map((path) => `${sha256(path)}  ${basename(path)}\n`).join(''));
  return [...products, sums];
}

/** Seconds since the epoch: SOURCE_DATE_EPOCH, else the commit's time, else a fixed day for a tree without git. */
function commitTime(root: string): number {
  const given = process.env['SOURCE_DATE_EPOCH'] ?? '';
  if (/^\d+$/.test(given)) return Number(given);
  if (readIdentity(root).commit === 'unknown') return Date.UTC(2026, 0, 1) / 1_000;
  return Number(runTool(['git', '-C', root, 'log', '-1', '--format=%ct'], { install: 'apt install git' }).trim());
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function main(): Promise<void> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  try {
    // `--quick`: packages that are half as large again, in a tenth of the time; for tests.
    const compression = process.argv.includes('--quick') ? 'gzip' : 'xz';
    for (const path of await packageAll({ root, outDir: join(root, 'dist'), compression }))
      process.stdout.write(`dist/${basename(path)}, ${Math.ceil(statSync(path).size / 1_024)} KiB\n`);
  } catch (error) {
    process.stderr.write(`npm run package: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
