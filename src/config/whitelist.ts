/**
 * `{id: {name, allowed_tools}}`: a list of clients with the tools that each may use, as other programs write it.
 *
 * The id is the name of a user or of the client of a key; the list restricts them as `tools` would. An entry is a
 * pattern over the names in /mcp, or SERVER_TOOL, SERVER:TOOL and SERVER.TOOL, as names are made elsewhere; where there
 * is one server only, also TOOL alone. What names no server allows nothing and is a warning.
 */
import type { AccessFilter, AccessRule, ServerConfig } from '../model.ts';
import { prefixText } from '../text/name-prefix.ts';
import type { YamlNode } from '../text/yaml.ts';
import { placeOf, shownName, showName, type Place } from './problems.ts';
import { readText, type Reading } from './reading.ts';

export interface Whitelist {
  readonly reading: Reading;
  readonly client: string;
  readonly at: Place;
  readonly tools: readonly { readonly text: string; readonly at: Place }[];
}

export function readWhitelist(reading: Reading, root: YamlNode): Whitelist[] {
  return (root.kind === 'map' ? root.pairs : []).map(({ name: client, key, value }) => {
    const node = value.kind === 'map' ? value.pairs.find(({ name }) => name === 'allowed_tools')?.value : undefined;
    const items = node === undefined ? [] : node.kind === 'seq' ? node.items : [node];
    const tools = items.flatMap((item) => {
      const text = readText(reading, item, 'open')?.trim();
      return text === undefined || text === '' ? [] : [{ text, at: item }];
    });
    return { reading, client, at: key, tools };
  });
}

/** The lists by client, as rules over the names in /mcp. */
export function resolveWhitelists(
  lists: readonly Whitelist[],
  servers: ReadonlyMap<string, ServerConfig>,
): ReadonlyMap<string, AccessFilter> {
  return new Map(
    lists.map(({ reading, client, tools }) => {
      const allow = tools.flatMap(({ text, at }): AccessRule[] => {
        const patterns = patternsOf(text, servers);
        if (patterns.length === 0)
          reading.problems.warning(at, {
            text: `${showName(text)} names no server, so it allows nothing`,
            fix: 'write SERVER__TOOL, as it is in /mcp',
            shown: shownName(text),
          });
        const place = placeOf(reading.path, at);
        return patterns.map((pattern) => ({ pattern, from: `allowed_tools of ${client}`, at: place }));
      });
      return [client, { allow, deny: [] }];
    }),
  );
}

function patternsOf(text: string, servers: ReadonlyMap<string, ServerConfig>): string[] {
  if (text === '*') return [text];
  const all = [...servers.values()].map(({ name, exposure }) => ({ name, prefix: prefixText(exposure.prefix) }));
  const named = all.flatMap(({ name, prefix }) => {
    if (prefix !== '' && text.startsWith(prefix)) return [text];
    const rest = text.startsWith(name) ? /^(?:__|[_:.])(.+)$/.exec(text.slice(name.length))?.[1] : undefined;
    return rest === undefined ? [] : [prefix + rest];
  });
  const [only, other] = all;
  if (named.length > 0 || only === undefined || other !== undefined) return [...new Set(named)];
  return [only.prefix + text];
}
