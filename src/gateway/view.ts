/**
 * What a client's side needs of the gateway: one principal's merged view of the servers that it may use.
 *
 * Types only; the core implements them and the downstream adapters (Streamable HTTP, HTTP+SSE, stdio) use them. A
 * view speaks the narrow waist (`mcp/waist.ts`) with exposed names and URIs, so that an adapter translates eras and
 * nothing else. Source: design of the gateway path, MCP 2026-07-28 server/discover.
 */
import type { ParamHeader } from '../mcp/param-headers.ts';
import type { JsonObject, McpCall, McpEvents, McpRequest } from '../mcp/waist.ts';
import type { Config, MemberStatus, Principal, ServerConfig } from '../model.ts';
import type { ListKind } from './catalog-read.ts';
import type { TaskWatch, TaskWatchRequest } from './task-watch.ts';

export interface GatewayView {
  /** Merged capabilities and instructions; never waits longer than a short deadline for slow servers. */
  discover(): Promise<{ capabilities: JsonObject; instructions: string | undefined }>;
  /**
   * tools/list, prompts/list, resources/list, resources/templates/list, tools/call, prompts/get, resources/read,
   * completion/complete, and tasks/get, tasks/update, tasks/cancel for who declared the extension; anything else is
   * error -32601.
   */
  call(request: McpRequest, events: McpEvents): McpCall;
  /**
   * The arguments of a tool that its caller mirrors in headers over HTTP; none when that cannot be found out, which
   * the call itself will say better. @param again reads the list again unless that was done just now
   */
  paramHeaders(toolName: string, again: boolean): Promise<readonly ParamHeader[]>;
  /** Coalesced. `uri` is the exposed one. */
  onChange(
    listener: (event: { kind: 'tools' | 'prompts' | 'resources' } | { kind: 'resource'; uri: string }) => void,
  ): () => void;
  subscribe(uri: string): Promise<boolean>;
  unsubscribe(uri: string): Promise<void>;
  /** States of tasks of the principal, at whichever servers; ids that are not theirs are left out. */
  watchTasks(request: TaskWatchRequest): Promise<TaskWatch>;
  /** For the log: which server and which of its names a request goes to, without calling it. */
  locate(request: { method: string; params: JsonObject }): {
    readonly upstream: string | null;
    readonly name: string | null;
    /** The rules of the principal do not allow it; the client hears that there is no such thing. */
    readonly denied?: boolean;
    /** It is there, and the tool lock withholds it. */
    readonly withheld?: boolean;
  };
  /** Reads the list of each server, waits at most `ms` for them, and says whose is missing and why. */
  servers(kind: ListKind, ms: number): Promise<readonly ViewServer[]>;
  /** The tools of each server as it gave them last, before anything is hidden, withheld or changed. */
  ownTools(): readonly { readonly server: string; readonly tools: readonly JsonObject[]; readonly cut: boolean }[];
}

/** One server of a view, and whether its list can be shown. */
export interface ViewServer {
  readonly server: string;
  /** `listed`, even if the list is an old one; `waiting` while it was never read. */
  readonly state: 'listed' | 'waiting' | 'down';
  /** Wall time since when it does not answer; null while it does or was never asked. */
  readonly downSinceMs: number | null;
  readonly reason: string | null;
}

export interface Gateway {
  /** `serverName` narrows the view to one server, whose names are then unprefixed and unchanged. */
  view(principal: Principal, serverName: string | undefined): GatewayView;
  reload(config: Config): Promise<void>;
  status(): readonly MemberStatus[];
  /** What is known of a principal's server, without asking it. `tools` are its own names. */
  upstream(
    principal: Principal,
    server: ServerConfig,
  ): { readonly state: string; readonly tools: readonly string[] | undefined };
  /** Names that had to give way to another server's in the merged views that are held. */
  conflicts(): readonly JsonObject[];
  /** Servers whose tools differ from mcproxy.lock, as far as their lists are known. */
  drift(): readonly JsonObject[];
  close(): Promise<void>;
}
