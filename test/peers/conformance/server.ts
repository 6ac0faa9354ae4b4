/**
 * The MCP server of the conformance fixture, put together: capabilities, tools, resources and prompts under the
 * names that the official suite prescribes. The entry (`../conformance-fixture.ts`) gives it a transport.
 */
import { McpServer, ResourceTemplate, acceptedContent, inputRequired } from '@modelcontextprotocol/server';
import { addAskingTools } from './asking-tools.ts';
import { IMAGE, PNG, STRING, ask, formOf, roundState, schemaOf } from './content.ts';
import { addPlainTools, type ListChanges } from './plain-tools.ts';

const CACHE_HINT = { ttlMs: 1000, cacheScope: 'public' as const };

export function makeServer(changes: ListChanges): McpServer {
  const server = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: (state, context) => roundState.verify(state, context) },
      cacheHints: {
        'tools/list': CACHE_HINT,
        'prompts/list': CACHE_HINT,
        'resources/list': CACHE_HINT,
        'resources/templates/list': CACHE_HINT,
        'resources/read': CACHE_HINT,
      },
    },
  );
  addPlainTools(server, changes);
  addAskingTools(server);
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler('completion/complete', () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  return server;
}

function addResources(server: McpServer): void {
  const rows = [
    ['static-text', 'test://static-text', 'text/plain', { text: 'This is the content of the static text resource.' }],
    ['static-binary', 'test://static-binary', 'image/png', { blob: PNG }],
    ['watched', 'test://watched-resource', 'text/plain', { text: 'Watched resource content' }],
  ] as const;
  for (const [name, uri, mimeType, body] of rows) {
    server.registerResource(name, uri, { description: name, mimeType }, (url) => ({
      contents: [{ uri: url.href, mimeType, ...body }],
    }));
  }
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const mimeType = 'application/json';
  server.registerResource('template', template, { description: 'template', mimeType }, (url, { id }) => {
    const data = { id, templateTest: true, data: `Data for ID: ${String(id)}` };
    return { contents: [{ uri: url.href, mimeType, text: JSON.stringify(data) }] };
  });
}

function addPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'simple' }, () => ({
    messages: [say('This is a simple prompt for testing.')],
  }));
  const twoArgs = schemaOf<{ arg1: string; arg2: string }>(
    formOf({
      arg1: { ...STRING, description: 'First test argument' },
      arg2: { ...STRING, description: 'Second test argument' },
    }),
  );
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'args', argsSchema: twoArgs },
    ({ arg1, arg2 }) => ({
      messages: [say(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
    }),
  );
  const uriArg = schemaOf<{ resourceUri: string }>(formOf({ resourceUri: STRING }));
  server.registerPrompt('test_prompt_with_embedded_resource', { description: 'res', argsSchema: uriArg }, (args) => {
    const resource = { uri: args.resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' };
    return {
      messages: [user({ type: 'resource' as const, resource }), say('Please process the embedded resource above.')],
    };
  });
  server.registerPrompt('test_prompt_with_image', { description: 'img' }, () => ({
    messages: [user(IMAGE), say('Please analyze the image above.')],
  }));
  server.registerPrompt('test_input_required_result_prompt', { description: 'asks first' }, (context) => {
    const form = acceptedContent(context.mcpReq.inputResponses, 'user_context');
    if (form !== undefined) return { messages: [say(`Context: ${String(form['context'])}`)] };
    const question = ask('What context should the prompt use?', formOf({ context: STRING }));
    return inputRequired({ inputRequests: { user_context: question } });
  });
}

function user<Content>(content: Content): { role: 'user'; content: Content } {
  return { role: 'user', content };
}

function say(value: string): { role: 'user'; content: { type: 'text'; text: string } } {
  return user({ type: 'text', text: value });
}
