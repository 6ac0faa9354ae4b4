/**
 * The result of a tool as a person reads it: text as it is, everything else in one line that says what it is.
 *
 * Pure. On a terminal control characters are made visible, because what a server says must not move the cursor; into
 * a pipe text goes unchanged. Source: MCP 2026-07-28 server/tools, Tool Result.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';

/** The lines of a result, each ending in a newline. */
export function printResult(result: JsonObject): string {
  const blocks = Array.isArray(result['content']) ? result['content'] : [];
  const texts = blocks.map(blockText);
  // A server that has only structured content is asked to repeat it as text, and need not.
  if (texts.length === 0 && result['structuredContent'] !== undefined) {
    texts.push(JSON.stringify(result['structuredContent'], undefined, 2));
  }
  return texts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('');
}

function blockText(block: unknown): string {
  if (!isObject(block)) return JSON.stringify(block);
  const { type, text, data, mimeType, uri, name, resource } = block;
  if (type === 'text' && typeof text === 'string') return text;
  if (type === 'image' || type === 'audio') return `[${type} ${kindOf(mimeType)}, ${bytesOf(data)} bytes]`;
  if (type === 'resource_link') return `[link ${String(uri)}${typeof name === 'string' ? ` (${name})` : ''}]`;
  if (type === 'resource' && isObject(resource)) {
    if (typeof resource['text'] === 'string') return `[resource ${String(resource['uri'])}]\n${resource['text']}`;
    const { blob } = resource;
    return `[resource ${String(resource['uri'])}, ${kindOf(resource['mimeType'])}, ${bytesOf(blob)} bytes]`;
  }
  return `[${String(type)}] ${JSON.stringify(block)}`;
}

function kindOf(mimeType: unknown): string {
  return typeof mimeType === 'string' ? mimeType : 'of unknown type';
}

/** How many bytes a base64 text stands for (RFC 4648 §4). */
function bytesOf(data: unknown): number {
  if (typeof data !== 'string') return 0;
  return Math.floor((data.replace(/=+$/, '').length * 3) / 4);
}
