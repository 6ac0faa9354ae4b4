/**
 * How one definition of a tool differs from another, in plain words, line by line.
 *
 * Arguments by name: added, removed, changed in what. Texts as the lines that went (`-`) and came (`+`), with what is
 * alike around them left out. Anything else is named with both values. The lines hold what a server said as it is: who
 * prints them makes them safe for a terminal. Pure.
 */
import { canonicalJson } from '../text/canonical-json.ts';
import { isObject } from './jsonrpc.ts';
import type { JsonObject } from './waist.ts';

const VALUE_CHARS_MAX = 400;

/** Undefined stands for a tool that is not there. Both as `lockedPart` gives them. */
export function describeChange(before: JsonObject | undefined, after: JsonObject | undefined): string[] {
  if (after === undefined) return [];
  if (before === undefined) return describeNew(after);
  const parts: Readonly<Record<string, (old: unknown, now: unknown) => string[]>> = {
    title: (old, now) => describeText('title', old, now),
    description: (old, now) => describeText('description', old, now),
    inputSchema: (old, now) => describeSchema('argument', old, now),
    outputSchema: (old, now) => describeSchema('result member', old, now),
    annotations: (old, now) => describeMembers('annotation', asObject(old), asObject(now)),
  };
  return Object.entries(parts).flatMap(([member, describe]) => {
    const [old, now] = [own(before, member), own(after, member)];
    if (isSame(old, now)) return [];
    const lines = describe(old, now);
    // Something of another type than it should be, or nothing in place of an empty object.
    return lines.length > 0 ? lines : [`${member} changed: ${shortValue(old)} -> ${shortValue(now)}`];
  });
}

function describeNew(tool: JsonObject): string[] {
  const title = typeof tool['title'] === 'string' ? [`title: ${tool['title']}`] : [];
  const described = typeof tool['description'] === 'string' ? tool['description'].split('\n') : [];
  return [
    ...title,
    ...described.map((line) => `+ ${line}`),
    ...describeSchema('argument', undefined, tool['inputSchema']),
    ...describeMembers('annotation', {}, asObject(tool['annotations'])),
  ];
}

function describeText(what: string, before: unknown, after: unknown): string[] {
  if (before === after) return [];
  const old = typeof before === 'string' ? before.split('\n') : [];
  const now = typeof after === 'string' ? after.split('\n') : [];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const gone = old.slice(head, old.length - tail).map((line) => `  - ${line}`);
  const come = now.slice(head, now.length - tail).map((line) => `  + ${line}`);
  return [`${what}:`, ...gone, ...come];
}

/** The members of an object schema by name, then what else the schema says. */
function describeSchema(noun: string, before: unknown, after: unknown): string[] {
  const { properties: oldMembers, required: oldRequired, ...old } = asObject(before);
  const { properties: newMembers, required: newRequired, ...now } = asObject(after);
  const was = withRequired(asObject(oldMembers), oldRequired);
  const is = withRequired(asObject(newMembers), newRequired);
  return [...describeMembers(noun, was, is), ...describeMembers(`${noun}s: `, old, now)];
}

/** Whether it is required becomes a part of a member. */
function withRequired(members: JsonObject, required: unknown): JsonObject {
  const names: readonly unknown[] = Array.isArray(required) ? required : [];
  const all = new Set([...Object.keys(members), ...names.filter((name) => typeof name === 'string')]);
  return Object.fromEntries(
    [...all].map((name) => {
      const schema = Object.hasOwn(members, name) ? members[name] : {};
      return [name, names.includes(name) ? { ...asObject(schema), required: true } : schema];
    }),
  );
}

function describeMembers(noun: string, before: JsonObject, after: JsonObject): string[] {
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  return [...names].flatMap((name) => {
    const [old, now] = [own(before, name), own(after, name)];
    if (isSame(old, now)) return [];
    const label = noun.endsWith(': ') ? `${noun}${name}` : `${noun} ${name}`;
    if (old === undefined) return [`${label} added: ${shortValue(now)}`];
    if (now === undefined) return [`${label} removed (was ${shortValue(old)})`];
    if (!isObject(old) || !isObject(now)) return [`${label} changed: ${shortValue(old)} -> ${shortValue(now)}`];
    const { description: oldText, ...oldRest } = old;
    const { description: newText, ...newRest } = now;
    const inner = [
      ...describeText(`${label}: description`, oldText, newText),
      ...describeMembers(`${label}: `, oldRest, newRest),
    ];
    return inner;
  });
}

function isSame(a: unknown, b: unknown): boolean {
  return (a === undefined) === (b === undefined) && canonicalJson(a) === canonicalJson(b);
}

function shortValue(value: unknown): string {
  if (value === undefined) return 'none';
  const text = canonicalJson(value);
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}… (${text.length} characters)`;
}

function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function own(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
