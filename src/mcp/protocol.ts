/**
 * The vocabulary of MCP: revisions, header names, `_meta` keys, methods, error numbers.
 *
 * One table for each question that several rooms ask of the protocol, so that a new revision is a change of this
 * file and of the adapters it needs. Holds facts only; the order of checks is in `classify`, the spelling of header
 * values in `header-value`. Source: MCP 2024-11-05 … 2026-07-28, `schema.ts` and the transport pages of each.
 */
import type { Era } from '../model.ts';

export const LEGACY_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;
export const MODERN_REVISIONS = ['2026-07-28'] as const;
/** All revisions, oldest first. */
export const REVISIONS = [...LEGACY_REVISIONS, ...MODERN_REVISIONS] as const;

export type LegacyRevision = (typeof LEGACY_REVISIONS)[number];
export type ModernRevision = (typeof MODERN_REVISIONS)[number];
export type Revision = LegacyRevision | ModernRevision;

/** What an `initialize` that asks for anything unknown, or for a modern revision, is answered with. */
export const LATEST_LEGACY: LegacyRevision = '2025-11-25';
export const LATEST_MODERN: ModernRevision = '2026-07-28';
/** The only revision with JSON-RPC batches, and the one to assume without `MCP-Protocol-Version`. */
export const BATCH_REVISION: LegacyRevision = '2025-03-26';

export function isRevision(text: unknown): text is Revision {
  return isLegacyRevision(text) || isModernRevision(text);
}

export function isLegacyRevision(text: unknown): text is LegacyRevision {
  return LEGACY_REVISIONS.some((revision) => revision === text);
}

export function isModernRevision(text: unknown): text is ModernRevision {
  return MODERN_REVISIONS.some((revision) => revision === text);
}

export function eraOfRevision(revision: Revision): Era {
  return isModernRevision(revision) ? 'modern' : 'legacy';
}

/** Whether the text has the form of a revision and is the first modern one or later, served or not. */
export function isModernDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && text >= MODERN_REVISIONS[0];
}

/** The revision to answer an `initialize` with: the one asked for, else the newest that has a handshake. */
export function negotiateLegacy(requested: unknown): LegacyRevision {
  return isLegacyRevision(requested) ? requested : LATEST_LEGACY;
}

/** Field names, lower-case. */
export const HEADER = {
  protocolVersion: 'mcp-protocol-version',
  method: 'mcp-method',
  name: 'mcp-name',
  paramPrefix: 'mcp-param-',
  sessionId: 'mcp-session-id',
  lastEventId: 'last-event-id',
} as const;

/** Members of `_meta` (MCP 2026-07-28 basic, `_meta`). */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  relatedTask: 'io.modelcontextprotocol/related-task',
  progressToken: 'progressToken',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  baggage: 'baggage',
} as const;

/** Keys with this prefix belong to one hop and are made anew for the next. */
export const META_PREFIX = 'io.modelcontextprotocol/';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** JSON-RPC error numbers that MCP gives a meaning. */
export const RPC_ERROR = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** Legacy only; a modern peer gets `invalidParams`. */
  resourceNotFound: -32002,
  /** 2025-11-25 only. */
  urlElicitationRequired: -32042,
  headerMismatch: -32020,
  missingCapability: -32021,
  versionUnsupported: -32022,
} as const;

/** RFC 5424 severities as `logging/setLevel` and the `logLevel` of `_meta` name them, least severe first. */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: unknown): text is LogLevel {
  return LOG_LEVELS.some((level) => level === text);
}

interface RequestSpan {
  readonly since: Revision;
  /** The last revision that has it; undefined while it is in use. */
  readonly until?: Revision;
}

const CORE: RequestSpan = { since: '2024-11-05' };
const LEGACY_ONLY: RequestSpan = { since: '2024-11-05', until: LATEST_LEGACY };
const TASKS_ONLY_2025: RequestSpan = { since: '2025-11-25', until: '2025-11-25' };

/** Requests that a client may send, with the revisions that have them (extensions included). */
const CLIENT_REQUESTS: ReadonlyMap<string, RequestSpan> = new Map([
  ['initialize', LEGACY_ONLY],
  ['ping', LEGACY_ONLY],
  ['logging/setLevel', LEGACY_ONLY],
  ['resources/subscribe', LEGACY_ONLY],
  ['resources/unsubscribe', LEGACY_ONLY],
  ['server/discover', { since: '2026-07-28' }],
  ['subscriptions/listen', { since: '2026-07-28' }],
  ['tools/list', CORE],
  ['tools/call', CORE],
  ['resources/list', CORE],
  ['resources/templates/list', CORE],
  ['resources/read', CORE],
  ['prompts/list', CORE],
  ['prompts/get', CORE],
  ['completion/complete', CORE],
  ['tasks/get', { since: '2025-11-25' }],
  ['tasks/cancel', { since: '2025-11-25' }],
  ['tasks/update', { since: '2026-07-28' }],
  ['tasks/result', TASKS_ONLY_2025],
  ['tasks/list', TASKS_ONLY_2025],
]);

/** `served`: the revision has this client request; `other`: another revision has it; `unknown`: none has. */
export function findClientRequest(method: string, revision: Revision): 'served' | 'other' | 'unknown' {
  const span = CLIENT_REQUESTS.get(method);
  if (span === undefined) return 'unknown';
  // Revisions are dates, so their order is that of their texts.
  return revision >= span.since && (span.until === undefined || revision <= span.until) ? 'served' : 'other';
}

const READ_ONLY: ReadonlySet<string> = new Set([
  'initialize',
  'server/discover',
  'ping',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'tasks/get',
  'tasks/list',
  'roots/list',
]);

/** Whether repeating the method is safe whatever its parameters: it reads, or it only opens a conversation. */
export function isReadOnlyMethod(method: string): boolean {
  return READ_ONLY.has(method);
}

/** Methods that may be answered with `input_required` (MCP 2026-07-28 basic/patterns/mrtr). */
export const INPUT_METHODS: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Methods whose results carry `ttlMs` and `cacheScope` (MCP 2026-07-28 server/utilities/caching). */
export const CACHEABLE_METHODS: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** Method → the member of `params` that `Mcp-Name` mirrors; the last three are of the tasks extension. */
export const MIRRORED_NAME: ReadonlyMap<string, 'name' | 'uri' | 'taskId'> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);
