/**
 * `mcproxy version` and `mcproxy --version`: which mcproxy this is, in one line that a bug report can carry.
 *
 * Version and commit are set at build time (`version.ts`); the Node version is that of the running process, which
 * in the shipped binary is the one built in.
 */
import { EXIT, JSON_OPTION, flagOption, type Command } from './command.ts';
import { COMMIT, VERSION } from './version.ts';

/** `mcproxy 1.2.3 (0123456789ab), Node v20.11.0`. */
export function versionLine(): string {
  return `mcproxy ${VERSION} (${COMMIT}), Node ${process.version}`;
}

export const versionCommand: Command = {
  name: 'version',
  synopsis: '[--json]',
  summary: 'Prints version, commit and Node version',
  options: { json: JSON_OPTION },
  positionals: { min: 0, max: 0 },
  async run(invocation) {
    const json = JSON.stringify({ version: VERSION, commit: COMMIT, node: process.version });
    invocation.stdout.write(`${flagOption(invocation, 'json') ? json : versionLine()}\n`);
    return EXIT.ok;
  },
};
