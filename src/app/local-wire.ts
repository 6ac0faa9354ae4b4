/**
 * A request of `local-requests` over the admin socket: one JSON question, then lines of JSON until the answer.
 *
 *   {"progress":{…}}   as often as the server tells; dropped for a reader that is too slow
 *   {"answer":{…}}     the last line
 *
 * So an answer may take as long and be as large as the server's, and closing the connection cancels it. Both ends
 * stand here, because they must agree. Source of the form: NDJSON.
 */
import { request, type ServerResponse } from 'node:http';

import { LOCAL_LINE_BYTES_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { McpEvents } from '../mcp/waist.ts';
import { createLineFramer } from '../text/lines.ts';
import type { LocalAnswer, LocalCall, LocalQuestion } from './local-requests.ts';

export const ASK_TARGET = '/ask';

/** The question that a body holds; undefined when it is none. */
export function readQuestion(body: string): LocalQuestion | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { user, server, method, params, clientCapabilities, waitMs } = value;
  if (typeof method !== 'string' || !isObject(params) || typeof waitMs !== 'number') return undefined;
  return {
    user: typeof user === 'string' ? user : undefined,
    server: typeof server === 'string' ? server : undefined,
    method,
    params,
    clientCapabilities: isObject(clientCapabilities) ? clientCapabilities : {},
    waitMs,
  };
}

/** Answers a question that was read. */
export function answerQuestion(
  question: LocalQuestion,
  response: ServerResponse,
  ask: (question: LocalQuestion, events: McpEvents) => LocalCall,
): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' });
  response.flushHeaders();
  const call = ask(question, {
    onProgress(params) {
      if (!response.destroyed && !response.writableNeedDrain)
        response.write(`${JSON.stringify({ progress: params })}\n`);
    },
    onLog: () => undefined,
  });
  let isAnswered = false;
  response.on('close', () => {
    if (!isAnswered) call.cancel('the command was ended');
  });
  void call.answer.then((answer) => {
    isAnswered = true;
    response.end(`${JSON.stringify({ answer })}\n`);
  });
}

/** Asks the service at `path`. The answer rejects when there is none. */
export function askOverSocket(
  path: string,
  question: LocalQuestion,
  events: McpEvents,
): { readonly answer: Promise<LocalAnswer>; cancel(reason: string): void } {
  const sent = request({
    socketPath: path,
    method: 'POST',
    path: ASK_TARGET,
    agent: false,
    headers: { host: 'localhost', 'content-type': 'application/json' },
  });
  const answer = new Promise<LocalAnswer>((resolve, reject) => {
    const broken = (why: string): void => reject(new Error(`the service at ${path} ${why}`));
    sent.on('error', (error) => broken(`broke off: ${error.message}`));
    sent.on('response', (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return broken(`cannot be asked (HTTP ${response.statusCode ?? 0}); is it an older mcproxy? Restart it`);
      }
      const framer = createLineFramer({
        lineBytesMax: LOCAL_LINE_BYTES_MAX,
        onLine(line) {
          const message = JSON.parse(line) as { answer?: LocalAnswer; progress?: Record<string, unknown> };
          if (message.progress !== undefined) events.onProgress(message.progress);
          if (message.answer !== undefined) resolve(message.answer);
        },
      });
      response.on('data', (chunk: Buffer) => {
        try {
          framer.feed(chunk);
        } catch (error) {
          broken(`gave an answer that cannot be read: ${(error as Error).message}`);
          sent.destroy();
        }
      });
      response.on('error', (error) => broken(`broke off its answer: ${error.message}`));
      response.on('end', () => broken('ended without an answer'));
    });
    sent.end(JSON.stringify(question));
  });
  return { answer, cancel: () => sent.destroy() };
}
