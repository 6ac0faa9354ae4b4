/**
 * Which arguments of a tool travel in `Mcp-Param-*` headers too, and with which text.
 *
 * A tool's input schema annotates a property with `x-mcp-header`. The annotation counts only on a string, integer or
 * boolean that is reached through `properties` alone, and its name is a token that is unique whatever its case; a
 * tool that breaks this must not be offered by a client over HTTP. Reads a schema that a stranger wrote: never
 * follows `$ref`, and takes time linear in its size at any depth. Source: MCP 2026-07-28 streamable-http, Custom
 * Headers from Tool Parameters; SEP-2243.
 */
import { isToken } from '../text/headers.ts';
import { encodeParam } from './header-value.ts';
import { isObject, type JsonObject } from './jsonrpc.ts';

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

/** A schema yet to be looked at; `path` is undefined where no annotation may stand. */
interface Place {
  readonly schema: unknown;
  readonly path: readonly string[] | undefined;
}

/** The annotated properties of an input schema, or why the tool may not be offered over HTTP. */
export function findParamHeaders(inputSchema: unknown): ParamHeaders {
  const headers: ParamHeader[] = [];
  const names = new Set<string>();
  // A list of our own instead of recursion: the schema may be nested deeper than the stack.
  const places: Place[] = [{ schema: inputSchema, path: [] }];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const { schema, path } = place;
    if (!isObject(schema)) continue;
    if (Object.hasOwn(schema, ANNOTATION)) {
      const found = readAnnotation(schema, path);
      if (typeof found === 'string') return { ok: false, reason: found };
      if (names.has(found.name.toLowerCase())) return { ok: false, reason: `two properties share ${ANNOTATION}` };
      names.add(found.name.toLowerCase());
      headers.push(found);
    }
    places.push(...placesBelow(schema, path));
  }
  return { ok: true, headers };
}

function readAnnotation(schema: JsonObject, path: readonly string[] | undefined): ParamHeader | string {
  const name = schema[ANNOTATION];
  if (path === undefined || path.length === 0) return `${ANNOTATION} stands where no plain property is`;
  if (typeof name !== 'string' || !isToken(name)) return `${ANNOTATION} is not a header name`;
  if (!TYPES.has(schema['type'])) return `${ANNOTATION} stands on a property that is no string, integer or boolean`;
  return { name, path };
}

function placesBelow(schema: JsonObject, path: readonly string[] | undefined): Place[] {
  const below: Place[] = [];
  for (const [name, value] of mapEntries(schema['properties'])) {
    below.push({ schema: value, path: path === undefined ? undefined : [...path, name] });
  }
  for (const keyword of NESTED_MAPS) {
    for (const [, value] of mapEntries(schema[keyword])) below.push({ schema: value, path: undefined });
  }
  for (const keyword of NESTED) {
    const value = schema[keyword];
    for (const each of Array.isArray(value) ? value : [value]) below.push({ schema: each, path: undefined });
  }
  return below;
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

function valueAt(args: unknown, path: readonly string[]): unknown {
  let value = args;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
