import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, beforeEach } from 'node:test';
import { ROOT } from '../support/products.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

/**
 * `npm run release` in a repository of its own that has what the script reads. Its steps are tests and builds that run
 * for themselves; here `npm` is a script that notes what it was told, so that order and ends are what is tested.
 */
const dir = makeTempDir({ after });
const [tree, bin] = [join(dir, 'tree'), join(dir, 'bin')];
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** Makes what `npm run package` would, as far as the script looks at it. */
const NPM = `#!/bin/sh
echo "$@" >> ${dir}/told
[ "$*" = "$FAILING" ] && exit 1
[ "$*" = "run package" ] || exit 0
mkdir -p dist && echo x > dist/product && cd dist && sha256sum product > SHA256SUMS
`;

const git = (...args: string[]): string =>
  execFileSync('git', ['-C', tree, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { encoding: 'utf8' });

function release(args: readonly string[], failing = ''): { code: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}`, FAILING: failing };
  const command = ['--import', 'tsx', 'build/release.ts', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: tree, env, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

const told = (): string[] => readFileSync(join(dir, 'told'), 'utf8').trim().split('\n');

beforeEach(() => {
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'npm'), NPM, { mode: 0o755 });
  writeFileSync(join(dir, 'told'), '');
  for (const name of ['build', 'src', 'package.json', 'tsconfig.json', 'CHANGELOG.md', '.gitignore'])
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'all');
});

verifies('package.release', 'a release tests, packages, tests the packages and ends with the checksums', () => {
  const { code, stdout, stderr } = release([]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.deepEqual(told(), ['test', 'run package', 'run test:package']);
  assert.match(stdout, /^mcproxy \S+ \([0-9a-f]{12}\)\n[0-9a-f]{64}  product\n$/m);
});

verifies('package.release', 'a release ends at the first step that fails', () => {
  const { code, stdout, stderr } = release([], 'run package');
  assert.deepEqual({ code, stderr }, { code: 1, stderr: 'npm run release: npm run package failed\n' });
  assert.deepEqual(told(), ['test', 'run package']);
  assert.doesNotMatch(stdout, /product/);
});

verifies(
  'package.release',
  'a tree with changes, or a version that the changelog does not know, is not released',
  () => {
    writeFileSync(join(tree, 'new'), '');
    assert.match(release([]).stderr, /changes that are not committed/);
    rmSync(join(tree, 'new'));
    writeFileSync(join(tree, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n');
    git('commit', '--quiet', '--all', '--message', 'undated');
    const { code, stderr } = release([]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`no dated heading for ${version}`), stderr);
    assert.deepEqual(told(), ['']);
  },
);

verifies('package.release', 'a dry run names the steps and takes none', () => {
  const { code, stdout } = release(['--dry-run']);
  assert.equal(code, 0);
  assert.match(stdout, /^npm test\nnpm run package\nnpm run test:package\nsha256sum/m);
  assert.deepEqual(told(), ['']);
  assert.match(release(['--publish']).stderr, /no option --publish/);
});
