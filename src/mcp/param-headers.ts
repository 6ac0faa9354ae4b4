/**
 * Which arguments of a tool travel in `Mcp-Param-*` headers too, and with which text.
 *
 * A tool's input schema annotates a property with `x-mcp-header`. The annotation counts only on a string, integer or
 * boolean that is reached through `properties` alone, and its name is a token that is unique whatever its case; a
 * tool that breaks this must not be offered by a client over HTTP. Reads a schema that a stranger wrote: never
 * follows `$ref`, and takes time linear in its size at any depth. Source: MCP 2026-07-28 streamable-http, Custom
 * Headers from Tool Parameters; SEP-2243.
 */
import { HEADER_COUNT_MAX } from '../limits.ts';
import { isToken } from '../text/headers.ts';
import { decodeHeaderValue, encodeParam, matchesParam } from './header-value.ts';
import { isObject, type JsonObject } from './jsonrpc.ts';
import { HEADER } from './protocol.ts';

export interface ParamHeader {
  /** What follows `Mcp-Param-`, as the schema spells it. */
  readonly name: string;
  /** Property names from the arguments down. */
  readonly path: readonly string[];
}

export type ParamHeaders =
  | { readonly ok: true; readonly headers: readonly ParamHeader[] }
  | { readonly ok: false; readonly reason: string };

const ANNOTATION = 'x-mcp-header';
const TYPES: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean']);
/** Keywords whose value is a schema, or a list of schemas. */
const NESTED = ['items', 'prefixItems', 'contains', 'additionalProperties', 'propertyNames', 'unevaluatedItems']
  .concat(['unevaluatedProperties', 'oneOf', 'anyOf', 'allOf', 'not', 'if', 'then', 'else', 'contentSchema'])
  .concat(['additionalItems']);
/** Keywords whose value is a map of schemas, besides `properties`. */
const NESTED_MAPS = ['patternProperties', 'dependentSchemas', '$defs', 'definitions'];

/** A property and those around it; linked, because copied paths of a deep schema would not fit into memory. */
interface Step {
  readonly name: string;
  readonly above: Step | undefined;
}

/** A schema yet to be looked at. */
interface Place {
  readonly schema: unknown;
  /** It is reached through `properties` alone. */
  readonly isPlain: boolean;
  /** The property that it describes; undefined for the schema of all arguments. */
  readonly step: Step | undefined;
}

/** The annotated properties of an input schema, or why the tool may not be offered over HTTP. */
export function findParamHeaders(inputSchema: unknown): ParamHeaders {
  const headers: ParamHeader[] = [];
  const names = new Set<string>();
  // A list of our own instead of recursion: the schema may be nested deeper than the stack.
  const places: Place[] = [{ schema: inputSchema, isPlain: true, step: undefined }];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    if (!isObject(place.schema)) continue;
    if (Object.hasOwn(place.schema, ANNOTATION)) {
      const found = readAnnotation(place.schema, place);
      if (typeof found === 'string') return { ok: false, reason: found };
      if (names.has(found.name.toLowerCase())) return { ok: false, reason: `two properties share ${ANNOTATION}` };
      if (names.size === HEADER_COUNT_MAX) return { ok: false, reason: `more than ${HEADER_COUNT_MAX} ${ANNOTATION}` };
      names.add(found.name.toLowerCase());
      headers.push(found);
    }
    addPlacesBelow(places, place.schema, place);
  }
  return { ok: true, headers };
}

function readAnnotation(schema: JsonObject, { isPlain, step }: Place): ParamHeader | string {
  const name = schema[ANNOTATION];
  if (!isPlain || step === undefined) return `${ANNOTATION} stands where no plain property is`;
  if (typeof name !== 'string' || !isToken(name)) return `${ANNOTATION} is not a header name`;
  if (!TYPES.has(schema['type'])) return `${ANNOTATION} stands on a property that is no string, integer or boolean`;
  return { name, path: pathTo(step) };
}

function pathTo(step: Step): string[] {
  const path: string[] = [];
  for (let at: Step | undefined = step; at !== undefined; at = at.above) path.push(at.name);
  return path.toReversed();
}

function addPlacesBelow(places: Place[], schema: JsonObject, { isPlain, step }: Place): void {
  for (const [name, value] of mapEntries(schema['properties'])) {
    places.push({ schema: value, isPlain, step: isPlain ? { name, above: step } : undefined });
  }
  const hidden = { isPlain: false, step: undefined };
  for (const keyword of NESTED_MAPS) {
    for (const [, value] of mapEntries(schema[keyword])) places.push({ schema: value, ...hidden });
  }
  for (const keyword of NESTED) {
    const value = schema[keyword];
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) places.push({ schema: each, ...hidden });
  }
}

function mapEntries(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : [];
}

/** Flat header fields for the arguments of a call; an argument that is null or absent has none. */
export function paramFields(headers: readonly ParamHeader[], args: unknown): string[] {
  return headers.flatMap(({ name, path }) => {
    const text = encodeParam(valueAt(args, path));
    return text === undefined ? [] : [`Mcp-Param-${name}`, text];
  });
}

/**
 * What is wrong with the mirrored headers of a call; undefined when they say what its arguments say. An argument that
 * is null or absent asks for no header, and one that no header can carry is the server's to judge.
 *
 * @param field the text of a header by its name in lower case
 */
export function paramMismatch(
  headers: readonly ParamHeader[],
  args: unknown,
  field: (name: string) => string | undefined,
): string | undefined {
  for (const { name, path } of headers) {
    const text = field(`${HEADER.paramPrefix}${name.toLowerCase()}`);
    const value = valueAt(args, path);
    if (text !== undefined && !decodeHeaderValue(text).ok) return `Mcp-Param-${name} is not a valid header value.`;
    if (encodeParam(value) === undefined) continue;
    if (text === undefined) return `Mcp-Param-${name} is missing; send what the argument says.`;
    if (!matchesParam(text, value as string | number | boolean)) return `Mcp-Param-${name} differs from the argument.`;
  }
  return undefined;
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  let value = args;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
