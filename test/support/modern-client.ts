/**
 * A client of 2026-07-28 for one user of a running mcproxy, whose every header and member a test can change.
 */
import assert from 'node:assert/strict';
import { eventsOf, modernBody, modernHeaders, type Json } from './downstream-clients.ts';
import { openStream, send, type Answer, type StreamedAnswer } from './http-client.ts';
import { tokenOf } from './users.ts';

export type Headers = Readonly<Record<string, string>>;
export type More = NonNullable<Parameters<typeof modernBody>[2]>;

export interface ModernClient {
  /** Sends just this, with the user's token. */
  post(body: unknown, headers: Headers): Promise<Answer>;
  /** A request as it should be. */
  ask(method: string, params?: Json, more?: More): Promise<Answer>;
  /** The same, as soon as the head of the answer is there. */
  open(method: string, params?: Json, more?: More): Promise<StreamedAnswer>;
  /** The result of a request that succeeds. */
  resultOf(method: string, params?: Json, more?: More): Promise<Json>;
  toolNames(): Promise<string[]>;
}

export function modernClient(url: string, user: string): ModernClient {
  const authorized = { authorization: `Bearer ${tokenOf(user)}` };
  const post: ModernClient['post'] = (body, headers) => send(url, { headers: { ...authorized, ...headers }, body });
  const ask: ModernClient['ask'] = (method, params = {}, more = {}) =>
    post(modernBody(method, params, more), headersFor(method, params));
  const resultOf: ModernClient['resultOf'] = async (method, params, more) => {
    const message = messageOf(await ask(method, params, more));
    assert.ok(message['result'] !== undefined, JSON.stringify(message));
    return message['result'] as Json;
  };
  return {
    post,
    ask,
    resultOf,
    open: (method, params = {}, more = {}) =>
      openStream(url, {
        headers: { ...authorized, ...headersFor(method, params) },
        body: modernBody(method, params, more),
      }),
    toolNames: async () => ((await resultOf('tools/list'))['tools'] as Json[]).map(({ name }) => name as string),
  };
}

/** The last message of an answer, whichever form it has. */
export function messageOf(answer: Answer): Json {
  const isStream = answer.header('content-type')?.startsWith('text/event-stream') === true;
  const found = isStream ? eventsOf(answer.text()).at(-1) : (answer.json() as Json);
  assert.ok(found !== undefined, answer.text());
  return found;
}

function headersFor(method: string, params: Json): Record<string, string> {
  return modernHeaders(method, (params['name'] ?? params['uri'] ?? params['taskId']) as string | undefined);
}
