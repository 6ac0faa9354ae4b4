/**
 * Real MCP servers over stdio for the tests of the upstream peers, and a client's side of the narrow waist.
 */
import { fileURLToPath } from 'node:url';

import type { Clock, StdioServerConfig } from '../../src/model.ts';
import type { JsonObject, LogLevel, McpCall, McpOutcome, McpPeer, McpRequest } from '../../src/mcp/waist.ts';
import { stdioServer } from './stdio-server.ts';
import { within } from './wait.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EVERYTHING = `${ROOT}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;

/** `@modelcontextprotocol/server-everything`, a legacy server with every feature. */
export function everythingServer(changes: Partial<StdioServerConfig> = {}): StdioServerConfig {
  return stdioServer('', { name: 'everything', args: [EVERYTHING, 'stdio'], startMs: 20_000, ...changes });
}

/** The dual-era fixture of the conformance suite. */
export function fixtureServer(changes: Partial<StdioServerConfig> = {}): StdioServerConfig {
  const args = ['--import', 'tsx', `${ROOT}test/peers/conformance-fixture.ts`, 'stdio'];
  return stdioServer('', { name: 'fixture', args, cwd: ROOT, startMs: 20_000, ...changes });
}

/** The system's time, and chance that is none. */
export const CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => 0.5,
};

/** What a client that can do everything declares. */
export const ALL_CAPABILITIES: JsonObject = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

export interface Told {
  readonly call: McpCall;
  readonly outcome: Promise<McpOutcome>;
  readonly progress: JsonObject[];
  readonly logs: JsonObject[];
}

export interface AskOptions {
  readonly capabilities?: JsonObject;
  readonly logLevel?: LogLevel;
  readonly wantsProgress?: boolean;
}

/** Makes a request as a client of a peer would. */
// oxlint-disable-next-line max-params -- the first three are what every request has
export function ask(peer: McpPeer, method: string, params: JsonObject = {}, options: AskOptions = {}): Told {
  const progress: JsonObject[] = [];
  const logs: JsonObject[] = [];
  const request: McpRequest = {
    method,
    params,
    clientCapabilities: options.capabilities ?? {},
    clientInfo: { name: 'test', version: '1' },
    logLevel: options.logLevel,
    wantsProgress: options.wantsProgress ?? false,
  };
  const call = peer.call(request, {
    onProgress: (told) => progress.push(told),
    onLog: (told) => logs.push(told),
  });
  return { call, outcome: within(call.outcome, { deadlineMs: 20_000, what: method }), progress, logs };
}

/** The result of a request that succeeds. @throws {Error} with the outcome when it does not */
export async function resultOf(told: Told): Promise<JsonObject> {
  const outcome = await told.outcome;
  if (outcome.kind !== 'complete') throw new Error(`not complete: ${JSON.stringify(outcome)}`);
  return outcome.result;
}

export type Question = Extract<McpOutcome, { kind: 'input_required' }>;

/** The question that a request ends in. @throws {Error} with the outcome when it is none */
export async function questionOf(told: Told): Promise<Question> {
  const outcome = await told.outcome;
  if (outcome.kind !== 'input_required') throw new Error(`no question: ${JSON.stringify(outcome)}`);
  return outcome;
}

/** The parameters of the retry that answers each question with what `answer` gives. */
export function answering(params: JsonObject, question: Question, answer: (method: string) => JsonObject): JsonObject {
  const pairs = Object.entries(question.inputRequests).map(([key, { method }]) => [key, answer(method)] as const);
  const { requestState } = question;
  return {
    ...params,
    inputResponses: Object.fromEntries(pairs),
    ...(requestState === undefined ? {} : { requestState }),
  };
}
