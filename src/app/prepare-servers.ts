/**
 * Making remote servers ready before a configuration comes into force, so that what their files lack is told then.
 *
 * Files of certificates are read here, by the pool; the failure is one of the configuration and names no secret. Letting
 * go of what is not used any more is the caller's.
 */
import { ProxyError } from '../errors.ts';
import type { HttpServerConfig } from '../model.ts';
import type { UpstreamPool } from '../upstream/pool.ts';

/** @throws {ProxyError} CONFIG_INVALID when a file that a server needs cannot be read */
export async function prepareServers(pool: UpstreamPool, servers: Iterable<HttpServerConfig>): Promise<void> {
  try {
    await pool.prepare(servers);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProxyError('CONFIG_INVALID', `a server cannot be made ready: ${reason}`, { cause });
  }
}
