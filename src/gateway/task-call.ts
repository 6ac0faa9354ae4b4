/**
 * What is said about tasks through a view: `tasks/get`, `tasks/update`, `tasks/cancel`, and every task that is shown.
 *
 * The id says which server is asked; one that is foreign or broken is -32602 and no server hears of it. A task is
 * shown with the client's form of its id, its questions as questions are (named, and only such as the client
 * declared), and its result as that of a call. Source: MCP extension tasks 2026-07-28; basic/patterns/mrtr.
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import { missingCapabilities, readQuestions } from '../mcp/questions.ts';
import { declaresTasks, TASKS_CAPABILITY } from '../mcp/tasks.ts';
import type { JsonObject, McpOutcome, McpRequest } from '../mcp/waist.ts';
import { presentQuestions } from './questions.ts';
import { unknownTask, type TaskIds } from './task-ids.ts';
import type { Found, Target } from './target.ts';

export interface TaskRouting {
  readonly ids: TaskIds;
  /** Where the result of a call of that server is shown; undefined when the server is not of the view. */
  readonly targetAt: (serverName: string, params: JsonObject) => Target | undefined;
}

/** @throws {ProxyError} RPC_PARAMS for an id that is not the principal's, or of a server that is no longer */
export function findTask({ clientCapabilities, params }: McpRequest, { ids, targetAt }: TaskRouting): Found {
  if (!declaresTasks(clientCapabilities)) {
    return { kind: 'outcome', outcome: missingCapability('Tasks', TASKS_CAPABILITY) };
  }
  const { serverName, taskId } = ids.open(params['taskId']);
  const target = targetAt(serverName, { ...params, taskId });
  if (target === undefined) throw unknownTask();
  return { kind: 'target', ...target };
}

export interface Shown {
  /** The id in the client's form. */
  readonly exposedId: string;
  readonly target: Target;
  readonly clientCapabilities: JsonObject;
}

/** The task, or an error when it asks what the client did not declare. @throws {ProxyError} UPSTREAM_PROTOCOL */
export function showTask(task: JsonObject, { exposedId, target, clientCapabilities }: Shown): McpOutcome {
  const { inputRequests, result, error } = task;
  const { name } = target.member.server;
  const questions = inputRequests === undefined ? {} : readQuestions(inputRequests);
  if (questions === undefined) {
    const text = `server ${name} asked for a task in a form that is not of the protocol`;
    throw new ProxyError('UPSTREAM_PROTOCOL', text);
  }
  const missing = missingCapabilities(questions, clientCapabilities);
  if (missing !== undefined) return missingCapability(`server ${name}`, missing);
  return {
    kind: 'complete',
    result: {
      ...task,
      ...(task['taskId'] === undefined ? {} : { taskId: exposedId }),
      ...(inputRequests === undefined ? {} : { inputRequests: presentQuestions(questions, target.asker) }),
      ...(isObject(result) ? { result: target.show(result) } : {}),
      ...(isObject(error) ? { error: { ...error, data: target.showError(error['data']) } } : {}),
    },
  };
}

export function missingCapability(who: string, requiredCapabilities: JsonObject): McpOutcome {
  const names = Object.keys(requiredCapabilities).join(', ');
  return {
    kind: 'error',
    code: RPC_ERROR.missingCapability,
    message: `${who} needs something that this client does not offer: ${names}`,
    data: { requiredCapabilities },
  };
}
