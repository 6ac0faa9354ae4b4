/**
 * `mcproxy add` and `mcproxy remove`: one server into mcproxy.yml or out of it, comments and order kept.
 *
 * A change that would make a valid configuration invalid is not written; neither is one that `--dry-run` only shows.
 * The running service takes the saved file over by itself. How the text is edited is `config/edit-servers.ts`, how
 * the file is replaced `edit-file.ts`. Exit 78: the file stays as it was, and why.
 */
import { resolve } from 'node:path';

import { addServer, removeServer, type NewServer, type Plain } from '../config/edit-servers.ts';
import { ProxyError } from '../errors.ts';
import { makeRedactor } from '../log/redact.ts';
import {
  EXIT,
  FILE_OPTIONS,
  flagOption,
  listOption,
  textOption,
  usageError,
  type Command,
  type Invocation,
} from './command.ts';
import { editFile } from './edit-file.ts';
import { loadNamed } from './named-files.ts';
import { readOperatorFile } from './operator-file.ts';
import { lineChanges, problemsText } from './report.ts';

const DRY_RUN = { type: 'boolean', help: 'print what would change in the file, and change nothing' } as const;

export const addCommand: Command = {
  name: 'add',
  synopsis: 'NAME URL | NAME -- COMMAND [ARGUMENT...]',
  summary: 'Adds a server to mcproxy.yml',
  options: {
    token: { type: 'string', value: 'TOKEN', help: 'its credential, best as ${VAR} of the environment (with URL)' },
    env: { type: 'string', multiple: true, value: 'NAME=TEXT', help: 'a variable for the command (may be repeated)' },
    cwd: { type: 'string', value: 'DIR', help: 'where the command runs' },
    'dry-run': DRY_RUN,
    ...FILE_OPTIONS,
  },
  positionals: { min: 2, max: 256 },
  notes: [
    "Examples:\n  mcproxy add files -- npx -y @modelcontextprotocol/server-filesystem /srv\n  mcproxy add linear https://mcp.linear.app/mcp --token '${LINEAR_TOKEN}'",
    'Exit codes: 64 usage, 78 the file was not changed because the result would not be valid.',
  ],
  async run(invocation) {
    const server = serverOf(invocation);
    if (typeof server === 'string') return usageError(invocation.stderr, server);
    return change(invocation, `${server.name} added to`, (text) => addServer(text, server));
  },
};

export const removeCommand: Command = {
  name: 'remove',
  synopsis: 'NAME',
  summary: 'Removes a server from mcproxy.yml',
  options: { 'dry-run': DRY_RUN, ...FILE_OPTIONS },
  positionals: { min: 1, max: 1 },
  notes: [
    'Example:\n  mcproxy remove linear',
    'Exit codes: 64 usage, 78 there is no such server, or the result would not be valid (a user has it still).',
  ],
  run(invocation) {
    const [name = ''] = invocation.positionals;
    return change(invocation, `${name} removed from`, (text) => removeServer(text, name));
  },
};

/** The entry that the arguments describe, or what is wrong with them. */
function serverOf(invocation: Invocation): NewServer | string {
  const [name = '', first = '', ...args] = invocation.positionals;
  const cwd = textOption(invocation, 'cwd');
  const token = textOption(invocation, 'token');
  const env = listOption(invocation, 'env').map((pair) => /^([^=]+)=(.*)$/s.exec(pair)?.slice(1) ?? []);
  if (/^https?:\/\//i.test(first)) {
    if (args.length > 0) return 'a URL stands alone; a command stands after `--`';
    if (env.length > 0 || cwd !== undefined) return '--env and --cwd are for commands, not for a URL';
    return { name, fields: { url: first, ...(token === undefined ? {} : { token }) } };
  }
  if (token !== undefined) return '--token is for a URL; a command takes its secrets from --env NAME=TEXT';
  if (env.some((pair) => pair.length < 2)) return '--env is NAME=TEXT';
  const fields: Record<string, Plain> = {
    command: first,
    ...(args.length === 0 ? {} : { args }),
    ...(env.length === 0 ? {} : { env: Object.fromEntries(env) as Record<string, string> }),
    ...(cwd === undefined ? {} : { cwd: resolve(cwd) }),
  };
  return { name, fields };
}

/** Edits mcproxy.yml, unless that would break what is valid now. */
async function change(invocation: Invocation, done: string, edit: (text: string) => string): Promise<number> {
  const before = await loadNamed(invocation);
  const target = before.files[0] ?? resolve('mcproxy.yml');
  const tried = async (text: string): Promise<string> => {
    const edited = edit(text);
    const after = await loadNamed(invocation, { path: target, text: edited });
    if (before.config === undefined || after.config !== undefined) return edited;
    throw new ProxyError('CONFIG_INVALID', `not changed, because:\n${problemsText(after.problems).trimEnd()}`);
  };
  if (flagOption(invocation, 'dry-run')) {
    const file = await readOperatorFile(target);
    if (file.state === 'unusable') throw new ProxyError('CONFIG_INVALID', `${target}: ${file.text}: ${file.fix}`);
    const text = file.state === 'read' ? file.text : '';
    const edited = await tried(text);
    const { config } = await loadNamed(invocation, { path: target, text: edited });
    const redactor = makeRedactor([...(before.config?.secrets ?? []), ...(config?.secrets ?? [])]);
    invocation.stdout.write(lineChanges(text, edited, (line) => redactor.text(line)));
    invocation.stderr.write(`Nothing was changed in ${target}.\n`);
    return EXIT.ok;
  }
  const path = await editFile(target, tried);
  invocation.stderr.write(`${done} ${path}.\n`);
  const { problems } = await loadNamed(invocation);
  invocation.stderr.write(problemsText(problems.filter(({ severity }) => severity === 'error')));
  return EXIT.ok;
}
