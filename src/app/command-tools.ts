/**
 * `mcproxy tools`: the catalog as clients see it, with what it costs them and who is missing in it.
 *
 * Names, descriptions and schemas are those of the merged view, so what is filtered or renamed there is so here. The
 * estimate of tokens is the length of a definition in bytes by four, the common rule of thumb for English and JSON.
 */
import { LISTS, type ListKind } from '../gateway/catalog-read.ts';
import type { ViewServer } from '../gateway/view.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { isSuffixed } from '../mcp/names.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { findNearest } from '../text/nearest.ts';
import { EXIT, JSON_OPTION, flagOption, usageError, type Command, type Invocation } from './command.ts';
import {
  LOCAL_NOTES,
  LOCAL_OPTIONS,
  printable,
  reportRefusal,
  tellingWaits,
  withServers,
  type Session,
} from './local-command.ts';
import type { LocalAnswer } from './local-requests.ts';

const BYTES_PER_TOKEN = 4;
const DESCRIPTION_CHARS_MAX = 160;

export const toolsCommand: Command = {
  name: 'tools',
  synopsis: '[SERVER] [--user NAME] [--prompts | --resources] [--json]',
  summary: 'Lists the tools of all servers as clients see them',
  options: {
    prompts: { type: 'boolean', help: 'list the prompts instead' },
    resources: { type: 'boolean', help: 'list the resources instead' },
    json: JSON_OPTION,
    ...LOCAL_OPTIONS,
  },
  positionals: { min: 0, max: 1 },
  notes: [
    'An argument with * is required. "named … there": what the server calls it, which is taken, too long, or has\ncharacters that clients refuse. Tokens are an estimate: a quarter of the bytes of the definition.',
    'Examples:\n  mcproxy tools\n  mcproxy tools files --user alice\n  mcproxy tools --json | jq -r ".items[].name"',
    ...LOCAL_NOTES,
  ],
  run: (invocation) => withServers(invocation, (session) => showList(invocation, session)),
};

interface Item {
  readonly name: string;
  readonly server: string | null;
  /** What the server itself calls it. */
  readonly server_name: string | null;
  /** The name could not be `server__name`. */
  readonly changed: boolean;
  readonly tokens: number;
  readonly definition: JsonObject;
}

async function showList(invocation: Invocation, session: Session): Promise<number> {
  if (flagOption(invocation, 'prompts') && flagOption(invocation, 'resources')) {
    return usageError(invocation.stderr, '--prompts and --resources are two lists; name one');
  }
  const kind = flagOption(invocation, 'prompts')
    ? 'prompts'
    : flagOption(invocation, 'resources')
      ? 'resources'
      : 'tools';
  const answer = await session.ask({ method: LISTS[kind].method, params: {} }, tellingWaits(invocation));
  if ('error' in answer.response) return reportRefusal(invocation, answer.response);
  const [only] = invocation.positionals;
  if (only !== undefined && !answer.servers.some(({ server }) => server === only)) {
    const nearest = findNearest(
      only,
      answer.servers.map(({ server }) => server),
    );
    const hint = nearest === undefined ? '; `mcproxy status` shows all' : `; did you mean "${nearest}"?`;
    return usageError(invocation.stderr, `there is no server "${printable(only)}" here${hint}`);
  }
  const servers = answer.servers.filter(({ server }) => only === undefined || server === only);
  const items = itemsOf(kind, answer).filter(({ server }) => only === undefined || server === only);
  const tokens = items.reduce((sum, item) => sum + item.tokens, 0);
  if (flagOption(invocation, 'json')) {
    invocation.stdout.write(
      `${JSON.stringify({ items, tokens_estimate: tokens, servers: servers.map(serverJson) })}\n`,
    );
  } else print(invocation, { kind, items, servers, tokens });
  const isMissing = servers.some(({ state }) => state !== 'listed');
  return items.length === 0 && isMissing ? EXIT.unavailable : EXIT.ok;
}

function itemsOf(kind: ListKind, { response, origins }: LocalAnswer): Item[] {
  const result = 'result' in response ? response.result : {};
  const definitions = (result[LISTS[kind].member] ?? []) as readonly JsonObject[];
  return definitions.map((definition, at) => {
    const name = String(definition[LISTS[kind].key]);
    const { server = null, name: serverName = null } = origins[at] ?? {};
    return {
      name,
      server,
      server_name: serverName,
      changed: kind !== 'resources' && serverName !== null && isSuffixed(name) && !name.endsWith(serverName),
      tokens: Math.ceil(Buffer.byteLength(JSON.stringify(definition)) / BYTES_PER_TOKEN),
      definition,
    };
  });
}

interface Listing {
  readonly kind: 'tools' | 'prompts' | 'resources';
  readonly items: readonly Item[];
  readonly servers: readonly ViewServer[];
  readonly tokens: number;
}

function print({ stdout }: Invocation, { kind, items, servers, tokens }: Listing): void {
  for (const item of items) {
    const was = item.changed ? `, named "${printable(item.server_name ?? '')}" there` : '';
    stdout.write(`${printable(item.name)}  (${item.server ?? '?'}${was}, ~${item.tokens} tokens)\n`);
    for (const line of [firstLine(item.definition), argumentsOf(item.definition)]) {
      if (line !== '') stdout.write(`    ${line}\n`);
    }
  }
  for (const server of servers) {
    const text = missingText(server);
    if (text !== undefined) stdout.write(`! ${printable(text)}\n`);
  }
  const listed = servers.filter(({ state }) => state === 'listed').length;
  const noun = items.length === 1 ? kind.slice(0, -1) : kind;
  stdout.write(
    `${items.length} ${noun} of ${listed} server${listed === 1 ? '' : 's'}, about ${tokens} tokens (estimated).\n`,
  );
}

/** Why a server is missing, undefined when it is not. */
function missingText({ server, state, downSinceMs, reason }: ViewServer): string | undefined {
  if (state === 'listed') return undefined;
  if (state === 'waiting') return `${server}: has not answered yet`;
  const since = downSinceMs === null ? 'is down' : `is down since ${new Date(downSinceMs).toISOString()}`;
  return `${server}: ${since} because ${reason ?? 'of an unknown reason'}`;
}

function serverJson({ server, state, downSinceMs, reason }: ViewServer): JsonObject {
  const since = downSinceMs === null ? null : new Date(downSinceMs).toISOString();
  return { server, state, down_since: since, reason };
}

function firstLine({ description, title, name }: JsonObject): string {
  const said = [description, title, name].find(
    (text): text is string => typeof text === 'string' && text.trim() !== '',
  );
  const line = printable((said ?? '').trim().split('\n')[0] ?? '');
  return line.length <= DESCRIPTION_CHARS_MAX ? line : `${line.slice(0, DESCRIPTION_CHARS_MAX - 1)}…`;
}

/** `path*, head, tail`: of a tool by its schema, of a prompt by its list. */
function argumentsOf({ inputSchema, arguments: list }: JsonObject): string {
  if (Array.isArray(list)) {
    return list
      .filter(isObject)
      .map(({ name, required }) => `${printable(String(name))}${required === true ? '*' : ''}`)
      .join(', ');
  }
  if (!isObject(inputSchema) || !isObject(inputSchema['properties'])) return '';
  const required: unknown[] = Array.isArray(inputSchema['required']) ? inputSchema['required'] : [];
  return Object.keys(inputSchema['properties'])
    .map((name) => `${printable(name)}${required.includes(name) ? '*' : ''}`)
    .join(', ');
}
