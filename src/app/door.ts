/**
 * An address that is listened on, from its opening to the last connection that is left on it.
 *
 * Leaving it stops accepting at once and lets each connection go with the answer that it waits for, so that a changed
 * `listen` or a shutdown cuts nobody off. What requests mean is the business of `serve`.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { Diag } from '../log/diag.ts';
import type { Config } from '../model.ts';
import { CLIENT_ACCEPTED_MS, openListener, type Listener } from '../http/server.ts';
import { connectionCountMax } from './descriptors.ts';
import type { Serve } from './serve.ts';

export interface Door {
  readonly listener: Listener;
  /**
   * Nothing new is accepted, and each connection goes with the answer that it waits for. Resolves when the last that
   * were accepted have had time to bring their first request.
   */
  leave(): Promise<void>;
}

export interface DoorOptions {
  readonly config: Config;
  readonly serve: Serve;
  readonly diag: Diag;
  /** A socket that is open already, listened on instead of opening one. */
  readonly descriptor?: number | undefined;
  onWaiting(reason: string): void;
  /** The last connection is gone. */
  onClosed(door: Door): void;
}

/** @throws {ProxyError} LISTEN_FAILED, and whatever `onWaiting` throws to give up */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { config, serve, diag } = options;
  let leaving = false;
  const listener = await openListener({
    ...config.listen,
    descriptor: options.descriptor,
    onRequest: (request, response) => {
      if (leaving) response.shouldKeepAlive = false;
      // A head that was sent before could not say `Connection: close`.
      response.on('finish', () => leaving && request.socket.destroySoon());
      serve.onRequest(request, response);
    },
    onMalformed: (failure, socket) => serve.onMalformed(failure, socket),
    onAcceptError: ({ message }) => diag.warn('a connection could not be accepted', { reason: message }),
    connectionCountMax: connectionCountMax(),
    onFull: (count) => diag.warn('connections are refused: as many are open as there may be', { count }),
    onWaiting: (reason) => options.onWaiting(reason),
  });
  const door: Door = {
    listener,
    leave() {
      leaving = true;
      for (const { response } of serve.open) response.shouldKeepAlive = false;
      void listener.close().then(() => options.onClosed(door));
      return delay(CLIENT_ACCEPTED_MS);
    },
  };
  return door;
}
