/**
 * Keeps one server usable over many lives of its connection: begins when first needed, begins again when it ends.
 *
 *   idle → starting → ready → down → starting → …
 *
 * While starting, requests wait (a start is bounded); while down they fail at once and say since when and why. The
 * pause before a new life grows with each crash; a session that the server has merely ended is replaced at once, and
 * the request it refused is made again, because it provably did not run. Subscriptions move to the new life, then
 * `recovered` is told. A refused credential is not tried again until somebody asks: it would lock accounts. What a
 * life is made of belongs to `stdio-peer` and `remote-peer`.
 */
import { ProxyError, type ErrorCode } from '../errors.ts';
import { RESTART_DELAY_MS_BASE, WATCHED_RESOURCE_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { ChangeEvent, JsonObject, McpCall, McpEvents, McpOutcome, McpPeer, McpRequest } from '../mcp/waist.ts';
import type { ServerCard, TaskListen, TaskListenRequest } from '../mcp/waist.ts';
import type { Clock, Era, ReplicaStatus } from '../model.ts';
import { countCrash, restartDelayMs } from './backoff.ts';
import { settlesWithin } from './settles-within.ts';
import { asProxyError } from './conversation.ts';
import type { OnDiag } from './conversation.ts';
import type { MortalPeer } from './legacy-peer.ts';
import { createPeerChanges } from './peer-changes.ts';
import { isNotProcessed } from './peer-outcome.ts';
import { repeatedCall } from './repeated-call.ts';

export interface PeerState {
  readonly state: 'idle' | 'starting' | 'ready' | 'down';
  /** Wall time of the last change of `state`. */
  readonly sinceMs: number;
  readonly era: Era | undefined;
  readonly revision: string | undefined;
  /** How often it was begun anew, successfully or not. */
  readonly restarts: number;
  readonly lastError: string | undefined;
  readonly lastErrorCode: ErrorCode | undefined;
  readonly pid: number | undefined;
  /** Each of them, where there are several. */
  readonly replicas?: readonly ReplicaStatus[];
}

/** One connection to the server, ready for use. */
export interface Life {
  readonly peer: MortalPeer;
  readonly card: ServerCard;
  readonly era: Era;
  readonly pid: number | undefined;
  /** Resolves when nothing of it is left. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  readonly serverName: string;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
  /** Servers that many reach over the network must not be come back to all at once. */
  readonly jitter: boolean;
  /** Bounded in time; gives up, leaving nothing behind, when the signal is aborted. */
  readonly begin: (signal: AbortSignal) => Promise<Life>;
}

export type SupervisedPeer = McpPeer & {
  /** Begins without waiting for the first request. */
  start(): void;
  /** Resolves when requests can be sent. @throws {ProxyError} UPSTREAM_*; nothing was sent then */
  ready(): Promise<void>;
  state(): PeerState;
};

export function supervise(options: SupervisorOptions): SupervisedPeer {
  return new Supervisor(options);
}

class Supervisor implements McpPeer {
  readonly #options: SupervisorOptions;
  readonly #changes = createPeerChanges();
  /** Subscribed to, to be taken over into the next life; bounded by WATCHED_RESOURCE_COUNT_MAX. */
  readonly #uris = new Set<string>();
  readonly #closing = new AbortController();
  #state: PeerState['state'] = 'idle';
  #sinceMs: number;
  /** When the life began, on the monotonic clock. */
  #begunMs = 0;
  #starting: Promise<Life> | undefined;
  #stopping: Promise<void> = Promise.resolve();
  #life: Life | undefined;
  #timer: NodeJS.Timeout | undefined;
  #crashCount = 0;
  #restartCount = 0;
  #lastError: string | undefined;
  #lastErrorCode: ErrorCode | undefined;
  /** Wall time since when it does not work; undefined while it does. */
  #troubleMs: number | undefined;
  /** When the next life begins by itself, on the monotonic clock. */
  #nextMs = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.wallMs();
  }

  start(): void {
    this.#demand().catch(() => undefined);
  }

  async ready(): Promise<void> {
    await this.#demand();
  }

  state(): PeerState {
    const life = this.#life;
    return {
      state: this.#state,
      sinceMs: this.#sinceMs,
      era: life?.era,
      revision: life?.card.revision,
      restarts: this.#restartCount,
      lastError: this.#lastError,
      lastErrorCode: this.#lastErrorCode,
      pid: life?.pid,
    };
  }

  async describe(): Promise<ServerCard> {
    return (await this.#demand()).peer.describe();
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    return repeatedCall(this.#options.serverName, (attempts) => {
      const run = async (isRepeat: boolean): Promise<McpOutcome> => {
        const life = await this.#demand();
        const outcome = await attempts.begin(() => life.peer.call(request, events));
        const isRepeatable = !isRepeat && !attempts.isCancelled && isNotProcessed(outcome);
        return isRepeatable && (await this.#isOver(life, outcome)) ? run(true) : outcome;
      };
      return run(false);
    });
  }

  onChange(listener: (event: ChangeEvent) => void): () => void {
    return this.#changes.onChange(listener);
  }

  async subscribe(uri: string): Promise<boolean> {
    if (this.#uris.size >= WATCHED_RESOURCE_COUNT_MAX && !this.#uris.has(uri)) return false;
    const life = await this.#demand();
    const isWatched = await life.peer.subscribe(uri);
    if (isWatched) this.#uris.add(uri);
    return isWatched;
  }

  async unsubscribe(uri: string): Promise<void> {
    this.#uris.delete(uri);
    await this.#life?.peer.unsubscribe(uri);
  }

  async listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen> {
    return (await this.#demand()).peer.listenTasks(request, onTask);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#enter('idle');
    const life = this.#life;
    this.#life = undefined;
    await this.#starting?.then(
      (begun) => begun.stop(),
      () => undefined,
    );
    await life?.stop();
    await this.#stopping;
  }

  #demand(): Promise<Life> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closedError());
    if (this.#life !== undefined) return Promise.resolve(this.#life);
    if (this.#starting !== undefined) return this.#starting;
    // Down with a timer: a new life is on its way by itself.
    return this.#timer === undefined ? this.#begin() : Promise.reject(this.#downError());
  }

  #begin(): Promise<Life> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Also a start that fails again is one: a command that crashes before it is ready restarts all the time.
    if (this.#state !== 'idle') this.#restartCount += 1;
    this.#enter('starting');
    this.#starting = this.#beginLife().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #beginLife(): Promise<Life> {
    const { begin, clock } = this.#options;
    const { signal } = this.#closing;
    let life: Life;
    try {
      await this.#stopping;
      life = await begin(signal);
    } catch (error) {
      const failure = asProxyError(this.#options.serverName, error);
      if (!signal.aborted) this.#onDown(failure, 0);
      throw failure;
    }
    if (signal.aborted) {
      await life.stop();
      throw this.#closedError();
    }
    this.#life = life;
    this.#begunMs = clock.monotonicMs();
    this.#enter('ready');
    life.peer.onChange((event) => this.#changes.emit(event));
    void life.peer.ended.then((error) => this.#onEnded(life, asProxyError(this.#options.serverName, error)));
    if (this.#troubleMs !== undefined) void this.#recover(life);
    return life;
  }

  /** After trouble: subscriptions first, so that nothing changes unnoticed between them and the news. */
  async #recover(life: Life): Promise<void> {
    this.#troubleMs = undefined;
    await Promise.allSettled([...this.#uris].map((uri) => life.peer.subscribe(uri)));
    if (this.#life !== life) return;
    this.#options.onDiag('info', 'a server is back', { server: this.#options.serverName });
    this.#changes.emit({ kind: 'recovered' });
  }

  #onEnded(life: Life, error: ProxyError): void {
    if (this.#life !== life || this.#closing.signal.aborted) return;
    this.#life = undefined;
    this.#stopping = life.stop().catch(() => undefined);
    const uptimeMs = this.#options.clock.monotonicMs() - this.#begunMs;
    // A session that never lasts is a fault like any other, else this would never rest.
    const isSessionLost = error.data?.['sessionLost'] === true && uptimeMs >= RESTART_DELAY_MS_BASE;
    if (!isSessionLost) return this.#onDown(error, uptimeMs);
    this.#noteTrouble(error);
    this.#begin().catch(() => undefined);
  }

  #onDown(error: ProxyError, uptimeMs: number): void {
    const { serverName, onDiag, clock, jitter } = this.#options;
    this.#noteTrouble(error);
    this.#crashCount = countCrash(this.#crashCount, uptimeMs);
    this.#enter('down');
    const delayMs = restartDelayMs(this.#crashCount) * (jitter ? 0.5 + clock.random() / 2 : 1);
    this.#nextMs = clock.monotonicMs() + delayMs;
    if (error.code !== 'UPSTREAM_CREDENTIAL') {
      this.#timer = setTimeout(() => void this.#begin().catch(() => undefined), delayMs);
    }
    onDiag('warn', 'a server is down', { server: serverName, reason: error.message, crashes: this.#crashCount });
    this.#changes.emit({ kind: 'lost', reason: error.message });
  }

  /** Whether the life that gave this outcome has ended. That its session is lost is told a moment after the refusal. */
  async #isOver(life: Life, outcome: McpOutcome): Promise<boolean> {
    const data = outcome.kind === 'error' && isObject(outcome.data) ? outcome.data : {};
    if (data['sessionLost'] === true) await settlesWithin(life.peer.ended, RESTART_DELAY_MS_BASE);
    return this.#life !== life;
  }

  #noteTrouble(error: ProxyError): void {
    this.#troubleMs ??= this.#options.clock.wallMs();
    this.#lastError = error.message;
    this.#lastErrorCode = error.code;
  }

  #enter(state: PeerState['state']): void {
    this.#state = state;
    this.#sinceMs = this.#options.clock.wallMs();
  }

  #downError(): ProxyError {
    const since = new Date(this.#troubleMs ?? this.#sinceMs).toISOString();
    const text = `server ${this.#options.serverName} is down since ${since}: ${this.#lastError ?? 'unknown reason'}`;
    const seconds = Math.max(1, Math.ceil((this.#nextMs - this.#options.clock.monotonicMs()) / 1_000));
    return new ProxyError('UPSTREAM_NOT_READY', text, {
      data: { retry_after_ms: seconds * 1_000 },
      headers: { 'retry-after': String(seconds) },
    });
  }

  #closedError(): ProxyError {
    const text = `server ${this.#options.serverName} is no longer used: it was removed or changed, or mcproxy is stopping`;
    return new ProxyError('UPSTREAM_NOT_READY', text);
  }
}
