/**
 * Several replicas of one server as one peer of the waist.
 *
 * A call goes to the replica with the fewest calls in progress among those that are ready and fit (`replica-health`),
 * and to the least bad when none is. What belongs together stays together: the answer to a question goes to the replica
 * that asked, what is said about a task to the one that has it (`replica-names`), a subscription stays until its
 * replica fails. A call that provably did not reach its replica moves to the next, and so does one that only reads; anything else does not, because it may
 * have acted. Lists, and that they changed, come from one replica, the lead, until that fails: replicas are the same
 * server, and a list must not flap between two that are not quite. Connecting and restarting are the peers' own.
 */
import { hash } from 'node:crypto';

import { REPLICA_CHECK_MS_MAX, WATCHED_RESOURCE_COUNT_MAX } from '../limits.ts';
import type { ChangeEvent, McpCall, McpEvents, McpOutcome, McpPeer } from '../mcp/waist.ts';
import type { JsonObject, McpRequest, ServerCard, TaskListen, TaskListenRequest } from '../mcp/waist.ts';
import type { Clock, ReplicaStatus } from '../model.ts';
import { settlesWithin } from './settles-within.ts';
import { asProxyError } from './conversation.ts';
import type { OnDiag } from './conversation.ts';
import { createPeerChanges } from './peer-changes.ts';
import { failureOutcome } from './peer-outcome.ts';
import type { ReplicaHealth, Verdict } from './replica-health.ts';
import { repeatedCall } from './repeated-call.ts';
import { nameOutcome, nameTask, readName, readReturn } from './replica-names.ts';
import { askerGone, isMovable, notProcessed, verdictOf, verdictOfStart } from './replica-outcome.ts';
import type { PeerState, SupervisedPeer } from './supervisor.ts';

export interface ReplicaSpec {
  /** What tells it from the others, for status and log: its number in the configuration. */
  readonly name: string;
  /** Names it in states that clients hold, over a reload too. */
  readonly key: string;
  readonly peer: SupervisedPeer;
  readonly health: ReplicaHealth;
}

export interface ReplicaPeerOptions {
  readonly serverName: string;
  readonly replicas: readonly ReplicaSpec[];
  readonly clock: Clock;
  readonly onDiag: OnDiag;
}

export interface ReplicaPeerState extends PeerState {
  readonly replicas: readonly ReplicaStatus[];
}

export type ReplicaPeer = McpPeer & { state(): ReplicaPeerState };

interface Replica extends ReplicaSpec {
  callCount: number;
  /** Resources subscribed to at it; bounded by WATCHED_RESOURCE_COUNT_MAX. */
  readonly uris: Set<string>;
  readonly leave: (() => void)[];
  wasResting: boolean;
}

export function openReplicaPeer(options: ReplicaPeerOptions): ReplicaPeer {
  return new Replicas(options);
}

/** From best to worst. */
const STATES: readonly PeerState['state'][] = ['ready', 'starting', 'idle', 'down'];

class Replicas implements ReplicaPeer {
  readonly #options: ReplicaPeerOptions;
  readonly #replicas: readonly Replica[];
  readonly #changes = createPeerChanges();
  /** Where lists come from; undefined until the first is asked for. */
  #lead: Replica | undefined;
  #turn = 0;
  #isDown = false;

