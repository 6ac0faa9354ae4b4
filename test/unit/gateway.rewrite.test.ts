import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteResult, rewriteTool } from '../../src/gateway/rewrite.ts';

const expose = (uri: string): string => `w:${uri}`;
const same = (uri: string): string => uri;

test('URIs of links, embedded resources, contents and UI resources are exposed, and nothing else', () => {
  const text = { type: 'text', text: 'a:1' };
  const result = {
    content: [
      text,
      { type: 'resource_link', uri: 'a:1', x: 1 },
      { type: 'resource', resource: { uri: 'a:2', text: 'a:3' } },
    ],
    contents: [{ uri: 'a:4', text: 'a:5' }],
    messages: [
      { role: 'user', content: { type: 'resource_link', uri: 'a:6' } },
      { role: 'user', content: [{ type: 'resource_link', uri: 'a:7' }, text] },
    ],
    structuredContent: { uri: 'a:8' },
    _meta: { ui: { resourceUri: 'ui:1' }, 'ui/resourceUri': 'ui:2', uri: 'a:9' },
  };
  assert.deepEqual(rewriteResult(result, expose), {
    content: [
      text,
      { type: 'resource_link', uri: 'w:a:1', x: 1 },
      { type: 'resource', resource: { uri: 'w:a:2', text: 'a:3' } },
    ],
    contents: [{ uri: 'w:a:4', text: 'a:5' }],
    messages: [
      { role: 'user', content: { type: 'resource_link', uri: 'w:a:6' } },
      { role: 'user', content: [{ type: 'resource_link', uri: 'w:a:7' }, text] },
    ],
    structuredContent: { uri: 'a:8' },
    _meta: { ui: { resourceUri: 'w:ui:1' }, 'ui/resourceUri': 'w:ui:2', uri: 'a:9' },
  });
});

test('what needs no change stays the same object', () => {
  const result = { content: [{ type: 'resource_link', uri: 'a:1' }], messages: 7, contents: [null, 1] };
  assert.equal(rewriteResult(result, same), result);
  const tool = { name: 'a', inputSchema: { type: 'object', properties: { x: { type: 'string' } } } };
  assert.equal(rewriteTool(tool, same), tool);
});

test('header annotations that follow the rules stay, as they are enforced', () => {
  const inputSchema = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } };
  const tool = { name: 'a', inputSchema };
  assert.equal(rewriteTool(tool, same), tool);
});

test('where one breaks the rules, header annotations leave every schema position, and data that looks like one stays', () => {
  const annotated = { type: 'string', 'x-mcp-header': 'Region', $comment: 'kept' };
  const clean = { type: 'string', $comment: 'kept' };
  const data = { 'x-mcp-header': 'data' };
  const schemaOf = (property: object) => ({
    type: 'object',
    properties: { region: property, 'x-mcp-header': { type: 'string' }, deep: { properties: { a: property } } },
    items: property,
    additionalItems: [property],
    unevaluatedProperties: property,
    allOf: [property],
    $defs: { d: property },
    default: data,
    enum: [data],
  });
  const tool = rewriteTool({ name: 'a', inputSchema: schemaOf(annotated) }, same);
  assert.deepEqual(tool, { name: 'a', inputSchema: schemaOf(clean) });
});
