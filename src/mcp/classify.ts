/**
 * Decides what an HTTP request to an MCP endpoint is, once and purely, before anything acts on it.
 *
 * The body decides the era, the headers are a cross-check: a proxy that strips a header must not flip the era. A
 * modern request comes out with its mirrored headers and its envelope verified; a legacy one with what its session
 * has to be looked up by; anything else as the refusal to send. Never throws. Leaves to the caller: Origin and
 * authorization before, repeated `Mcp-*` fields (Node joins them, so they differ from the body here), sessions,
 * `Mcp-Param-*`, capabilities and dispatch after. Source: MCP 2026-07-28 basic/versioning, Backward Compatibility;
 * streamable-http, Server Validation. Where those leave the order of checks open it is that of the reference SDK.
 */
import { ERRORS } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { QUOTED_CHARS_MAX } from '../limits.ts';
import { decodeHeaderValue } from './header-value.ts';
import { decodeMessage, isObject } from './jsonrpc.ts';
import type { JsonObject, JsonRpcNotification, JsonRpcRequest, RpcId, SingleMessage } from './jsonrpc.ts';
import {
  BATCH_REVISION,
  META,
  MIRRORED_NAME,
  MODERN_REVISIONS,
  REVISIONS,
  findClientRequest,
  isLegacyRevision,
  isLogLevel,
  isModernDate,
  isModernRevision,
  negotiateLegacy,
} from './protocol.ts';
import type { LegacyRevision, LogLevel, ModernRevision } from './protocol.ts';

export interface HttpInput {
  readonly httpMethod: string;
  readonly headers: {
    readonly protocolVersion?: string | undefined;
    readonly method?: string | undefined;
    readonly name?: string | undefined;
    readonly sessionId?: string | undefined;
    readonly lastEventId?: string | undefined;
  };
  /** The parsed body; undefined when it is not JSON. Not looked at for GET and DELETE. */
  readonly body: unknown;
}

/** A request of the modern era whose headers and envelope are right. */
export interface ModernClass {
  readonly kind: 'modern';
  readonly revision: ModernRevision;
  readonly method: string;
  /** The tool or prompt name, resource URI or task id that `Mcp-Name` mirrors; undefined for methods without one. */
  readonly name: string | undefined;
  readonly message: JsonRpcRequest;
  readonly envelope: Envelope;
}

/** What `_meta` of a modern request says about it. */
export interface Envelope {
  readonly revision: ModernRevision;
  readonly clientCapabilities: JsonObject;
  readonly clientInfo: JsonObject | undefined;
  readonly logLevel: LogLevel | undefined;
}

/**
 * `initialize`: opens a session, any session header is ignored.
 * `message`, `batch`: belong to the session with this id; without an id the caller answers SESSION_MISSING, or
 *   serves a single message statelessly as 2025-03-26. A batch is for sessions of 2025-03-26 only.
 * `stream` (GET) and `delete`: likewise.
 * `headerRevision`: what `MCP-Protocol-Version` says; the session's own revision is the one that counts.
 */
export type LegacyClass = { readonly kind: 'legacy' } & (
  | { readonly action: 'initialize'; readonly message: JsonRpcRequest; readonly revision: LegacyRevision }
  | ({ readonly action: 'message'; readonly content: SingleMessage } & InSession)
  | ({ readonly action: 'batch'; readonly content: readonly SingleMessage[] } & InSession)
  | ({ readonly action: 'stream'; readonly lastEventId: string | undefined } & InSession)
  | ({ readonly action: 'delete' } & InSession)
);

interface InSession {
  readonly sessionId: string | undefined;
  readonly headerRevision: LegacyRevision | undefined;
}

/** A modern notification, of which HTTP has none that a server acts on: 202 and nothing else. */
export interface DropClass {
  readonly kind: 'drop';
  readonly message: JsonRpcNotification;
}

