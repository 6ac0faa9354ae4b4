/**
 * What an MCP client sees of a server, written down so that two runs can be compared: once directly, once through
 * mcproxy. Times, session ids and random values of the peers are blanked; everything else must be equal.
 */
import { waitFor } from './wait.ts';

/** What the official clients of both major versions have in common. */
export interface CommonClient {
  getServerVersion(): unknown;
  getServerCapabilities(): unknown;
  getInstructions(): unknown;
  ping(): Promise<unknown>;
  listTools(): Promise<unknown>;
  listResources(): Promise<unknown>;
  listResourceTemplates(): Promise<unknown>;
  listPrompts(): Promise<unknown>;
  readResource(params: { uri: string }): Promise<unknown>;
  subscribeResource(params: { uri: string }): Promise<unknown>;
  unsubscribeResource(params: { uri: string }): Promise<unknown>;
  getPrompt(params: { name: string; arguments?: Record<string, string> }): Promise<unknown>;
  complete(params: Completion): Promise<unknown>;
  setLoggingLevel(level: 'debug'): Promise<unknown>;
}

interface Completion {
  readonly ref: { readonly type: 'ref/prompt'; readonly name: string };
  readonly argument: { readonly name: string; readonly value: string };
}

export interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
  readonly onprogress?: (progress: unknown) => void;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}

export interface ConnectedClient {
  readonly client: CommonClient;
  /** The versions differ in the parameters of `callTool`. */
  readonly callTool: (call: ToolCall) => Promise<unknown>;
  /** `notifications/message` received so far. */
  readonly logMessages: readonly unknown[];
  /** Names of the requests that the server sent and the client answered. */
  readonly answered: readonly string[];
}

export type Transcript = Readonly<Record<string, unknown>>;

/** The answers of the client to what a server asks; the same for every client and era. */
export const CLIENT_ANSWERS = {
  'sampling/createMessage': {
    model: 'test-model',
    role: 'assistant' as const,
    content: { type: 'text' as const, text: 'sampled' },
    stopReason: 'endTurn',
  },
  'elicitation/create': {
    action: 'accept' as const,
    content: { name: 'Ada', username: 'ada', email: 'ada@example.com' },
  },
  'roots/list': { roots: [{ uri: 'file:///srv/project', name: 'project' }] },
};

export const CLIENT_CAPABILITIES = { sampling: {}, elicitation: {}, roots: { listChanged: true } };

const UUID = /[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g;
const CLOCK = /\d{1,2}:\d\d:\d\d\s[AP]M/g;

/** Uses every feature of `server-everything` once. */
export async function transcribeEverything(connected: ConnectedClient): Promise<Transcript> {
  const { client, callTool } = connected;
  const progress: unknown[] = [];
  const call = (name: string, args: Record<string, unknown> = {}): Promise<unknown> =>
    outcomeOf(callTool({ name, arguments: args }));
  const ref = { type: 'ref/prompt', name: 'completable-prompt' } as const;
  const uri = 'demo://resource/static/document/features.md';

  const transcript = {
    ...(await transcribeLists(client)),
    ping: await client.ping(),
    resource: await client.readResource({ uri }),
    dynamicResource: await client.readResource({ uri: 'demo://resource/dynamic/text/1' }),
    unknownResource: await outcomeOf(client.readResource({ uri: 'demo://nowhere' })),
    subscribed: await client.subscribeResource({ uri }),
    unsubscribed: await client.unsubscribeResource({ uri }),
    prompt: await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Paris' } }),
    unknownPrompt: await outcomeOf(client.getPrompt({ name: 'nowhere' })),
    completion: await client.complete({ ref, argument: { name: 'department', value: 'S' } }),
    echo: await call('echo', { message: 'grüße, 世界' }),
    sum: await call('get-sum', { a: 2, b: 40 }),
    image: await call('get-tiny-image'),
    links: await call('get-resource-links'),
    unknownTool: await call('nowhere'),
    badArguments: await call('get-sum', { a: 'two' }),
    longRunning: await outcomeOf(
      callTool({
        name: 'trigger-long-running-operation',
        arguments: { duration: 0.3, steps: 3 },
        onprogress: (step) => progress.push(step),
      }),
    ),
    // When the last step and the result arrive in one piece, the clients forget the step; that is a matter of timing.
    progress: progress.slice(0, 2),
    sampling: await call('trigger-sampling-request', { prompt: 'hello' }),
    elicitation: await call('trigger-elicitation-request'),
    roots: await call('get-roots-list'),
    logLevel: await client.setLoggingLevel('debug'),
    loggingOn: await call('toggle-simulated-logging'),
    // Level and text are random; that one arrives on the stream that no request belongs to is what matters.
    logMessageArrived: await waitFor(() => connected.logMessages.length > 0, { what: 'a log message' }),
    loggingOff: await call('toggle-simulated-logging'),
    // How often is up to its clock: it asks for roots also by itself after 350 ms, and repeats on a stream that came late.
    answered: [...new Set(connected.answered)].toSorted(),
  };
  return blank(transcript);
}

/** Uses the dual-era fixture of the conformance suite in the way of 2026-07-28. */
export async function transcribeFixture({ client, callTool, answered }: ConnectedClient): Promise<Transcript> {
  const progress: unknown[] = [];
  const call = (name: string, args: Record<string, unknown> = {}): Promise<unknown> =>
    outcomeOf(callTool({ name, arguments: args }));
  const transcript = {
    ...(await transcribeLists(client)),
    resource: await client.readResource({ uri: 'test://static-text' }),
    unknownResource: await outcomeOf(client.readResource({ uri: 'test://nowhere' })),
    prompt: await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } }),
    askingPrompt: await outcomeOf(client.getPrompt({ name: 'test_input_required_result_prompt' })),
    text: await call('test_simple_text'),
    mixed: await call('test_multiple_content_types'),
    error: await call('test_error_handling'),
    unknownTool: await call('nowhere'),
    mirroredHeader: await call('test_x_mcp_header', { region: 'eu-west' }),
    withProgress: await outcomeOf(
      callTool({ name: 'test_tool_with_progress', arguments: {}, onprogress: (step) => progress.push(step) }),
    ),
    progress,
    elicitation: await call('test_elicitation', { message: 'Who are you?' }),
    sampling: await call('test_sampling', { prompt: 'hello' }),
    roots: await call('test_input_required_result_list_roots'),
    state: await call('test_input_required_result_request_state'),
    rounds: await call('test_input_required_result_multi_round'),
    answered: answered.toSorted(),
  };
  return blank(transcript);
}

async function transcribeLists(client: CommonClient): Promise<Transcript> {
  return {
    server: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions(),
    tools: await client.listTools(),
    resources: await client.listResources(),
    templates: await client.listResourceTemplates(),
    prompts: await client.listPrompts(),
  };
}

/** A result, or code and message of the error: both are what a client sees. */
async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { error: { code, message } };
  }
}

function blank(transcript: Transcript): Transcript {
  const text = JSON.stringify(transcript).replaceAll(UUID, '<id>').replaceAll(CLOCK, '<time>');
  return JSON.parse(text) as Transcript;
}
