/**
 * From a YAML map to typed values by a table of the schema: the one decoder for every map of the operator's files.
 *
 * Promises: each wrong value, and each key that the table does not know, is one problem with its place and what to
 * write instead, and decoding goes on; a key without a value counts as not written. No value is repeated in a problem.
 * What values mean together is judged by those who call.
 */
import type { Secret } from '../model.ts';
import { formatDuration } from '../text/duration.ts';
import { findNearest } from '../text/nearest.ts';
import { makeSecret } from '../text/secret.ts';
import type { YamlMap, YamlNode, YamlPair } from '../text/yaml.ts';
import { READERS, type ScalarKind, type ScalarValue } from './kinds.ts';
import { showName } from './problems.ts';
import { isNothing, looksLikeCredential, readSecretText, readText, type Reading, type Secrecy } from './reading.ts';
import type { Field, Table } from './schema.ts';

/** A name with its secret value, such as a header or a variable. */
export type Pair = readonly [name: string, value: Secret];

type Value<F extends Field> = F['kind'] extends 'secret'
  ? Secret
  : F['kind'] extends 'pairs'
    ? readonly Pair[]
    : F['kind'] extends 'node'
      ? YamlNode
      : F['kind'] extends 'word'
        ? F extends { readonly words: infer W }
          ? W[keyof W]
          : never
        : F['kind'] extends 'list'
          ? F extends { readonly of: infer K extends ScalarKind }
            ? readonly ScalarValue<K>[]
            : never
          : F['kind'] extends ScalarKind
            ? ScalarValue<F['kind']>
            : never;

export interface Found<V> {
  readonly value: V;
  /** The value's node. */
  readonly at: YamlNode;
}

/** What a map says, by the names of the table; what is not written, or wrong, is absent. */
export type Decoded<T extends Table> = { readonly [K in keyof T]?: Found<Value<T[K]>> };
export type Values<T extends Table> = { readonly [K in keyof T]?: Value<T[K]> };

export interface DecodeOptions {
  /** The map is of another program: what is unknown is ignored with a warning. */
  readonly foreign?: boolean;
  /** What to write here for keys of the other program, where something does the same. */
  readonly instead?: Readonly<Record<string, string>>;
  /** In `pairs` a name may stand without a value: somebody else brings it. It is left out. */
  readonly lacking?: boolean;
}

interface Task {
  readonly reading: Reading;
  readonly table: Table;
  readonly options: DecodeOptions;
  readonly found: Map<string, Found<unknown>>;
}

/** Decodes `node`, which may be anything, by `table`. */
export function decodeMap<T extends Table>(
  from: { readonly reading: Reading; readonly node: YamlNode },
  table: T,
  options: DecodeOptions = {},
): Decoded<T> {
  const task: Task = { reading: from.reading, table, options, found: new Map() };
  if (from.node.kind === 'map') visit(task, from.node, '');
  else if (!isNothing(from.node))
    from.reading.problems.error(from.node, { text: 'a map is expected here', fix: 'write NAME: VALUE lines' });
  // Each value was made by the reader of its own row, which the type system cannot follow through a loop.
  return Object.fromEntries(task.found) as Decoded<T>;
}

/**
 * The value of one text by its field, for texts that come from no file.
 *
 * @returns undefined when it is of another kind or out of range; `expectation` says what to write
 */
export function decodeText(field: Field, text: string): unknown {
  if (field.kind === 'word') return own(field.words ?? {}, text.trim().toLowerCase());
  if (field.kind === 'list') {
    const parts = text.split(',').map((part) => READERS[field.of ?? 'text'].read(part.trim()));
    return parts.includes(undefined) ? undefined : parts;
  }
  if (field.kind === 'secret' || field.kind === 'pairs' || field.kind === 'node') return undefined;
  const value = READERS[field.kind].read(text);
  return typeof value === 'number' && !isInRange(field, value) ? undefined : value;
}

/** What is to be written for `field`, as the end of a sentence. */
export function expectation(field: Field): string {
  if (field.kind === 'word') return `one of ${[...new Set(Object.values(field.words ?? {}))].join(', ')}`;
  if (field.kind === 'secret') return 'a text';
  if (field.kind === 'pairs' || field.kind === 'node') return 'a map';
  if (field.kind === 'list') return `a list, each item ${READERS[field.of ?? 'text'].expects}`;
  const range = [bound('at least', field, field.min), bound('at most', field, field.max)].filter((part) => part !== '');
  return [READERS[field.kind].expects, ...range].join(', ');
}

