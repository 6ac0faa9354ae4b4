/**
 * URIs and header annotations in what a server sends, rewritten for the clients of a view. Pure.
 *
 * Everything else stays as it is, unknown members included, and what needs no change stays the same object. Texts and
 * `structuredContent` are never looked into (a URI in them may be data). `x-mcp-header` is taken out of tool schemas:
 * who shows it must enforce it (MCP 2026-07-28 server/tools), and upstream the peer mirrors from the original.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';

export type ExposeUri = (uri: string) => string;

const HEADER_ANNOTATION = 'x-mcp-header';
/** Members of a JSON Schema that hold a schema, a list of them, or a map of them. */
const SCHEMA_MEMBERS = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'];
const SCHEMA_LISTS = ['oneOf', 'anyOf', 'allOf', 'prefixItems'];
const SCHEMA_MAPS = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/** A tool definition without header annotations, its UI resource exposed. */
export function rewriteTool(tool: JsonObject, expose: ExposeUri): JsonObject {
  const inputSchema = stripAnnotations(tool['inputSchema']);
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
  if (!isObject(schema)) return schema;
  let out: JsonObject = schema;
  if (Object.hasOwn(schema, HEADER_ANNOTATION)) {
    const { [HEADER_ANNOTATION]: _, ...rest } = schema;
    out = rest;
  }
  for (const member of SCHEMA_MEMBERS) out = replaced(out, member, stripAnnotations);
  for (const member of SCHEMA_LISTS) out = replaced(out, member, (list) => mapList(list, stripAnnotations));
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
