/**
 * `mcproxy import`: takes the servers that a client has in its own file over into mcproxy.yml.
 *
 * A name that is defined already stays as it is and is reported, and so is an entry that is mcproxy itself. Each server is tried alone: one that would make a
 * valid configuration invalid (a variable that is not set, say) is left out with its reason, the others are added.
 * Secrets are written as they were, never printed. How the clients' files are read is in `config/foreign-servers.ts`,
 * how the text is edited in `config/edit-servers.ts`, how the file is replaced in `edit-file.ts`.
 */
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';

import { addServer, listServerNames, printServer, type NewServer, type Plain } from '../config/edit-servers.ts';
import {
  findPlainSecrets,
  maskServer,
  readForeignServers,
  type ForeignServer,
  type Unreadable,
} from '../config/foreign-servers.ts';
import { isOwnEntry } from '../config/own-entry.ts';
import { ProxyError } from '../errors.ts';
import { EXIT, FILE_OPTIONS, flagOption, type Command, type Invocation } from './command.ts';
import { editFile } from './edit-file.ts';
import type { LoadedConfig } from './load.ts';
import { loadNamed } from './named-files.ts';
import { readOperatorFile, type OperatorFile } from './operator-file.ts';
import { problemsText } from './report.ts';

interface Candidate extends ForeignServer {
  readonly file: string;
}

/** What became of the candidates. */
interface Outcome {
  readonly text: string;
  readonly added: readonly Candidate[];
  /** One line or more for each that was not added. */
  readonly notes: readonly string[];
  /** A server was left out because it cannot be used as it is. */
  readonly refused: boolean;
}

/** Under HOME, in the order in which a name is taken: the first definition counts. */
const HOME_PLACES = [
  '.claude.json',
  '.config/Claude/claude_desktop_config.json',
  'Library/Application Support/Claude/claude_desktop_config.json',
  '.cursor/mcp.json',
  '.config/Code/User/mcp.json',
  'Library/Application Support/Code/User/mcp.json',
  '.codeium/windsurf/mcp_config.json',
  '.codex/config.toml',
  '.gemini/settings.json',
];
/** Under the working directory, before those of HOME. */
const PROJECT_PLACES = [
  '.mcp.json',
  '.cursor/mcp.json',
  '.vscode/mcp.json',
  '.codex/config.toml',
  '.gemini/settings.json',
  'mcp-servers.json',
];

export const importCommand: Command = {
  name: 'import',
  synopsis: '[FILE]... [--dry-run]',
  summary: 'Takes the servers over that an MCP client has in its own file',
  options: {
    'dry-run': { type: 'boolean', help: 'print what would be added, with secrets hidden, and change nothing' },
    ...FILE_OPTIONS,
  },
  positionals: { min: 0, max: 64 },
  notes: [
    'FILE is a file of Claude Desktop, Claude Code (~/.claude.json, .mcp.json), Cursor, VS Code, Windsurf, Codex,\nGemini, or a plain mcp-servers.json. Without FILE these are looked for in their usual places under HOME and here.',
    'A server whose name exists already is not changed, and mcproxy itself is not taken over.',
    'Exit 78: a server could not be taken over.',
  ],
  async run(invocation) {
    const before = await loadNamed(invocation);
    const target = before.files[0] ?? resolve('mcproxy.yml');
    const candidates = await readCandidates(invocation, target);
    if (candidates.length === 0) {
      invocation.stderr.write('No server was found to import.\n');
      return EXIT.ok;
    }
    const outcome = flagOption(invocation, 'dry-run')
      ? await preview(invocation, { before, target, candidates })
      : await change(invocation, { before, target, candidates });
    for (const note of outcome.notes) invocation.stderr.write(`${note}\n`);
    for (const server of outcome.added) adviseOn(invocation, server);
    return outcome.refused ? EXIT.config : EXIT.ok;
  },
};

interface Task {
  readonly before: LoadedConfig;
  readonly target: string;
  readonly candidates: readonly Candidate[];
}

