/**
 * Waiting for something while an exchange is open: its client may leave and the service may stop meanwhile.
 *
 * Whatever happens first decides, once; if it is not what was waited for, the exchange is answered here. Meanwhile the
 * rest of the request stays unread.
 */
import { ProxyError } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { sendFailure } from './reply.ts';

/** Calls back with what `promise`, which never rejects, resolves to, unless the exchange ended before. */
export function whileOpen<T>(exchange: Exchange, promise: Promise<T>, then: (value: T) => void): void {
  let isOver = false;
  const end = (): boolean => {
    const was = isOver;
    isOver = true;
    exchange.response.off('close', onGone);
    exchange.stop = undefined;
    return !was;
  };
  const fail = (error: ProxyError): void => {
    if (end()) sendFailure(exchange, error);
  };
  const onGone = (): void =>
    fail(new ProxyError('CLIENT_GONE', 'the client closed the connection before it was answered'));
  exchange.response.on('close', onGone);
  exchange.stop = (reason) => {
    if (reason === 'revoked') fail(new ProxyError('AUTH_INVALID', 'the token was revoked'));
    if (reason === 'abort') fail(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
  };
  void promise.then((value) => {
    if (end()) then(value);
  });
}
