/**
 * Telling the service manager how it goes: ready, reloading, stopping, a status line, and the watchdog's sign of life.
 *
 * The protocol is sd_notify(3): assignments in a datagram on the Unix socket NOTIFY_SOCKET. Node has no Unix datagram
 * sockets, so `systemd-notify` sends it, a process of some milliseconds; the unit therefore has `NotifyAccess=all`.
 * Promises: one at a time and in order, what is outdated before it was sent is left out, none is waited for longer than
 * `NOTIFY_MS_MAX`, and a failure never stops the service. Without NOTIFY_SOCKET nothing happens at all.
 */
import { spawn } from 'node:child_process';

/** One `systemd-notify`; then it is given up. */
const NOTIFY_MS_MAX = 5_000;

export interface Notifier {
  /** It serves; also the end of a reload. */
  ready(status: string): void;
  /** A reload has begun; `ready` ends it. */
  reloading(): void;
  status(text: string): void;
  /** It drains, which may take `graceMs`: the manager's own patience is extended by that. */
  stopping(graceMs: number): void;
  /** No further sign of life; resolves when all that was told is delivered or given up. */
  close(): Promise<void>;
}

export interface NotifierOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Why the service manager could not be told. */
  readonly onProblem: (reason: string) => void;
}

/** Begins with the signs of life, if the manager wants them. */
export function openNotifier(options: NotifierOptions): Notifier {
  const { env } = options;
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return SILENT;
  const told = new SystemdNotifier(options);
  const intervalMs = watchdogIntervalMs(env, options.pid);
  if (intervalMs !== undefined) told.live(intervalMs);
  return told;
}

const SILENT: Notifier = {
  ready: () => undefined,
  reloading: () => undefined,
  status: () => undefined,
  stopping: () => undefined,
  close: async () => undefined,
};

/** Half of the time after which the manager takes the service for dead. @see sd_watchdog_enabled(3) */
export function watchdogIntervalMs(env: NotifierOptions['env'], pid: number): number | undefined {
  const [usec, owner] = [env['WATCHDOG_USEC'] ?? '', env['WATCHDOG_PID'] ?? ''];
  if (!/^[1-9]\d*$/.test(usec) || (owner !== '' && owner !== String(pid))) return undefined;
  return Number(usec) / 2_000;
}

class SystemdNotifier implements Notifier {
  readonly #env: NotifierOptions['env'];
  readonly #onProblem: NotifierOptions['onProblem'];
  /** What is to be told next, by variable. */
  readonly #pending = new Map<string, string>(); // Bounded by the constant names of this file.
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  constructor({ env, onProblem }: NotifierOptions) {
    this.#env = env;
    this.#onProblem = onProblem;
  }

  ready(status: string): void {
    this.#pending.delete('RELOADING');
    this.#pending.delete('MONOTONIC_USEC');
    this.#tell({ READY: '1', STATUS: status });
  }

  reloading(): void {
    this.#pending.delete('READY');
    // The time lets the manager tell this reload from an earlier one (Type=notify-reload).
    this.#tell({ RELOADING: '1', MONOTONIC_USEC: String(process.hrtime.bigint() / 1_000n) });
  }

  status(text: string): void {
    this.#tell({ STATUS: text });
  }

  stopping(graceMs: number): void {
    this.#pending.clear();
    this.#tell({ STOPPING: '1', STATUS: 'stopping', EXTEND_TIMEOUT_USEC: String((graceMs + NOTIFY_MS_MAX) * 1_000) });
  }

  /** Comes from the event loop, so that a process whose loop is stuck is taken for dead. */
  live(intervalMs: number): void {
    this.#timer = setTimeout(() => {
      this.#tell({ WATCHDOG: '1' });
      this.live(intervalMs);
    }, intervalMs).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending;
  }

  #tell(assignments: Readonly<Record<string, string>>): void {
    // A newline would begin another assignment.
    for (const [name, value] of Object.entries(assignments)) this.#pending.set(name, value.replaceAll(/\s+/g, ' '));
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    while (this.#pending.size > 0) {
      const lines = [...this.#pending].map(([name, value]) => `${name}=${value}`);
      this.#pending.clear();
      const reason = await send(lines, this.#env);
      // Said once: the same would follow every half minute.
      if (reason !== undefined && !this.#failed) this.#onProblem(reason);
      this.#failed = reason !== undefined;
    }
    this.#sending = undefined;
  }
}

/** Why it could not be delivered. */
function send(lines: readonly string[], env: NotifierOptions['env']): Promise<string | undefined> {
  const { NOTIFY_SOCKET, PATH } = env;
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', [...lines], {
      env: { NOTIFY_SOCKET, PATH },
      stdio: 'ignore',
      timeout: NOTIFY_MS_MAX,
      killSignal: 'SIGKILL',
    });
    child.once('error', (error) => resolve(`systemd-notify: ${error.message}`));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `systemd-notify ended with ${signal ?? `code ${code}`}`),
    );
  });
}
