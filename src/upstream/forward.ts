/**
 * One attempt: sends a request to an HTTP upstream and reports the head of its answer or the failure.
 *
 * Over `node:http(s)` with pooled connections, never `fetch`: five times the CPU, fixed timeouts, 13–28 MB.
 * Three bounds: connect (DNS, TCP, TLS), head (from the beginning of the attempt), idle (silence inside the answer).
 * Reports exactly once. Possible orders: socket → error; socket → connect → error; … → response → error on the
 * response, which belongs to whoever reads it; and an error on the request after any of them. `sent` is false only
 * while no connection stood, so that nothing can have arrived; on a kept-alive connection it is true at once.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import { HEADER_BYTES_MAX } from '../limits.ts';
import type { CredentialRefusal } from '../model.ts';
import type { HttpUpstream } from './pool.ts';

/** Takes the bytes of a body that is still arriving. */
export interface BodySink {
  /** False asks to wait for `resume`. */
  write(chunk: Buffer): boolean;
  end(): void;
  fail(error: ProxyError): void;
}

export type OutboundBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; pump(sink: BodySink): { resume(): void; stop(): void } };

export interface Outbound {
  /** For messages. */
  readonly serverName: string;
  readonly method: string;
  readonly path: string;
  /** Flat, complete: see `outboundFields`. */
  readonly fields: readonly string[];
  readonly body: OutboundBody;
  /** Fields made for each attempt anew, such as a signature with its time. A ProxyError fails the attempt. */
  readonly sign?: (() => readonly string[]) | undefined;
  /** What `sign` gives has to be got before an attempt, and may be got anew after a 401. */
  readonly renewal?: AttemptRenewal | undefined;
}

export interface AttemptRenewal {
  /** Undefined when it is there. Rejects with a ProxyError. */
  prepare(): Promise<void> | undefined;
  /** Of the last attempt, as `CredentialRenewal.rejected`. */
  rejected(refusal: CredentialRefusal): boolean | Promise<void>;
}

export interface AttemptOptions {
  readonly connectMs: number;
  /** Time left for the head, connecting included. */
  readonly headMs: number;
  /** 0 for none. */
  readonly idleMs: number;
  onHead(response: IncomingMessage): void;
  onFailure(error: ProxyError, sent: boolean): void;
}

export interface Attempt {
  /** Cuts the connection; nothing is reported afterwards. */
  abort(): void;
}

/** Starts one attempt. */
export function forward(upstream: HttpUpstream, outbound: Outbound, options: AttemptOptions): Attempt {
  if (outbound.sign === undefined) return attempt(upstream, outbound, options);
  try {
    return attempt(upstream, { ...outbound, fields: [...outbound.fields, ...outbound.sign()] }, options);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    options.onFailure(error, false);
    return { abort: () => undefined };
  }
}

function attempt(upstream: HttpUpstream, outbound: Outbound, options: AttemptOptions): Attempt {
  const { serverName, body } = outbound;
  let connected = false;
  let settled = false;
  let pump: { resume(): void; stop(): void } | undefined;
  let connectTimer: NodeJS.Timeout | undefined;

  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    clearTimeout(connectTimer);
    clearTimeout(headTimer);
    return true;
  };
  const fail = (error: ProxyError): void => {
    if (!settle()) return;
    pump?.stop();
    request.destroy();
    options.onFailure(error, connected);
  };
  const onConnected = (): void => {
    if (settled) return;
    connected = true;
    clearTimeout(connectTimer);
    if (body.kind !== 'stream') return;
    // A body that breaks off after the answer has begun takes the answer with it.
    pump = startPump(request, body, (error) => (settled ? request.destroy(error) : fail(error)));
  };
  const onSlowConnect = (ms: number): void => fail(connectError(serverName, ms));

  // Node takes a flat list of fields as it is, without copying.
  const { method, path, fields } = outbound;
  const request = upstream.request({ method, path, headers: fields, setHost: false });
  const headTimer = setTimeout(
    () => (connected ? fail(lateError(serverName)) : onSlowConnect(options.headMs)),
    options.headMs,
  );
  request.on('error', (error: NodeJS.ErrnoException) => fail(attemptError(error, serverName, connected)));
  // Without these a switch of protocols would end the request in silence, and so might what nobody has thought of.
  request.on('upgrade', (response, socket) => {
    socket.destroy();
    fail(statusError(serverName, response.statusCode));
  });
  // After an answer this is no failure, and an error object costs more than the rest of this function.
  request.on('close', () => settled || fail(attemptError(new Error('closed'), serverName, connected)));
  request.on('response', (response) => {
    // 1xx are no answers and Node keeps them; what is below them is nothing that could be passed on.
    if ((response.statusCode ?? 0) < 200) fail(statusError(serverName, response.statusCode));
    if (!settle()) return void response.on('error', () => undefined).destroy();
    watchSilence(response, options.idleMs, () => void response.destroy(idleError(serverName)));
    options.onHead(response);
  });
  request.once('socket', (socket) => {
    if (!socket.connecting) return onConnected();
    connectTimer = setTimeout(() => onSlowConnect(options.connectMs), options.connectMs);
    socket.once(upstream.secure ? 'secureConnect' : 'connect', onConnected);
  });
  if (body.kind === 'whole') request.end(body.bytes.length === 0 ? undefined : body.bytes);
  else request.flushHeaders();

  return {
    abort() {
      settle();
      pump?.stop();
      request.destroy();
    },
  };
}

