/**
 * Who may use what and how often: a part of `model.ts`, through which everybody names it.
 *
 * Types only. How rules are written is in `config/access`, how they are applied in `mcp/access`, limits in
 * `gateway/charges`. In a file of its own because that one is long.
 */

/** Where something stands in the operator's files. */
export interface FilePlace {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

/** One pattern of the access rules, with what `why` says about it. */
export interface AccessRule {
  /** With `*` and `?`, without the `!` of a rule that denies. */
  readonly pattern: string;
  /** Whose rule it is: `user alice`, `role support`. */
  readonly from: string;
  readonly at: FilePlace | undefined;
}

export interface AccessFilter {
  /** Undefined: all that is not denied. */
  readonly allow: readonly AccessRule[] | undefined;
  /** Wins over `allow`. */
  readonly deny: readonly AccessRule[];
}

/** What a principal may use, from their own rules and those of their roles together; undefined: no rule. */
export interface AccessConfig {
  /** Over the names of servers. Applied already to `Principal.servers`; here to say why. */
  readonly servers: AccessFilter;
  /** Over names as in the merged catalog: `server__tool`. */
  readonly tools: AccessFilter | undefined;
  readonly prompts: AccessFilter | undefined;
  /** Over URIs, and over the texts of URI templates, as the servers have them. */
  readonly resources: AccessFilter | undefined;
}

/** So many in so much time; undefined: no limit. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

export interface Limit {
  readonly rate: Rate | undefined;
  /** How many may come at once after a pause. */
  readonly burst: number | undefined;
  /** Calls in progress at once; undefined: no limit. */
  readonly concurrent: number | undefined;
}

/** A limit that all tools share whose names match the pattern. */
export interface ToolLimit extends Limit {
  readonly pattern: string;
}

export interface LimitsConfig extends Limit {
  /** The first pattern that matches counts. */
  readonly tools: readonly ToolLimit[];
}

/** `limits` as they are written in one place; what is not written there is undefined. */
export interface LimitsSaid {
  readonly rate: Rate | 'off' | undefined;
  readonly burst: number | undefined;
  /** 0: no limit. */
  readonly concurrent: number | undefined;
  readonly tools: readonly ToolLimit[];
}
