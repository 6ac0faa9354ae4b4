/**
 * `mcproxy check`: everything that is wrong with the files, without starting anything unless `--connect` is given.
 *
 * Exit 0: they can be used (there may be warnings); 78: they cannot; with `--connect` also 69: a server that is
 * configured cannot be used as it is. All problems of all files are printed, in the order of the files.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

import { explainConfig } from '../config/explain.ts';
import { LOCAL_SILENCE_MS_MAX, PROBE_COUNT_MAX } from '../limits.ts';
import type {
  Config,
  HttpServerConfig,
  OutgoingCredential,
  Problem,
  ServerConfig,
  StdioServerConfig,
} from '../model.ts';
import { compareText } from '../text/order.ts';
import { createUpstreamPool } from '../upstream/pool.ts';
import { CLOCK } from './clock.ts';
import { EXIT, FILE_OPTIONS, JSON_OPTION, flagOption, textOption, type Command, type Invocation } from './command.ts';
import { openCredentials } from './credentials.ts';
import { expiredTokens } from './expired-tokens.ts';
import { loadConfig, roleOf, type LoadedConfig } from './load.ts';
import { waitingText } from './local-requests.ts';
import { probe, type ProbeResult } from './probe.ts';
import { probeCommand } from './probe-command.ts';
import { problemJson, problemsText } from './report.ts';
import { httpServers } from './snapshot.ts';
import { stateDirectory } from './state-key.ts';

export const checkCommand: Command = {
  name: 'check',
  synopsis: '[FILE]... [--connect] [--explain] [--json]',
  summary: 'Finds every problem of the files without starting anything',
  options: {
    connect: { type: 'boolean', help: 'also ask each server: does it start or answer, and take its credential' },
    explain: { type: 'boolean', help: 'print every setting with its default and its meaning' },
    json: JSON_OPTION,
    ...FILE_OPTIONS,
  },
  positionals: { min: 0, max: 64 },
  notes: [
    'FILE is anything that --config takes. mcproxy.yml and tokens.yml of one directory are read together; any other\nfiles are checked one by one.',
    'Exit codes: 0 usable, 78 not usable, 69 a server did not answer as it should (--connect).',
  ],
  async run(invocation) {
    if (flagOption(invocation, 'explain')) {
      invocation.stdout.write(explainConfig());
      return EXIT.ok;
    }
    const loads = await loadAll(invocation);
    const problems = distinct(
      loads.flatMap((loaded) => [
        ...loaded.problems,
        ...(loaded.config === undefined ? [] : expiredTokens(loaded.config, Date.now())),
        ...commandProblems(loaded, invocation.env),
      ]),
    );
    const invalid = loads.some((loaded) => loaded.problems.some((problem) => problem.severity === 'error'));
    const connect = flagOption(invocation, 'connect');
    const probes = connect
      ? await probeAll(
          invocation,
          loads.flatMap((loaded) => loaded.config ?? []),
        )
      : [];
    const report: Report = { ok: !invalid, loads, problems, probes };
    if (flagOption(invocation, 'json')) printJson(invocation, report);
    else print(invocation, report);
    if (invalid) return EXIT.config;
    return probes.every((result) => result.ok) ? EXIT.ok : EXIT.unavailable;
  },
};

interface Probed {
  readonly server: string;
  /** The user whose own credential was tried; null: the shared one, or none. */
  readonly user: string | null;
  readonly ok: boolean;
  readonly text: string;
}

interface Report {
  readonly ok: boolean;
  readonly loads: readonly LoadedConfig[];
  readonly problems: readonly Problem[];
  readonly probes: readonly Probed[];
}

