/**
 * Constants and small builders of the conformance fixture: content blocks, schemas, input requests.
 *
 * The texts and names are those that the official conformance suite looks for; it prints its contract when a
 * scenario fails. Nothing here knows a transport.
 */
import {
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  type CallToolResult,
  type ElicitRequestFormParams,
  type InputRequest,
  type InputRequiredResult,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';

export type Args = Record<string, unknown>;
export type ToolResult = CallToolResult | InputRequiredResult;
export type ToolRun = (args: Args, context: ServerContext) => ToolResult | Promise<ToolResult>;
/** Open, because extension keywords such as `x-mcp-header` belong into it. */
export type JsonSchema = Record<string, unknown>;

/** One red pixel. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
/** A WAV header without samples. */
export const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
export const IMAGE = { type: 'image' as const, data: PNG, mimeType: 'image/png' };

export const STRING = { type: 'string' };
export const NO_ARGS: JsonSchema = { type: 'object', properties: {} };
export const NAME_FORM = formOf({ name: STRING });

/** Seals `requestState`; a fixed key, so that a second process of the fixture accepts it too. */
export const roundState = createRequestStateCodec<{ round: number }>({ key: 'k'.repeat(32) });

export function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

export function formOf(
  properties: Record<string, unknown>,
  required: readonly string[] = Object.keys(properties),
): JsonSchema {
  return { type: 'object', properties, required: [...required] };
}

/** An elicitation with a form. */
export function ask(message: string, schema: JsonSchema): InputRequest {
  const requestedSchema = schema as unknown as ElicitRequestFormParams['requestedSchema'];
  return inputRequired.elicit({ message, requestedSchema });
}

/** A sampling request with one user message. */
export function sample(question: string, maxTokens = 100): InputRequest {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: question } }],
    maxTokens,
  });
}

/** The client's answer under `key`, or undefined in the first round. */
export function answer(context: ServerContext, key: string): Args | undefined {
  return context.mcpReq.inputResponses?.[key] as Args | undefined;
}

/** The text of a sampling answer, whose content is one block or a list of them. */
export function sampledText(response: Args): string {
  const [first] = [response['content']].flat() as { text?: string }[];
  return first?.text ?? '';
}

/** A JSON Schema in the form that the SDK's `register…` methods take. */
export function schemaOf<T = Args>(schema: JsonSchema): ReturnType<typeof fromJsonSchema<T>> {
  return fromJsonSchema<T>(schema);
}

/** Registers tools by name; each shares one description rule and takes no arguments unless `schema` is given. */
export function toolAdder(server: McpServer): (name: string, run: ToolRun, schema?: JsonSchema) => void {
  return (name, run, schema = NO_ARGS) => {
    server.registerTool(name, { description: name, inputSchema: schemaOf(schema) }, run);
  };
}