  constructor(options: ReplicaPeerOptions) {
    this.#options = options;
    this.#replicas = options.replicas.map((spec) => ({
      ...spec,
      callCount: 0,
      uris: new Set<string>(), // Bounded by WATCHED_RESOURCE_COUNT_MAX.
      leave: [],
      wasResting: false,
    }));
    for (const replica of this.#replicas) this.#watch(replica);
  }

  state(): ReplicaPeerState {
    const states = this.#replicas.map((replica) => ({ replica, state: replica.peer.state() }));
    const best = states.toSorted((a, b) => STATES.indexOf(a.state.state) - STATES.indexOf(b.state.state))[0]?.state;
    if (best === undefined) throw new TypeError('a server has at least one replica');
    const restarts = states.reduce((count, { state }) => count + state.restarts, 0);
    const replicas = states.map(({ replica, state }) => ({
      replica: replica.name,
      state: state.state,
      since: new Date(state.sinceMs).toISOString(),
      era: state.era ?? null,
      revision: state.revision ?? null,
      restarts: state.restarts,
      pid: state.pid ?? null,
      last_error: state.lastError ?? null,
      calls: replica.callCount,
      resting: replica.health.isResting,
      lead: replica === this.#lead,
    }));
    return { ...best, restarts, replicas };
  }

  async describe(): Promise<ServerCard> {
    return this.#onLead((replica) => replica.peer.describe());
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    return repeatedCall(this.#options.serverName, async (attempts) => {
      const send = async (replica: Replica, sent: McpRequest): Promise<McpOutcome> => {
        const outcome = await this.#use(replica, () => attempts.begin(() => replica.peer.call(sent, events)));
        return nameOutcome(outcome, sent.method, replica.key);
      };
      const returning = this.#findAsker(request);
      if (returning === 'gone') return askerGone(this.#options.serverName, request.method);
      if (returning !== undefined) return send(returning.replica, returning.request);
      const tried = new Set<Replica>(); // Bounded by REPLICA_COUNT_MAX.
      for (;;) {
        const replica = this.#choose(request.method, tried);
        tried.add(replica);
        // oxlint-disable-next-line no-await-in-loop -- the next replica only after this one could not
        const outcome = await send(replica, request);
        const isLast = attempts.isCancelled || tried.size === this.#replicas.length;
        if (isLast || !isMovable(outcome, request.method)) return outcome;
      }
    });
  }

  onChange(listener: (event: ChangeEvent) => void): () => void {
    return this.#changes.onChange(listener);
  }

  async subscribe(uri: string): Promise<boolean> {
    const known = this.#replicas.find(({ uris }) => uris.has(uri));
    if (known !== undefined) return true;
    const count = this.#replicas.reduce((sum, { uris }) => sum + uris.size, 0);
    if (count >= WATCHED_RESOURCE_COUNT_MAX) return false;
    return this.#onLead(async (replica) => {
      const isWatched = await replica.peer.subscribe(uri);
      if (isWatched) replica.uris.add(uri);
      return isWatched;
    });
  }

  async unsubscribe(uri: string): Promise<void> {
    const holders = this.#replicas.filter(({ uris }) => uris.delete(uri));
    await Promise.all(holders.map(({ peer }) => peer.unsubscribe(uri)));
  }

  async listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen> {
    const names = request.taskIds.map(readName);
    const listens = await Promise.all(
      this.#replicas.flatMap(({ key, peer }) => {
        const taskIds = names.flatMap(({ key: of, own }) => (of === key && own !== undefined ? [own] : []));
        if (taskIds.length === 0) return [];
        const listening = peer.listenTasks({ ...request, taskIds }, (task) => onTask(nameTask(task, key)));
        return [listening.then((listen) => ({ key, listen }))];
      }),
    );
    return {
      agreed: listens.flatMap(({ key, listen }) => listen.agreed.map((id) => `${key}:${id}`)),
      ended: Promise.all(listens.map(({ listen }) => listen.ended)).then(() => undefined),
      stop: () => listens.forEach(({ listen }) => listen.stop()),
    };
  }

  async close(): Promise<void> {
    for (const { leave } of this.#replicas) for (const end of leave.splice(0)) end();
    await Promise.all(this.#replicas.map(({ peer }) => peer.close()));
  }

  #watch(replica: Replica): void {
    const user = { check: () => this.#check(replica), onChange: () => this.#onHealth(replica) };
    replica.leave.push(
      replica.health.join(user),
      replica.peer.onChange((event) => this.#onEvent(replica, event)),
    );
  }

  /** Only the lead's changes are told: lists come from it. What nobody of ours subscribed to there is old. */
  #onEvent(replica: Replica, event: ChangeEvent): void {
    // Whose fault it is shows at the next use: a refused credential is none of the replica's.
    if (event.kind === 'lost') return this.#noteDown();
    if (event.kind === 'recovered') {
      replica.health.note('well');
      this.#noteDown();
      // Its subscriptions were made again: an update may have been missed.
      for (const uri of replica.uris) this.#changes.emit({ kind: 'resource', uri });
      if (replica === this.#lead) this.#changes.emit(event);
      return;
    }
    if (event.kind === 'resource' ? replica.uris.size > 0 : replica === this.#lead) this.#changes.emit(event);
  }

  #onHealth(replica: Replica): void {
    const { isResting } = replica.health;
    if (isResting === replica.wasResting) return;
    replica.wasResting = isResting;
    const { serverName, onDiag } = this.#options;
    const data = { server: serverName, replica: replica.name };
    if (isResting) onDiag('warn', 'a replica failed and is given a rest', data);
    else onDiag('info', 'a replica is back', data);
    this.#noteDown();
    if (!isResting || this.#isDown) return;
    if (replica === this.#lead) this.#changeLead();
    this.#moveSubscriptions(replica);
  }

  /** The server is down when nobody is left. */
  #noteDown(): void {
    const isDown = this.#replicas.every(({ health, peer }) => health.isResting || peer.state().state === 'down');
    if (isDown === this.#isDown) return;
    this.#isDown = isDown;
    if (!isDown) return this.#changes.emit({ kind: 'recovered' });
    const reason = this.#replicas.map(({ peer }) => peer.state().lastError).find((text) => text !== undefined);
    this.#changes.emit({ kind: 'lost', reason: reason ?? `no replica of server ${this.#options.serverName} answers` });
  }

  #changeLead(): void {
    this.#lead = undefined;
    // The same server, but maybe not quite, and what changed meanwhile was told to nobody.
    for (const kind of ['tools', 'prompts', 'resources'] as const) this.#changes.emit({ kind });
  }

  #moveSubscriptions(from: Replica): void {
    const uris = [...from.uris];
    from.uris.clear();
    for (const uri of uris) void this.#moveSubscription(from, uri);
  }

  async #moveSubscription(from: Replica, uri: string): Promise<void> {
    const isMoved = await this.subscribe(uri).catch(() => false);
    // Else, when it comes back, it would tell everything a second time.
    if (isMoved) await from.peer.unsubscribe(uri).catch(() => undefined);
    else from.uris.add(uri);
    this.#changes.emit({ kind: 'resource', uri });
  }

  /** From best to worst: fit, ready, with the fewest calls; those that are equal in turn. */
  #choose(method: string, tried: ReadonlySet<Replica>): Replica {
    const untried = this.#replicas.filter((replica) => !tried.has(replica));
    const fit = untried.filter(({ health }) => !health.isResting);
    // The last one never rests.
    const candidates =
      fit.length > 0 ? fit : untried.toSorted((a, b) => a.health.restUntilMs - b.health.restUntilMs).slice(0, 1);
    if (method.endsWith('/list')) return this.#leadOf(candidates);
    for (const { peer } of fit) if (peer.state().state === 'idle') peer.start();
    const ready = candidates.filter(({ peer }) => peer.state().state === 'ready');
    const among = ready.length > 0 ? ready : candidates;
    const least = among.reduce((count, { callCount }) => Math.min(count, callCount), Number.POSITIVE_INFINITY);
    const equal = among.filter(({ callCount }) => callCount === least);
    this.#turn += 1;
    const chosen = equal[this.#turn % equal.length] ?? untried[0];
    if (chosen === undefined) throw new TypeError('all replicas were tried');
    return chosen;
  }

  #leadOf(candidates: readonly Replica[]): Replica {
    if (this.#lead !== undefined && candidates.includes(this.#lead)) return this.#lead;
    const [first] = candidates;
    if (first === undefined) throw new TypeError('all replicas were tried');
    this.#lead = first;
    return first;
  }

  /** @throws {ProxyError} of the last one, when no replica can */
  async #onLead<T>(work: (replica: Replica) => Promise<T>): Promise<T> {
    const tried = new Set<Replica>(); // Bounded by REPLICA_COUNT_MAX.
    for (;;) {
      const replica = this.#choose('tools/list', tried);
      tried.add(replica);
      replica.health.use();
      try {
        // oxlint-disable-next-line no-await-in-loop -- the next replica only after this one could not
        const value = await work(replica);
        replica.health.note('well');
        return value;
      } catch (error) {
        const failure = asProxyError(this.#options.serverName, error);
        const verdict = verdictOfStart(failure);
        note(replica, verdict);
        if (verdict === undefined || tried.size === this.#replicas.length) throw failure;
      }
    }
  }

  async #use(replica: Replica, work: () => Promise<McpOutcome>): Promise<McpOutcome> {
    replica.callCount += 1;
    replica.health.use();
    try {
      const failure = await this.#failureToStart(replica);
      if (failure !== undefined) return failure;
      const outcome = await work();
      note(replica, verdictOf(outcome));
      return outcome;
    } finally {
      replica.callCount -= 1;
    }
  }

  /** What a call ends in whose replica cannot be made ready: nothing was sent. */
  async #failureToStart(replica: Replica): Promise<McpOutcome | undefined> {
    try {
      await replica.peer.ready();
      return undefined;
    } catch (error) {
      const failure = asProxyError(this.#options.serverName, error);
      note(replica, verdictOfStart(failure));
      return notProcessed(failureOutcome(failure));
    }
  }

  /** Who asked the question that is answered or has the task that is meant, and the request as that knows it. */
  #findAsker(request: McpRequest): { replica: Replica; request: McpRequest } | 'gone' | undefined {
    const back = readReturn(request);
    if (back === undefined) return undefined;
    const replica = this.#replicas.find(({ key }) => key === back.key);
    return replica === undefined ? 'gone' : { replica, request: back.request };
  }

  /** Undefined when that says nothing of the replica. */
  async #check({ peer }: Replica): Promise<Verdict | undefined> {
    let call: McpCall | undefined;
    const ask = async (): Promise<Verdict | undefined> => {
      await peer.ready();
      const method = peer.state().era === 'modern' ? 'server/discover' : 'ping';
      call = peer.call({ ...CHECK, method }, SILENT);
      return verdictOf(await call.outcome);
    };
    const asking = ask().catch((error: unknown) => verdictOfStart(asProxyError(this.#options.serverName, error)));
    if (await settlesWithin(asking, REPLICA_CHECK_MS_MAX)) return asking;
    call?.cancel();
    return 'unreached';
  }
}

function note({ health }: Replica, verdict: Verdict | undefined): void {
  if (verdict !== undefined) health.note(verdict);
}

const CHECK = { params: {}, clientCapabilities: {}, clientInfo: undefined, logLevel: undefined, wantsProgress: false };
const SILENT: McpEvents = { onProgress: () => undefined, onLog: () => undefined };

/** A key for an address, which may hold a secret. */
export function replicaKey(address: string): string {
  return hash('sha256', address, 'base64url').slice(0, 12);
}
