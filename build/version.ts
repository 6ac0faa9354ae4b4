/**
 * The identity that a build stamps into its artefacts: version from package.json, commit from git.
 *
 * Promises the same answer for the same tree. A tree that is not the top of its own git work tree (an unpacked
 * source archive, even inside somebody's repository) has the commit `unknown`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export interface Identity {
  readonly version: string;
  readonly commit: string;
}

/** Version and commit of the source tree at `root`. */
export function readIdentity(root: string): Identity {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { version: manifest.version, commit: readCommit(root) };
}

function readCommit(root: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(root)) return 'unknown';
    const commit = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain') === '' ? commit : `${commit}-dirty`;
  } catch {
    // No git, no work tree, or no commit yet: all the same to a reader of the version line.
    return 'unknown';
  }
}
