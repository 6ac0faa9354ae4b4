/**
 * The tools of the conformance fixture that answer without asking the client anything: contents of every type,
 * progress and log notifications before the result, list changes, a stream cut on purpose, mirrored headers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { McpServer, ServerContext } from '@modelcontextprotocol/server';
import { IMAGE, STRING, WAV, text, toolAdder, type JsonSchema } from './content.ts';

/** What the entry does when a tool says that a list has changed. */
export interface ListChanges {
  tools(): void;
  prompts(): void;
  resource(uri: string): void;
}

/** Between two notifications, so that they arrive as pieces of their own, also at the end of a chain on a busy machine. */
const STEP_MS = 200;

/** `$anchor`, `$ref`, `allOf`, `if`/`then`/`else`: a proxy must not touch any of it. */
const SCHEMA_2020_12: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: STRING, city: STRING } } },
  properties: {
    name: STRING,
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: STRING,
    email: STRING,
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // oxlint-disable-next-line unicorn/no-thenable -- a JSON Schema keyword, not a promise
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

export function addPlainTools(server: McpServer, changes: ListChanges): void {
  addContentTools(server);
  addNotifyingTools(server);
  const tool = toolAdder(server);
  tool('json_schema_2020_12_tool', () => text('ok'), SCHEMA_2020_12);
  tool('test_x_mcp_header', (args) => text(`region=${String(args['region'])}`), {
    type: 'object',
    properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
    required: ['region'],
  });
  tool('test_trigger_tool_change', () => {
    changes.tools();
    return text('ok');
  });
  tool('test_trigger_prompt_change', () => {
    changes.prompts();
    return text('ok');
  });
  tool('test_trigger_resource_update', () => {
    changes.resource('test://watched-resource');
    return text('ok');
  });
}

function addContentTools(server: McpServer): void {
  const tool = toolAdder(server);
  const json = {
    uri: 'test://mixed-content-resource',
    mimeType: 'application/json',
    text: '{"test":"data","value":123}',
  };
  const plain = {
    uri: 'test://embedded-resource',
    mimeType: 'text/plain',
    text: 'This is an embedded resource content.',
  };
  tool('test_simple_text', () => text('This is a simple text response for testing.'));
  tool('test_image_content', () => ({ content: [IMAGE] }));
  tool('test_audio_content', () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }));
  tool('test_embedded_resource', () => ({ content: [{ type: 'resource', resource: plain }] }));
  tool('test_multiple_content_types', () => ({
    content: [{ type: 'text', text: 'Multiple content types test:' }, IMAGE, { type: 'resource', resource: json }],
  }));
  tool('test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
}

function addNotifyingTools(server: McpServer): void {
  const tool = toolAdder(server);
  tool('test_tool_with_logging', async (_args, context) => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await context.mcpReq.log('info', line);
      await delay(STEP_MS);
    }
    return text('done');
  });
  tool('test_logging_tool', async (_args, context) => {
    await context.mcpReq.log('info', 'only when asked');
    return text('done');
  });
  tool('test_tool_with_progress', async (_args, context) => {
    for (const progress of [0, 50, 100]) {
      await notifyProgress(context, progress);
      await delay(STEP_MS);
    }
    return text('done');
  });
  tool('test_reconnection', async (_args, context) => {
    context.http?.closeSSE?.();
    await delay(2 * STEP_MS);
    return text('Reconnection test completed successfully');
  });
}

async function notifyProgress(context: ServerContext, progress: number): Promise<void> {
  const { _meta: meta } = context.mcpReq;
  const progressToken = meta?.progressToken;
  if (progressToken === undefined) return;
  await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
}
