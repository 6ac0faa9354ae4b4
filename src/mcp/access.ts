/**
 * The rules of one principal, put around what clients see of a server: further items are hidden, nothing else changes.
 *
 * Tools and prompts are judged by the name they have in the merged catalog, so that a rule means the same on every URL.
 * That name depends on the server and the prefixes alone, never on what others offer: where servers share a prefix, a
 * rule is about all tools that would have the name. What denies is also compared with the name before it was cut or
 * changed to fit. Resources are judged by the server's own URIs, as in `exposure`. Pure.
 */
import { FILTERED_CHARS_MAX } from '../limits.ts';
import type { AccessConfig, AccessFilter, AccessRule } from '../model.ts';
import { matchesGlob, mayBegin } from '../text/glob.ts';
import { showsUri, type Exposure, type ItemKind } from './exposure.ts';
import { exposeName, type NameScope } from './names.ts';
import { prefixText } from '../text/name-prefix.ts';

/** What a rule list says of one item. */
export interface Verdict {
  readonly allowed: boolean;
  /** The rule that decided; undefined when none allows it, and when there is no list. */
  readonly rule: AccessRule | undefined;
}

const NO_RULES: Verdict = { allowed: true, rule: undefined };

/** @param scope the server, with the prefixes of all servers of the principal */
export function judgeAccess(
  access: AccessConfig | undefined,
  kind: ItemKind,
  item: { readonly exposure: Exposure; readonly scope: NameScope; readonly own: string },
): Verdict {
  const filter = access?.[kind];
  if (filter === undefined) return NO_RULES;
  const { exposure, scope, own } = item;
  if (kind === 'resources') return judgeUri(filter, own);
  const shown = exposure.shownName(kind, own);
  return judgeNames(filter, exposeName(shown, scope), prefixText(scope.prefix) + shown);
}

/** `exposure` with the items left out that the rules hide; itself where there are no rules. */
export function restrictExposure(exposure: Exposure, access: AccessConfig | undefined, scope: NameScope): Exposure {
  if (!hasRules(access)) return exposure;
  const allows = (kind: ItemKind, own: string): boolean => judgeAccess(access, kind, { exposure, scope, own }).allowed;
  return {
    ...exposure,
    isPlain: (kind) => access[kind] === undefined && exposure.isPlain(kind),
    shows: (kind, own) => exposure.shows(kind, own) && allows(kind, own),
    ownName(kind, shown) {
      const own = exposure.ownName(kind, shown);
      return own !== undefined && allows(kind, own) ? own : undefined;
    },
  };
}

export function hasRules(access: AccessConfig | undefined): access is AccessConfig {
  return access !== undefined && (access.tools ?? access.prompts ?? access.resources) !== undefined;
}

/** Whether the rules may hide anything of the server. Says yes where only its lists could tell. */
export function mayRestrict(access: AccessConfig | undefined, prefix: string): boolean {
  if (!hasRules(access)) return false;
  const begin = prefixText(prefix);
  return hides(access.tools, begin) || hides(access.prompts, begin) || hides(access.resources, '');
}

/** @param first what names of the server begin with */
function hides(filter: AccessFilter | undefined, first: string): boolean {
  if (filter === undefined) return false;
  const lets = filter.allow?.some(({ pattern }) => pattern === '*' || (first !== '' && pattern === `${first}*`));
  return lets === false || filter.deny.some(({ pattern }) => mayBegin(pattern, first));
}

function judgeNames({ allow, deny }: AccessFilter, exposed: string, full: string): Verdict {
  if (full.length > FILTERED_CHARS_MAX) return { allowed: false, rule: undefined };
  const denying = deny.find(({ pattern }) => matchesGlob(pattern, exposed) || matchesGlob(pattern, full));
  if (denying !== undefined) return { allowed: false, rule: denying };
  if (allow === undefined) return NO_RULES;
  const rule = allow.find(({ pattern }) => matchesGlob(pattern, exposed));
  return { allowed: rule !== undefined, rule };
}

function judgeUri({ allow, deny }: AccessFilter, uri: string): Verdict {
  const allowed = showsUri({ allow: allow && patternsOf(allow), deny: patternsOf(deny) }, uri);
  const decides = allowed
    ? allow?.find(({ pattern }) => showsUri({ allow: [pattern], deny: [] }, uri))
    : deny.find(({ pattern }) => !showsUri({ allow: undefined, deny: [pattern] }, uri));
  return { allowed, rule: decides };
}

function patternsOf(rules: readonly AccessRule[]): string[] {
  return rules.map(({ pattern }) => pattern);
}
