/**
 * `check --connect` for a command: does it start, shake hands, list its tools, and end?
 *
 * It is started as the service would start it and stopped again with its whole process group. Bounded by the server's
 * own `timeout` and the time that a list may take. The text of a result never holds what the command printed.
 */
import { ProxyError } from '../errors.ts';
import { readList } from '../gateway/catalog-read.ts';
import type { StdioServerConfig } from '../model.ts';
import { openStdioPeer } from '../upstream/stdio-peer.ts';
import { CLOCK } from './clock.ts';
import type { ProbeResult } from './probe.ts';

const SILENT = { onDiag: (): void => undefined };

/** Never throws. */
export async function probeCommand(
  server: StdioServerConfig,
  ambientEnv: Readonly<Record<string, string | undefined>>,
): Promise<ProbeResult> {
  const peer = openStdioPeer({ server, ambientEnv, clock: CLOCK, ...SILENT });
  try {
    const { revision } = await peer.describe();
    const { items } = await readList('tools', { serverName: server.name, peer, ...SILENT });
    return { ok: true, text: `starts, MCP ${revision}, ${items.length} tool${items.length === 1 ? '' : 's'}` };
  } catch (error) {
    if (!(error instanceof ProxyError)) return { ok: false, text: 'it could not be asked' };
    // What was never started prints nothing.
    const hint =
      error.code === 'UPSTREAM_UNREACHABLE' ? '' : `; see: mcproxy tools ${server.name} --no-service --verbose`;
    return { ok: false, text: `${error.message}${hint}` };
  } finally {
    await peer.close();
  }
}
