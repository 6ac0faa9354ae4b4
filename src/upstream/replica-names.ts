/**
 * What a replica gives to be brought back to it, with the replica's key in front: states of questions and ids of tasks.
 *
 * A state may be missing; then the key alone stands for it. Pure. Source: MCP 2026-07-28 basic/patterns/mrtr and the
 * tasks extension.
 */
import type { JsonObject, McpOutcome, McpRequest } from '../mcp/waist.ts';

export interface Named {
  readonly key: string;
  /** As the replica gave it; undefined when it gave none. */
  readonly own: string | undefined;
}

export function readName(text: string): Named {
  const [, key = '', colon, own = ''] = /^([\w-]*)(:?)(.*)$/s.exec(text) ?? [];
  return { key, own: colon === '' ? undefined : own };
}

/** The outcome of a request of this method as clients see it. */
export function nameOutcome(outcome: McpOutcome, method: string, key: string): McpOutcome {
  switch (outcome.kind) {
    case 'input_required': {
      const { requestState } = outcome;
      return { ...outcome, requestState: requestState === undefined ? key : `${key}:${requestState}` };
    }
    case 'task':
      return { ...outcome, task: nameTask(outcome.task, key) };
    case 'complete':
      return method.startsWith('tasks/') ? { ...outcome, result: nameTask(outcome.result, key) } : outcome;
    case 'error':
      return outcome;
  }
}

/** A task, or an acknowledgement that names none. */
export function nameTask(task: JsonObject, key: string): JsonObject {
  const { taskId } = task;
  return typeof taskId === 'string' ? { ...task, taskId: `${key}:${taskId}` } : task;
}

/** Whom a request goes back to, and how that knows it; undefined when any replica may have it. */
export function readReturn(request: McpRequest): { readonly key: string; readonly request: McpRequest } | undefined {
  const { requestState, ...params } = request.params;
  if (typeof requestState === 'string') {
    const { key, own } = readName(requestState);
    return { key, request: { ...request, params: own === undefined ? params : { ...params, requestState: own } } };
  }
  const { taskId } = params;
  if (!request.method.startsWith('tasks/') || typeof taskId !== 'string') return undefined;
  const { key, own = '' } = readName(taskId);
  return { key, request: { ...request, params: { ...params, taskId: own } } };
}
