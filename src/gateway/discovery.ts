/**
 * What a view says about itself, made from what its servers say about themselves. Pure.
 *
 * A merged view declares what it can serve now or may serve after the next reload, since an older client hears it
 * only once; instructions stand under a heading for each server, bounded, and name who is missing and since when.
 * A view of one server says what that server says. The tasks extension is declared as soon as one server has it; the
 * tasks of 2025-11-25 are in neither, because the gateway runs them to their end itself.
 */
import { INSTRUCTIONS_CHARS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { prefixText } from '../text/name-prefix.ts';
import { isModernRevision, TASKS_EXTENSION } from '../mcp/protocol.ts';
import { withoutTasks } from '../mcp/tasks.ts';
import type { JsonObject, ServerCard } from '../mcp/waist.ts';
import type { Down } from './member-health.ts';

export interface Discovery {
  readonly capabilities: JsonObject;
  readonly instructions: string | undefined;
}

export interface Introduction {
  readonly serverName: string;
  readonly prefix: string;
  /** Undefined when it has not said anything yet. */
  readonly card: ServerCard | undefined;
  readonly down: Down | undefined;
  /** Why it cannot be used at all, for the user. */
  readonly lack: string | undefined;
}

/** Extensions that work through a merged view: their identifiers are rewritten. */
const MERGED_EXTENSIONS: readonly string[] = ['io.modelcontextprotocol/ui', TASKS_EXTENSION];

export function mergeDiscovery(introductions: readonly Introduction[]): Discovery {
  const known = introductions.flatMap(({ card }) => (card === undefined ? [] : [capabilitiesOf(card)]));
  const unsure = known.length < introductions.length;
  const anyHas = (capability: string): boolean => unsure || known.some((each) => each[capability] !== undefined);
  const subscribe = unsure || known.some((each) => member(each['resources'], 'subscribe') === true);
  const extensions = MERGED_EXTENSIONS.flatMap((name) => {
    const found = known.map((each) => member(each['extensions'], name)).find((value) => value !== undefined);
    return found === undefined ? [] : [[name, found]];
  });
  return {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, ...(subscribe ? { subscribe } : {}) },
      ...(anyHas('completions') ? { completions: {} } : {}),
      ...(anyHas('logging') ? { logging: {} } : {}),
      ...(extensions.length > 0 ? { extensions: Object.fromEntries(extensions) } : {}),
    },
    instructions: mergeInstructions(introductions),
  };
}

/** Of one server: its own, but that a list may change whenever the server is started anew. */
export function discoveryOf(card: ServerCard): Discovery {
  const { tasks: _, ...capabilities } = capabilitiesOf(card);
  const lists = ['tools', 'prompts', 'resources'].flatMap((kind) => {
    const declared = capabilities[kind];
    return isObject(declared) ? [[kind, { ...declared, listChanged: true }]] : [];
  });
  return {
    capabilities: { ...capabilities, ...Object.fromEntries(lists) },
    instructions: card.instructions,
  };
}

/** The extension of tasks is not for servers of older revisions, whatever they say (SEP-2663). */
function capabilitiesOf({ revision, capabilities }: ServerCard): JsonObject {
  return isModernRevision(revision) ? capabilities : withoutTasks(capabilities);
}

function mergeInstructions(introductions: readonly Introduction[]): string | undefined {
  const parts = introductions.flatMap(({ serverName, prefix, card }) => {
    const text = card?.instructions?.trim() ?? '';
    if (text === '') return [];
    const names = prefix === '' ? 'its names have no prefix' : `its names begin with ${prefixText(prefix)}`;
    const heading = `## ${serverName} (${names})`;
    return [`${heading}\n\n${text.slice(0, INSTRUCTIONS_CHARS_MAX)}`];
  });
  const missing = introductions.flatMap(({ serverName, card, down, lack }) => {
    if (lack !== undefined) return [`- ${serverName}: ${lack}`];
    if (down !== undefined) {
      return [`- ${serverName}: down since ${new Date(down.sinceMs).toISOString()}: ${down.reason}`];
    }
    return card === undefined ? [`- ${serverName}: is still starting`] : [];
  });
  if (missing.length > 0) parts.push(`## Not available now\n\n${missing.join('\n')}`);
  return parts.length === 0 ? undefined : parts.join('\n\n');
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}
