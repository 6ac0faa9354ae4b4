/**
 * Access rules as users and roles write them: lists of patterns, of which those with `!` deny.
 *
 * Lists of one kind add up: what any of them allows is allowed, unless one denies it; a list that denies only says
 * nothing about what is allowed. Where nobody writes a list of a kind there is no rule. Each pattern remembers whose it
 * is and where it stands, so that `why` can say so. How a rule is applied is in `mcp/access`.
 */
import { GLOB_CHARS_MAX } from '../limits.ts';
import type { AccessFilter, AccessRule } from '../model.ts';
import { isGlob } from '../text/glob.ts';
import type { YamlNode, YamlPair } from '../text/yaml.ts';
import { NOTHING_SAID } from './exposure.ts';
import { placeOf, type Place } from './problems.ts';
import { NO_LIMITS_SAID } from './limits.ts';
import { isNothing, readText, type Reading } from './reading.ts';
import { decodeServer, type ServerDraft } from './servers.ts';

/** Whose rules these are. */
export interface RuleSource {
  readonly reading: Reading;
  /** `user alice`, `role support`. */
  readonly from: string;
}

/** What `servers` says: who may use which, and what is special about them. */
export interface ServersSaid {
  readonly filter: AccessFilter | undefined;
  /** Those that are named, in order. */
  readonly drafts: readonly ServerDraft[];
}

export const NO_SERVERS: ServersSaid = { filter: undefined, drafts: [] };

/** A list of patterns, or one alone. */
export function decodeRules(source: RuleSource, node: YamlNode, name: string): AccessFilter | undefined {
  const rules = (node.kind === 'seq' ? node.items : [node]).map((item) => readRule(source, item, name));
  // A list that is wrong in part was reported, and half of it must not be taken for the whole.
  if (rules.includes(undefined)) return undefined;
  const allow = rules.flatMap((rule) => (rule === undefined || rule.denies ? [] : [rule.rule]));
  const deny = rules.flatMap((rule) => (rule?.denies === true ? [rule.rule] : []));
  // `[]` allows nothing.
  return { allow: allow.length === 0 && deny.length > 0 ? undefined : allow, deny };
}

/** All lists of one kind together; undefined where there is none. */
export function addUp(filters: readonly (AccessFilter | undefined)[]): AccessFilter | undefined {
  const said = filters.filter((filter) => filter !== undefined);
  const [only, more] = said;
  if (only === undefined || more === undefined) return only;
  const allows = said.flatMap(({ allow }) => (allow === undefined ? [] : [allow]));
  return { allow: allows.length === 0 ? undefined : allows.flat(), deny: said.flatMap(({ deny }) => deny) };
}

/** `"*"`, a list of names and patterns, or a map from name to what is special. */
export function decodeServersSaid(source: RuleSource, node: YamlNode): ServersSaid {
  if (node.kind === 'map') return decodeServerMap(source, node.pairs);
  const filter = decodeRules(source, node, 'servers');
  const drafts = (filter?.allow ?? []).flatMap(({ pattern, at }) =>
    isGlob(pattern) || at === undefined ? [] : [bareDraft(source.reading, pattern, at)],
  );
  return { filter, drafts };
}

function decodeServerMap({ reading, from }: RuleSource, pairs: readonly YamlPair[]): ServersSaid {
  const allow: AccessRule[] = [];
  const drafts: ServerDraft[] = [];
  for (const { name, key, value } of pairs) {
    allow.push({ pattern: name, from, at: placeOf(reading.path, key) });
    if (!isGlob(name)) drafts.push(decodeServer({ reading, name, at: key, node: value }, { foreign: false }));
    else if (!isNothing(value) && !(value.kind === 'map' && value.pairs.length === 0))
      reading.problems.error(value, {
        text: '"*" stands for all servers and takes no options',
        fix: 'write the options under the name of a server',
      });
  }
  return { filter: { allow, deny: [] }, drafts };
}

function readRule(
  { reading, from }: RuleSource,
  item: YamlNode,
  name: string,
): { readonly denies: boolean; readonly rule: AccessRule } | undefined {
  const text = readText(reading, item, 'open')?.trim();
  const denies = text?.startsWith('!') ?? false;
  const pattern = denies ? (text ?? '').slice(1).trim() : text;
  if (pattern !== undefined && pattern !== '' && pattern.length <= GLOB_CHARS_MAX)
    return { denies, rule: { pattern, from, at: placeOf(reading.path, item) } };
  if (text !== undefined || item.kind !== 'scalar' || item.value === null)
    reading.problems.error(item, {
      text: `"${name}" is not valid here`,
      fix:
        name === 'servers'
          ? 'write "*", a list of names and patterns, or a map from name to what is special'
          : 'write a list of patterns, such as ["files__read_*", "!*__delete_*"]',
    });
  return undefined;
}

function bareDraft(reading: Reading, name: string, at: Place): ServerDraft {
  return {
    name,
    at,
    reading,
    fields: {},
    said: { credential: undefined, headers: [], lacks: [], at: undefined },
    exposure: NOTHING_SAID,
    limits: NO_LIMITS_SAID,
    foreign: false,
    empty: true,
    broken: false,
  };
}