async function preview(invocation: Invocation, task: Task): Promise<Outcome> {
  const file = await readOperatorFile(task.target);
  if (file.state === 'unusable') throw new ProxyError('CONFIG_INVALID', `${task.target}: ${file.text}: ${file.fix}`);
  const outcome = await addAll(invocation, task, file.state === 'read' ? file.text : '');
  for (const server of outcome.added) invocation.stdout.write(printServer(maskServer(server)));
  invocation.stderr.write(`${outcome.added.length} would be added to ${task.target}; nothing was changed.\n`);
  return outcome;
}

async function change(invocation: Invocation, task: Task): Promise<Outcome> {
  let outcome: Outcome = { text: '', added: [], notes: [], refused: false };
  let path = task.target;
  // A file that would stay as it is, is not made either.
  const file = await readOperatorFile(task.target);
  const current = file.state === 'read' ? file.text : '';
  if (file.state !== 'unusable') outcome = await addAll(invocation, task, current);
  if (file.state === 'unusable' || outcome.added.length > 0) {
    path = await editFile(task.target, async (text) => {
      if (text !== current) outcome = await addAll(invocation, task, text);
      return outcome.text;
    });
  }
  for (const { name, file: from } of outcome.added) invocation.stdout.write(`${name}  (from ${from})\n`);
  invocation.stderr.write(`${outcome.added.length} added to ${path}.\n`);
  if (outcome.added.length > 0) invocation.stderr.write(problemsText((await loadNamed(invocation)).problems));
  return outcome;
}

/** Adds each candidate that can be used to `text`. */
async function addAll(invocation: Invocation, task: Task, text: string): Promise<Outcome> {
  const existing = listServerNames(text);
  // Bounded by SERVER_COUNT_MAX: a configuration with more is refused.
  const added = new Map<string, Candidate>();
  const notes: string[] = [];
  let refused = false;
  let edited = text;
  let errors: readonly string[] = textsOf(task.before);
  for (const server of task.candidates) {
    const twin = added.get(server.name);
    if (twin !== undefined) {
      const same = JSON.stringify(twin.fields) === JSON.stringify(server.fields);
      if (!same)
        notes.push(`${server.name}: ${server.file} defines it in another way; the one of ${twin.file} counts.`);
      continue;
    }
    if (isOwnEntry(server.fields, task.before.config)) {
      notes.push(`${server.name}: is mcproxy itself; the definition in ${server.file} was not taken over.`);
      continue;
    }
    if (existing.includes(server.name)) {
      notes.push(`${server.name}: exists already; the definition in ${server.file} was not taken over.`);
      continue;
    }
    const tried = await tryServer(invocation, { ...task, errors }, { edited, server });
    if (tried.text !== undefined) {
      edited = tried.text;
      errors = tried.errors;
      added.set(server.name, server);
    } else {
      refused = true;
      notes.push(`${printable(server.original)}: was left out (from ${server.file}): ${tried.why}`);
    }
  }
  return { text: edited, added: [...added.values()], notes, refused };
}

type Tried =
  | { readonly text: string; readonly errors: readonly string[] }
  | { readonly text: undefined; readonly why: string };

/** The text with the server in it, or why it cannot be there. */
async function tryServer(
  invocation: Invocation,
  known: { target: string; errors: readonly string[] },
  next: { edited: string; server: NewServer },
): Promise<Tried> {
  let text: string;
  try {
    text = addServer(next.edited, next.server);
  } catch (error) {
    if (error instanceof ProxyError) return { text: undefined, why: error.message };
    throw error;
  }
  const after = textsOf(await loadNamed(invocation, { path: known.target, text }));
  // A file that is invalid already does not hinder the change.
  const fresh = after.filter((problem) => !known.errors.includes(problem));
  return fresh.length === 0 ? { text, errors: after } : { text: undefined, why: fresh.join('; ') };
}

