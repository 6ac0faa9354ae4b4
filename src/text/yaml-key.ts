/**
 * YAML map keys: the property name of a key, and the keys that are refused.
 *
 * Two keys are the same when their property names are, so `1` and `"1"` repeat each other. A merge key would change
 * the map silently and a null key has no name, so both are refused; a problem with a key does not stop the parser.
 * Source: YAML 1.2.2 §3.2.1.1 (unique keys).
 */
import type { YamlNode, YamlPair, YamlScalar } from './yaml-node.ts';
import { fail } from './yaml-reader.ts';
import type { YamlReader } from './yaml-reader.ts';

/** A map under construction: its pairs, and the line of each name. */
export interface OpenMap {
  readonly pairs: YamlPair[];
  readonly lines: Map<string, number>;
}

/** Longest part of a repeated key that a problem shows. */
const NAME_CHARS_MAX = 60;

/** Adds a pair to the map, or a problem with its key to the reader. */
export function addPair(reader: YamlReader, map: OpenMap, pair: { key: YamlScalar; value: YamlNode }): void {
  const { key, value } = pair;
  const name = String(key.value);
  const firstLine = map.lines.get(name);
  if (key.value === null) {
    fail(reader, key.start, { text: 'a key cannot be null', fix: 'quote it' });
  } else if (name === '<<' && key.style === 'plain') {
    fail(reader, key.start, { text: 'merge keys (<<) are not supported', fix: 'write the merged keys out' });
  } else if (firstLine === undefined) {
    map.lines.set(name, key.line);
    map.pairs.push({ name, key, value });
  } else {
    const shown = JSON.stringify(name.length > NAME_CHARS_MAX ? `${name.slice(0, NAME_CHARS_MAX)}…` : name);
    const text = `the key ${shown} is repeated; it stands on line ${firstLine} already`;
    fail(reader, key.start, { text, fix: 'keep one of the two' });
  }
}
