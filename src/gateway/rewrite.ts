/**
 * URIs and header annotations in what a server sends, rewritten for the clients of a view. Pure.
 *
 * Everything else stays as it is, unknown members included, and what needs no change stays the same object. Texts and
 * `structuredContent` are never looked into (a URI in them may be data). Header annotations that are enforced
 * (`tool-headers`) are shown; where one breaks the rules, all are taken out of the schema, because a client would have
 * to leave the tool out (MCP 2026-07-28 server/tools). Upstream the peer mirrors from the original.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import { findParamHeaders } from '../mcp/param-headers.ts';
import type { JsonObject } from '../mcp/waist.ts';

export type ExposeUri = (uri: string) => string;

const HEADER_ANNOTATION = 'x-mcp-header';
/** Members of a JSON Schema that hold a schema or a list of them, and those that hold a map of them. */
const SCHEMA_MEMBERS = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames']
  .concat(['oneOf', 'anyOf', 'allOf', 'prefixItems', 'additionalItems', 'contentSchema'])
  .concat(['unevaluatedItems', 'unevaluatedProperties']);
const SCHEMA_MAPS = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/** A tool definition without header annotations that break the rules, its UI resource exposed. */
export function rewriteTool(tool: JsonObject, expose: ExposeUri): JsonObject {
  const given = tool['inputSchema'];
  const inputSchema = findParamHeaders(given).ok ? given : stripAnnotations(given);
  const stripped = inputSchema === tool['inputSchema'] ? tool : { ...tool, inputSchema };
  return rewriteUi(stripped, expose);
}

/** The result of a `tools/call`, `prompts/get` or `resources/read`. */
export function rewriteResult(result: JsonObject, expose: ExposeUri): JsonObject {
  let out = rewriteUi(result, expose);
  out = replaced(out, 'content', (content) => mapList(content, (block) => rewriteBlock(block, expose)));
  out = replaced(out, 'contents', (contents) => mapList(contents, (item) => rewriteUri(item, expose)));
  return replaced(out, 'messages', (messages) =>
    mapList(messages, (message) =>
      isObject(message) ? replaced(message, 'content', (content) => rewriteContent(content, expose)) : message,
    ),
  );
}

function rewriteContent(content: unknown, expose: ExposeUri): unknown {
  return Array.isArray(content)
    ? mapList(content, (block) => rewriteBlock(block, expose))
    : rewriteBlock(content, expose);
}

function rewriteBlock(block: unknown, expose: ExposeUri): unknown {
  if (!isObject(block)) return block;
  if (block['type'] === 'resource_link') return rewriteUri(block, expose);
  return block['type'] === 'resource' ? replaced(block, 'resource', (inner) => rewriteUri(inner, expose)) : block;
}

function rewriteUri(value: unknown, expose: ExposeUri): unknown {
  return isObject(value) ? replaced(value, 'uri', (uri) => exposeText(uri, expose)) : value;
}

/** MCP Apps: `_meta.ui.resourceUri`, and the flat form of its first drafts. */
function rewriteUi(holder: JsonObject, expose: ExposeUri): JsonObject {
  return replaced(holder, '_meta', (meta) => {
    if (!isObject(meta)) return meta;
    const flat = replaced(meta, 'ui/resourceUri', (uri) => exposeText(uri, expose));
    return replaced(flat, 'ui', (ui) =>
      isObject(ui) ? replaced(ui, 'resourceUri', (uri) => exposeText(uri, expose)) : ui,
    );
  });
}

function exposeText(uri: unknown, expose: ExposeUri): unknown {
  return typeof uri === 'string' ? expose(uri) : uri;
}

function stripAnnotations(schema: unknown): unknown {
  if (Array.isArray(schema)) return mapList(schema, stripAnnotations);
  if (!isObject(schema)) return schema;
  let out: JsonObject = schema;
  if (Object.hasOwn(schema, HEADER_ANNOTATION)) {
    const { [HEADER_ANNOTATION]: _, ...rest } = schema;
    out = rest;
  }
  for (const member of SCHEMA_MEMBERS) out = replaced(out, member, stripAnnotations);
  for (const member of SCHEMA_MAPS) out = replaced(out, member, (map) => mapValues(map, stripAnnotations));
  return out;
}

/** The object with one member changed; the same object when it does not change. */
function replaced(object: JsonObject, member: string, change: (value: unknown) => unknown): JsonObject {
  if (!Object.hasOwn(object, member)) return object;
  const value = change(object[member]);
  return value === object[member] ? object : { ...object, [member]: value };
}

function mapList(list: unknown, change: (value: unknown) => unknown): unknown {
  if (!Array.isArray(list)) return list;
  const changed = list.map(change);
  return changed.every((value, at) => value === list[at]) ? list : changed;
}

function mapValues(map: unknown, change: (value: unknown) => unknown): unknown {
  if (!isObject(map)) return map;
  let out: JsonObject = map;
  for (const key of Object.keys(map)) out = replaced(out, key, change);
  return out;
}
