/**
 * Which server and which of its names a request is for, as far as it can be told without asking anybody.
 *
 * For the access log, so it must answer at once and for any input, also for names that no server has; null where a
 * request is for no one server. Looks only at what is known already. What the rules of the principal hide is told as it
 * is, though the client hears only that there is no such thing.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import { findOwnersByName, stripPrefix } from '../mcp/names.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { TASK_METHODS } from '../mcp/tasks.ts';
import { createNameRouter, type NameRouter } from './name-router.ts';
import type { Servers } from './servers-of.ts';
import type { TaskIds } from './task-ids.ts';
import { createUriRouter, type UriRouter } from './uri-router.ts';

export interface Location {
  readonly upstream: string | null;
  readonly name: string | null;
  /** The rules of the principal do not allow it. */
  readonly denied?: true;
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
  readonly hidden: HiddenLocator;
}

/** Where something is that the rules of the principal hide; undefined for everything else. */
export type HiddenLocator = (mention: Mention) => Location | undefined;

type Mention = { readonly kind: 'tools' | 'prompts' | 'uri'; readonly text: string };

export function createLocator(options: LocatorOptions): (request: { method: string; params: JsonObject }) => Location {
  return ({ method, params }) => {
    const found = findMention(method, params);
    const { serverName } = options;
    const hidden = found !== undefined && USES.has(method) ? options.hidden(found) : undefined;
    if (hidden !== undefined) return hidden;
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

/** Methods that are refused for what is hidden. */
const USES: ReadonlySet<string> = new Set([
  'tools/call',
  'prompts/get',
  'resources/read',
  'resources/subscribe',
  'completion/complete',
]);

/** @param only the one server of the view, or undefined in a merged one */
export function createHiddenLocator(only: string | undefined, servers: () => Servers): HiddenLocator {
  const all = (): Servers => servers().unrestricted ?? servers();
  const names = createNameRouter(all);
  const uris = createUriRouter(all);

  function find({ kind, text }: Mention, truth: Servers): { upstream: string; name: string } | undefined {
    if (kind === 'uri') {
      const found = only === undefined ? uris.guess(text) : { serverName: only, uri: text };
      return found && { upstream: found.serverName, name: found.uri };
    }
    if (only === undefined) {
      const found = names.guess(kind, text);
      return found && { upstream: found.serverName, name: found.name };
    }
    const own = truth.names.includes(only) ? truth.exposure(only).ownName(kind, text) : undefined;
    return own === undefined ? undefined : { upstream: only, name: own };
  }

  return (asked) => {
    const now = servers();
    const truth = now.unrestricted;
    if (truth === undefined) return undefined;
    const found = find(asked, truth);
    const kind = asked.kind === 'uri' ? 'resources' : asked.kind;
    const hides = (server: string, own: string): boolean =>
      now.names.includes(server) && truth.exposure(server).shows(kind, own) && !now.exposure(server).shows(kind, own);
    if (found === undefined) {
      // Rules about URIs are the same for all servers, so it is hidden whoever has it.
      const isHidden = kind === 'resources' && now.names.some((server) => hides(server, asked.text));
      return isHidden ? { upstream: null, name: asked.text, denied: true } : undefined;
    }
    const { upstream, name } = found;
    const list = kind === 'resources' ? undefined : truth.knownCatalog(upstream)?.peek(kind);
    const exists =
      kind === 'resources' || list?.keys.includes(truth.exposure(upstream).shownName(kind, name)) !== false;
    return exists && hides(upstream, name) ? { upstream, name, denied: true } : undefined;
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
