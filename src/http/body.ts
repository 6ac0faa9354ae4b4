/**
 * Reads a request body: whole when it is short enough to be sent again, else as a stream with its beginning.
 *
 * A body up to `REPLAY_BYTES_MAX` is held, so that an upstream that fails can be asked again and a slow client
 * never occupies an upstream connection. A longer one is handed on as it comes, with backpressure. The total is
 * bounded by `limits.body`, the silence between two pieces by `CLIENT_BODY_IDLE_MS_MAX`.
 */
import type { IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import { CLIENT_BODY_IDLE_MS_MAX, REPLAY_BYTES_MAX } from '../limits.ts';
import { countPassed } from './passed-bytes.ts';

export type RequestBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** `head` has been read already; the rest is still in the paused request. `length` is Content-Length if sent. */
  | { readonly kind: 'stream'; readonly head: Buffer; readonly length: number | undefined };

/** Where a body comes from: a request, or what was read of it already. */
export interface BodySource {
  readonly request: IncomingMessage;
  readonly body?: RequestBody | undefined;
}

export interface BodyOptions {
  readonly bodyBytesMax: number;
  /** Silence allowed between two pieces; the default is the bound. */
  readonly idleMs?: number;
  /** Bytes as they arrive, for the observer; also called for those read later through `pumpBody`. */
  onBytes(chunk: Buffer): void;
  onReady(body: RequestBody): void;
  onFailure(error: ProxyError): void;
}

const EMPTY = Buffer.alloc(0);

/**
 * Starts reading; exactly one of `onReady` and `onFailure` follows, unless the returned function is called before: it
 * gives up what has been read. A vanished client is CLIENT_GONE.
 */
export function readBody(request: IncomingMessage, options: BodyOptions): () => void {
  const declared = request.headers['content-length'];
  const length = declared === undefined ? undefined : Number(declared);
  const isEmpty = length === 0 || (length === undefined && request.headers['transfer-encoding'] === undefined);
  if (length !== undefined && length > options.bodyBytesMax) options.onFailure(tooLarge(options.bodyBytesMax));
  else if (isEmpty) {
    request.resume();
    options.onReady({ kind: 'whole', bytes: EMPTY });
  } else if (length !== undefined && length > REPLAY_BYTES_MAX) {
    options.onReady({ kind: 'stream', head: EMPTY, length });
  } else return collect(request, options, length);
  return () => undefined;
}

/**
 * As `readBody`; one that was read before, to decide who serves it, is handed out again, a moment later so that whoever
 * takes it can be stopped by what comes of its bytes.
 */
export function takeBody({ request, body }: BodySource, options: BodyOptions): () => void {
  if (body === undefined) return readBody(request, options);
  let isOver = false;
  queueMicrotask(() => {
    const bytes = body.kind === 'whole' ? body.bytes : body.head;
    if (isOver) return;
    if (bytes.length > options.bodyBytesMax) return options.onFailure(tooLarge(options.bodyBytesMax));
    if (bytes.length > 0) options.onBytes(bytes);
    if (!isOver) options.onReady(body);
  });
  return () => {
    isOver = true;
  };
}

function collect(request: IncomingMessage, options: BodyOptions, length: number | undefined): () => void {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  let isOver = false;
  const idle = setTimeout(() => finish(() => options.onFailure(tooSlow())), options.idleMs ?? CLIENT_BODY_IDLE_MS_MAX);
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    byteCount += chunk.length;
    options.onBytes(chunk);
    if (isOver) return;
    if (byteCount > options.bodyBytesMax) finish(() => options.onFailure(tooLarge(options.bodyBytesMax)));
    else if (byteCount > REPLAY_BYTES_MAX) {
      request.pause();
      finish(() => options.onReady({ kind: 'stream', head: Buffer.concat(chunks), length }));
    } else idle.refresh();
  };
  const onEnd = (): void => {
    const bytes = chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks);
    finish(() => options.onReady({ kind: 'whole', bytes }));
  };
  const onGone = (): void => finish(() => options.onFailure(gone()));
  const finish = (then: () => void): void => {
    isOver = true;
    clearTimeout(idle);
    request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
    then();
  };
  request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  return () => finish(() => undefined);
}

export interface PumpOptions {
  readonly head: Buffer;
  readonly bodyBytesMax: number;
  /** Silence allowed between two pieces; the default is the bound. */
  readonly idleMs?: number;
  onBytes(chunk: Buffer): void;
  /** Takes a chunk; false asks to wait until `resume` of the pump is called. */
  write(chunk: Buffer): boolean;
  onEnd(): void;
  onFailure(error: ProxyError): void;
}

/** Moves the rest of a `stream` body on, honouring backpressure. Returns `resume`, and `stop` to let go. */
export function pumpBody(request: IncomingMessage, options: PumpOptions): { resume(): void; stop(): void } {
  let byteCount = options.head.length;
  // While we hold the client back ourselves, its silence is ours.
  const onIdle = (): unknown => (request.isPaused() ? idle.refresh() : fail(tooSlow()));
  const idle = setTimeout(onIdle, options.idleMs ?? CLIENT_BODY_IDLE_MS_MAX);
  let isOver = false;
  const stop = (): void => {
    isOver = true;
    clearTimeout(idle);
    request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
  };
  const fail = (error: ProxyError): void => {
    stop();
    request.pause();
    options.onFailure(error);
  };
  const onData = (chunk: Buffer): void => {
    byteCount += chunk.length;
    countPassed(chunk.length);
    options.onBytes(chunk);
    if (isOver) return;
    if (byteCount > options.bodyBytesMax) return fail(tooLarge(options.bodyBytesMax));
    idle.refresh();
    if (!options.write(chunk)) request.pause();
  };
  const onEnd = (): void => {
    stop();
    options.onEnd();
  };
  const onGone = (): void => fail(gone());
  request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  if (options.head.length === 0 || options.write(options.head)) request.resume();
  return { resume: () => request.resume(), stop };
}

function tooLarge(max: number): ProxyError {
  return new ProxyError('BODY_TOO_LARGE', `the request body is over ${max} bytes (limits.body)`);
}

function tooSlow(): ProxyError {
  return new ProxyError('REQUEST_TIMEOUT', 'the request body stopped arriving');
}

function gone(): ProxyError {
  return new ProxyError('CLIENT_GONE', 'the client closed the connection before its request was complete');
}