/** The member of `record` that was put there, not one that every object has. */
export function own<V>(record: Readonly<Record<string, V>>, name: string): V | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Reports a key that means nothing here. */
export function reportUnknownKey(
  reading: Reading,
  pair: YamlPair,
  known: { names: Iterable<string>; foreign: boolean; instead?: Readonly<Record<string, string>> | undefined },
): void {
  const shown = showName(pair.name) === '"…"' ? undefined : reading.text.slice(pair.key.start, pair.key.end);
  const nearest = findNearest(pair.name, known.names);
  const fix = nearest === undefined ? undefined : `did you mean "${nearest}"?`;
  if (known.foreign)
    reading.problems.warning(pair.key, {
      text: `${showName(pair.name)} means nothing to mcproxy and is ignored`,
      shown,
      fix: own(known.instead ?? {}, pair.name) ?? fix,
    });
  else
    reading.problems.error(pair.key, {
      text: `${showName(pair.name)} is not an option here`,
      shown,
      fix: fix ?? 'delete it; `mcproxy check --explain` lists the options',
    });
}

function visit(task: Task, map: YamlMap, prefix: string): void {
  const names = Object.keys(task.table);
  for (const pair of map.pairs) {
    const name = prefix + pair.name;
    const field = canonical(task.table, name);
    const isBlock = names.some((known) => known.startsWith(`${name}.`));
    const isOther = task.options.foreign === true && pair.value.kind !== 'map' && !isNothing(pair.value);
    if (field === undefined && (!isBlock || isOther)) {
      const local = names
        .filter((known) => known.startsWith(prefix))
        .map((known) => known.slice(prefix.length).split('.', 1)[0] ?? '');
      const { foreign = false, instead } = task.options;
      reportUnknownKey(task.reading, pair, { names: local, foreign, instead });
    } else if (isNothing(pair.value)) continue;
    // One key may be a word or a block: `auth: none`, `auth: {jwt: …}`.
    else if (field !== undefined && !(isBlock && pair.value.kind === 'map')) decodeField(task, field, pair);
    else if (pair.value.kind === 'map') visit(task, pair.value, `${name}.`);
    else
      task.reading.problems.error(pair.value, {
        text: `"${name}" must be a map`,
        fix: `write its options under it, such as ${names.find((known) => known.startsWith(`${name}.`)) ?? ''}`,
      });
  }
}

function canonical(table: Table, name: string): { name: string; field: Field } | undefined {
  const field = own(table, name);
  if (field !== undefined) return { name, field };
  const entry = Object.entries(table).find(([, candidate]) => candidate.also?.includes(name));
  return entry === undefined ? undefined : { name: entry[0], field: entry[1] };
}

function decodeField(task: Task, target: { name: string; field: Field }, pair: YamlPair): void {
  const { name } = target;
  if (task.found.has(name)) {
    task.reading.problems.error(pair.key, {
      text: `"${name}" is given twice, in two spellings`,
      fix: 'delete one',
      shown: pair.name,
    });
    return;
  }
  const value = decodeValue(task, target, pair.value);
  if (value !== undefined) task.found.set(name, { value, at: pair.value });
}

function decodeValue(task: Task, target: { name: string; field: Field }, node: YamlNode): unknown {
  const { reading } = task;
  const { name, field } = target;
  if (field.kind === 'node') return node;
  if (field.kind === 'pairs') return decodePairs(task, node, name);
  if (field.kind === 'list') return decodeList(task, target, node);
  const isOurs = task.options.foreign !== true;
  if (field.kind !== 'secret' && isOurs && looksLikeCredential(node)) {
    const fix =
      name === 'args'
        ? 'write it under "env": everybody can see the arguments of a process'
        : 'write it where a secret stands: token, password, headers or env';
    reading.problems.error(node, { text: `a reference to a secret cannot stand under "${name}"`, fix });
    return undefined;
  }
  const read = field.kind === 'secret' && isOurs ? readSecretText : readText;
  const text = node.kind === 'scalar' ? read(reading, node, secrecyOf(field)) : undefined;
  if (text === undefined) {
    if (node.kind !== 'scalar') reject(reading, node, target);
    return undefined;
  }
  if (field.kind === 'secret') return decodeSecret(reading, node, { ...target, text: text.trim() });
  const value = decodeText(field, text);
  if (value === undefined) return reject(reading, node, target);
  return field.kind === 'path' && text !== '-' ? reading.resolvePath(text) : value;
}

