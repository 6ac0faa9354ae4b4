/**
 * `mcproxy serve`, the default: starts the service and stays until it is told to stop.
 *
 * Exit codes: 78 the files have problems (all are printed), 73 the log, 69 the port; 0 after SIGTERM or SIGINT and
 * a drain; a second signal ends at once with 128 + its number; 70 after an exception that nobody caught, because
 * the state is then unknown and the supervisor starts a new process. SIGHUP reads the files and opens the log anew.
 * How requests are served is in `app.ts`, what the service manager is told in `notify.ts`.
 */
import { randomBytes } from 'node:crypto';

import { decodeText, expectation } from '../config/decode.ts';
import { SETTINGS } from '../config/schema.ts';
import { ProxyError } from '../errors.ts';
import type { Diag } from '../log/diag.ts';
import type { Config } from '../model.ts';
import { defaultSocketPaths } from './admin-client.ts';
import { firstUsable, openAdminSocket, type AdminSocket } from './admin-socket.ts';
import { startApp, type App } from './app.ts';
import { CLOCK } from './clock.ts';
import {
  EXIT,
  FILE_OPTIONS,
  exitCodeOf,
  flagOption,
  textOption,
  usageError,
  type Command,
  type Invocation,
} from './command.ts';
import { startDemo, type Demo } from './demo.ts';
import { inheritedSocket } from './inherited-socket.ts';
import { openDiagnostics, sealingKey } from './process.ts';
import { loadConfig, type LoadedConfig } from './load.ts';
import { openNotifier, type Notifier } from './notify.ts';
import { readAgain } from './read-again.ts';
import type { ReloadOptions, ReloadResult } from './reload.ts';
import { problemsText } from './report.ts';
import { stackOf } from './stack.ts';
import { stateDirectory } from './state-key.ts';
import { catchSignals, type Signals } from './signals.ts';
import { watchFiles, type FileWatch } from './watch.ts';

export const serveCommand: Command = {
  name: 'serve',
  synopsis: '[--config FILE|DIR] [--tokens FILE] [--listen ADDR] [--port N] [--log]',
  summary: 'Runs the service (the default)',
  options: {
    ...FILE_OPTIONS,
    listen: { type: 'string', value: 'ADDR', help: 'HOST, or HOST:PORT, instead of what the configuration says' },
    port: { type: 'string', value: 'N', help: 'the port, instead of what the configuration says' },
    log: { type: 'boolean', help: 'write the access log to standard output' },
  },
  positionals: { min: 0, max: 0 },
  notes: [
    'Signals: SIGHUP reads the files and opens the log anew, SIGTERM and SIGINT drain and stop, a second one stops at\nonce. A saved file is applied within a second without any signal.',
    'Exit codes: 64 usage, 69 the port is in use, 73 the log cannot be written, 78 the files have problems.',
  ],
  async run(invocation) {
    const wrong = wrongAddress(invocation);
    if (wrong !== undefined) return usageError(invocation.stderr, wrong);
    const diag = openDiagnostics(invocation.env, (line) => void invocation.stderr.write(line));
    const signals = catchSignals({
      onError: (message, error) => diag.error(message, { stack: stackOf(error) }),
    });
    try {
      return await serve(invocation, diag, signals);
    } finally {
      signals.close();
    }
  },
};

function wrongAddress(invocation: Invocation): string | undefined {
  const listen = textOption(invocation, 'listen');
  const port = textOption(invocation, 'port');
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535))
    return '--port is a number from 0 to 65535';
  if (listen === undefined || decodeText(SETTINGS.listen, listen) !== undefined) return undefined;
  return `--listen is not valid: write ${expectation(SETTINGS.listen)}`;
}

/** What is running, to be let go of in the end. */
interface Running {
  readonly app: App;
  readonly watch: FileWatch;
  readonly notifier: Notifier;
  adminSocket: AdminSocket | undefined;
  /** The last of the moves of the admin socket, which come one after the other. */
  adminMoved: Promise<void>;
}

async function serve(invocation: Invocation, diag: Diag, signals: Signals): Promise<number> {
  const load = (): Promise<LoadedConfig> => loadFiles(invocation);
  const first = await load();
  invocation.stderr.write(problemsText(first.problems));
  if (first.config === undefined) return EXIT.config;
  const demo = first.demo ? await startDemo(first.config) : undefined;
  try {
    const starting = start(invocation, { diag, first, demo, config: demo?.config ?? first.config });
    const running = await Promise.race([starting, signals.stop]);
    // Asked to stop while it waited for its port: nothing has begun that would have to be drained.
    if ('exitCode' in running) return running.exitCode;
    signals.onHangup(() => {
      running.app.reopenLog();
      void reload(invocation, running, { diag, cause: 'signal' });
    });
    const ending = await signals.stop;
    return await stop(running, { diag, signals, failed: ending.exitCode !== EXIT.ok });
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    diag.error(error.message, { code: error.code });
    return exitCodeOf(error);
  } finally {
    await demo?.close();
  }
}

interface Beginning {
  readonly diag: Diag;
  readonly first: LoadedConfig;
  readonly demo: Demo | undefined;
  readonly config: Config;
}

