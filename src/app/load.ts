/**
 * From the command line and the environment to a Config: which files, are they fit to be read, what do they say.
 *
 * Order: `--config` / `--tokens`, else MCP_CONFIG_PATH / MCP_CREDENTIALS_PATH, else /etc/mcproxy, else
 * $XDG_CONFIG_HOME/mcproxy, else nothing (`demo`). A file that is named brings its neighbour along: mcproxy.yml
 * its tokens.yml and the reverse. Every finding is collected, none thrown. `files` are the paths to watch, those
 * that do not exist yet included. The rules of the content are in `config/parse.ts`.
 */
import { stat } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';

import { parseConfig } from '../config/parse.ts';
import { singleUpstreamText } from '../config/single-upstream.ts';
import type { Config, Problem } from '../model.ts';
import { inheritedSocket } from './inherited-socket.ts';
import { readOperatorFile, sha256, type OperatorFile } from './operator-file.ts';
import { createSecretReader } from './secret-file.ts';

export interface LoadedConfig {
  /** Undefined when there is an error among the problems. */
  readonly config: Config | undefined;
  readonly problems: readonly Problem[];
  /** Where the files say that the service is asked; known in spite of most errors. */
  readonly adminSocket: string | undefined;
  /** Absolute paths that were read or looked for, to watch. */
  readonly files: readonly string[];
  /** What each of `files` was when it was read. @see readOperatorFile */
  readonly digests: ReadonlyMap<string, string>;
  /** The file that `mcproxy token` edits; it may not exist. */
  readonly tokensFile: string;
  /** The file that `mcproxy lock` writes; it may not exist. */
  readonly lockFile: string;
  /** No file and nothing in the environment: the first run; `config` then holds the defaults. */
  readonly demo: boolean;
}

export interface LoadOptions {
  readonly configPath: string | undefined;
  readonly tokensPath: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly overrides: { readonly listen?: string; readonly port?: string; readonly log?: '-' };
  /** For one client on a pipe. */
  readonly piped?: boolean;
  /** Takes the place of one file's text: a change is judged before it is written. */
  readonly substitute?: { readonly path: string; readonly text: string };
  /** Where a package puts the files; a parameter for the tests. */
  readonly systemDirectory?: string;
}

const CONFIG_NAME = 'mcproxy.yml';
const TOKENS_NAME = 'tokens.yml';
const LOCK_NAME = 'mcproxy.lock';
/** The name in a directory that MCP_CREDENTIALS_PATH of another gateway names. */
const FOREIGN_TOKENS_NAME = 'credentials.json';
const SYSTEM_DIRECTORY = '/etc/mcproxy';
/** Files of users or keys that are read besides tokens.yml. */
const FURTHER_TOKENS = ['MCP_API_KEYS_PATH', 'MCP_USERS_PATH'] as const;

type Role = 'config' | 'tokens' | 'lock';
const ORDER: readonly Role[] = ['config', 'tokens', 'lock'];

interface PlannedFile {
  readonly path: string;
  readonly role: Role;
  /** Why it must exist: the option or variable that names it. Undefined: it may be missing. */
  readonly namedBy: string | undefined;
}

interface Plan {
  readonly files: readonly PlannedFile[];
  readonly problems: readonly Problem[];
}

