/**
 * A running mcproxy: listener, log, upstreams and the snapshot that requests see; started, reloaded, closed.
 *
 * A reload is transactional (design: path c): everything new is opened first, then one reference is swapped, then
 * what is gone is drained; any failure leaves the old state untouched and is returned. Reading files, signals and
 * sockets of the operator belong to the caller, who passes in `load`.
 */
import { randomBytes } from 'node:crypto';

import type { Readiness } from '../admin/health.ts';
import { makeSealer } from '../auth/seal.ts';
import { describeDiff, diffConfig } from '../config/diff.ts';
import { ProxyError } from '../errors.ts';
import { openListener, type Listener } from '../http/server.ts';
import { formatEntry } from '../log/access.ts';
import type { Diag } from '../log/diag.ts';
import { openLineWriter, type LineWriter } from '../log/ndjson.ts';
import type { Clock, Config, Entry, Problem } from '../model.ts';
import { createUpstreamPool, type UpstreamPool } from '../upstream/pool.ts';
import type { LoadedConfig } from './load.ts';
import { createServe, type Serve } from './serve.ts';
import { httpServers, makeSnapshot, type Snapshot } from './snapshot.ts';

export interface ReloadResult {
  readonly ok: boolean;
  /** One plain line per change. */
  readonly changes: readonly string[];
  readonly problems: readonly Problem[];
  readonly dryRun: boolean;
}

export interface ReloadOptions {
  readonly dryRun: boolean;
  readonly cause: 'signal' | 'file' | 'admin';
}

export interface App {
  /** Where it listens: `http://HOST:PORT`. */
  readonly url: string;
  readonly config: Config;
  reload(options: ReloadOptions): Promise<ReloadResult>;
  reopenLog(): void;
  status(): Readonly<Record<string, unknown>>;
  /** Drains and closes. Resolves when everything is written and let go of. */
  close(options?: { graceMs?: number }): Promise<void>;
  /** Cuts every connection at once. */
  abort(): void;
}

export interface AppOptions {
  readonly config: Config;
  readonly diag: Diag;
  readonly clock: Clock;
  /** Identifies this process in log entries. */
  readonly startId: string;
  load(): Promise<LoadedConfig>;
  /** Entries that could not be written to the log file. */
  onLostEntries(lines: string): void;
  /** Called after each reload with the files to watch from now on. */
  onFiles?(files: readonly string[]): void;
}

/** Opens log, upstreams and listener, in this order. @throws {ProxyError} LOG_UNWRITABLE, LISTEN_FAILED */
export async function startApp(options: AppOptions): Promise<App> {
  const app = new RunningApp(options);
  await app.start();
  return app;
}

class RunningApp implements App {
  readonly #options: AppOptions;
  readonly #pool: UpstreamPool = createUpstreamPool();
  readonly #serve: Serve;
  readonly #startedMs: number;
  #snapshot: Snapshot;
  #log: LineWriter;
  #listener: Listener | undefined;
  #seq = 0;
  #draining = false;
  #lastFailure: { readonly atMs: number; readonly problemCount: number } | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #reloadCount = 0;
  #clockOffsetMs: number;