/** A secret that others could try out is none: it has a least length, and is not one character again and again. */
function decodeSecret(reading: Reading, node: YamlNode, said: { name: string; field: Field; text: string }): unknown {
  const { name, field, text } = said;
  const secret = reading.secrets.add(text);
  const { min = 0, unit = '' } = field;
  if (text.length >= min && new Set(text).size >= min / 4) return secret;
  reading.problems.error(node, { text: `"${name}" could be guessed`, fix: `write a ${unit}` });
  return undefined;
}

function decodeList(task: Task, target: { name: string; field: Field }, node: YamlNode): unknown {
  const { reading } = task;
  const item: Field = { ...target.field, kind: target.field.of ?? 'text' };
  const nodes = node.kind === 'seq' ? node.items : [node];
  const values: unknown[] = [];
  for (const one of nodes) {
    if (one.kind === 'scalar' && one.value !== null) {
      const value = decodeValue(task, { name: target.name, field: item }, one);
      if (value !== undefined) values.push(value);
    } else reject(reading, one, target);
  }
  return values.length === nodes.length ? values : undefined;
}

function decodePairs({ reading, options }: Task, node: YamlNode, name: string): readonly Pair[] | undefined {
  // In a file of another program a value that begins with "file:" is what it is.
  const read = options.foreign === true ? readText : readSecretText;
  if (node.kind !== 'map') {
    reading.problems.error(node, { text: `"${name}" must be a map`, fix: 'write NAME: VALUE lines under it' });
    return undefined;
  }
  const pairs: Pair[] = [];
  const said = options.lacking === true ? node.pairs.filter(({ value }) => !isNothing(value)) : node.pairs;
  for (const pair of said) {
    const isText = pair.value.kind === 'scalar' && pair.value.value !== null;
    const text = isText ? read(reading, pair.value, 'variables') : undefined;
    if (!isText) {
      const fix = isNothing(pair.value)
        ? 'write a value; "" is the empty one, and ${NAME} takes it from the environment'
        : 'write a text';
      reading.problems.error(pair.value, {
        text: `${showName(pair.name)} of "${name}" must have a text as value`,
        fix,
      });
    } else if (text !== undefined) pairs.push([pair.name, makeSecret(text)]);
  }
  return pairs.length === said.length ? pairs : undefined;
}

/** Whether the map has a value under `name`, be it a wrong one: what is wrong was reported and is not missing as well. */
export function isWritten(node: YamlNode, name: string): boolean {
  return node.kind === 'map' && node.pairs.some((pair) => pair.name === name && !isNothing(pair.value));
}

/** The names that stand without a value. */
export function namesWithoutValue(found: Found<readonly Pair[]> | undefined): string[] {
  if (found?.at.kind !== 'map') return [];
  return found.at.pairs.filter(({ value }) => isNothing(value)).map(({ name }) => name);
}

/** Variables are secrets in texts only: a port or a span from the environment would black out digits everywhere. */
function secrecyOf(field: Field): Secrecy {
  if (field.kind === 'secret') return 'secret';
  return field.kind === 'text' || field.kind === 'url' ? 'variables' : 'open';
}

function reject(reading: Reading, node: YamlNode, target: { name: string; field: Field }): undefined {
  const { name, field } = target;
  const isLine = name === 'command' && node.kind === 'seq';
  const fix = isLine ? 'write the program alone, and what follows it under "args"' : `write ${expectation(field)}`;
  reading.problems.error(node, { text: `"${name}" is not valid`, fix });
  return undefined;
}

function isInRange(field: Field, value: number): boolean {
  if (value === 0 && field.zero === true) return true;
  return value >= (field.min ?? 0) && value <= (field.max ?? Number.MAX_SAFE_INTEGER);
}

function bound(word: string, field: Field, limit: number | undefined): string {
  if (limit === undefined || limit <= 1) return '';
  return `${word} ${field.kind === 'duration' ? formatDuration(limit) : limit}`;
}