/** What the operator should know about a server that was taken over. */
function adviseOn(invocation: Invocation, server: Candidate): void {
  const { stderr } = invocation;
  if (server.name !== server.original)
    stderr.write(`${server.name}: has this name here, so that it fits into a URL.\n`);
  if (server.leftOut.length > 0) {
    const names = server.leftOut.map(printable);
    stderr.write(`${server.name}: settings that mean nothing here were left out: ${names.join(', ')}.\n`);
  }
  const secrets = findPlainSecrets(server);
  if (secrets.length > 0) {
    const places = secrets.map(printable);
    stderr.write(
      `${server.name}: holds a secret in plain text (${places.join(', ')}); better write \${VAR} there and set VAR in the environment of the service.\n`,
    );
  }
}

/** @throws {ProxyError} CONFIG_INVALID when a file that was named cannot be read */
async function readCandidates(invocation: Invocation, target: string): Promise<Candidate[]> {
  const home = invocation.env['HOME'] ?? homedir();
  const named = invocation.positionals.map((path) => resolve(path));
  const usual = [...PROJECT_PLACES.map((path) => resolve(path)), ...HOME_PLACES.map((path) => join(home, path))];
  const paths = new Set(named.length > 0 ? named : usual);
  // The file would be imported into itself.
  paths.delete(target);
  const candidates: Candidate[] = [];
  for (const path of paths) {
    const file = await readOperatorFile(path);
    if (file.state === 'absent' && named.length === 0) continue;
    const servers = file.state === 'read' ? readForeignServers(file.text) : undefined;
    if (!Array.isArray(servers)) {
      const what = unreadable(path, file, servers);
      if (named.length > 0) throw new ProxyError('CONFIG_INVALID', what);
      invocation.stderr.write(`${what}\n`);
      continue;
    }
    candidates.push(...servers.map((server) => ({ ...atHome(server, path, home), file: path })));
  }
  return candidates;
}

function unreadable(path: string, file: OperatorFile, why: Unreadable | undefined): string {
  if (why === undefined)
    return `${path}: ${file.state === 'unusable' ? `${file.text}: ${file.fix}` : 'does not exist'}`;
  const { position, text } = why;
  return `${path}${position === undefined ? '' : `:${position.line}:${position.column}`}: ${text}`;
}

/**
 * Puts in what only the client knows: the directories `${workspaceFolder}`, `${userHome}` and of a relative `cwd`; what
 * it asks its user for (`${input:api-key}`) is a variable of that name here (`${API_KEY}`), and so is Gemini's `$API_KEY`.
 */
function atHome(server: ForeignServer, path: string, home: string): ForeignServer {
  const directory = dirname(path);
  const project = /[\\/]\.(?:vscode|cursor|codex|gemini)$/.test(directory) ? dirname(directory) : directory;
  const isGemini = basename(directory) === '.gemini';
  const known = (text: string): string =>
    (isGemini ? text.replaceAll(/\$(\w+)/g, (_, name: string) => `\${${name}}`) : text)
      .replaceAll('${workspaceFolder}', () => project)
      .replaceAll('${userHome}', () => home)
      .replaceAll(/\$\{input:([^}]+)\}/g, (_, id: string) => `\${${variableOf(id)}}`);
  const fields: Record<string, Plain> = {};
  for (const [name, value] of Object.entries(server.fields)) {
    if (typeof value === 'string') fields[name] = known(value);
    else if (Array.isArray(value)) fields[name] = value.map((item) => known(String(item)));
    // Names of tools are what they are.
    else if (typeof value === 'object' && name !== 'tools')
      fields[name] = Object.fromEntries(Object.entries(value).map(([key, text]) => [key, known(String(text))]));
    else fields[name] = value;
  }
  const { cwd } = fields;
  if (typeof cwd === 'string' && !isAbsolute(cwd) && !cwd.startsWith('${')) fields['cwd'] = resolve(project, cwd);
  return { ...server, fields };
}

/** `github-token` as the name of a variable: `GITHUB_TOKEN`. */
function variableOf(id: string): string {
  return id
    .toUpperCase()
    .replaceAll(/[^A-Z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_');
}

function textsOf(loaded: LoadedConfig): string[] {
  const errors = loaded.problems.filter((problem) => problem.severity === 'error');
  return errors.map((problem) => `${problem.text}: ${problem.fix}`);
}

function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '·').slice(0, 80);
}
