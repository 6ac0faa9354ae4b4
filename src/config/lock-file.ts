/**
 * `mcproxy.lock`: which tools each server may show, as somebody saw and approved them.
 *
 * Made by `mcproxy lock` and reviewed in git: servers and tools in the order of their names, one line for each tool, with
 * its digest and the definition that the digest is over, so that a later change can be told in words. The digest decides;
 * the definition is only shown. The file is YAML of our subset and JSON in each line. What it means is
 * `mcp/tool-lock`. Pure.
 */
import { LOCKED_DEFINITION_CHARS_MAX } from '../limits.ts';
import { canonicalJson } from '../text/canonical-json.ts';
import { parseYaml, yamlToValue, type YamlMap, type YamlNode } from '../text/yaml.ts';
import type { FileProblems } from './problems.ts';

export interface LockedTool {
  readonly digest: string;
  /** As `lockedPart` gives it; undefined when somebody took it out. */
  readonly definition: Readonly<Record<string, unknown>> | undefined;
}

/** By server, by tool. */
export type Locked = ReadonlyMap<string, ReadonlyMap<string, LockedTool>>;

const HEAD = [
  '# What the tools of each server looked like when they were approved. Keep this file in git and review its changes.',
  '# `mcproxy lock diff` shows how the servers differ from it now, `mcproxy lock approve` takes that over.',
  'version: 1',
];
const DIGEST = /^sha256:[\da-f]{64}$/;

/** @param problems each with its place; what is wrong is not locked, so it is withheld rather than let through */
export function readLockFile(root: YamlNode | undefined, problems: FileProblems): Locked {
  const locked = new Map<string, ReadonlyMap<string, LockedTool>>(); // Bounded by CONFIG_BYTES_MAX.
  if (root === undefined) return locked;
  if (root.kind !== 'map') return wrong(problems, root) ?? locked;
  const version = member(root, 'version');
  if (version?.kind !== 'scalar' || version.value !== 1) {
    problems.error(version ?? root, {
      text: 'this lock file is of another version',
      fix: 'make it anew: mcproxy lock',
    });
    return locked;
  }
  const servers = member(root, 'servers');
  if (servers === undefined) return locked;
  if (servers.kind !== 'map') return wrong(problems, servers) ?? locked;
  for (const { name, value } of servers.pairs) {
    if (value.kind !== 'map') wrong(problems, value);
    else locked.set(name, readTools(value, problems));
  }
  return locked;
}

function readTools(tools: YamlMap, problems: FileProblems): ReadonlyMap<string, LockedTool> {
  const read = new Map<string, LockedTool>(); // Bounded by CONFIG_BYTES_MAX.
  for (const { name, value } of tools.pairs) {
    const digest = value.kind === 'map' ? member(value, 'digest') : undefined;
    const text = digest?.kind === 'scalar' ? digest.value : undefined;
    if (value.kind !== 'map' || typeof text !== 'string' || !DIGEST.test(text)) {
      wrong(problems, digest ?? value);
      continue;
    }
    const definition = member(value, 'definition');
    const json = definition === undefined ? undefined : yamlToValue(definition);
    read.set(name, { digest: text, definition: isRecord(json) ? json : undefined });
  }
  return read;
}

/** The file. */
export function printLockFile(locked: Locked): string {
  const servers = inOrder(locked).flatMap(([server, tools]) => {
    const lines = inOrder(tools).flatMap(([name, tool]) => printTool(name, tool));
    return lines.length === 0 ? [`  ${JSON.stringify(server)}: {}`] : [`  ${JSON.stringify(server)}:`, ...lines];
  });
  return `${[...HEAD, ...(servers.length === 0 ? ['servers: {}'] : ['servers:', ...servers])].join('\n')}\n`;
}

/** One line; without the definition where that is too long or cannot be written, none where the name cannot. */
function printTool(name: string, { digest, definition }: LockedTool): string[] {
  const key = `${asciiSafe(JSON.stringify(name))}: {"digest": "${digest}"`;
  const shown = definition === undefined ? '' : `, "definition": ${asciiSafe(canonicalJson(definition))}`;
  const lines = shown.length > LOCKED_DEFINITION_CHARS_MAX ? [`${key}}`] : [`${key}${shown}}`, `${key}}`];
  // A server may send what our YAML does not take: lone surrogates, or nesting without end.
  const readable = lines.find((line) => parseYaml(line).problems.length === 0);
  return readable === undefined ? [] : [`    ${readable}`];
}

export function digestsOf(tools: ReadonlyMap<string, LockedTool>): ReadonlyMap<string, string> {
  return new Map([...tools].map(([name, { digest }]) => [name, digest]));
}

/** What steers a terminal, cannot be seen or looks like something else is escaped, so that a review sees it. */
function asciiSafe(json: string): string {
  return json.replaceAll(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu, (character) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at).toString(16).padStart(4, '0'))
      .map((hex) => `\\u${hex}`)
      .join(''),
  );
}

function inOrder<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function wrong(problems: FileProblems, node: YamlNode): undefined {
  problems.error(node, { text: 'this is not what `mcproxy lock` writes', fix: 'restore it from git, or make it anew' });
}

function member(map: YamlMap, name: string): YamlNode | undefined {
  return map.pairs.find((pair) => pair.name === name)?.value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