  constructor(options: AppOptions) {
    this.#options = options;
    this.#snapshot = makeSnapshot(options.config);
    this.#log = this.#openLog(options.config.log.file);
    this.#startedMs = options.clock.monotonicMs();
    this.#clockOffsetMs = options.clock.wallMs() - options.clock.monotonicMs();
    options.diag.setLevel(options.config.log.level);
    options.diag.setRedactor(this.#snapshot.redactor);
    this.#serve = createServe({
      clock: options.clock,
      diag: options.diag,
      pool: this.#pool,
      sealer: makeSealer(randomBytes(32)),
      snapshot: () => this.#snapshot,
      readiness: () => this.#readiness(),
      append: (entry, done) => this.#append(entry, done),
      refusing: () => !this.#log.healthy && this.#snapshot.config.log.onFailure === 'refuse',
      draining: () => this.#draining,
    });
  }

  get url(): string {
    return this.#listener?.url ?? '';
  }

  get config(): Config {
    return this.#snapshot.config;
  }

  async start(): Promise<void> {
    try {
      await this.#pool.prepare(httpServers(this.config));
      this.#listener = await this.#listen(this.config);
    } catch (error) {
      this.#pool.close();
      await this.#log.close();
      throw error;
    }
  }

  /** Reloads run one after the other; each sees the files as they are when its turn comes. */
  reload(options: ReloadOptions): Promise<ReloadResult> {
    const turn = this.#reloading.then(() => this.#reloadNow(options));
    this.#reloading = turn.catch(() => undefined);
    return turn;
  }

  async #reloadNow(options: ReloadOptions): Promise<ReloadResult> {
    const { diag } = this.#options;
    const loaded = await this.#options.load();
    if (!options.dryRun) this.#options.onFiles?.(loaded.files);
    if (loaded.config === undefined) return this.#rejected(loaded.problems, options);
    const changes = describeDiff(diffConfig(this.config, loaded.config));
    if (options.dryRun) return { ok: true, changes, problems: loaded.problems, dryRun: true };
    try {
      await this.#apply(loaded.config);
    } catch (thrown) {
      const text = thrown instanceof ProxyError ? thrown.message : String(thrown);
      const problem: Problem = {
        severity: 'error',
        file: loaded.files[0] ?? '',
        position: undefined,
        excerpt: undefined,
        text,
        fix: undefined,
      };
      return this.#rejected([...loaded.problems, problem], options);
    }
    this.#lastFailure = undefined;
    this.#reloadCount += 1;
    if (changes.length > 0) diag.info('configuration reloaded', { cause: options.cause, changes: changes.join('; ') });
    return { ok: true, changes, problems: loaded.problems, dryRun: false };
  }

  #rejected(problems: readonly Problem[], options: ReloadOptions): ReloadResult {
    const errors = problems.filter((problem) => problem.severity === 'error');
    const [first] = errors;
    if (!options.dryRun) {
      this.#lastFailure = { atMs: this.#options.clock.wallMs(), problemCount: errors.length };
      const at = first?.position === undefined ? '' : `:${first.position.line}:${first.position.column}`;
      this.#options.diag.error('configuration rejected, the old one stays in force', {
        cause: options.cause,
        problems: errors.length,
        first: first === undefined ? 'unknown' : `${first.file}${at}: ${first.text}`,
      });
    }
    return { ok: false, changes: [], problems, dryRun: options.dryRun };
  }

  /** Opens what is new, swaps, then lets go of what is old. */
  async #apply(config: Config): Promise<void> {
    const before = this.config;
    const next = makeSnapshot(config);
    await this.#pool.prepare([...httpServers(before), ...httpServers(config)]);
    const log = config.log.file === before.log.file ? undefined : this.#openLog(config.log.file);
    let listener: Listener | undefined;
    try {
      const moved = config.listen.host !== before.listen.host || config.listen.port !== before.listen.port;
      if (moved) listener = await this.#listen(config);
    } catch (error) {
      await log?.close();
      throw error;
    }

    const oldLog = this.#log;
    const oldListener = this.#listener;
    this.#snapshot = next;
    if (log !== undefined) this.#log = log;
    if (listener !== undefined) this.#listener = listener;

    this.#options.diag.setLevel(config.log.level);
    this.#options.diag.setRedactor(next.redactor);
    await this.#pool.prepare(httpServers(config));
    if (log !== undefined) void oldLog.close();
    if (listener !== undefined) {
      this.#options.diag.info('listening', { url: listener.url });
      void oldListener?.close();
    }
    this.#endRevoked();
  }

  /** Streams of tokens that are no longer valid, or of servers no longer theirs, end now. */
  #endRevoked(): void {
    const { authenticator, config } = this.#snapshot;
    for (const exchange of this.#serve.open) {
      const { principal, upstream } = exchange.entry;
      if (!exchange.streaming || principal === null || exchange.tokenDigest === null) continue;
      const known = config.principals.find((each) => each.id === principal);
      const valid = authenticator.stillValid(exchange.tokenDigest, principal);
      const allowed = known === undefined || upstream === null || known.servers.has(upstream);
      if (!valid || !allowed) exchange.stop?.('revoked');
    }
  }

  #openLog(path: string): LineWriter {
    return openLineWriter({
      path,
      onLost: (lines) => this.#options.onLostEntries(lines),
      onStateChange: (healthy, reason) => {
        if (healthy) this.#options.diag.info('the access log can be written again', { path });
        else this.#options.diag.error('the access log cannot be written', { path, reason: reason ?? 'unknown' });
      },
    });
  }

  #listen(config: Config): Promise<Listener> {
    return openListener({
      ...config.listen,
      onRequest: (request, response) => this.#serve.onRequest(request, response),
      onMalformed: (error, socket) => this.#serve.onMalformed(error, socket),
      onWaiting: (reason) => this.#options.diag.warn(reason),
    });
  }

  #append(entry: Entry, done: (ok: boolean) => void): void {
    this.#noticeClockStep(entry.tsMs);
    this.#seq += 1;
    if (entry.error !== null) entry.error = this.#snapshot.redactor.text(entry.error);
    this.#log.append(formatEntry(entry, { seq: this.#seq, startId: this.#options.startId }), (ok) => {
      done(ok);
      // Connections that were busy when the drain began close with their answer.
      if (this.#draining) setImmediate(() => this.#listener?.closeIdle());
    });
  }

  /** A Pi has no clock battery: its wall clock jumps when the network comes up. */
  #noticeClockStep(wallMs: number): void {
    const { clock, diag } = this.#options;
    const offset = clock.wallMs() - clock.monotonicMs();
    const stepMs = offset - this.#clockOffsetMs;
    if (Math.abs(stepMs) < 1_000) return;
    this.#clockOffsetMs = offset;
    diag.warn('the wall clock was stepped', { step_ms: Math.round(stepMs), ts_ms: wallMs });
  }

  #readiness(): Readiness {
    const reasons: string[] = [];
    if (this.#draining) reasons.push('mcproxy is stopping');
    if (!this.#log.healthy) reasons.push('the access log cannot be written');
    if (this.#lastFailure !== undefined) {
      const count = this.#lastFailure.problemCount;
      reasons.push(
        `the configuration on disk has ${count} problem${count === 1 ? '' : 's'} and is not in force; run: mcproxy check`,
      );
    }
    return { ready: reasons.length === 0, reasons };
  }

  reopenLog(): void {
    this.#log.reopen();
  }

  status(): Readonly<Record<string, unknown>> {
    const { config } = this;
    return {
      url: this.url,
      start_id: this.#options.startId,
      uptime_seconds: Math.round((this.#options.clock.monotonicMs() - this.#startedMs) / 1_000),
      readiness: this.#readiness(),
      servers: [...config.servers.values()].map(({ name, kind, enabled }) => ({ name, kind, enabled })),
      users: config.principals.length,
      open_exchanges: this.#serve.open.size,
      entries: this.#seq,
      entries_lost: this.#log.lostCount,
      reloads: this.#reloadCount,
      log: { file: config.log.file, healthy: this.#log.healthy },
    };
  }

  /**
   * Order: stop accepting → end streams that wait for nobody → let calls finish within the grace → end the
   * streams that are left, cut the rest → flush the log.
   */
  async close(options: { graceMs?: number } = {}): Promise<void> {
    this.#draining = true;
    await this.#reloading;
    const closed = this.#listener?.close() ?? Promise.resolve();
    for (const exchange of this.#serve.open) {
      if (exchange.streaming && exchange.request.method === 'GET') exchange.stop?.('shutdown');
    }
    const graceMs = options.graceMs ?? this.config.shutdownGraceMs;
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([closed, grace]);
    clearTimeout(timer);
    for (const exchange of this.#serve.open) exchange.stop?.(exchange.streaming ? 'shutdown' : 'abort');
    await this.#log.flush();
    this.#listener?.abort();
    await closed;
    this.#pool.close();
    await this.#log.close();
  }

  abort(): void {
    this.#listener?.abort();
  }
}
