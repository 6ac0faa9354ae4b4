/**
 * Making remote servers ready before a configuration comes into force, so that what their files lack is told then.
 *
 * Files of certificates are read here, by the pool, and looked at where authorization servers have their own; the failure
 * is one of the configuration and names no secret. Letting go of what is not used any more is the caller's.
 */
import { ProxyError } from '../errors.ts';
import type { Config } from '../model.ts';
import { readCaFile } from '../upstream/ca-file.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import { httpServers } from './snapshot.ts';

/** @throws {ProxyError} CONFIG_INVALID when a file cannot be read */
export async function prepareServers(pool: UpstreamPool, config: Config): Promise<void> {
  try {
    await pool.prepare(httpServers(config));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProxyError('CONFIG_INVALID', `a server cannot be made ready: ${reason}`, { cause });
  }
  if (config.oauth?.caFile !== undefined) readCaFile(config.oauth.caFile, 'ca_file under auth');
  const files = new Map<string, string>(); // Bounded by configuration.
  for (const { name, credential } of httpServers(config)) {
    if (credential.type === 'oauth' && credential.client.caFile !== undefined)
      files.set(credential.client.caFile, name);
  }
  for (const [file, name] of files) readCaFile(file, `ca_file under auth of server ${name}`);
}
