/**
 * Requests to a client of an older revision, and the answers that it sends back by themselves.
 *
 * Each gets an id that no session used before, since a client may not see one twice. A wait ends with the answer,
 * with a deadline, when the request it belongs to is given up, or when the session closes; in the middle two cases
 * the client is told that nobody waits any more. Source: JSON-RPC 2.0 §4; MCP 2025-11-25 basic/utilities/cancellation.
 */
import { randomBytes } from 'node:crypto';
import { QUESTION_MS_MAX, SESSION_QUESTION_COUNT_MAX } from '../limits.ts';
import type { JsonRpcResponse, RpcErrorBody, RpcId } from '../mcp/jsonrpc.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';

export type QuestionAnswer =
  | { readonly kind: 'result'; readonly result: JsonObject }
  | { readonly kind: 'error'; readonly error: RpcErrorBody }
  /** Nobody can be asked, or nobody answered. */
  | { readonly kind: 'none' };

/** Sends a message on the stream that the request belongs to; false when it cannot reach the client. */
export type Tell = (message: unknown) => boolean;

export interface Questions {
  ask(request: InputRequest, tell: Tell, signal: AbortSignal): Promise<QuestionAnswer>;
  /** Whether the response answers a question that is open. */
  receive(response: JsonRpcResponse): boolean;
  close(): void;
}

export function createQuestions(): Questions {
  const prefix = `mcproxy-${randomBytes(8).toString('base64url')}`;
  // Bounded by SESSION_QUESTION_COUNT_MAX.
  const open = new Map<RpcId, (answer: QuestionAnswer) => void>();
  let askedCount = 0;

  return {
    ask({ method, params }, tell, signal) {
      if (signal.aborted || open.size >= SESSION_QUESTION_COUNT_MAX) return Promise.resolve({ kind: 'none' });
      askedCount += 1;
      const id = `${prefix}-${askedCount}`;
      if (!tell({ jsonrpc: '2.0', id, method, params })) return Promise.resolve({ kind: 'none' });
      return new Promise((resolve) => {
        const giveUp = (): void => {
          tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
          settle({ kind: 'none' });
        };
        const late = setTimeout(giveUp, QUESTION_MS_MAX);
        const settle = (answer: QuestionAnswer): void => {
          clearTimeout(late);
          signal.removeEventListener('abort', giveUp);
          open.delete(id);
          resolve(answer);
        };
        open.set(id, settle);
        signal.addEventListener('abort', giveUp);
      });
    },
    receive(response) {
      const settle = response.id === undefined || response.id === null ? undefined : open.get(response.id);
      if (settle === undefined) return false;
      settle(
        'result' in response ? { kind: 'result', result: response.result } : { kind: 'error', error: response.error },
      );
      return true;
    },
    close() {
      for (const settle of open.values()) settle({ kind: 'none' });
    },
  };
}
