/**
 * `limits` of the settings, a server, a role or a user, from options to `LimitsConfig`.
 *
 * A user's own word goes before that of roles, and of several roles the most generous counts; what nobody says is as
 * the settings say. Limits of tools are kept in that order too, because the first pattern that matches counts. What is
 * counted, and for whom, is decided where limits are enforced.
 */
import type { Limit, LimitsConfig, LimitsSaid, Rate, ServerConfig, ToolLimit } from '../model.ts';
import { decodeMap, type Found } from './decode.ts';
import { READERS } from './kinds.ts';
import type { Reading } from './reading.ts';
import { TOOL_LIMIT } from './schema-limits.ts';
import type { YamlNode } from '../text/yaml.ts';

export const NO_LIMITS_SAID: LimitsSaid = { rate: undefined, burst: undefined, concurrent: undefined, tools: [] };

/** The fields of any table that has the limits in it. */
interface LimitFields {
  readonly 'limits.rate'?: Found<Rate | 'off'>;
  readonly 'limits.burst'?: Found<number>;
  readonly 'limits.concurrent'?: Found<number>;
  readonly 'limits.tools'?: Found<YamlNode>;
}

export function decodeLimits(reading: Reading, fields: LimitFields): LimitsSaid {
  const tools = fields['limits.tools'];
  return {
    rate: fields['limits.rate']?.value,
    burst: fields['limits.burst']?.value,
    concurrent: fields['limits.concurrent']?.value,
    tools: tools === undefined ? [] : decodeToolLimits(reading, tools.value),
  };
}

/** `limits.tools`, in order. */
export function decodeToolLimits(reading: Reading, node: YamlNode): readonly ToolLimit[] {
  if (node.kind !== 'map') {
    reading.problems.error(node, {
      text: '"limits.tools" must be a map',
      fix: 'write PATTERN: {rate: 5/min} lines under it',
    });
    return [];
  }
  return node.pairs.flatMap(({ name, key, value }) => {
    if (READERS.glob.read(name) === undefined) {
      reading.problems.error(key, { text: 'this cannot be the name of a tool', fix: `write ${READERS.glob.expects}` });
      return [];
    }
    const fields = decodeMap({ reading, node: value }, TOOL_LIMIT);
    const said = { rate: fields.rate?.value, burst: fields.burst?.value, concurrent: fields.concurrent?.value };
    return [{ pattern: name, ...settle(said) }];
  });
}

/** @param roles in any order @returns undefined when nothing is limited */
export function resolveLimits(
  own: LimitsSaid,
  roles: readonly LimitsSaid[],
  defaults: LimitsSaid,
): LimitsConfig | undefined {
  const rated = own.rate === undefined ? mostGenerous(roles) : own;
  const rate = rated?.rate ?? defaults.rate;
  const burst = own.burst ?? rated?.burst ?? (rated?.rate === undefined ? defaults.burst : undefined);
  const counts = roles.flatMap(({ concurrent }) => (concurrent === undefined ? [] : [concurrent]));
  const fromRoles = counts.length === 0 ? undefined : counts.includes(0) ? 0 : Math.max(...counts);
  const limits: LimitsConfig = {
    ...settle({ rate, burst, concurrent: own.concurrent ?? fromRoles ?? defaults.concurrent }),
    tools: [own, ...roles, defaults].flatMap(({ tools }) => tools),
  };
  return limits.rate === undefined && limits.concurrent === undefined && limits.tools.length === 0 ? undefined : limits;
}

/** What all share stays as it is; what a user's entry says counts for that user alone, besides. */
export function serverLimits(
  said: LimitsSaid,
  { base, personal }: { readonly base: ServerConfig | undefined; readonly personal: boolean },
): Pick<ServerConfig, 'limits' | 'ownLimits'> {
  const limits = resolveLimits(said, [], NO_LIMITS_SAID);
  return personal ? { limits: base?.limits, ownLimits: limits } : { limits };
}

function settle({ rate, burst, concurrent }: Omit<LimitsSaid, 'tools'>): Limit {
  return {
    rate: rate === 'off' ? undefined : rate,
    burst,
    concurrent: concurrent === 0 ? undefined : concurrent,
  };
}

function mostGenerous(all: readonly LimitsSaid[]): LimitsSaid | undefined {
  return all.filter(({ rate }) => rate !== undefined).toSorted((a, b) => perSecond(b) - perSecond(a))[0];
}

function perSecond({ rate }: LimitsSaid): number {
  return rate === undefined || rate === 'off' ? Number.POSITIVE_INFINITY : rate.count / rate.perMs;
}
