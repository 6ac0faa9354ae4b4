/**
 * A running mcproxy: listener, log, upstreams and the snapshot that requests see; started, reloaded, closed.
 *
 * A reload is transactional: everything new is opened first, then one reference is swapped, then what is gone is
 * drained; any failure leaves the old state untouched. Reading files and signals is the caller's, who passes in `load`.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { Readiness } from '../admin/health.ts';
import { describeDiff, diffConfig } from '../config/diff.ts';
import { ProxyError } from '../errors.ts';
import type { StdioConversation, StdioOutput } from '../gateway/stdio.ts';
import { recordFailure } from '../http/exchange.ts';
import { CLIENT_LINGER_MS_MAX } from '../limits.ts';
import { formatEntry, redactEntry } from '../log/access.ts';
import type { LineWriter } from '../log/ndjson.ts';
import type { McpEvents } from '../mcp/waist.ts';
import type { Config, Entry, Problem } from '../model.ts';
import { createUpstreamPool, type UpstreamPool } from '../upstream/pool.ts';
import { settlesWithin } from '../upstream/settles-within.ts';
import { openGates } from './admit.ts';
import type { AppOptions } from './app-options.ts';
import { beginPiped, isOpenEnded } from './begin.ts';
import { noticeClockSteps } from './clock-steps.ts';
import { openCredentials, type Credentials } from './credentials.ts';
import { openDoor, type Door } from './door.ts';
import { openFacade, type Facade } from './facade.ts';
import { createLocalRequests, type LocalCall, type LocalQuestion, type LocalRequests } from './local-requests.ts';
import { openMessagePath, type MessagePath, type ViewTarget } from './messages.ts';
import { chainFor, openAccessLog } from './open-access-log.ts';
import { prepareServers } from './prepare-servers.ts';
import { readinessOf } from './readiness.ts';
import { failureProblem, giveUpPort, rejectionFields, stopping } from './reload.ts';
import type { ReloadOptions, ReloadResult } from './reload.ts';
import { watchRevocations, type Revocations } from './revoke.ts';
import { createServe, refusedByLog, type Serve } from './serve.ts';
import { httpServers, makeSnapshot, type Snapshot, type SnapshotOptions } from './snapshot.ts';
import { openSealing, type Sealing } from './sealing.ts';
import { stackOf } from './stack.ts';
import { statusOf } from './status.ts';
import type { WhyAnswer, WhyAsked } from './why.ts';

export interface App {
  /** Where it listens: `http://HOST:PORT`. */
  readonly url: string;
  readonly config: Config;
  reload(options: ReloadOptions): Promise<ReloadResult>;
  /** Serves a client on a pipe, beside those of the listener. */
  converse(target: ViewTarget, output: StdioOutput): StdioConversation;
  reopenLog(): void;
  status(): Readonly<Record<string, unknown>>;
  /** A request from the command line of this machine. */
  ask(question: LocalQuestion, events: McpEvents): LocalCall;
  /** Why a user may use a server or tool, or may not. */
  why(asked: WhyAsked): WhyAnswer;
  /** Drains and closes. Resolves when everything is written and let go of. */
  close(options?: { graceMs?: number }): Promise<void>;
  /** Cuts every connection at once. */
  abort(): void;
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
  readonly #credentials: Credentials;
  readonly #serve: Serve;
  readonly #messages: MessagePath;
  readonly #local: LocalRequests;
  readonly #revocations: Revocations;
  readonly #sealing: Sealing;
  readonly #facade: Facade;
  readonly #startedMs: number;
  #snapshot: Snapshot;
  #log: LineWriter;
  /** Logs of earlier configurations, whose last lines may still be on their way. */
  #logsClosed: Promise<unknown> = Promise.resolve();
  #door: Door | undefined;
  /** Earlier addresses with connections that are left; bounded by CONNECTION_COUNT_MAX for each. */
  readonly #leaving = new Set<Door>();
  #seq = 0;
  #draining = false;
  #shut = false; // refuses new requests, a moment after `draining`
  #lastFailure: { readonly atMs: number; readonly problemCount: number } | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #reloadCount = 0;
  readonly #noticeStep: (wallMs: number) => void;

  constructor(options: AppOptions) {
    this.#options = options;
    this.#credentials = openCredentials({ ...options, pool: this.#pool });
    this.#credentials.apply(options.config);
    const sealer = (this.#sealing = openSealing(options.stateKey, options.config));
    this.#facade = openFacade({ ...options, sealer });
    this.#snapshot = makeSnapshot(options.config, this.#parts());
    this.#log = openAccessLog(options.config.log, this.#options);
    this.#startedMs = options.clock.monotonicMs();
    this.#noticeStep = noticeClockSteps(options);
    options.diag.setLevel(options.config.log.level);
    options.diag.setRedactor(this.#snapshot.redactor);
    const gates = openGates(options.clock, options.diag);
    this.#messages = openMessagePath({
      ...gates,
      config: options.config,
      clock: options.clock,
      pool: this.#pool,
      sealer,
      credentials: this.#credentials,
      ambientEnv: options.ambientEnv,
      piped: options.piped === true,
      logParams: () => this.#logParams(),
    });
    this.#local = createLocalRequests({
      clock: options.clock,
      config: () => this.config,
      view: (principal, serverName) => this.#messages.view(principal, serverName),
      keepParams: (params) => this.#logParams()?.(params),
      append: (entry, done) => this.#append(entry, () => done()),
      onInternal: (cause) => options.diag.error('internal error', { cause }),
    });
    this.#serve = createServe({
      ...gates,
      clock: options.clock,
      pool: this.#pool,
      sealer,
      credentials: this.#credentials,
      messages: this.#messages,
      snapshot: () => this.#snapshot,
      readiness: () => this.#readiness(),
      status: () => this.status(),
      append: (entry, done) => this.#append(entry, done),
      refusing: () => this.#refusing(),
      draining: () => this.#shut,
    });
    this.#revocations = watchRevocations({
      clock: options.clock,
      open: this.#serve.open,
      snapshot: () => this.#snapshot,
      endPrincipal: (id) => this.#messages.endPrincipal(id),
    });
  }

  /** What a snapshot is made with besides the configuration. */
  #parts(): SnapshotOptions {
    const { passingSecrets } = this.#credentials;
    return { ...this.#options, facade: this.#facade, passingSecrets };
  }

  get url(): string {
    return this.#door?.listener.url ?? '';
  }

  get config(): Config {
    return this.#snapshot.config;
  }

  async start(): Promise<void> {
    try {
      await prepareServers(this.#pool, this.config);
      const { diag, inheritedSocket, piped } = this.#options;
      if (!piped) this.#door = await this.#openDoor(this.config, (reason) => diag.warn(reason), inheritedSocket);
    } catch (error) {
      this.#revocations.close();
      await this.#messages.close(); // commands may have been started already
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
    if (this.#draining) return stopping(options);
    const loaded = await this.#options.load();
    if (!options.dryRun) this.#options.onFiles?.(loaded.files);
    if (loaded.config === undefined) return this.#rejected(loaded.problems, options);
    const changes = describeDiff(diffConfig(this.config, loaded.config));
    if (options.dryRun) return { ok: true, changes, problems: loaded.problems, dryRun: true };
    try {
      await this.#apply(loaded.config);
    } catch (thrown) {
      if (this.#draining) return stopping(options);
      const problem = failureProblem(loaded.files[0] ?? '', thrown);
      return this.#rejected([...loaded.problems, problem], options);
    }
    const repaired = this.#lastFailure !== undefined;
    this.#lastFailure = undefined;
    this.#reloadCount += 1;
    if (changes.length > 0) diag.info('configuration reloaded', { cause: options.cause, changes: changes.join('; ') });
    else if (repaired) diag.info('the configuration on disk is again the one in force', { cause: options.cause });
    return { ok: true, changes, problems: loaded.problems, dryRun: false };
  }

  #rejected(problems: readonly Problem[], options: ReloadOptions): ReloadResult {
    if (!options.dryRun) {
      const fields = rejectionFields(problems, options);
      this.#lastFailure = { atMs: this.#options.clock.wallMs(), problemCount: fields.problems };
      this.#options.diag.error('configuration rejected, the old one stays in force', fields);
    }
    return { ok: false, changes: [], problems, dryRun: options.dryRun };
  }

  /** Opens what is new, swaps, then lets go of what is old. A failure lets go of what is new instead. */
  async #apply(config: Config): Promise<void> {
    const before = this.config;
    const next = makeSnapshot(config, this.#parts(), this.#snapshot);
    let log: LineWriter | undefined;
    let door: Door | undefined;
    try {
      await prepareServers(this.#pool, config);
      if (config.log.file !== before.log.file) log = openAccessLog(config.log, this.#options);
      const moved = config.listen.host !== before.listen.host || config.listen.port !== before.listen.port;
      // A port that is in use is no reason to wait: everything else, a revoked token for one, would wait with it.
      if (moved && !this.#options.piped) door = await this.#openDoor(config, () => giveUpPort(config, before));
      if (this.#draining) throw new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping');
    } catch (error) {
      if (door !== undefined) void this.#leave(door);
      await log?.close();
      this.#pool.retain(httpServers(before));
      throw error;
    }

    // From here to the last line nothing can fail and nobody else gets a turn.
    this.#snapshot = next;
    this.#sealing.apply(config);
    this.#credentials.apply(config);
    this.#options.diag.setLevel(config.log.level);
    this.#options.diag.setRedactor(next.redactor);
    if (log !== undefined) {
      this.#logsClosed = Promise.all([this.#logsClosed, this.#log.close()]);
      this.#log = log;
    } else if (config.log.chain !== before.log.chain) this.#log.setChain(chainFor(config.log, this.#options));
    if (door !== undefined) {
      this.#options.diag.info('listening', { url: door.listener.url });
      if (this.#door !== undefined) void this.#leave(this.#door);
      this.#door = door;
    }
    this.#revocations.apply(before);
    await this.#reloadMessages(config);
    this.#pool.retain(httpServers(config));
  }

  /** The new configuration is in force already: a failure here is a bug to report, not a reason to say otherwise. */
  async #reloadMessages(config: Config): Promise<void> {
    try {
      await this.#messages.reload(config);
    } catch (error) {
      this.#options.diag.error('internal error', { cause: stackOf(error) });
    }
  }

  async #openDoor(config: Config, onWaiting: (reason: string) => void, descriptor?: number): Promise<Door> {
    return openDoor({
      config,
      descriptor,
      serve: this.#serve,
      diag: this.#options.diag,
      onWaiting,
      onClosed: (door) => this.#leaving.delete(door),
    });
  }

  /** Its connections are left to their answers. */
  #leave(door: Door): Promise<void> {
    this.#leaving.add(door);
    return door.leave();
  }

  /** How the content of calls is made fit for the log now; undefined when it is not logged. */
  #logParams(): ((params: unknown) => unknown) | undefined {
    const { config, redactor } = this.#snapshot;
    const mode = config.log.params;
    return mode === 'none' ? undefined : (params) => redactor.value(params, mode);
  }

  #append(entry: Entry, done: (ok: boolean) => void): void {
    this.#noticeStep(entry.tsMs);
    this.#seq += 1;
    redactEntry(entry, this.#snapshot.redactor);
    this.#log.append(formatEntry(entry, { seq: this.#seq, startId: this.#options.startId }), done);
  }

  #readiness(): Readiness {
    return readinessOf({
      draining: this.#draining,
      logHealthy: this.#log.healthy,
      problemCount: this.#lastFailure?.problemCount,
    });
  }

  #refusing(): boolean {
    return !this.#log.healthy && this.#snapshot.config.log.onFailure === 'refuse';
  }

  converse(target: ViewTarget, output: StdioOutput): StdioConversation {
    const { clock } = this.#options;
    const append = (entry: Entry, done: (ok: boolean) => void): void => this.#append(entry, done);
    return this.#messages.converse(target, {
      output,
      begin: () => beginPiped(target.principal.id, { clock, append }),
      refusal: () => (this.#refusing() ? refusedByLog() : undefined),
    });
  }

  reopenLog(): void {
    this.#log.reopen();
  }

  ask(question: LocalQuestion, events: McpEvents): LocalCall {
    return this.#local.ask(question, events);
  }

  why(asked: WhyAsked): WhyAnswer {
    const { config, verifier } = this.#snapshot;
    return this.#messages.why({ ...asked, config, seen: (subject) => verifier?.remembered(subject) ?? [] });
  }

  status(): Readonly<Record<string, unknown>> {
    return statusOf({
      config: this.config,
      url: this.url,
      startId: this.#options.startId,
      uptimeMs: this.#options.clock.monotonicMs() - this.#startedMs,
      readiness: this.#readiness(),
      members: this.#messages.status(),
      nameConflicts: this.#messages.conflicts(),
      toolDrift: this.#messages.drift(),
      accessTokens: this.#credentials.tokenRows(),
      openExchanges: this.#serve.open.size,
      sessions: this.#messages.sessionCount,
      logins: this.#facade.loginCount,
      entries: this.#seq,
      entriesLost: this.#log.lostCount,
      reloads: this.#reloadCount,
      logHealthy: this.#log.healthy,
    });
  }

  /**
   * Order: not ready any more (`drain`) → stop accepting → end streams that wait for nobody → let calls finish within the grace → end the
   * streams that are left, cut the rest → flush the log. Exchanges are waited for, not connections: one on which
   * nothing was asked keeps nobody.
   */
  async close(options: { graceMs?: number } = {}): Promise<void> {
    this.#draining = true;
    // Whoever spreads requests is told before anything is refused; a stop in haste tells nobody.
    if (options.graceMs === undefined) await delay(this.config.drainMs);
    this.#revocations.close();
    if (this.#door !== undefined) await this.#leave(this.#door);
    this.#shut = true;
    this.#messages.drain();
    for (const exchange of this.#serve.open) {
      if (exchange.streaming && isOpenEnded(exchange)) exchange.stop?.('shutdown');
    }
    const idle = Promise.all([this.#serve.idle(), this.#local.idle()]);
    await settlesWithin(idle, options.graceMs ?? this.config.shutdownGraceMs);
    this.#local.stop();
    for (const exchange of this.#serve.open) {
      if (exchange.stop !== undefined) exchange.stop(exchange.streaming ? 'shutdown' : 'abort');
      else recordFailure(exchange.entry, new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    }
    await this.#log.flush();
    // The last bytes of what was just ended leave; a client that does not take them is cut.
    await settlesWithin(this.#serve.idle(), CLIENT_LINGER_MS_MAX);
    this.abort();
    // Exchanges that were cut write their entry when their connection reports itself closed.
    await settlesWithin(this.#serve.idle(), CLIENT_LINGER_MS_MAX);
    await this.#messages.close();
    await this.#credentials.close();
    this.#pool.close();
    await Promise.all([this.#logsClosed, this.#log.close(), this.#facade.settled()]);
  }

  abort(): void {
    this.#door?.listener.abort();
    for (const door of this.#leaving) door.listener.abort();
  }
}
