import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { bundle } from '../../build/bundle.ts';
import { readIdentity } from '../../build/version.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { ROOT } from './tree.ts';

const run = promisify(execFile);

verifies(
  ['repository.build', 'repository.version'],
  'the bundle runs with plain Node and says its version',
  async (t) => {
    const outDir = makeTempDir(t);
    const outFile = await bundle({ root: ROOT, entry: 'src/main.ts', outDir });
    assert.equal(statSync(outFile).mode & 0o777, 0o755);
    const { version, commit } = readIdentity(ROOT);
    const { stdout, stderr } = await run(process.execPath, [outFile, '--version'], { cwd: outDir });
    assert.ok(stdout.includes(version) && stdout.includes(commit), stdout);
    assert.equal(stderr, '');
  },
);

verifies('repository.version', 'from source the version is that of package.json and the commit says so', async () => {
  const program = ['--import', 'tsx', join(ROOT, 'src/main.ts')];
  const { stdout, stderr } = await run(process.execPath, [...program, '--version'], { cwd: ROOT });
  assert.ok(stdout.includes(readIdentity(ROOT).version) && stdout.includes('source'), stdout);
  assert.equal(stderr, '');
});

verifies('repository.build-reproducible', 'the same tree gives the same bytes', async (t) => {
  const [first, second] = [makeTempDir(t), makeTempDir(t)];
  const files = await Promise.all(
    [first, second].map((outDir) => bundle({ root: ROOT, entry: 'src/main.ts', outDir })),
  );
  const [one, two] = files.map((file) => readFileSync(file, 'utf8'));
  assert.ok(one === two, 'the two bundles differ');
  assert.ok(!one?.includes(ROOT), 'the bundle names the directory it was built in');
  // oxlint-disable-next-line no-control-regex -- which characters there are is the point
  assert.doesNotMatch(one ?? '', /[^\x00-\x7f]/, 'one such character doubles the memory that the text takes');
});

test('the build refuses what is not from src', async (t) => {
  const root = makeTempDir(t);
  writeFiles(root, {
    'package.json': '{ "version": "1.2.3" }',
    'lib/b.ts': 'export const b = 1;',
    'src/main.ts': `import { b } from '../lib/b.ts';\nprocess.stdout.write(String(b));\n`,
  });
  await assert.rejects(bundle({ root, entry: 'src/main.ts', outDir: join(root, 'dist') }), /only src\/ .*lib\/b\.ts/);
});

test('the commit is that of the tree, says when it has changes, and is unknown elsewhere', (t) => {
  const root = makeTempDir(t);
  const nowhere = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', PATH: process.env['PATH'] };
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.test'];
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', root, ...identity, ...args], { encoding: 'utf8', env: nowhere });
  writeFiles(root, { 'package.json': '{ "version": "1.2.3" }', 'inner/package.json': '{ "version": "4.5.6" }' });
  assert.deepEqual(readIdentity(root), { version: '1.2.3', commit: 'unknown' });

  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'first');
  const commit = git('rev-parse', 'HEAD').slice(0, 12);
  assert.deepEqual(readIdentity(root), { version: '1.2.3', commit });
  assert.equal(readIdentity(join(root, 'inner')).commit, 'unknown');

  writeFiles(root, { 'new.ts': '' });
  assert.equal(readIdentity(root).commit, `${commit}-dirty`);
});
