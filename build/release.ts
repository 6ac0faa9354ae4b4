/**
 * `npm run release`: from a clean tree to checksums, or an error at the first step that fails.
 *
 * Order: clean tree and a version that the changelog knows → `npm test` → `npm run package` → `npm run test:package` →
 * the checksums, read once more. `--dry-run` looks at tree and changelog and names the steps. What it does not do is
 * publish: tagging and uploading are the maintainer's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHECKSUMS } from './package.ts';
import { readIdentity } from './version.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const STEPS = [
  ['npm', 'test'],
  ['npm', 'run', 'package'],
  ['npm', 'run', 'test:package'],
] as const;

function step([file, ...args]: (typeof STEPS)[number]): void {
  const begun = Date.now();
  const { status, error } = spawnSync(file, args, { cwd: ROOT, stdio: 'inherit' });
  const name = [file, ...args].join(' ');
  if (error !== undefined || status !== 0) throw new Error(`${name} failed`);
  process.stdout.write(`${name}: done in ${Math.round((Date.now() - begun) / 1_000)} s\n`);
}

function main({ dryRun }: { readonly dryRun: boolean }): void {
  const { version, commit } = readIdentity(ROOT);
  if (commit === 'unknown' || commit.endsWith('-dirty'))
    throw new Error('the tree has changes that are not committed; a release is made from a commit');
  const known = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8').includes(`## [${version}] - `);
  if (!known) throw new Error(`CHANGELOG.md has no dated heading for ${version}`);
  if (dryRun) {
    const steps = [...STEPS, ['sha256sum', '--check', CHECKSUMS]].map((words) => `${words.join(' ')}\n`);
    process.stdout.write(`mcproxy ${version} (${commit}) would be made by\n${steps.join('')}`);
    return;
  }
  for (const each of STEPS) step(each);
  const dist = join(ROOT, 'dist');
  execFileSync('sha256sum', ['--check', '--quiet', CHECKSUMS], { cwd: dist, stdio: 'inherit' });
  process.stdout.write(`mcproxy ${version} (${commit})\n${readFileSync(join(dist, CHECKSUMS), 'utf8')}`);
}

try {
  const args = process.argv.slice(2);
  const strange = args.find((word) => word !== '--dry-run');
  if (strange !== undefined) throw new Error(`there is no option ${strange}; the only one is --dry-run`);
  main({ dryRun: args.length > 0 });
} catch (error) {
  process.stderr.write(`npm run release: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
