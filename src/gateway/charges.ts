/**
 * Which limits count for a call: those of the user, of the server, and of the tool in either. Pure.
 *
 * The user's rate counts requests and is taken at the door, where the answer can still be an HTTP status; everything
 * else counts calls, whoever makes them in one request. The limit of a server is for all its users together; what stands
 * in a user's own entry for it is for them alone. Of the patterns of one place the first that matches counts. Somebody
 * who comes in by several access tokens is one user, whatever rights each of these gives.
 */
import { nameOf } from '../auth/unlisted.ts';
import type { Charge } from '../http/rate-limit.ts';
import { FILTERED_CHARS_MAX } from '../limits.ts';
import type { LimitsConfig, Principal, ServerConfig } from '../model.ts';
import { matchesGlob } from '../text/glob.ts';

/** A tool that is called, by both its names. */
export interface CalledTool {
  /** The server's own. */
  readonly own: string;
  /** In the merged catalog. */
  readonly merged: string;
}

/** What a request of a user costs before anybody has looked into it. */
export function userCharges({ id, limits }: Principal): Charge[] {
  if (limits?.rate === undefined) return [];
  const who = `user ${nameOf(id)}`;
  return [{ key: who, of: who, rate: limits.rate, burst: limits.burst, concurrent: undefined }];
}

/** What a call at a server costs. */
export function callCharges(principal: Principal | undefined, server: ServerConfig, tool?: CalledTool): Charge[] {
  const charges: Charge[] = [];
  const add = (limits: LimitsConfig | undefined, of: string, name: string | undefined): void => {
    if (limits === undefined) return;
    const { tools, ...all } = limits;
    if (all.rate !== undefined || all.concurrent !== undefined) charges.push({ key: of, of, ...all });
    if (name === undefined || name.length > FILTERED_CHARS_MAX) return;
    const found = tools.find(({ pattern }) => matchesGlob(pattern, name));
    if (found === undefined) return;
    const { pattern, ...limit } = found;
    charges.push({ key: `${of} tools ${pattern}`, of: `${of}, tools ${pattern},`, ...limit });
  };
  const who = `user ${nameOf(principal?.id ?? '')}`;
  // The rate was taken at the door.
  add(principal?.limits && { ...principal.limits, rate: undefined }, who, tool?.merged);
  add(server.limits, `server ${server.name}`, tool?.own);
  add(server.ownLimits, `${who} at server ${server.name}`, tool?.own);
  return charges;
}

/** Whether what is limited can only be seen in messages: which tool is called, and when a call ends. */
export function needsMessages(principal: Principal, server: ServerConfig): boolean {
  const all = [principal.limits, server.limits, server.ownLimits];
  return all.some((limits) => limits !== undefined && (limits.concurrent !== undefined || limits.tools.length > 0));
}
