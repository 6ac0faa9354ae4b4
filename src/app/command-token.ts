/**
 * `mcproxy token add|list|revoke|rotate`: who may come in, by editing tokens.yml in place.
 *
 * A token is 256 random bits, printed once on stdout (alone, so that a script can take it) and stored as its
 * SHA-256. A change that would make a valid configuration invalid is not written. The running service notices the
 * saved file by itself; it is asked only to be able to say so. How the text is edited is in `config/edit.ts`, how the file is
 * replaced in `edit-file.ts`.
 */
import { randomBytes } from 'node:crypto';

import { addUser, listUsers, removeUser, replaceToken, type ListedUser } from '../config/edit.ts';
import { ProxyError } from '../errors.ts';
import { askService, SERVICE_OPTIONS } from './admin-client.ts';
import { asReloadAnswer } from './command-reload.ts';
import {
  EXIT,
  FILE_OPTIONS,
  JSON_OPTION,
  flagOption,
  listOption,
  textOption,
  usageError,
  type Command,
  type Invocation,
} from './command.ts';
import { editFile } from './edit-file.ts';
import type { LoadedConfig } from './load.ts';
import { loadNamed } from './named-files.ts';
import { readOperatorFile, sha256 } from './operator-file.ts';
import { problemsText } from './report.ts';

const NAME = /^[A-Za-z0-9._@-]{1,64}$/;
const ROLES = ['user', 'admin'] as const;

const add: Command = {
  name: 'token add',
  synopsis: 'NAME [--server S]... [--role admin]',
  summary: 'Lets a user in: prints a new token once and stores its digest',
  options: {
    server: {
      type: 'string',
      multiple: true,
      value: 'S',
      help: 'a server the user may use (repeat it); without it: all',
    },
    role: { type: 'string', value: 'ROLE', help: 'user (default), or admin, who may see status and metrics' },
    ...SERVICE_OPTIONS,
  },
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    const servers = listOption(invocation, 'server');
    const asked = textOption(invocation, 'role') ?? 'user';
    const role = ROLES.find((known) => known === asked);
    if (role === undefined) return usageError(invocation.stderr, `--role is one of: ${ROLES.join(', ')}`);
    return issue(invocation, name, (text, tokenDigest) =>
      addUser(text, {
        name,
        tokenDigest,
        ...(role === 'user' ? {} : { role }),
        ...(servers.length === 0 ? {} : { servers }),
      }),
    );
  },
};

const rotate: Command = {
  name: 'token rotate',
  synopsis: 'NAME',
  summary: 'Replaces the token of a user by a new one, which is printed once',
  options: SERVICE_OPTIONS,
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    return issue(invocation, name, (text, tokenDigest) => replaceToken(text, name, tokenDigest));
  },
};

const revoke: Command = {
  name: 'token revoke',
  synopsis: 'NAME',
  summary: 'Shuts a user out: removes the user and the token',
  options: SERVICE_OPTIONS,
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    if (!NAME.test(name)) return wrongName(invocation);
    const path = await changeTokens(invocation, (text) => removeUser(text, name));
    invocation.stderr.write(`Removed ${name} from ${path}.\n`);
    await tellService(invocation);
    return EXIT.ok;
  },
};

const list: Command = {
  name: 'token list',
  synopsis: '[--json]',
  summary: 'Lists the users of tokens.yml, without their tokens',
  options: { json: JSON_OPTION, ...FILE_OPTIONS },
  positionals: { min: 0, max: 0 },
  async run(invocation) {
    const { tokensFile } = await loadNamed(invocation);
    const file = await readOperatorFile(tokensFile);
    if (file.state === 'unusable') throw new ProxyError('CONFIG_INVALID', `${tokensFile}: ${file.text}: ${file.fix}`);
    const users = file.state === 'read' ? listUsers(file.text) : [];
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(users)}\n`);
    else if (users.length === 0)
      invocation.stderr.write(`No users in ${tokensFile}. Add one: mcproxy token add NAME\n`);
    else invocation.stdout.write(table(users));
    return EXIT.ok;
  },
};

/** One line per user: name, role, servers. */
function table(users: readonly ListedUser[]): string {
  const width = Math.max(...users.map((user) => user.name.length));
  const lines = users.map(({ name, role, servers }) => {
    const access = servers.includes('*') ? 'all servers' : servers.join(', ') || 'no server';
    return `${name.padEnd(width)}  ${role.padEnd('admin'.length)}  ${access}\n`;
  });
  return lines.join('');
}

export const tokenCommands: readonly Command[] = [add, list, rotate, revoke];

/** Makes a token, stores its digest by `edit`, then prints it: a token that could not be stored is never seen. */
async function issue(
  invocation: Invocation,
  name: string,
  edit: (text: string, tokenDigest: string) => string,
): Promise<number> {
  if (!NAME.test(name)) return wrongName(invocation);
  const token = `mcp_${randomBytes(32).toString('base64url')}`;
  const path = await changeTokens(invocation, (text) => edit(text, `sha256:${sha256(token)}`));
  invocation.stdout.write(`${token}\n`);
  invocation.stderr.write(
    `This is the token of ${name}; it is not shown again. Clients send it as: Authorization: Bearer TOKEN\n` +
      `Changed ${path}.\n`,
  );
  await tellService(invocation);
  return EXIT.ok;
}

/** Edits tokens.yml and returns the path that was written. @throws {ProxyError} CONFIG_INVALID */
async function changeTokens(invocation: Invocation, edit: (text: string) => string): Promise<string> {
  const before = await loadNamed(invocation);
  const path = await editFile(before.tokensFile, async (text) => {
    const edited = edit(text);
    const after = await loadNamed(invocation, { path: before.tokensFile, text: edited });
    // A file that is invalid already (a variable that only the service has, say) does not hinder the change.
    if (isValid(before) && !isValid(after)) {
      const reason = 'nothing was written, because the change would make the configuration invalid:';
      throw new ProxyError('CONFIG_INVALID', `${reason}\n${problemsText(errorsOf(after)).trimEnd()}`);
    }
    return edited;
  });
  const written = await loadNamed(invocation);
  invocation.stderr.write(problemsText(errorsOf(written)));
  return path;
}

/** Says whether the running service has the change. It may use other files, so it is not taken for granted. */
async function tellService(invocation: Invocation): Promise<void> {
  const answer = await askService(invocation, { method: 'POST', target: '/reload' });
  if (answer.kind === 'none') {
    invocation.stderr.write('A service that runs with this file applies the change within a second.\n');
    return;
  }
  const result = asReloadAnswer(answer.body);
  if (result?.ok === true && result.changes.length > 0) {
    invocation.stderr.write(`The running service has reloaded: ${result.changes.join('; ')}.\n`);
  } else if (result?.ok === true) {
    invocation.stderr.write('The running service is up to date.\n');
  } else {
    invocation.stderr.write('The running service keeps its old configuration; `mcproxy reload` says why.\n');
  }
}

function errorsOf(loaded: LoadedConfig): LoadedConfig['problems'] {
  return loaded.problems.filter((problem) => problem.severity === 'error');
}

function isValid(loaded: LoadedConfig): boolean {
  return errorsOf(loaded).length === 0;
}

function wrongName(invocation: Invocation): number {
  return usageError(invocation.stderr, 'a name has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -');
}
