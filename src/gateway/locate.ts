/**
 * Which server and which of its names a request is for, as far as it can be told without asking anybody.
 *
 * For the access log, so it must answer at once and for any input, also for names that no server has; null where a
 * request is for no one server. Looks only at what is known already.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import { findOwnersByName, stripPrefix } from '../mcp/names.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { TASK_METHODS } from '../mcp/tasks.ts';
import type { NameRouter } from './name-router.ts';
import type { Servers } from './servers-of.ts';
import type { TaskIds } from './task-ids.ts';
import type { UriRouter } from './uri-router.ts';

export interface Location {
  readonly upstream: string | null;
  readonly name: string | null;
  /** It is there, and the tool lock withholds it; the client hears only that there is no such tool. */
  readonly withheld?: boolean;
}

export interface LocatorOptions {
  /** The one server of the view, or undefined in a merged one. */
  readonly serverName: string | undefined;
  readonly names: NameRouter;
  readonly uris: UriRouter;
  readonly taskIds: TaskIds;
  readonly servers: () => Servers;
}

type Mention = { readonly kind: 'tools' | 'prompts' | 'uri'; readonly text: string };

export function createLocator(options: LocatorOptions): (request: { method: string; params: JsonObject }) => Location {
  return ({ method, params }) => {
    const found = findMention(method, params);
    const { serverName } = options;
    const withheld = found?.kind === 'tools' ? findWithheld(options, found.text) : undefined;
    if (withheld !== undefined) return withheld;
    if (serverName !== undefined) return { upstream: serverName, name: ownName(options.servers(), serverName, found) };
    // The id of a task opens it, so it stays out of the log.
    if (TASK_METHODS.has(method)) return { upstream: serverOfTask(options.taskIds, params['taskId']), name: null };
    if (found === undefined) return { upstream: null, name: null };
    if (found.kind === 'uri') {
      const located = options.uris.guess(found.text);
      return { upstream: located?.serverName ?? null, name: located?.uri ?? found.text };
    }
    const named = options.names.guess(found.kind, found.text);
    return { upstream: named?.serverName ?? null, name: named?.name ?? found.text };
  };
}

function findWithheld({ serverName, servers }: LocatorOptions, text: string): Location | undefined {
  const now = servers();
  const owners = serverName === undefined ? findOwnersByName(text, now.owners) : [{ server: serverName, prefix: '' }];
  for (const { server, prefix } of owners) {
    const name = now.withheldName(server, stripPrefix(text, prefix));
    if (name !== undefined) return { upstream: server, name, withheld: true };
  }
  return undefined;
}

function ownName(servers: Servers, serverName: string, found: Mention | undefined): string | null {
  if (found === undefined || found.kind === 'uri' || !servers.names.includes(serverName)) return found?.text ?? null;
  return servers.exposure(serverName).ownName(found.kind, found.text) ?? found.text;
}

function serverOfTask(taskIds: TaskIds, exposedId: unknown): string | null {
  try {
    return taskIds.open(exposedId).serverName;
  } catch {
    return null; // foreign or broken
  }
}

function findMention(method: string, params: JsonObject): Mention | undefined {
  if (method === 'tools/call') return mention('tools', params['name']);
  if (method === 'prompts/get') return mention('prompts', params['name']);
  if (method.startsWith('resources/')) return mention('uri', params['uri']);
  const { ref } = params;
  if (method !== 'completion/complete' || !isObject(ref)) return undefined;
  return ref['type'] === 'ref/prompt' ? mention('prompts', ref['name']) : mention('uri', ref['uri']);
}

function mention(kind: Mention['kind'], text: unknown): Mention | undefined {
  return typeof text === 'string' ? { kind, text } : undefined;
}
