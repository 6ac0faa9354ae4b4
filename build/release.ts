/**
 * `npm run release`: from a clean tree to checksums, or an error at the first step that fails.
 *
 * Order: clean tree and a version that the changelog knows → `npm test` → `npm run package` → `npm run test:package` →
 * the checksums, read once more. What it does not do is publish: tagging and uploading are the maintainer's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHECKSUMS } from './package.ts';
import { readIdentity } from './version.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

function step(name: string, ...command: [string, ...string[]]): void {
  const [file, ...args] = command;
  const { status, error } = spawnSync(file, args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined || status !== 0) throw new Error(`${name} failed`);
}

function main(): void {
  const { version, commit } = readIdentity(ROOT);
  if (commit === 'unknown' || commit.endsWith('-dirty'))
    throw new Error('the tree has changes that are not committed; a release is made from a commit');
  const known = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8').includes(`## [${version}] - `);
  if (!known) throw new Error(`CHANGELOG.md has no dated heading for ${version}`);
  step('npm test', 'npm', 'test');
  step('npm run package', 'npm', 'run', 'package');
  step('npm run test:package', 'npm', 'run', 'test:package');
  const dist = join(ROOT, 'dist');
  execFileSync('sha256sum', ['--check', '--quiet', CHECKSUMS], { cwd: dist, stdio: 'inherit' });
  process.stdout.write(`mcproxy ${version} (${commit})\n${readFileSync(join(dist, CHECKSUMS), 'utf8')}`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`npm run release: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
