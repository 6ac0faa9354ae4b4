/**
 * `mcproxy stdio`: mcproxy as a command that an MCP client launches, over its configuration or before one remote server.
 *
 * Standard output carries JSON-RPC lines and nothing else; all that is said goes to standard error. No port and no
 * socket is opened. It ends with its client: after the end of standard input, or a signal, calls in progress get a
 * short grace (a signal after the end of input ends that at once, for a client that closed the pipe kills soon after),
 * then the servers are stopped, and a broken standard output ends all at once. Exit codes: 0; 64 usage, 73 the log,
 * 76 a client that sends or takes what cannot be, 78 the files. The conversation itself is `gateway/stdio`'s.
 */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';

import { ProxyError } from '../errors.ts';
import type { StdioConversation } from '../gateway/stdio.ts';
import { CLIENT_LINGER_MS_MAX, PIPED_STDERR_BYTES_MAX } from '../limits.ts';
import type { Diag } from '../log/diag.ts';
import type { Config } from '../model.ts';
import { settlesWithin } from '../upstream/settles-within.ts';
import { startApp, type App } from './app.ts';
import { CLOCK } from './clock.ts';
import { EXIT, FILE_OPTIONS, exitCodeOf, flagOption, listOption, textOption, usageError } from './command.ts';
import type { Command, Invocation } from './command.ts';
import { loadConfig, type LoadedConfig } from './load.ts';
import { readAgain } from './read-again.ts';
import { openDiagnostics } from './process.ts';
import { problemsText } from './report.ts';
import { catchSignals, type Signals } from './signals.ts';
import { stackOf } from './stack.ts';
import { loadStateKey, stateDirectory } from './state-key.ts';
import {
  choiceProblem,
  leftOut,
  narrowConfig,
  principalOf,
  remoteConfig,
  REMOTE_NAME,
  type Chosen,
} from './stdio-config.ts';
import { StdioPipe, type PipeEnd } from './stdio-pipe.ts';
import { watchFiles, type FileWatch } from './watch.ts';

const TOKEN_VARIABLE = 'MCPROXY_TOKEN';
/** What belongs to one of the two forms alone. */
const FILE_FORM = ['config', 'tokens', 'user', 'server'] as const;
const REMOTE_FORM = ['token', 'header', 'transport'] as const;

export const stdioCommand: Command = {
  name: 'stdio',
  synopsis: '[--config FILE|DIR] [--tokens FILE] [--user NAME] [--server NAME] | --url URL [--token TOKEN]',
  summary: 'Serves one client on standard input and output, for clients that launch a command',
  options: {
    ...FILE_OPTIONS,
    user: { type: 'string', value: 'NAME', help: "use this user's servers and credentials" },
    server: { type: 'string', value: 'NAME', help: 'serve this server alone, its names without prefix' },
    url: { type: 'string', value: 'URL', help: 'connect to this server instead: a mcproxy elsewhere, or any other' },
    token: { type: 'string', value: 'TOKEN', help: `the token for --url; better in the variable ${TOKEN_VARIABLE}` },
    header: {
      type: 'string',
      multiple: true,
      value: 'NAME:VALUE',
      help: 'a header field for --url, may be repeated; ${VAR} stands for a variable',
    },
    transport: { type: 'string', value: 'KIND', help: 'how --url is spoken to: auto (the default), streamable or sse' },
    log: { type: 'boolean', help: 'write the access log to standard error' },
  },
  positionals: { min: 0, max: 0 },
  notes: [
    'Without --user it is the principal `local`, whoever the users are: all servers of mcproxy.yml with the credentials\nthat all share. Whoever starts this can read the files, so that no token is asked for. A saved file is applied\nwithin a second.',
    `With --url no file is read and nothing is logged unless --log is given. An argument can be seen by everybody on\nthe machine, a variable cannot: set ${TOKEN_VARIABLE} in the "env" of the client's configuration.`,
    'It ends with its client: at the end of standard input, or when standard output is closed.',
    'Exit codes: 64 usage, 73 the log cannot be written, 76 the client sent a line that is too long or reads nothing,\n78 the files have problems.',
  ],
  async run(invocation) {
    const wrong = wrongMixture(invocation);
    if (wrong !== undefined) return usageError(invocation.stderr, wrong);
    const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
    const diag = openDiagnostics(invocation.env, (line) => writeBounded(streams.errors, line));
    const signals = catchSignals({
      onError: (message, error) => diag.error(message, { stack: stackOf(error) }),
    });
    try {
      return await runPiped(invocation, { diag, signals, streams });
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      diag.error(error.message, { code: error.code });
      return exitCodeOf(error);
    } finally {
      signals.close();
    }
  },
};

interface Here {
  readonly diag: Diag;
  readonly signals: Signals;
  readonly streams: { readonly input: Readable; readonly output: Writable; readonly errors: Writable };
}

function wrongMixture(invocation: Invocation): string | undefined {
  const isRemote = textOption(invocation, 'url') !== undefined;
  const misplaced = (isRemote ? FILE_FORM : REMOTE_FORM).find((name) => invocation.values[name] !== undefined);
  if (misplaced === undefined) return undefined;
  return isRemote ? `--url needs no files; leave out --${misplaced}` : `--${misplaced} is for --url, which is missing`;
}

/** Whoever launched us may not read what we say; it must not pile up here. */
function writeBounded(errors: Writable, text: string): void {
  if (errors.writableLength <= PIPED_STDERR_BYTES_MAX) errors.write(text);
}

/** The configuration to run, and where it comes from when it changes. */
interface Source {
  readonly config: Config;
  readonly serverName: string | undefined;
  readonly stateKey: Uint8Array;
  load(): Promise<LoadedConfig>;
  /** What to watch; undefined when there are no files. */
  readonly files: LoadedConfig | undefined;
}

