/**
 * What came in where a request should have been: which failure it is, and an answer written by hand.
 *
 * Node's parser gives up on such a connection, so that there is no response object and nothing more to understand;
 * the answer is the last thing on it. What was wrong goes to the caller, who writes the entry.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import { ProxyError } from '../errors.ts';
import { CLIENT_LINGER_MS_MAX } from '../limits.ts';

/** First byte of a TLS record that holds a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

/** The failure that an error of Node's parser stands for; undefined when the connection broke and there was no request. */
export function malformedRequest(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): ProxyError | undefined {
  const { code = '', rawPacket } = error;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ProxyError('REQUEST_TIMEOUT', 'the request headers did not arrive in time');
  }
  if (!code.startsWith('HPE_')) return undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return new ProxyError('HEADERS_TOO_LARGE', 'the request headers are too large');
  if (code === 'HPE_INVALID_EOF_STATE') {
    return new ProxyError('CLIENT_GONE', 'the client closed the connection before its request was complete');
  }
  if (rawPacket?.[0] === TLS_HANDSHAKE) {
    return new ProxyError('REQUEST_INVALID', 'the client speaks TLS and this port does not: use http://, not https://');
  }
  return new ProxyError('REQUEST_INVALID', `the request is not valid HTTP/1.1 (${code})`);
}

/**
 * Why a request that was parsed leaves open where its body ends, so that nothing after it on its connection can be
 * believed (RFC 9112 §6.1, §6.3, §11.2); undefined when it does not. Other contradictions the parser refuses itself.
 */
export function ambiguousRequest(request: IncomingMessage): ProxyError | undefined {
  const { httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return new ProxyError('REQUEST_INVALID', 'the request is not HTTP/1.1');
  }
  const coding = request.headers['transfer-encoding'];
  if (coding === undefined || (coding.toLowerCase() === 'chunked' && httpVersion === '1.1')) return undefined;
  return new ProxyError('REQUEST_INVALID', 'the only Transfer-Encoding served here is chunked, in HTTP/1.1');
}

const REASON: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/**
 * Answers on a bare socket and closes it. What still arrives is read for a while: a connection that is closed with
 * bytes unread is reset, and the reset may overtake the answer (RFC 9112 §9.6).
 */
export function refuseOnSocket(socket: Duplex, failure: ProxyError, requestId: string): void {
  if (!socket.writable || failure.code === 'CLIENT_GONE') return void socket.destroy();
  const { http, rpc } = failure.spec;
  const data = { source: 'mcproxy', code: failure.code, request_id: requestId };
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: rpc, message: failure.message, data } });
  const fields = [
    `HTTP/1.1 ${http} ${REASON[http] ?? 'Bad Request'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    ...Object.entries(failure.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
  ];
  const linger = setTimeout(() => socket.destroy(), CLIENT_LINGER_MS_MAX);
  socket.on('error', () => undefined).on('close', () => clearTimeout(linger));
  socket.resume().end(`${fields.join('\r\n')}\r\n\r\n${body}`);
}