/** Reads, checks and decodes the operator's files. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const plan = await planFiles(options);
  const problems = [...plan.problems];
  const texts: { path: string; text: string; role: Role }[] = [];
  // Bounded by FILE_COUNT_MAX.
  const modes = new Map<string, number>();
  // Bounded by FILE_COUNT_MAX and SECRET_FILE_COUNT_MAX.
  const digests = new Map<string, string>();
  for (const planned of plan.files) {
    const file = await readOperatorFile(planned.path);
    digests.set(file.path, file.digest);
    const { substitute } = options;
    if (substitute?.path === file.path) {
      texts.push({ path: file.path, text: substitute.text, role: planned.role });
      continue;
    }
    problems.push(...fileProblems(file, planned));
    if (file.state !== 'read') continue;
    texts.push({ path: file.path, text: file.text, role: planned.role });
    modes.set(file.path, file.mode);
  }
  const hasUsers = texts.some(({ role }) => role === 'tokens');
  const single = singleUpstreamText(options.env);
  const isSingle = single !== undefined && !texts.some(({ role }) => role === 'config');
  if (isSingle) texts.push({ path: SINGLE, text: single, role: 'config' });
  else if (single !== undefined && !texts.some(({ text }) => text.includes(SINGLE))) problems.push(UNUSED_SINGLE);
  const secrets = createSecretReader(options.env);
  const parsed = parseConfig({
    files: texts,
    env: options.env,
    hostname: hostname(),
    resolvePath,
    readSecret: (reference) => secrets.read(reference),
    sha256,
    overrides: options.overrides,
    piped: options.piped === true,
    // Who has a file of users lets them in and nobody else, also when the last one is gone. Where a socket that was passed
    // listens is not known: it may be the whole network.
    single: isSingle && !hasUsers && inheritedSocket(options.env, process.pid) === undefined,
  });
  for (const [path, digest] of secrets.digests) if (digest !== undefined) digests.set(path, digest);
  problems.push(...parsed.problems.map((problem) => (problem.file === SINGLE ? withoutPlace(problem) : problem)));
  if (parsed.config !== undefined) problems.push(...exposedSecrets(texts, { modes, config: parsed.config }));
  const failed = problems.some((problem) => problem.severity === 'error');
  const empty =
    parsed.config === undefined || (parsed.config.servers.size === 0 && parsed.config.principals.length === 0);
  const demo = texts.length === 0 && empty && !failed;
  return {
    config: failed ? undefined : parsed.config,
    problems: demo ? [] : problems,
    adminSocket: parsed.adminSocket,
    files: [...plan.files.map((file) => file.path), ...secrets.digests.keys()],
    digests,
    tokensFile: plan.files.find((file) => file.role === 'tokens')?.path ?? resolve(TOKENS_NAME),
    lockFile: plan.files.find((file) => file.role === 'lock')?.path ?? resolve(LOCK_NAME),
    demo,
  };
}

const SINGLE = 'MCP_UPSTREAM_URL';
const UNUSED_SINGLE: Problem = {
  ...fileProblem('environment and command line', {
    text: `${SINGLE} is not looked at, because there is a configuration file`,
    fix: 'write the server under "servers" of that file, or unset the variable',
  }),
  severity: 'warning',
};

/** There is no file in which a line could be looked up. */
function withoutPlace(problem: Problem): Problem {
  return { ...problem, position: undefined, excerpt: undefined };
}

/** Which role a file has by its name; any other name is a configuration. */
export function roleOf(path: string): 'config' | 'tokens' {
  return /^tokens\.(ya?ml|json)$/.test(basename(path)) ? 'tokens' : 'config';
}

/** Paths in a file are relative to the directory of that file. */
function resolvePath(base: string, path: string): string {
  return isAbsolute(path) ? path : resolve(dirname(base), path);
}

async function planFiles(options: LoadOptions): Promise<Plan> {
  const { env } = options;
  const config = named(options.configPath, '--config') ?? named(env['MCP_CONFIG_PATH'], 'MCP_CONFIG_PATH');
  const tokens = named(options.tokensPath, '--tokens') ?? named(env['MCP_CREDENTIALS_PATH'], 'MCP_CREDENTIALS_PATH');
  const problems: Problem[] = [];
  let files: PlannedFile[];
  if (config === undefined) files = await defaultFiles(options);
  else if (await isDirectory(config.path)) {
    files = filesOf(config.path);
    if (tokens === undefined && !(await anyExists(files))) problems.push(emptyDirectory(config.path));
  } else {
    const role = roleOf(config.path);
    const neighbour = join(dirname(config.path), role === 'config' ? TOKENS_NAME : CONFIG_NAME);
    const other = role === 'config' ? 'tokens' : 'config';
    files = [
      { ...config, role },
      { path: neighbour, role: other, namedBy: undefined },
    ];
  }
  if (tokens !== undefined) {
    const path = (await isDirectory(tokens.path)) ? await tokensIn(tokens.path) : tokens.path;
    files = [...files.filter((file) => file.role === 'config'), { path, role: 'tokens', namedBy: tokens.namedBy }];
  }
  for (const variable of FURTHER_TOKENS) {
    const further = named(env[variable], variable);
    if (further !== undefined) files.push({ ...further, role: 'tokens' });
  }
  const settings = files.find((file) => file.role === 'config') ?? files[0];
  if (settings !== undefined) {
    files = [...files, { path: join(dirname(settings.path), LOCK_NAME), role: 'lock', namedBy: undefined }];
  }
  // The settings first, whichever was named: a problem there is often the cause of one in the other.
  return { files: files.toSorted((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role)), problems };
}

function named(path: string | undefined, namedBy: string): { path: string; namedBy: string } | undefined {
  return path === undefined || path === '' ? undefined : { path: resolve(path), namedBy };
}