/** One load for the files that belong together, one for each other file. */
async function loadAll(invocation: Invocation): Promise<LoadedConfig[]> {
  const { env, positionals } = invocation;
  const load = (configPath: string | undefined, tokensPath: string | undefined): Promise<LoadedConfig> =>
    loadConfig({ configPath, tokensPath, env, overrides: {} });
  const named = textOption(invocation, 'tokens');
  if (positionals.length === 0) return [await load(textOption(invocation, 'config'), named)];
  const configs = positionals.filter((path) => roleOf(path) === 'config');
  const tokens = positionals.filter((path) => roleOf(path) === 'tokens');
  if (configs.length === 1 && tokens.length === 1) return [await load(configs[0], tokens[0])];
  return Promise.all(positionals.map((path) => load(path, named)));
}

/** A file that two loads share has its problems once. */
function distinct(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

/** A warning for each server whose command is not there: the service may run elsewhere, or it may come later. */
function commandProblems(loaded: LoadedConfig, env: NodeJS.ProcessEnv): Problem[] {
  const servers = [...everyServer(loaded.config)].map(({ server }) => server);
  const file = loaded.files[0] ?? '';
  return servers
    .filter((server) => server.kind === 'stdio')
    .flatMap((server) => {
      const reason = server.enabled ? missingCommand(server, env) : undefined;
      if (reason === undefined) return [];
      const text = `server "${server.name}": ${reason}`;
      const fix = 'install it, or write its full path';
      return [{ severity: 'warning' as const, file, position: undefined, excerpt: undefined, text, fix }];
    });
}

/** Why the command of a server could not be started; undefined when it could. */
export function missingCommand(server: StdioServerConfig, env: NodeJS.ProcessEnv): string | undefined {
  const { command } = server;
  const shown = `the command "${command.replaceAll(/\p{Cc}/gu, '·')}"`;
  if (command.includes('/')) {
    const path = resolve(server.cwd ?? '.', command);
    if (isExecutable(path)) return undefined;
    return exists(path) ? `${shown} is not executable` : `${shown} does not exist`;
  }
  const own = server.env.find(([name]) => name === 'PATH')?.[1].reveal();
  const directories = (own ?? env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  if (directories.some((directory) => isExecutable(join(directory, command)))) return undefined;
  return `${shown} is not found in PATH`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Each server once with the shared credential, and once for each user with a credential of their own. */
function* everyServer(config: Config | undefined): Generator<{ server: ServerConfig; user: string | null }> {
  if (config === undefined) return;
  // Bounded by SERVER_COUNT_MAX.
  const seen = new Set<string>();
  for (const server of config.servers.values()) {
    seen.add(server.name);
    yield { server, user: null };
  }
  for (const principal of config.principals) {
    for (const server of principal.servers.values()) {
      const shared = config.servers.get(server.name);
      const own = server.kind === 'http' ? server.credentialFrom === 'user' : shared !== undefined && shared !== server;
      if (own || !seen.has(server.name)) yield { server, user: principal.id };
      if (!own) seen.add(server.name);
    }
  }
}

interface Probing {
  readonly server: string;
  readonly user: string | null;
  /** Of one of several addresses. */
  readonly origin: string | undefined;
  run(): Promise<ProbeResult>;
}

async function probeAll(invocation: Invocation, configs: readonly Config[]): Promise<Probed[]> {
  const { env } = invocation;
  const pool = createUpstreamPool();
  const directory = stateDirectory(env);
  const credentials = openCredentials({ clock: CLOCK, diag: UNTOLD, pool, stateDirectory: directory });
  await pool.prepare(configs.flatMap((config) => [...httpServers(config)]).filter(hasOAuthClient));
  // For the names of users in what it says.
  for (const config of configs) credentials.apply(config);
  const waiting: Probing[] = [];
  for (const config of configs) {
    for (const { server, user } of everyServer(config)) {
      // Without what each user brings there is nothing to try; who lacks it was told among the problems.
      if (!server.enabled || server.lacks.length > 0) continue;
      const named = { server: server.name, user, origin: undefined };
      if (server.kind === 'stdio') waiting.push({ ...named, run: () => probeCommand(server, env) });
      else {
        const credential = credentials.for(server);
        for (const url of [server.url, ...server.otherUrls]) {
          const origin = server.otherUrls.length === 0 ? undefined : new URL(url).origin;
          const canKeep = directory !== undefined;
          waiting.push({ ...named, origin, run: () => probeRemote({ ...server, url }, credential, canKeep) });
        }
      }
    }
  }
  const results: Probed[] = [];
  // Bounded by PROBE_COUNT_MAX.
  const asked = new Set<Probing>();
  const timer = setTimeout(() => tellWaiting(invocation, [...asked, ...waiting]), LOCAL_SILENCE_MS_MAX);
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { server, user, origin } = next;
      asked.add(next);
      const { ok, text } = await next.run();
      asked.delete(next);
      results.push({ server, user, ok, text: origin === undefined ? text : `${origin}: ${text}` });
    }
  };
  try {
    await Promise.all(Array.from({ length: PROBE_COUNT_MAX }, worker));
  } finally {
    clearTimeout(timer);
    await credentials.close();
    pool.close();
  }
  return results.toSorted((a, b) => compareText(a.server, b.server) || compareText(a.user ?? '', b.user ?? ''));
}

function tellWaiting(invocation: Invocation, servers: readonly Probing[]): void {
  const names = new Set(servers.map(({ server }) => server));
  if (!flagOption(invocation, 'json')) invocation.stderr.write(`mcproxy: ${waitingText([...names])}\n`);
}

/** What is told by the results. */
const UNTOLD = { info: () => undefined, warn: () => undefined, redact: (text: string) => text };

function hasOAuthClient({ credential }: HttpServerConfig): boolean {
  return credential.type === 'oauth';
}

async function probeRemote(
  server: HttpServerConfig,
  credential: OutgoingCredential,
  canKeep: boolean,
): Promise<ProbeResult> {
  const isUsedUp = server.credential.type === 'oauth' && server.credential.client.refreshToken !== undefined;
  if (!isUsedUp || canKeep) return probe(server, credential);
  // What replaces it would be lost, and with it what the service has.
  const text = 'not asked: its refresh token may be good once only, and there is no state directory (STATE_DIRECTORY)';
  return { ok: true, text };
}

function print(invocation: Invocation, report: Report): void {
  const { stdout, stderr } = invocation;
  stderr.write(problemsText(report.problems));
  for (const { server, user, ok, text } of report.probes) {
    const who = user === null ? '' : ` as ${user}`;
    stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${server}${who}: ${text}\n`);
  }
  if (!report.ok) return;
  if (report.loads.some((loaded) => loaded.demo)) {
    stdout.write(`No configuration was found: \`mcproxy\` would run its demo. Looked for ${filesOf(report)}.\n`);
    return;
  }
  const configs = report.loads.flatMap((loaded) => loaded.config ?? []);
  const serverCount = new Set(configs.flatMap((config) => [...everyServer(config)].map(({ server }) => server.name)))
    .size;
  const userCount = configs.reduce((count, config) => count + config.principals.length, 0);
  const counts = `${counted(serverCount, 'server')}, ${counted(userCount, 'user')}`;
  stdout.write(`The configuration is valid: ${counts}.\n`);
  const connector = connectorOf(report);
  if (connector !== null) stdout.write(`Connector URL for Claude.ai, ChatGPT and others that log in: ${connector}\n`);
}

/** What is pasted into clients that log in with OAuth; null where nobody can. */
function connectorOf({ loads }: Report): string | null {
  const issuer = loads.find(({ config }) => config?.facade !== undefined)?.config?.facade?.issuer;
  return issuer === undefined ? null : `${issuer}/mcp`;
}

function printJson(invocation: Invocation, report: Report): void {
  const { ok, problems, probes, loads } = report;
  const files = loads.flatMap((loaded) => loaded.files);
  const json = {
    ok,
    files: [...new Set(files)],
    problems: problems.map(problemJson),
    servers: probes,
    connector_url: connectorOf(report),
  };
  invocation.stdout.write(`${JSON.stringify(json)}\n`);
}

function filesOf(report: Report): string {
  return report.loads.flatMap((loaded) => loaded.files).join(', ');
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