async function start(invocation: Invocation, beginning: Beginning): Promise<Running> {
  const { diag, first, demo, config } = beginning;
  let watch: FileWatch | undefined;
  const app = await startApp({
    config,
    diag,
    clock: CLOCK,
    startId: randomBytes(6).toString('hex'),
    inheritedSocket: inheritedSocket(invocation.env, process.pid),
    stateKey: sealingKey(invocation.env, config.clusterKey === undefined ? diag : undefined),
    stateDirectory: stateDirectory(invocation.env),
    owner: first.files[0] ?? '',
    ambientEnv: invocation.env,
    load: readAgain(first, async () => withDemo(await loadFiles(invocation), demo)),
    onLostEntries: (lines) => void invocation.stderr.write(lines),
    onFiles: (files) => void watch?.update(files),
  });
  let running: Running | undefined;
  const onChange = (): void => {
    if (running !== undefined) void reload(invocation, running, { diag, cause: 'file' });
  };
  watch = watchFiles(first.files, onChange, {
    known: first.digests,
    onFallback: (reason) =>
      diag.warn('file events cannot be had; files are looked at twice a second instead', { reason }),
  });
  const notifier = openNotifier({
    env: invocation.env,
    pid: process.pid,
    onProblem: (reason) => diag.warn('the service manager cannot be told', { reason }),
  });
  running = { app, watch, notifier, adminSocket: undefined, adminMoved: Promise.resolve() };
  await moveAdmin(invocation, running, diag);
  // The banner is for a person; the line is for everybody.
  if (demo !== undefined) invocation.stdout.write(demo.banner(app.url));
  diag.info(`listening on ${app.url}`);
  notifier.ready(`listening on ${app.url}`);
  return running;
}

/** Exit code after a drain, or at once when a second signal comes or nothing can be trusted any more. */
async function stop(running: Running, how: { diag: Diag; signals: Signals; failed: boolean }): Promise<number> {
  const { app, watch, notifier, adminSocket } = running;
  const { diag, signals, failed } = how;
  diag.info('stopping');
  notifier.stopping(app.config.drainMs + app.config.shutdownGraceMs);
  watch.close();
  const socketClosed = adminSocket?.close();
  const drained = app.close(failed ? { graceMs: 0 } : {}).then(
    () => (failed ? EXIT.internal : EXIT.ok),
    (error: unknown) => {
      diag.error('stopping failed', { stack: stackOf(error) });
      return EXIT.internal;
    },
  );
  const exitCode = await Promise.race([drained, signals.stopNow]);
  app.abort();
  adminSocket?.abort();
  await socketClosed;
  await notifier.close();
  diag.info('stopped', { exit_code: exitCode });
  return exitCode;
}

interface ReloadCause {
  readonly diag: Diag;
  readonly cause: 'signal' | 'file';
}

/** Reads the files again; what is wrong goes to the diagnostic log, since nobody waits for an answer. */
async function reload(invocation: Invocation, running: Running, { diag, cause }: ReloadCause): Promise<void> {
  const { app, notifier } = running;
  if (cause === 'signal') notifier.reloading();
  const result = await app.reload({ dryRun: false, cause });
  if (cause === 'signal') notifier.ready(stateText(app, result));
  else notifier.status(stateText(app, result));
  if (!result.ok) invocation.stderr.write(problemsText(result.problems));
  else await moveAdmin(invocation, running, diag);
}

/** The one line that `systemctl status` shows. */
function stateText({ url }: App, { ok }: ReloadResult): string {
  return ok ? `listening on ${url}` : `listening on ${url}; the configuration on disk has problems and is not in force`;
}

/** Opens the admin socket where the configuration wants it, then closes the one that was elsewhere. */
function moveAdmin(invocation: Invocation, running: Running, diag: Diag): Promise<void> {
  running.adminMoved = running.adminMoved.then(async () => {
    const { app, adminSocket: old } = running;
    const path = await adminPath(app.config, invocation.env);
    if (path === undefined && old === undefined) {
      diag.info('there is no admin socket; `admin.socket` in mcproxy.yml gives it a place');
    }
    if (path === undefined || path === old?.path) return;
    const reloadByCommand = async (options: ReloadOptions): Promise<ReloadResult> => {
      const result = await app.reload(options);
      if (!options.dryRun) running.notifier.status(stateText(app, result));
      if (result.ok && !options.dryRun) await moveAdmin(invocation, running, diag);
      return result;
    };
    const opened = await openAdminSocket({
      path,
      actions: {
        reload: ({ dryRun }) => reloadByCommand({ dryRun, cause: 'admin' }),
        status: () => app.status(),
        ask: (question, events) => app.ask(question, events),
        why: (asked) => app.why(asked),
      },
      onProblem: (reason) => diag.warn('admin socket', { reason }),
    });
    if (opened === undefined) return;
    running.adminSocket = opened;
    // Not waited for: the command that asked for the reload may still be connected to it.
    void old?.close();
  });
  return running.adminMoved;
}

async function adminPath(config: Config, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return config.adminSocket ?? (await firstUsable(defaultSocketPaths(env)));
}

function loadFiles(invocation: Invocation): Promise<LoadedConfig> {
  const listen = textOption(invocation, 'listen');
  const port = textOption(invocation, 'port');
  return loadConfig({
    configPath: textOption(invocation, 'config'),
    tokensPath: textOption(invocation, 'tokens'),
    env: invocation.env,
    overrides: {
      ...(listen === undefined ? {} : { listen }),
      ...(port === undefined ? {} : { port }),
      ...(flagOption(invocation, 'log') ? { log: '-' } : {}),
    },
  });
}

/** The demo stays the demo while there are no files. */
function withDemo(loaded: LoadedConfig, demo: Demo | undefined): LoadedConfig {
  return demo !== undefined && loaded.demo ? { ...loaded, config: demo.config, demo: false } : loaded;
}
