/**
 * What one server offers, as last known: four lists, read when somebody asks and kept when the server goes away.
 *
 * A list is read again when its `ttlMs` is over or the server said that it changed; readers at the same time share
 * one reading. Nobody waits long: after a deadline the last known list stands in and the reading goes on; when it
 * ends with something else, or a failed server answers again, that is told as a change. Merging and names belong to
 * the view. Source: MCP 2026-07-28 server/utilities/caching.
 */
import { ProxyError } from '../errors.ts';
import { CATALOG_FAILED_MS_MAX, CATALOG_FIRST_MS_MAX, CATALOG_KNOWN_MS_MAX, CATALOG_MISS_MS } from '../limits.ts';
import type { Clock } from '../model.ts';
import { readList, type ListKind, type ReadOptions, type ServerList } from './catalog-read.ts';
import { settleWithin } from './deadline.ts';

/** What can be said of a list now. */
export interface KnownList {
  /** Undefined when it was never read. */
  readonly list: ServerList | undefined;
  /** Milliseconds that it stays fresh; 0 when it stands in for one that could not be read. */
  readonly ttlMs: number;
  /** Why it is not what the server would say now. */
  readonly missing: ProxyError | undefined;
}

export interface Catalog {
  /** The last known list, without asking anybody. */
  peek(kind: ListKind): ServerList | undefined;
  /** The list, read again if it is not fresh. Never rejects and never waits longer than the bounds. */
  get(kind: ListKind): Promise<KnownList>;
  /** The list for a key that is not in the last known one: read again unless it was read just now. */
  getAfterMiss(kind: ListKind): Promise<KnownList>;
  /** Resolves when nobody is reading the list any more. */
  finished(kind: ListKind): Promise<void>;
  /** Why the list could not be read when it was last tried. */
  failure(kind: ListKind): ProxyError | undefined;
  /** The server said that the list changed; every list without a kind. */
  invalidate(kind?: ListKind): void;
}

export interface CatalogOptions {
  readonly from: ReadOptions;
  readonly clock: Clock;
  /** A list is not what it was when somebody last asked. */
  readonly onChange: (kind: ListKind) => void;
}

interface Slot {
  list: ServerList | undefined;
  readAtMs: number;
  /** The server said that it changed, or it was never read. */
  stale: boolean;
  failure: ProxyError | undefined;
  reading: Promise<void> | undefined;
  readingSinceMs: number;
  /** Begins after the reading in progress, during which the server said that the list changed. */
  following: Promise<void> | undefined;
  /** Somebody was given less than this reading will bring. */
  late: boolean;
}

export function createCatalog(options: CatalogOptions): Catalog {
  const slots: Slots = { tools: emptySlot(), prompts: emptySlot(), resources: emptySlot(), templates: emptySlot() };
  const { clock } = options;
  return {
    peek: (kind) => slots[kind].list,
    async get(kind) {
      const slot = slots[kind];
      const freshMs = remainingMs(slot, clock);
      if (freshMs > 0) return { list: slot.list, ttlMs: freshMs, missing: undefined };
      return readSlot(slots, kind, options);
    },
    async getAfterMiss(kind) {
      const slot = slots[kind];
      const young = !slot.stale && clock.monotonicMs() - slot.readAtMs < CATALOG_MISS_MS;
      if (young) return { list: slot.list, ttlMs: 0, missing: undefined };
      return readSlot(slots, kind, options);
    },
    async finished(kind) {
      const slot = slots[kind];
      await slot.reading;
      await slot.following;
    },
    failure: (kind) => slots[kind].failure,
    invalidate(kind) {
      for (const slot of kind === undefined ? Object.values(slots) : [slots[kind]]) slot.stale = true;
    },
  };
}

type Slots = Readonly<Record<ListKind, Slot>>;

function remainingMs(slot: Slot, clock: Clock): number {
  return slot.stale || slot.list === undefined ? 0 : slot.readAtMs + slot.list.ttlMs - clock.monotonicMs();
}

async function readSlot(slots: Slots, kind: ListKind, options: CatalogOptions): Promise<KnownList> {
  const slot = slots[kind];
  const { clock, from } = options;
  const { reading, sinceMs } = join(slot, kind, options);
  const leftMs = sinceMs + patienceMs(slot) - clock.monotonicMs();
  const settled = await settleWithin(reading, Math.max(0, leftMs));
  if (settled.kind === 'late') slot.late = true;
  const missing = settled.kind === 'late' ? notReady(from.serverName) : slot.failure;
  return { list: slot.list, ttlMs: missing === undefined ? Math.max(0, remainingMs(slot, clock)) : 0, missing };
}

/** The reading in progress or a new one. What changed during a reading may or may not be in it. */
function join(slot: Slot, kind: ListKind, options: CatalogOptions): { reading: Promise<void>; sinceMs: number } {
  if (slot.reading !== undefined && slot.stale) {
    slot.following ??= slot.reading.then(() => {
      slot.following = undefined;
      slot.reading ??= startReading(slot, kind, options);
      return slot.reading;
    });
    return { reading: slot.following, sinceMs: options.clock.monotonicMs() };
  }
  slot.reading ??= startReading(slot, kind, options);
  return { reading: slot.reading, sinceMs: slot.readingSinceMs };
}

async function startReading(slot: Slot, kind: ListKind, options: CatalogOptions): Promise<void> {
  const { clock, from, onChange } = options;
  slot.readingSinceMs = clock.monotonicMs();
  slot.late = false;
  slot.stale = false;
  const before = slot.list;
  const failed = slot.failure !== undefined;
  try {
    slot.list = await readList(kind, from);
    slot.readAtMs = clock.monotonicMs();
    slot.failure = undefined;
  } catch (error) {
    slot.failure = asProxyError(error, from.serverName);
    slot.stale = true;
    const { message, cause } = slot.failure;
    const data = { server: from.serverName, list: kind, reason: message, cause };
    if (!failed) from.onDiag('warn', 'a list of a server could not be read', data);
  }
  slot.reading = undefined;
  if (slot.failure === undefined && (slot.late || failed) && differs(before, slot.list)) onChange(kind);
}

function emptySlot(): Slot {
  const never = Number.NEGATIVE_INFINITY;
  return {
    list: undefined,
    readAtMs: never,
    stale: true,
    failure: undefined,
    reading: undefined,
    readingSinceMs: 0,
    following: undefined,
    late: false,
  };
}

function patienceMs(slot: Slot): number {
  if (slot.failure !== undefined) return CATALOG_FAILED_MS_MAX;
  return slot.list === undefined ? CATALOG_FIRST_MS_MAX : CATALOG_KNOWN_MS_MAX;
}

function notReady(serverName: string): ProxyError {
  return new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} has not answered yet`);
}

/** Lists are compared as texts; this happens only for readings that somebody did not wait for. */
function differs(before: ServerList | undefined, after: ServerList | undefined): boolean {
  return JSON.stringify(before?.items) !== JSON.stringify(after?.items);
}

export function asProxyError(error: unknown, serverName: string): ProxyError {
  if (error instanceof ProxyError) return error;
  return new ProxyError('INTERNAL', `server ${serverName} could not be asked`, { cause: error });
}