async function runPiped(invocation: Invocation, here: Here): Promise<number> {
  const url = textOption(invocation, 'url');
  const source = url === undefined ? await sourceOfFiles(invocation) : sourceOfUrl(invocation, url);
  if (typeof source === 'number') return source;
  const { diag, signals, streams } = here;
  for (const server of leftOut(source.config))
    diag.warn('a server that takes its own token from the client (passthrough) cannot be used here', { server });
  let watch: FileWatch | undefined;
  const app = await startApp({
    config: source.config,
    piped: true,
    diag,
    clock: CLOCK,
    startId: randomBytes(6).toString('hex'),
    stateKey: source.stateKey,
    stateDirectory: stateDirectory(invocation.env),
    ambientEnv: invocation.env,
    load: () => source.load(),
    // What could not be written to standard error is not written there either.
    onLostEntries: (lines) => app.config.log.file === '-' || writeBounded(streams.errors, lines),
    onFiles: (files) => void watch?.update(files),
  });
  const reload = async (cause: 'file' | 'signal'): Promise<void> => {
    const result = await app.reload({ dryRun: false, cause });
    if (!result.ok) writeBounded(streams.errors, problemsText(result.problems));
  };
  if (source.files !== undefined) {
    watch = watchFiles(source.files.files, () => void reload('file'), { known: source.files.digests });
    signals.onHangup(() => {
      app.reopenLog();
      void reload('signal');
    });
  }
  if (process.stdin.isTTY) diag.info('waiting for JSON-RPC on standard input, where an MCP client is meant to be');
  const pipe = new StdioPipe(streams.input, streams.output);
  const target = { principal: principalOf(source.config), serverName: source.serverName };
  const conversation = app.converse(target, pipe);
  pipe.read((line) => conversation.receive(line));
  const end = await Promise.race([pipe.ended, signals.stop]);
  watch?.close();
  return stop({ app, pipe, conversation, end }, here);
}

interface Ending {
  readonly app: App;
  readonly pipe: StdioPipe;
  readonly conversation: StdioConversation;
  readonly end: PipeEnd | { readonly exitCode: number };
}

async function stop({ app, pipe, conversation, end }: Ending, { diag, signals }: Here): Promise<number> {
  const hungUp = 'cause' in end;
  const complaint = hungUp ? end.complaint : undefined;
  if (complaint !== undefined) diag.error('the conversation with the client ends', { reason: complaint });
  pipe.stopReading();
  conversation.drain();
  const hurry = Promise.race([pipe.gone, hungUp ? signals.stop : signals.stopNow]);
  const failed = !hungUp && end.exitCode !== EXIT.ok;
  await settlesWithin(Promise.race([conversation.idle(), hurry]), failed ? 0 : app.config.shutdownGraceMs);
  conversation.close(
    hungUp
      ? new ProxyError('CLIENT_GONE', 'the client closed the pipe before it was answered')
      : new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'),
  );
  await settlesWithin(conversation.idle(), CLIENT_LINGER_MS_MAX);
  await pipe.flush(CLIENT_LINGER_MS_MAX);
  await app.close({ graceMs: 0 });
  if (complaint !== undefined) return EXIT.protocol;
  return hungUp ? EXIT.ok : end.exitCode;
}

/** The bridge: one remote server, which the command line describes. An exit code when it describes none. */
function sourceOfUrl(invocation: Invocation, url: string): Source | number {
  const { config, problems } = remoteConfig(
    {
      url,
      token: textOption(invocation, 'token') ?? invocation.env[TOKEN_VARIABLE],
      headers: listOption(invocation, 'header'),
      transport: textOption(invocation, 'transport'),
      log: flagOption(invocation, 'log'),
    },
    invocation.env,
  );
  const first = problems.find(({ severity }) => severity === 'error');
  if (config === undefined) return usageError(invocation.stderr, `${first?.text ?? ''}; ${first?.fix ?? ''}`);
  // Bounded by configuration, of which there is no file.
  const nothing = { problems: [], files: [], digests: new Map(), adminSocket: undefined, tokensFile: '', lockFile: '' };
  const loaded = { config, ...nothing, demo: false };
  return { config, serverName: REMOTE_NAME, stateKey: randomBytes(32), load: async () => loaded, files: undefined };
}

/** The files, narrowed to who asks for what. An exit code when they cannot be run. */
async function sourceOfFiles(invocation: Invocation): Promise<Source | number> {
  const chosen: Chosen = { userName: textOption(invocation, 'user'), serverName: textOption(invocation, 'server') };
  const first = await loadFiles(invocation);
  invocation.stderr.write(problemsText(first.problems));
  if (first.config === undefined) return EXIT.config;
  if (first.demo)
    return usageError(invocation.stderr, 'there is no configuration; name it with --config, or a server with --url');
  const wrong = choiceProblem(first.config, chosen);
  if (wrong !== undefined) return usageError(invocation.stderr, wrong);
  const read = readAgain(first, () => loadFiles(invocation));
  return {
    config: narrowConfig(first.config, chosen),
    serverName: chosen.serverName,
    stateKey: loadStateKey(invocation.env).key,
    files: first,
    async load() {
      const loaded = await read();
      return loaded.config === undefined ? loaded : { ...loaded, config: narrowConfig(loaded.config, chosen) };
    },
  };
}

function loadFiles(invocation: Invocation): Promise<LoadedConfig> {
  return loadConfig({
    configPath: textOption(invocation, 'config'),
    tokensPath: textOption(invocation, 'tokens'),
    env: invocation.env,
    overrides: flagOption(invocation, 'log') ? { log: '-' } : {},
    piped: true,
  });
}
