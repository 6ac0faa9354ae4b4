/**
 * What clients see of one server: which items, under which names, with which arguments. Rules of the operator, applied.
 *
 * Everything goes by the server's own names; what clients call a tool (`shown`) has no prefix yet, which `names` adds.
 * A rename holds whatever else the server offers: a tool that is really called so is shown with a hash behind its
 * name, so that nothing is hidden by it and no list is needed to find the way back. Of a definition only what the rules
 * are about changes. The views ask this interface alone, so that further rules can be put around it. Pure.
 */
import { FILTERED_CHARS_MAX } from '../limits.ts';
import type { ArgumentRule, ExposureConfig, ItemFilter } from '../model.ts';
import { matchesGlob, passesGlobs } from '../text/glob.ts';
import { isObject, type JsonObject } from './jsonrpc.ts';
import { withSuffix } from './names.ts';

/** Templates go with the resources. */
export type ItemKind = 'tools' | 'prompts' | 'resources';

export interface Exposure {
  readonly prefix: string;
  /** Nothing of this kind is hidden or changed. */
  isPlain(kind: ItemKind): boolean;
  /** @param own the server's own name, URI or template */
  shows(kind: ItemKind, own: string): boolean;
  shownName(kind: 'tools' | 'prompts', own: string): string;
  /** The way back; undefined for a name that is not shown, whatever the server has. */
  ownName(kind: 'tools' | 'prompts', shown: string): string | undefined;
  /** A tool's definition, by its own name, as clients see it. */
  showTool(definition: JsonObject): JsonObject;
  /** The arguments of a call, by the tool's own name, as they go to the server. */
  completeArguments(own: string, given: JsonObject): JsonObject;
}

export function makeExposure(rules: ExposureConfig): Exposure {
  const renaming = makeRenaming(rules);
  const descriptions = new Map(rules.describe); // Bounded by CONFIG_BYTES_MAX.
  const plainTools = renaming.isEmpty && descriptions.size === 0 && rules.arguments.length === 0;
  return {
    prefix: rules.prefix,
    isPlain: (kind) => isEmptyFilter(rules[kind]) && (kind !== 'tools' || plainTools),
    shows: (kind, own) => (kind === 'resources' ? showsUri(rules.resources, own) : shows(rules[kind], own)),
    shownName: (kind, own) => (kind === 'tools' ? renaming.shown(own) : own),
    ownName(kind, shown) {
      const own = kind === 'tools' ? renaming.own(shown) : shown;
      return own !== undefined && shows(rules[kind], own) ? own : undefined;
    },
    showTool(definition) {
      const own = String(definition['name']);
      const description = descriptions.get(own);
      return {
        ...definition,
        name: renaming.shown(own),
        ...(description === undefined ? {} : { description }),
        ...withoutArguments(definition, new Set(rulesFor(rules.arguments, own).keys())),
      };
    },
    completeArguments(own, given) {
      const values = [...rulesFor(rules.arguments, own)].filter(
        ([argument, { mode }]) => mode === 'forced' || !Object.hasOwn(given, argument),
      );
      return values.length === 0
        ? given
        : { ...given, ...Object.fromEntries(values.map(([argument, { value }]) => [argument, value])) };
    },
  };
}

function isEmptyFilter({ allow, deny }: ItemFilter): boolean {
  return allow === undefined && deny.length === 0;
}

function shows(filter: ItemFilter, text: string): boolean {
  if (isEmptyFilter(filter)) return true;
  return text.length <= FILTERED_CHARS_MAX && passesGlobs(filter, text);
}

/**
 * A URI has to pass as it is written and as a server may read it: with percent-encoding undone and scheme and host in
 * lower case (RFC 3986 §6.2.2). With `.` or `..` in its path it leads elsewhere than its text says and never passes.
 */
export function showsUri(filter: ItemFilter, uri: string): boolean {
  if (isEmptyFilter(filter)) return true;
  const read = asRead(uri);
  if (!shows(filter, uri) || /(?:^|[/\\:?#])\.\.?(?:[/\\?#]|$)/.test(read)) return false;
  if (read === uri) return true;
  return shows({ allow: filter.allow?.map(asRead), deny: filter.deny.map(asRead) }, read);
}

function asRead(uri: string): string {
  const decoded = uri.slice(0, FILTERED_CHARS_MAX).replaceAll(/(?:%[\da-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run.replaceAll(/%([0-7][\da-f])/gi, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
    }
  });
  return decoded.replace(/^[a-z][a-z\d+.-]*:(?:\/\/[^/?#]*)?/i, (start) => start.toLowerCase());
}

interface Renaming {
  readonly isEmpty: boolean;
  shown(own: string): string;
  own(shown: string): string | undefined;
}

/** A tool that is hidden needs no name, so its rename takes none away from another. */
function makeRenaming({ rename, tools }: ExposureConfig): Renaming {
  const shownOf = new Map(rename.filter(([own, shown]) => own !== shown && shows(tools, own)));
  const ownOf = new Map([...shownOf].map(([own, shown]) => [shown, own]));
  const displaced = new Map( // Bounded by CONFIG_BYTES_MAX.
    [...ownOf.keys()].filter((name) => !shownOf.has(name)).map((name) => [name, withSuffix(name, name)]),
  );
  const displacedOf = new Map([...displaced].map(([own, shown]) => [shown, own]));
  return {
    isEmpty: shownOf.size === 0,
    shown: (own) => shownOf.get(own) ?? displaced.get(own) ?? own,
    own(shown) {
      const own = ownOf.get(shown) ?? displacedOf.get(shown);
      return own ?? (shownOf.has(shown) ? undefined : shown);
    },
  };
}

/** By argument; a rule that names the tool goes before patterns, of which the first one counts. */
function rulesFor(rules: readonly ArgumentRule[], own: string): ReadonlyMap<string, ArgumentRule> {
  const found = new Map<string, ArgumentRule>();
  if (own.length > FILTERED_CHARS_MAX) return found;
  for (const rule of rules) if (rule.tool === own) found.set(rule.argument, rule);
  for (const rule of rules) {
    if (!found.has(rule.argument) && matchesGlob(rule.tool, own)) found.set(rule.argument, rule);
  }
  return found;
}

/** The members of a definition that change when arguments are hidden. */
function withoutArguments({ inputSchema }: JsonObject, hidden: ReadonlySet<string>): JsonObject {
  if (hidden.size === 0 || !isObject(inputSchema)) return {};
  const { properties, required } = inputSchema;
  const schema = { ...inputSchema };
  if (isObject(properties)) {
    schema['properties'] = Object.fromEntries(Object.entries(properties).filter(([name]) => !hidden.has(name)));
  }
  if (Array.isArray(required)) {
    schema['required'] = required.filter((name: unknown) => typeof name !== 'string' || !hidden.has(name));
  }
  return { inputSchema: schema };
}
