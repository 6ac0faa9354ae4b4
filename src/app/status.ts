/**
 * The state of the running service as one JSON value, for the admin socket and for administrators over HTTP.
 *
 * Gathers what the parts of the app say and reads the memory of commands from /proc, where the system has it. The
 * rows of the servers are made in `admin/status`. Never a secret, never a URL of a server.
 */
import { readFileSync } from 'node:fs';

import type { Readiness } from '../admin/health.ts';
import { serverRows } from '../admin/status.ts';
import type { TokenRow } from '../admin/token-rows.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { Config, MemberStatus } from '../model.ts';
import { VERSION } from './version.ts';

export interface ServiceState {
  readonly config: Config;
  readonly url: string;
  readonly startId: string;
  readonly uptimeMs: number;
  readonly readiness: Readiness;
  readonly members: readonly MemberStatus[];
  /** Names of tools and prompts that had to give way to another server's. */
  readonly nameConflicts: readonly JsonObject[];
  /** Servers whose tools are not as in mcproxy.lock. */
  readonly toolDrift: readonly JsonObject[];
  /** For servers. */
  readonly accessTokens: readonly TokenRow[];
  readonly openExchanges: number;
  /** Of older revisions, with a state in memory. */
  readonly sessions: number;
  /** With OAuth, at mcproxy itself. */
  readonly logins: number;
  readonly entries: number;
  readonly entriesLost: number;
  readonly reloads: number;
  readonly logHealthy: boolean;
}

export function statusOf(state: ServiceState): Readonly<Record<string, unknown>> {
  const { config } = state;
  return {
    version: VERSION,
    url: state.url,
    start_id: state.startId,
    uptime_seconds: Math.round(state.uptimeMs / 1_000),
    readiness: state.readiness,
    servers: serverRows(config, state.members, residentBytes),
    name_conflicts: state.nameConflicts,
    tool_lock: state.toolDrift,
    access_tokens: state.accessTokens,
    users: config.principals.length,
    open_exchanges: state.openExchanges,
    sessions: state.sessions,
    ...(config.facade === undefined ? {} : { oauth_logins: state.logins }),
    entries: state.entries,
    entries_lost: state.entriesLost,
    reloads: state.reloads,
    log: { file: config.log.file, healthy: state.logHealthy },
  };
}

/** Memory of a process; null where there is no /proc or the process has ended. @see proc_pid_status(5), VmRSS */
function residentBytes(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kib === undefined ? null : Number(kib) * 1_024;
  } catch {
    return null;
  }
}
