/**
 * What `npm run package` left in `dist/`, for the tests of it.
 *
 * Whoever runs them builds first; a product that is missing, or of another commit, fails with the command to run.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Architecture } from '../../build/node-runtime.ts';
import { readIdentity } from '../../build/version.ts';
import { makeTempDir, type Cleanup } from './temp-dir.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { version } = readIdentity(ROOT);

/** Path of a product by its name in dist/. @throws {Error} when it was not built */
export function product(name: string): string {
  const path = join(ROOT, 'dist', name);
  if (!existsSync(path)) throw new Error(`${path} is missing; run: npm run package`);
  return path;
}

export const EXECUTABLE = {
  x64: () => product('mcproxy-linux-x64'),
  arm64: () => product('mcproxy-linux-arm64'),
} satisfies Record<Architecture, () => string>;

export type DebianArchitecture = 'amd64' | 'arm64';

export function debianPackage(architecture: DebianArchitecture): string {
  return product(`mcproxy_${version}_${architecture}.deb`);
}

export function npmPackage(): string {
  return product(`mcproxy-${version}.tgz`);
}

export const NEXT_VERSION = `${version}+next`;

/** The package once more as the next version, whose mcproxy.yml has one line more; not compressed, which takes long. */
export function nextDebianPackage(cleanup: Cleanup, architecture: DebianArchitecture = 'amd64'): string {
  const dir = makeTempDir(cleanup);
  const tree = join(dir, 'tree');
  execFileSync('dpkg-deb', ['--raw-extract', debianPackage(architecture), tree]);
  const edit = (name: string, change: (text: string) => string): void =>
    writeFileSync(join(tree, name), change(readFileSync(join(tree, name), 'utf8')));
  edit('DEBIAN/control', (text) => text.replace(/^Version: .*$/m, `Version: ${NEXT_VERSION}`));
  edit('etc/mcproxy/mcproxy.yml', (text) => `${text}# A line of the next version.\n`);
  const target = join(dir, 'next.deb');
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, target]);
  return target;
}
