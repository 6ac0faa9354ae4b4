/**
 * The questions of an `input_required`, put to a client that knows them only as requests of its server.
 *
 * All are asked at once. A refused or unanswered elicitation is `cancel` and missing roots are none; for sampling no
 * answer says "no", so the whole request ends there, for a tool as a result that a model can read. What the client's
 * revision has no form for is rewritten: `mode`, `elicitationId`, content lists, fields of forms. Source: MCP 2025-11-25 client/*;
 * 2026-07-28 basic/patterns/mrtr.
 */
import { randomUUID } from 'node:crypto';
import { isObject } from '../mcp/jsonrpc.ts';
import { mayAsk } from '../mcp/questions.ts';
import type { LegacyRevision } from '../mcp/protocol.ts';
import type { InputRequest, JsonObject, McpOutcome } from '../mcp/waist.ts';
import type { Questions, QuestionAnswer, Tell } from './downstream-questions.ts';
import { legacyContent, toolFailure, unservable } from './downstream-result.ts';
import { legacyForm } from './legacy-form.ts';
import type { SessionClaims } from './session.ts';

export interface Asking {
  readonly questions: Questions;
  readonly claims: SessionClaims;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

export type Answers =
  /** What the repeated request carries besides its own params. */
  | { readonly kind: 'answers'; readonly responses: { readonly inputResponses?: JsonObject } }
  /** The request cannot go on; this is why. */
  | { readonly kind: 'end'; readonly text: string };

export async function askClient(
  inputRequests: Readonly<Record<string, InputRequest>>,
  asking: Asking,
): Promise<Answers> {
  const entries = Object.entries(inputRequests);
  const undeclared = entries.find(([, request]) => !mayAsk(asking.claims.capabilities, request));
  if (undeclared !== undefined) return { kind: 'end', text: `This client does not offer ${undeclared[1].method}.` };
  const answers = await Promise.all(
    entries.map(async ([key, request]) => {
      const params = legacyQuestion(request, asking.claims.revision);
      // A form that the client has no way to show: nobody can agree to it.
      if (params === undefined) return [key, { action: 'decline' }] as const;
      const legacy = { ...request, params };
      const answer = await asking.questions.ask(legacy, asking.tell, asking.signal);
      return [key, answerOf(request, answer)] as const;
    }),
  );
  const refused = answers.find(([, answer]) => answer === undefined);
  if (refused !== undefined)
    return { kind: 'end', text: 'The client did not answer what the server asked (sampling).' };
  return { kind: 'answers', responses: { inputResponses: Object.fromEntries(answers) } };
}

/** How the request ends whose questions cannot be answered. */
export function endUnanswered(method: string, text: string): McpOutcome {
  return method === 'tools/call' ? { kind: 'complete', result: toolFailure(text) } : unservable(text);
}

function answerOf({ method }: InputRequest, answer: QuestionAnswer): JsonObject | undefined {
  if (answer.kind === 'result') {
    const { _meta, ...result } = answer.result;
    return result;
  }
  if (method === 'elicitation/create') return { action: 'cancel' };
  return method === 'roots/list' ? { roots: [] } : undefined;
}

function legacyQuestion({ method, params }: InputRequest, revision: LegacyRevision): JsonObject | undefined {
  if (method === 'elicitation/create') {
    if (params['mode'] === 'url') return { ...params, elicitationId: randomUUID() };
    if (revision >= '2025-11-25') return params;
    const { mode: _, ...form } = params;
    const requestedSchema = legacyForm(form['requestedSchema']);
    return requestedSchema === undefined && form['requestedSchema'] !== undefined
      ? undefined
      : { ...form, requestedSchema };
  }
  if (method !== 'sampling/createMessage' || revision >= '2025-11-25') return params;
  const { messages } = params;
  if (!Array.isArray(messages)) return params;
  return { ...params, messages: messages.flatMap((message: unknown) => splitMessage(message, revision)) };
}

/** Before 2025-11-25 a message has one content block. */
function splitMessage(message: unknown, revision: LegacyRevision): unknown[] {
  if (!isObject(message)) return [message];
  const { content } = message;
  const blocks: unknown[] = Array.isArray(content) ? content : [content];
  return blocks.map((block) => ({ ...message, content: legacyContent(block, revision) }));
}
