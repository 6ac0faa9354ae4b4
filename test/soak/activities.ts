/**
 * What clients do to mcproxy in one round of the soak test, good manners and bad ones.
 *
 * Each ends by itself, with everything of its own closed at this end. An answer may be any that the situation allows
 * (a server may be down, a configuration may change), but there has to be one.
 */
import { BOTH, modernBody, modernHeaders, request } from '../support/downstream-clients.ts';
import { openStream, send, type Answer } from '../support/http-client.ts';
import { headersOf, openSession } from '../support/message-app.ts';
import { tokenOf } from '../support/users.ts';
import { USERS, type World } from './world.ts';

/** @param round counted from 0, so that activities can alternate */
export type Activity = (world: World, round: number) => Promise<void>;

export const ACTIVITIES: Readonly<Record<string, Activity>> = {
  dropSessions: async ({ url }) => {
    await each(10, async (at) => {
      const session = await openSession(url, userOf(at));
      await session.ask('tools/list');
    });
  },
  endSessions: async ({ url }) => {
    await each(5, async (at) => {
      const { sessionId } = await openSession(url, userOf(at));
      await send(`${url}/mcp`, {
        method: 'DELETE',
        headers: { ...headersOf(userOf(at)), 'mcp-session-id': sessionId },
      });
    });
  },
  cutStreams: async ({ url }) => {
    await each(5, async (at) => {
      const { sessionId } = await openSession(url, userOf(at));
      await cut(`${url}/mcp`, { ...headersOf(userOf(at)), accept: 'text/event-stream', 'mcp-session-id': sessionId });
    });
  },
  cutLegacyStreams: async ({ url }) => {
    await each(3, (at) => cut(`${url}/sse`, { ...headersOf(userOf(at)), accept: 'text/event-stream' }));
    await cut(`${url}/remote/sse`, { ...headersOf('alice'), accept: 'text/event-stream' });
  },
  listen: async ({ url }) => {
    const body = modernBody('subscriptions/listen', { notifications: { toolsListChanged: true } });
    await each(3, async (at) => {
      const headers = { ...modernHeaders('subscriptions/listen'), authorization: `Bearer ${tokenOf(userOf(at))}` };
      const stream = await openStream(`${url}/mcp`, { method: 'POST', headers, body });
      await firstBytes(stream.chunks);
      stream.close();
    });
  },
  call: async ({ url }) => {
    const session = await openSession(url, 'alice');
    const work = { text: 'x', delayMs: 5 };
    await each(20, async (at) => {
      const params = { name: 'good__work', arguments: work, ...(at % 2 === 0 ? { _meta: { progressToken: at } } : {}) };
      await session.ask('tools/call', params);
      await session.ask('tools/call', { name: 'remote__echo', arguments: { message: 'x' } });
    });
    await each(10, (at) => modernCall(url, userOf(at), { name: 'good__work', arguments: work }));
    await session.ask('tools/call', { name: 'good__nothing', arguments: {} });
  },
  cancel: async ({ url }) => {
    const session = await openSession(url, 'alice');
    await each(5, async (at) => {
      const params = { name: 'good__work', arguments: { text: 'late', delayMs: 200 } };
      const asked = session.ask('tools/call', params, `cancel-${at}`);
      await session.tell('notifications/cancelled', { requestId: `cancel-${at}` });
      await asked;
    });
    await each(5, async (at) => {
      const late = { name: 'good__work', arguments: { text: 'late', delayMs: 200 } };
      const headers = { ...modernHeaders('tools/call', late.name), authorization: `Bearer ${tokenOf(userOf(at))}` };
      await abortedRequest(`${url}/mcp`, headers, modernBody('tools/call', late));
    });
  },
  // Asked in the modern era, where the question is the answer. One that is never taken up again is kept for minutes by
  // design, so that is done at the beginning alone, before anything is compared.
  park: async ({ url }, round) => {
    const meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };
    const call = { name: 'asks__trigger-elicitation-request', arguments: {}, meta };
    const { result } = (await modernCall(url, 'alice', call)).json() as Asked;
    if (round === 0 || result?.inputRequests === undefined) return;
    const declined = Object.keys(result.inputRequests).map((key) => [key, { action: 'decline' }]);
    const inputResponses = Object.fromEntries(declined) as unknown;
    await modernCall(url, 'alice', { ...call, inputResponses, requestState: result.requestState });
  },
  crash: async ({ url }, round) => {
    if (round % 5 !== 0) return;
    const session = await openSession(url, 'bob');
    await session.ask('tools/call', { name: 'crashes__crash', arguments: {} });
  },
  relay: async ({ url }) => {
    const { sessionId } = await openSession(url, 'alice', { path: '/remote/mcp' });
    const headers = { ...headersOf('alice'), 'mcp-session-id': sessionId };
    await send(`${url}/remote/mcp`, { headers, body: request(1, 'tools/list', {}) });
    await cut(`${url}/remote/mcp`, { ...headers, accept: 'text/event-stream' });
    await send(`${url}/remote/mcp`, { method: 'DELETE', headers });
  },
  refuse: async ({ url }) => {
    await send(`${url}/mcp`, { headers: { accept: BOTH }, body: request(1, 'tools/list', {}) });
    await send(`${url}/mcp`, { headers: headersOf('alice'), body: '{' });
    await send(`${url}/nowhere/mcp`, { headers: headersOf('alice'), body: request(1, 'tools/list', {}) });
  },
  reload: async (world, round) => world.save(round % 2 === 0),
};

function userOf(at: number): string {
  return USERS[at % USERS.length] ?? 'alice';
}

async function each(count: number, run: (at: number) => Promise<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => run(at)));
}

interface ModernCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
  readonly meta?: Record<string, unknown>;
  readonly inputResponses?: unknown;
  readonly requestState?: unknown;
}

/** What an answer is when the server asked something. */
interface Asked {
  readonly result?: { readonly inputRequests?: object; readonly requestState?: string };
}

function modernCall(url: string, user: string, { meta = {}, ...params }: ModernCall): Promise<Answer> {
  const headers = { ...modernHeaders('tools/call', params.name), authorization: `Bearer ${tokenOf(user)}` };
  return send(`${url}/mcp`, { headers, body: modernBody('tools/call', params, { meta }) });
}

/** Opens a stream and leaves as soon as its head is there. */
async function cut(url: string, headers: Record<string, string>): Promise<void> {
  const stream = await openStream(url, { headers });
  stream.close();
}

async function abortedRequest(url: string, headers: Record<string, string>, body: unknown): Promise<void> {
  const controller = new AbortController();
  const asked = send(url, { headers, body, signal: controller.signal }).catch(() => undefined);
  // In the next turn of the loop the request is on its way.
  setImmediate(() => controller.abort());
  await asked;
}

async function firstBytes(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) if (chunk.length > 0) return;
}
