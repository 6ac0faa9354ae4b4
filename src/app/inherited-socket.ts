/**
 * The listening socket that a service manager opened for us and passed on (socket activation).
 *
 * Such a socket outlives a restart: who connects meanwhile waits in its queue and is not refused. The protocol is that
 * of sd_listen_fds(3): descriptors from 3 on, counted in LISTEN_FDS, meant for the process LISTEN_PID alone. Its address
 * is the manager's (`ListenStream=`); `listen` of the configuration counts only when it changes.
 */

/** @see sd_listen_fds(3), SD_LISTEN_FDS_START */
const FIRST_DESCRIPTOR = 3;

/** The descriptor of the first socket that was passed to the process `pid`; undefined when there is none. */
export function inheritedSocket(env: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  if (env['LISTEN_PID'] !== String(pid)) return undefined;
  return /^[1-9]\d*$/.test(env['LISTEN_FDS'] ?? '') ? FIRST_DESCRIPTOR : undefined;
}
