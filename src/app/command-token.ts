/**
 * `mcproxy token add|list|revoke|rotate`: who may come in, by editing tokens.yml in place.
 *
 * A token is 256 random bits, printed once on stdout (alone, so that a script can take it) and stored as its
 * SHA-256. A change that would make a valid configuration invalid is not written. The running service notices the
 * saved file by itself; it is asked only to be able to say so. How the text is edited is in `config/edit.ts`, how the file is
 * replaced in `edit-file.ts`.
 */
import { randomBytes } from 'node:crypto';

import { addUser, hasUser, listUsers, removeUser, replaceToken } from '../config/edit.ts';
import type { ListedToken, ListedUser } from '../config/edit.ts';
import { addToken, removeToken, rotateToken } from '../config/edit-tokens.ts';
import { READERS } from '../config/kinds.ts';
import type { TokenEntry } from '../config/token-entry.ts';
import { isTokenLabel } from '../config/tokens.ts';
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

const LABEL_OPTION = {
  type: 'string',
  value: 'L',
  help: 'which of several tokens of the user, such as laptop',
} as const;

const add: Command = {
  name: 'token add',
  synopsis: 'NAME [--server S]... [--role ROLE] [--label L] [--expires DAY] [--network CIDR]...',
  summary: 'Lets a user in: prints a new token once and stores its digest',
  options: {
    server: {
      type: 'string',
      multiple: true,
      value: 'S',
      help: 'a server the user may use (repeat it); without it: all',
    },
    role: {
      type: 'string',
      value: 'ROLE',
      help: 'user (default), admin, who may see status and metrics, or a role of tokens.yml',
    },
    label: { ...LABEL_OPTION, help: 'a name for the token; for a user who exists it is one more' },
    expires: { type: 'string', value: 'DAY', help: 'the last day on which it is good (UTC), 2027-01-31, or a time' },
    network: { type: 'string', multiple: true, value: 'CIDR', help: 'where it may be used from (repeat it)' },
    ...SERVICE_OPTIONS,
  },
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    const servers = listOption(invocation, 'server');
    const role = textOption(invocation, 'role') ?? 'user';
    const terms = termsOf(invocation);
    if (typeof terms === 'string') return usageError(invocation.stderr, terms);
    if (!NAME.test(role)) return usageError(invocation.stderr, '--role is user, admin or the name of a role');
    const given = ['server', 'role'].filter((option) => invocation.values[option] !== undefined);
    return issue(invocation, name, (text, digest) => {
      const token = { digest, ...terms };
      // Without anything else to say of a user who is there, it is one more token.
      if (given.length === 0 && terms.label !== undefined && hasUser(text, name)) return addToken(text, name, token);
      // What is given for a role is not widened by default.
      const isRole = role !== 'user' && role !== 'admin';
      return addUser(text, {
        name,
        token,
        ...(role === 'user' ? {} : { role }),
        ...(servers.length === 0 && !isRole ? {} : { servers }),
      });
    });
  },
};

/** The label and terms of the options, or what is wrong with them. */
function termsOf(invocation: Invocation): Omit<TokenEntry, 'digest'> | string {
  const label = textOption(invocation, 'label');
  const expires = textOption(invocation, 'expires');
  const networks = listOption(invocation, 'network');
  if (label !== undefined && !isTokenLabel(label)) return '--label has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -';
  if (expires !== undefined && READERS.end.read(expires) === undefined) return `--expires is ${READERS.end.expects}`;
  if (expires !== undefined && isPast(expires))
    return `--expires is over already (${expires}): such a token is of no use`;
  const wrong = networks.find((network) => READERS.block.read(network) === undefined);
  if (wrong !== undefined) return `--network is ${READERS.block.expects}`;
  return {
    ...(label === undefined ? {} : { label }),
    ...(expires === undefined ? {} : { expires }),
    ...(networks.length === 0 ? {} : { networks }),
  };
}

const rotate: Command = {
  name: 'token rotate',
  synopsis: 'NAME [--label L | --all]',
  summary: 'Replaces a token of a user by a new one, which is printed once',
  options: {
    label: LABEL_OPTION,
    all: { type: 'boolean', help: 'one in the place of all, whose labels and terms are gone then' },
    ...SERVICE_OPTIONS,
  },
  notes: ['The new token has the label and the terms of the old one.'],
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    const label = textOption(invocation, 'label');
    const all = flagOption(invocation, 'all');
    if (all && label !== undefined) return usageError(invocation.stderr, '--label and --all are not for one command');
    return issue(invocation, name, (text, digest) =>
      all
        ? replaceToken(text, name, { digest })
        : rotateToken(text, name, { digest, nowMs: Date.now(), ...(label === undefined ? {} : { label }) }),
    );
  },
};

const revoke: Command = {
  name: 'token revoke',
  synopsis: 'NAME [--label L]',
  summary: 'Shuts a user out: removes the user with all tokens, or the one token with a label',
  options: { label: LABEL_OPTION, ...SERVICE_OPTIONS },
  positionals: { min: 1, max: 1 },
  async run(invocation) {
    const name = invocation.positionals[0] ?? '';
    if (!NAME.test(name)) return wrongName(invocation);
    const label = textOption(invocation, 'label');
    const path = await changeTokens(invocation, (text) =>
      label === undefined ? removeUser(text, name) : removeToken(text, name, label),
    );
    const what = label === undefined ? name : `the token ${label} of ${name}`;
    invocation.stderr.write(`Removed ${what} from ${path}.\n`);
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

/** One line per user: name, role, servers; then one for each token that has more than its digest. */
function table(users: readonly ListedUser[]): string {
  const width = Math.max(...users.map((user) => user.name.length));
  const roleWidth = Math.max(...users.map((user) => rolesOf(user).length));
  const lines = users.flatMap((user) => {
    const { name, role, roles, servers, tokens } = user;
    const none = [role, ...roles].every((word) => word === 'user' || word === 'admin')
      ? 'no server'
      : 'as the role says';
    const access = servers.includes('*') ? 'all servers' : servers.join(', ') || none;
    return [`${name.padEnd(width)}  ${rolesOf(user).padEnd(roleWidth)}  ${access}\n`, ...tokens.flatMap(termsLine)];
  });
  return lines.join('');
}

function rolesOf({ role, roles }: ListedUser): string {
  return [role, ...roles].join(', ');
}

function termsLine({ label, expires, not_before: from, networks }: ListedToken): string[] {
  const terms = [
    ...(from === null ? [] : [`from ${from}`]),
    ...(expires === null ? [] : [`expires ${expires}${isPast(expires) ? ' (EXPIRED)' : ''}`]),
    ...(networks.length === 0 ? [] : [`only ${networks.join(' ')}`]),
  ];
  if (label === null && terms.length === 0) return [];
  return [`    token ${[label ?? 'without label', ...terms].join(', ')}\n`];
}

function isPast(expires: string): boolean {
  const ms = READERS.end.read(expires);
  return ms !== undefined && ms <= Date.now();
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
