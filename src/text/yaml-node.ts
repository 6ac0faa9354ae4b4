/**
 * The shapes of a parsed YAML document: nodes with their positions, and problems.
 *
 * Lines and columns are 1-based and count UTF-16 units, so that they index the text a person has open. Offsets
 * index the parsed text, `start` inclusive, `end` exclusive. A problem never repeats a scalar's value, because
 * values may be secrets; only the name of a repeated key is ever quoted. Types only; `yaml.ts` exports them.
 */

interface Base {
  readonly line: number;
  readonly column: number;
  readonly start: number;
  readonly end: number;
}

export interface YamlScalar extends Base {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly style: 'plain' | 'single' | 'double' | 'literal' | 'folded';
}

export interface YamlPair {
  /** The key as the property name of a JavaScript object. */
  readonly name: string;
  readonly key: YamlScalar;
  readonly value: YamlNode;
}

export interface YamlMap extends Base {
  readonly kind: 'map';
  readonly pairs: readonly YamlPair[];
  /** Written with `{ }`. */
  readonly flow: boolean;
}

export interface YamlSeq extends Base {
  readonly kind: 'seq';
  readonly items: readonly YamlNode[];
  /** Written with `[ ]`. */
  readonly flow: boolean;
}

export type YamlNode = YamlMap | YamlSeq | YamlScalar;

export interface YamlProblem {
  readonly line: number;
  readonly column: number;
  /** What is wrong; safe to show. */
  readonly text: string;
  /** What to write instead. */
  readonly fix: string | undefined;
}

export interface YamlDocument {
  /** Undefined for an empty document; must not be used when there are problems. */
  readonly root: YamlNode | undefined;
  readonly problems: readonly YamlProblem[];
}
