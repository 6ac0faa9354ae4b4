/**
 * Reads along while bytes pass: what is being called, and how it ended. Never delays or changes a byte.
 *
 * The request side yields method, name, id and whether the call merely reads; a 2026-07-28 request says so in its
 * mirrored headers (protocol §1.6.1), every other in its body. Where the two contradict, the body is believed,
 * because it is what a server acts on; refusing such a request is left to the server. The response side yields the
 * JSON-RPC error code, `isError`, and the moment at which the answer is complete, so that the log can be written
 * before it leaves. Whatever the bytes are, observing never fails: what cannot be read stays unknown.
 */
import { decodeHeaderValue } from '../mcp/header-value.ts';
import { eraOfRevision, isReadOnlyMethod, isRevision } from '../mcp/protocol.ts';
import type { Entry } from '../model.ts';
import { createJsonScan, type JsonScan } from '../text/json-scan.ts';
import { createStreamData } from './stream-data.ts';

const REQUEST_PATHS = [['method'], ['params', 'name'], ['params', 'uri'], ['id']] as const;
const RESPONSE_PATHS = [['id'], ['result'], ['error'], ['error', 'code'], ['result', 'isError'], ['method']] as const;

export interface RequestObserver {
  feed(chunk: Buffer): void;
  /** Writes what is known into the entry; may be called again when more has been read. */
  fill(entry: Entry): void;
  /** The call only reads, so that repeating it is safe. */
  readOnly(): boolean;
  /** A single request with an id, whose response ends the answer. */
  expectsResponse(): boolean;
}

/** As Node gives them: lower-case names. */
export type RequestFields = Readonly<Record<string, string | string[] | undefined>>;

/** Observes one request body. */
export function observeRequest(headers: RequestFields): RequestObserver {
  const scan = createJsonScan(REQUEST_PATHS);
  const mirrored = mirroredFields(headers);
  const method = (): string | undefined => textOf(scan.get(0)) ?? mirrored.method;
  return {
    feed: (chunk) => scan.feed(chunk),
    fill(entry) {
      entry.rpcMethod = scan.topLevel === 'array' ? 'batch' : (method() ?? entry.rpcMethod);
      entry.rpcName = textOf(scan.get(1)) ?? textOf(scan.get(2)) ?? mirrored.name ?? entry.rpcName;
    },
    readOnly() {
      const name = method();
      return name !== undefined && scan.topLevel !== 'array' && isReadOnlyMethod(name);
    },
    expectsResponse: () => scan.topLevel === 'object' && scan.has(3) && method() !== undefined,
  };
}

/** Only a modern revision makes the mirrored headers mean something (protocol §1.6.13). */
function mirroredFields(headers: RequestFields): { method: string | undefined; name: string | undefined } {
  const revision = headers['mcp-protocol-version'];
  if (typeof revision !== 'string' || !isRevision(revision) || eraOfRevision(revision) !== 'modern') {
    return { method: undefined, name: undefined };
  }
  const name = textOf(headers['mcp-name']);
  const decoded = name === undefined ? undefined : decodeHeaderValue(name);
  return { method: textOf(headers['mcp-method']), name: decoded?.ok === true ? decoded.value : name };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export interface ResponseObserver {
  /** True when this chunk completes the answer that the client waits for. */
  feed(chunk: Buffer): boolean;
  fill(entry: Entry): void;
  /** A comment may be inserted into the stream here. */
  readonly atBoundary: boolean;
}

/**
 * Observes one response body of the given media type; other types are not looked into.
 * @param expectsResponse whether a response among the events of a stream is the one that the client waits for
 */
export function observeResponse(mediaType: string | undefined, expectsResponse: () => boolean): ResponseObserver {
  if (mediaType === 'application/json') return observeJson();
  if (mediaType === 'text/event-stream') return observeStream(expectsResponse);
  return { feed: () => false, fill: () => undefined, atBoundary: false };
}

/** JSON-RPC 2.0 §5.1 and the MCP codes that answer what the client sent. */
const CLIENT_FAULTS = new Set([-32700, -32600, -32601, -32602, -32002, -32020, -32021, -32022]);

interface Seen {
  rpcError: number | undefined;
  toolError: boolean;
}

function observeJson(): ResponseObserver {
  const scan = createJsonScan(RESPONSE_PATHS);
  return {
    feed(chunk) {
      const before = scan.state;
      scan.feed(chunk);
      return before === 'open' && scan.state === 'done';
    },
    fill: (entry) => fillSeen(entry, readResponse(scan)),
    atBoundary: false,
  };
}

function observeStream(expectsResponse: () => boolean): ResponseObserver {
  const scan = createJsonScan(RESPONSE_PATHS);
  let seen: Seen | undefined;
  let looking = false;
  const data = createStreamData({
    onBegin() {
      looking = seen === undefined && expectsResponse();
      scan.reset();
    },
    onData(bytes) {
      if (looking) scan.feed(bytes);
    },
    onEvent() {
      if (looking && isResponse(scan)) seen = readResponse(scan);
    },
  });
  return {
    feed(chunk) {
      const before = seen;
      data.feed(chunk);
      return before === undefined && seen !== undefined;
    },
    fill(entry) {
      if (seen !== undefined) fillSeen(entry, seen);
    },
    get atBoundary() {
      return data.atBoundary;
    },
  };
}

function isResponse(scan: JsonScan): boolean {
  return scan.state === 'done' && !scan.has(5) && (scan.has(1) || scan.has(2));
}

function readResponse(scan: JsonScan): Seen {
  const code = scan.get(3);
  return { rpcError: typeof code === 'number' ? code : undefined, toolError: scan.get(4) === true };
}

function fillSeen(entry: Entry, seen: Seen): void {
  if (seen.rpcError !== undefined) {
    entry.rpcError = seen.rpcError;
    if (entry.outcome === 'ok') entry.outcome = CLIENT_FAULTS.has(seen.rpcError) ? 'client_error' : 'upstream_error';
  }
  if (seen.toolError) entry.toolError = true;
}
