import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { debianChangelog } from '../../build/changelog.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../../build/completions.ts';
import { manualPage } from '../../build/manual.ts';
import { billOfMaterials } from '../../build/sbom.ts';
import { COMMANDS } from '../../src/app/cli.ts';
import { runCommand } from '../support/start-app.ts';
import { ROOT } from '../support/products.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

verifies('package.texts', 'the manual page has every command and option, and formats without a warning', () => {
  const page = manualPage('1.2.3', '2026-01-31');
  const shown = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', '-'], {
    input: page,
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '400', LC_ALL: 'C.UTF-8' },
  });
  assert.equal(shown.error, undefined, 'run: apt install man-db');
  assert.equal(shown.stderr, '');
  for (const { name, options } of COMMANDS) {
    assert.ok(shown.stdout.includes(`mcproxy ${name}`), name);
    for (const option of Object.keys(options)) assert.ok(shown.stdout.includes(`--${option}`), option);
  }
});

/** What a shell offers for a line, asked of the shell itself. */
const SHELLS = [
  {
    shell: 'bash',
    text: bashCompletion,
    script: (file: string, words: readonly string[]) =>
      `compopt() { :; }; source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); ` +
      `COMP_CWORD=${words.length - 1}; _mcproxy; printf '%s\\n' "\${COMPREPLY[@]}"`,
  },
  {
    shell: 'fish',
    text: fishCompletion,
    script: (file: string, words: readonly string[]) => `source ${file}; complete -C '${words.join(' ')}'`,
  },
];

for (const { shell, text, script } of SHELLS) {
  verifies('package.texts', `${shell} completes commands, their second words and their options`, (t) => {
    const dir = makeTempDir(t);
    writeFiles(dir, { completion: text() });
    const offered = (...words: string[]): string[] => {
      const asked = spawnSync(shell, ['-c', script(join(dir, 'completion'), words)], { encoding: 'utf8' });
      assert.equal(asked.error, undefined, `run: apt install ${shell}`);
      return asked.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0] ?? '');
    };
    assert.ok(offered('mcproxy', 'to').includes('token'));
    assert.deepEqual(offered('mcproxy', 'token', '').toSorted(), ['add', 'list', 'revoke', 'rotate']);
    const options = offered('mcproxy', 'token', 'add', '--');
    assert.ok(options.includes('--server') && !options.includes('--connect'), options.join(' '));
  });
}

verifies('package.texts', 'the completion of zsh is a valid script', (t) => {
  const dir = makeTempDir(t);
  writeFiles(dir, { _mcproxy: zshCompletion() });
  const read = spawnSync('zsh', ['-n', join(dir, '_mcproxy')], { encoding: 'utf8' });
  assert.equal(read.error, undefined, 'run: apt install zsh');
  assert.equal(read.stderr, '');
});

for (const { name, change } of [
  { name: 'as it is', change: (text: string) => text },
  { name: 'with its examples', change: uncomment },
]) {
  verifies('package.texts', `the shipped configuration is right ${name}`, async (t) => {
    const dir = makeTempDir(t);
    const shipped = (file: string): string => change(readFileSync(join(ROOT, 'packaging/etc', file), 'utf8'));
    writeFiles(dir, { 'mcproxy.yml': shipped('mcproxy.yml'), 'tokens.yml': shipped('tokens.yml') });
    const env = { ALICE_GITHUB: 'a', GITHUB_TOKEN: 'b' };
    const { code, stderr, stdout } = await runCommand(['check', '--config', dir], { env });
    assert.equal(code, 0, stdout + stderr);
  });
}

/** The file with the example at its end in force, and a whole digest in place of the one that is cut short. */
function uncomment(text: string): string {
  const [head = '', example = ''] = text.split(/^(?=#(?:servers|users):)/m);
  const digest = 'ab'.repeat(32);
  const uncommented = example.replaceAll(/^#/gm, '').replaceAll(/sha256:\w+\.\.\./g, () => `sha256:${digest}`);
  // Two users with one token would be a problem.
  return head.replace('users: {}\n', '') + uncommented.replace(digest, 'cd'.repeat(32));
}

test('the changelog of Debian has each version with its day and points', () => {
  const text = debianChangelog(
    '# Changelog\n\n## [1.1.0] - 2026-02-01\n\n### Added\n\n- One.\n- Two\n  lines.\n\n## [1.0.0] - 2026-01-01\n\nFirst.\n',
  );
  assert.match(
    text,
    /^mcproxy \(1\.1\.0\) stable; urgency=medium\n\n {2}\* One\.\n {2}\* Two lines\.\n\n -- .+ {2}Sun, 01 Feb 2026 12:00:00 \+0000\n/,
  );
  assert.match(text, /\nmcproxy \(1\.0\.0\) stable/);
  assert.throws(() => debianChangelog('# Changelog\n'), /no heading/);
});

test('the bill of materials names mcproxy, Node and what Node contains', () => {
  const bill = JSON.parse(billOfMaterials({ version: '1.2.3', commit: 'abc' })) as { components: { name: string }[] };
  const names = bill.components.map(({ name }) => name);
  for (const name of ['node', 'v8', 'openssl', 'uv', 'zlib', 'llhttp']) assert.ok(names.includes(name), name);
});
