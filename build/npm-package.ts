/**
 * The package for npm's registry, `mcproxy-<version>.tgz`: the bundle as a command, and what a reader needs.
 *
 * Its package.json is made here and has neither scripts nor dependencies: what is installed is one file that Node runs.
 */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

export interface NpmOptions {
  readonly root: string;
  readonly bundle: string;
  readonly outDir: string;
}

/** Writes the tarball into `outDir` and returns its path. */
export function buildNpmPackage({ root, bundle, outDir }: NpmOptions): string {
  const work = mkdtempSync(join(tmpdir(), 'mcproxy-build-'));
  try {
    const stage = join(work, 'package');
    mkdirSync(stage);
    const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
    const { name, version, description, license, engines } = source;
    const manifest = { name, version, description, license, engines, bin: { mcproxy: 'mcproxy.js' } };
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    copyFileSync(bundle, join(stage, 'mcproxy.js'));
    for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) cpSync(join(root, file), join(stage, file));
    runTool(['npm', 'pack', stage, '--silent', '--pack-destination', work], { cwd: work, install: 'apt install npm' });
    const file = `${String(name)}-${String(version)}.tgz`;
    const target = join(outDir, file);
    copyFileSync(join(work, file), `${target}.making`);
    renameSync(`${target}.making`, target);
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