function filesOf(directory: string): PlannedFile[] {
  return [
    { path: join(directory, CONFIG_NAME), role: 'config', namedBy: undefined },
    { path: join(directory, TOKENS_NAME), role: 'tokens', namedBy: undefined },
  ];
}

async function tokensIn(directory: string): Promise<string> {
  const [own, foreign] = [join(directory, TOKENS_NAME), join(directory, FOREIGN_TOKENS_NAME)];
  return !(await exists(own)) && (await exists(foreign)) ? foreign : own;
}

/** The files of the system, else those of the user; where neither has any, those to be made. */
async function defaultFiles(options: LoadOptions): Promise<PlannedFile[]> {
  const system = filesOf(options.systemDirectory ?? SYSTEM_DIRECTORY);
  if (await anyExists(system)) return system;
  const { XDG_CONFIG_HOME: xdg } = options.env;
  // XDG Base Directory Specification: a relative path is to be ignored.
  const home = xdg !== undefined && isAbsolute(xdg) ? xdg : join(options.env['HOME'] ?? homedir(), '.config');
  const own = filesOf(join(home, 'mcproxy'));
  if (await anyExists(own)) return own;
  // Found out last, so that a user who may not look into /etc/mcproxy can have files of their own.
  if (await anyDenied(system)) return system;
  return process.getuid?.() === 0 ? system : own;
}

async function anyExists(files: readonly PlannedFile[]): Promise<boolean> {
  const found = await Promise.all(files.map((file) => exists(file.path)));
  return found.includes(true);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function anyDenied(files: readonly PlannedFile[]): Promise<boolean> {
  const codes = await Promise.all(
    files.map((file) =>
      stat(file.path).then(
        () => undefined,
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      ),
    ),
  );
  return codes.includes('EACCES');
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}

function emptyDirectory(path: string): Problem {
  return fileProblem(path, {
    text: `the directory holds neither ${CONFIG_NAME} nor ${TOKENS_NAME}`,
    fix: `make one of them, or name a file: --config ${join(path, 'FILE')}`,
  });
}

/** What is wrong with the file itself, whatever it says. */
function fileProblems(file: OperatorFile, planned: PlannedFile): Problem[] {
  switch (file.state) {
    case 'absent':
      if (planned.namedBy === undefined) return [];
      return [
        fileProblem(file.path, {
          text: `the file named by ${planned.namedBy} does not exist`,
          fix: 'correct the path or make the file',
        }),
      ];
    case 'unusable':
      return [fileProblem(file.path, { text: file.text, fix: file.fix, line: file.line })];
    case 'read':
      if (planned.role === 'lock' && (file.mode & 0o002) !== 0 && process.platform !== 'win32') {
        const text = `everybody on this machine may approve tools (mode ${octal(file.mode)})`;
        return [fileProblem(file.path, { text, fix: `chmod o-w ${shellQuoted(file.path)}` })];
      }
      if (planned.role !== 'tokens' || (file.mode & 0o007) === 0 || process.platform === 'win32') return [];
      return [
        fileProblem(file.path, {
          text: `everybody on this machine may read or change the tokens (mode ${octal(file.mode)})`,
          fix: `chmod o= ${shellQuoted(file.path)}`,
        }),
      ];
  }
}

/** A warning for each file that everybody may read and that holds a secret in plain text. */
function exposedSecrets(
  texts: readonly { path: string; text: string; role: Role }[],
  known: { modes: ReadonlyMap<string, number>; config: Config },
): Problem[] {
  if (process.platform === 'win32') return [];
  const problems: Problem[] = [];
  for (const { path, text, role } of texts) {
    const mode = known.modes.get(path) ?? 0;
    if (role !== 'config' || (mode & 0o004) === 0) continue;
    const holdsSecret = known.config.secrets.some((secret) => {
      const value = secret.reveal();
      return value !== '' && text.includes(value);
    });
    if (!holdsSecret) continue;
    const problem = fileProblem(path, {
      text: `everybody on this machine may read the secrets in it (mode ${octal(mode)})`,
      fix: `chmod o= ${shellQuoted(path)}, or take the secrets from the environment: \${NAME}`,
    });
    problems.push({ ...problem, severity: 'warning' });
  }
  return problems;
}

/** A problem with a file as a whole. */
export function fileProblem(file: string, found: { text: string; fix: string; line?: number | undefined }): Problem {
  const position = found.line === undefined ? undefined : { line: found.line, column: 1 };
  return { severity: 'error', file, position, excerpt: undefined, text: found.text, fix: found.fix };
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

function shellQuoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