export interface RejectClass {
  readonly kind: 'reject';
  readonly code: ErrorCode;
  /** The HTTP status, which for some codes differs from the table's. */
  readonly http: number;
  /** Safe to show. */
  readonly message: string;
  /** The id to answer to, if it could be read. */
  readonly id: RpcId | undefined;
  readonly data?: JsonObject;
  /** Extra reply headers, lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
}

export type HttpClass = ModernClass | LegacyClass | DropClass | RejectClass;

type Headers = HttpInput['headers'];

/** The era and kind of an HTTP request, or how to refuse it. */
export function classifyHttp(input: HttpInput): HttpClass {
  const { httpMethod, body } = input;
  const headers = trimmed(input.headers);
  if (httpMethod === 'GET' || httpMethod === 'DELETE') return classifyBodiless(httpMethod, headers);
  if (httpMethod !== 'POST') return methodNotAllowed(httpMethod, 'GET, POST, DELETE');
  if (body === undefined) return reject('RPC_PARSE', 'The body is not JSON.');
  const decoded = decodeMessage(body);
  if (decoded.kind === 'problem') return reject(decoded.code, decoded.text, { id: decoded.id });
  if (decoded.kind === 'batch') return classifyBatch(decoded.messages, headers);
  if (decoded.kind === 'request') return classifyRequest(decoded.message, headers);
  if (decoded.kind === 'notification') {
    if (hasEnvelope(decoded.message) || isModernHeader(headers)) return { kind: 'drop', message: decoded.message };
  } else if (headers.sessionId === undefined || isModernHeader(headers)) {
    const text = 'A client may send a response only within a session of 2025-11-25 or older.';
    return reject('RPC_INVALID', text, { id: decoded.message.id ?? undefined });
  }
  return inSession(headers, (session) => ({ kind: 'legacy', action: 'message', content: decoded, ...session }));
}

function trimmed(headers: Headers): Headers {
  return {
    protocolVersion: headers.protocolVersion?.trim(),
    method: headers.method?.trim(),
    name: headers.name,
    sessionId: headers.sessionId?.trim(),
    lastEventId: headers.lastEventId,
  };
}

function classifyBodiless(httpMethod: 'GET' | 'DELETE', headers: Headers): HttpClass {
  if (isModernHeader(headers)) return methodNotAllowed(httpMethod, 'POST');
  return inSession(headers, (session) =>
    httpMethod === 'DELETE'
      ? { kind: 'legacy', action: 'delete', ...session }
      : { kind: 'legacy', action: 'stream', lastEventId: headers.lastEventId, ...session },
  );
}

function methodNotAllowed(httpMethod: string, allow: string): RejectClass {
  const message = `${quote(httpMethod)} is not served here. Use ${allow}.`;
  return reject('METHOD_NOT_ALLOWED', message, { headers: { allow } });
}

function classifyBatch(messages: readonly SingleMessage[], headers: Headers): HttpClass {
  const isMisplaced = headers.sessionId === undefined || (headers.protocolVersion ?? BATCH_REVISION) !== BATCH_REVISION;
  if (isMisplaced || messages.some(({ message }) => 'method' in message && hasEnvelope(message))) {
    return reject(
      'RPC_INVALID',
      `A batch is allowed only within a session of ${BATCH_REVISION}. Send each message by itself.`,
    );
  }
  if (messages.some(({ message }) => 'method' in message && message.method === 'initialize')) {
    return reject('RPC_INVALID', '`initialize` may not be part of a batch.');
  }
  return inSession(headers, (session) => ({ kind: 'legacy', action: 'batch', content: messages, ...session }));
}

function classifyRequest(message: JsonRpcRequest, headers: Headers): HttpClass {
  if (hasEnvelope(message)) return classifyModern(message, headers);
  const { id } = message;
  if (message.method === 'initialize') {
    if (isModernHeader(headers)) {
      return reject(
        'HEADER_MISMATCH',
        `Header mismatch: MCP-Protocol-Version ${quote(headers.protocolVersion)} has no \`initialize\`.`,
        { id },
      );
    }
    return {
      kind: 'legacy',
      action: 'initialize',
      message,
      revision: negotiateLegacy(message.params?.['protocolVersion']),
    };
  }
  if (isModernHeader(headers)) return paramsRejected(id, `\`params._meta\` needs ${quote(META.protocolVersion)}.`);
  return inSession(
    headers,
    (session) => ({ kind: 'legacy', action: 'message', content: { kind: 'request', message }, ...session }),
    id,
  );
}

/** Refuses a bad version header, for whatever session: 400 in every revision that has the header. */
function inSession(headers: Headers, make: (session: InSession) => LegacyClass, id?: RpcId): HttpClass {
  const { protocolVersion, sessionId } = headers;
  if (protocolVersion !== undefined && !isLegacyRevision(protocolVersion))
    return versionUnsupported(id, protocolVersion, REVISIONS);
  return make({ sessionId, headerRevision: protocolVersion });
}

function isModernHeader(headers: Headers): boolean {
  return headers.protocolVersion !== undefined && isModernDate(headers.protocolVersion);
}

/** The modern ladder: contradictions first, then the envelope, then the version, then what is missing. */
function classifyModern(message: JsonRpcRequest, headers: Headers): HttpClass {
  const { id, method } = message;
  const claimed = metaOf(message)?.[META.protocolVersion];
  const contradiction =
    differs('MCP-Protocol-Version', headers.protocolVersion, claimed) ?? differs('Mcp-Method', headers.method, method);
  if (contradiction !== undefined) return reject('HEADER_MISMATCH', contradiction, { id });
  const envelope = checkEnvelope(message);
  if ('kind' in envelope) return envelope;
  if (headers.protocolVersion === undefined) return headerMissing(id, 'MCP-Protocol-Version');
  if (headers.method === undefined) return headerMissing(id, 'Mcp-Method');
  if (findClientRequest(method, envelope.revision) === 'other') return methodRejected(message, envelope.revision);
  const name = checkName(message, headers.name);
  if (typeof name === 'object') return name;
  return { kind: 'modern', revision: envelope.revision, method, name, message, envelope };
}

function differs(field: string, header: string | undefined, body: unknown): string | undefined {
  if (header === undefined || typeof body !== 'string' || header === body) return undefined;
  return `Header mismatch: ${field} ${quote(header)} vs body ${quote(body)}.`;
}

function headerMissing(id: RpcId, field: string): RejectClass {
  return reject('HEADER_MISMATCH', `Header mismatch: ${field} is missing.`, { id });
}

/** The mirrored name, undefined for methods without one, or a refusal. */
function checkName(
  { id, method, params }: JsonRpcRequest,
  header: string | undefined,
): string | undefined | RejectClass {
  const member = MIRRORED_NAME.get(method);
  if (member === undefined) return undefined;
  const name = params?.[member];
  if (typeof name !== 'string') return nameRejected(id, member);
  if (header === undefined) return headerMissing(id, 'Mcp-Name');
  const decoded = decodeHeaderValue(header);
  if (!decoded.ok)
    return reject('HEADER_MISMATCH', 'Header mismatch: Mcp-Name is neither printable ASCII nor valid `=?base64?…?=`.', {
      id,
    });
  const contradiction = differs('Mcp-Name', decoded.value, name);
  return contradiction === undefined ? name : reject('HEADER_MISMATCH', contradiction, { id });
}

/** Whether the message describes itself as modern requests do, rightly or not: on every transport that is the era. */
export function hasEnvelope(message: JsonRpcRequest | JsonRpcNotification): boolean {
  const meta = metaOf(message);
  return meta !== undefined && Object.hasOwn(meta, META.protocolVersion);
}

/** The envelope of a modern request, or how to refuse it (MCP 2026-07-28 basic, `_meta`). Serves stdio as well. */
export function checkEnvelope(message: JsonRpcRequest): Envelope | RejectClass {
  const { id } = message;
  const meta = metaOf(message) ?? {};
  const revision = meta[META.protocolVersion];
  const clientCapabilities = meta[META.clientCapabilities];
  const clientInfo = meta[META.clientInfo];
  const logLevel = meta[META.logLevel];
  if (typeof revision !== 'string')
    return paramsRejected(id, `\`params._meta\` needs ${quote(META.protocolVersion)}, a string.`);
  if (!isObject(clientCapabilities))
    return paramsRejected(id, `\`params._meta\` needs ${quote(META.clientCapabilities)}, an object ({} for none).`);
  if (logLevel !== undefined && !isLogLevel(logLevel))
    return paramsRejected(id, `${quote(META.logLevel)} is no log level.`);
  if (!isModernRevision(revision)) return versionUnsupported(id, revision, MODERN_REVISIONS);
  return { revision, clientCapabilities, clientInfo: isObject(clientInfo) ? clientInfo : undefined, logLevel };
}

/** A modern request where nothing is mirrored in headers (MCP 2026-07-28 transports/stdio), or how to refuse it. */
export function classifyUnmirrored(message: JsonRpcRequest): ModernClass | RejectClass {
  const { id, method, params } = message;
  const envelope = checkEnvelope(message);
  if ('kind' in envelope) return envelope;
  const { revision } = envelope;
  if (findClientRequest(method, revision) === 'other') return methodRejected(message, revision);
  const member = MIRRORED_NAME.get(method);
  const name = member === undefined ? undefined : params?.[member];
  if (member !== undefined && typeof name !== 'string') return nameRejected(id, member);
  return { kind: 'modern', revision, method, name: typeof name === 'string' ? name : undefined, message, envelope };
}

function methodRejected({ id, method }: JsonRpcRequest, revision: ModernRevision): RejectClass {
  return reject('RPC_METHOD', `${quote(method)} is not part of ${revision}.`, { id });
}

function nameRejected(id: RpcId, member: string): RejectClass {
  return reject('RPC_PARAMS', `\`params.${member}\` has to be a string.`, { id });
}

function metaOf(message: JsonRpcRequest | JsonRpcNotification): JsonObject | undefined {
  const meta = message.params?.['_meta'];
  return isObject(meta) ? meta : undefined;
}

/** A fault of the envelope is the one case of RPC_PARAMS that MCP 2026-07-28 answers with HTTP 400. */
function paramsRejected(id: RpcId, message: string): RejectClass {
  return { ...reject('RPC_PARAMS', message, { id }), http: 400 };
}

function versionUnsupported(id: RpcId | undefined, requested: string, supported: readonly string[]): RejectClass {
  const message = `Unsupported protocol version ${quote(requested)}. Supported: ${supported.join(', ')}.`;
  return reject('VERSION_UNSUPPORTED', message, {
    id,
    data: { supported: [...supported], requested: requested.slice(0, QUOTED_CHARS_MAX) },
  });
}

type RejectOptions = { readonly id?: RpcId | undefined } & Pick<RejectClass, 'data' | 'headers'>;

function reject(code: ErrorCode, message: string, options: RejectOptions = {}): RejectClass {
  return { kind: 'reject', code, http: ERRORS[code].http, message, ...options, id: options.id };
}

/** A peer's text within a message: short, and free of what a terminal or a log could act on. */
function quote(text: string | undefined): string {
  const safe = (text ?? '').replace(/[^\x20-\x7e]/g, '?');
  return `'${safe.length > QUOTED_CHARS_MAX ? `${safe.slice(0, QUOTED_CHARS_MAX)}…` : safe}'`;
}