/** Calls back after a silence that is the upstream's: a paused answer waits for its reader, who has a bound of his own. */
function watchSilence(response: IncomingMessage, idleMs: number, onSilent: () => void): void {
  if (idleMs === 0) return;
  const { socket } = response;
  // A timeout of a socket comes once and is set again by traffic only; that of a request cannot be set twice.
  const onTimeout = (): unknown => (response.isPaused() ? socket.setTimeout(idleMs) : onSilent());
  socket.setTimeout(idleMs).on('timeout', onTimeout);
  response.once('close', () => socket.off('timeout', onTimeout));
}

function startPump(
  request: ClientRequest,
  body: Extract<OutboundBody, { kind: 'stream' }>,
  fail: (error: ProxyError) => unknown,
): { resume(): void; stop(): void } {
  const pump = body.pump({
    write: (chunk) => request.write(chunk),
    end: () => request.end(),
    fail,
  });
  request.on('drain', () => pump.resume());
  return pump;
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its host name cannot be resolved',
  EAI_AGAIN: 'its host name cannot be resolved now (DNS does not answer)',
  ECONNREFUSED: 'the connection was refused; nothing listens there',
  EHOSTUNREACH: 'there is no route to its host',
  ENETUNREACH: 'there is no route to its network',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'the connection was reset while it was being set up',
  EPROTO: 'it does not speak TLS as expected; check http:// against https://',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed; name its CA in `ca_file`',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate comes from an unknown CA; name it in `ca_file`',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate comes from an unknown CA; name it in `ca_file`',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its TLS certificate comes from an unknown CA; name it in `ca_file`',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another host name',
};

function attemptError(error: NodeJS.ErrnoException, serverName: string, connected: boolean): ProxyError {
  const code = error.code ?? 'unknown error';
  if (code === 'HPE_HEADER_OVERFLOW') {
    const text = `server ${serverName} answered with headers of more than ${HEADER_BYTES_MAX} bytes`;
    return new ProxyError('UPSTREAM_PROTOCOL', text, { cause: error });
  }
  if (code.startsWith('HPE_')) {
    return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} answered something that is not HTTP (${code})`, {
      cause: error,
    });
  }
  if (connected) {
    return new ProxyError(
      'UPSTREAM_CLOSED',
      `server ${serverName} closed the connection before it answered (${code}); whether it acted is unknown`,
      { cause: error },
    );
  }
  const why = UNREACHABLE[code] ?? `the connection failed (${code})`;
  return new ProxyError('UPSTREAM_UNREACHABLE', `server ${serverName} cannot be reached: ${why}`, { cause: error });
}

function connectError(serverName: string, ms: number): ProxyError {
  return new ProxyError(
    'UPSTREAM_UNREACHABLE',
    `server ${serverName} cannot be reached: no connection within ${Math.round(ms)} ms`,
  );
}

function statusError(serverName: string, status: number | undefined): ProxyError {
  return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} answered with status ${status}, which is no answer`);
}

function lateError(serverName: string): ProxyError {
  return new ProxyError(
    'UPSTREAM_TIMEOUT',
    `server ${serverName} did not begin to answer in time (timeouts.first_byte)`,
  );
}

function idleError(serverName: string): ProxyError {
  return new ProxyError(
    'UPSTREAM_TIMEOUT',
    `server ${serverName} fell silent in the middle of its answer (timeouts.idle)`,
  );
}
