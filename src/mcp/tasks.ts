/**
 * Words of the tasks extension of 2026-07-28: who declares it, and what its requests are.
 *
 * A result that is a task goes only to a request that declared the extension, and only such a request may speak of
 * tasks; another one is told what it would have to declare. Pure. Source: MCP extension io.modelcontextprotocol/tasks
 * 2026-07-28 (SEP-2663).
 */
import { isObject } from './jsonrpc.ts';
import { TASKS_EXTENSION } from './protocol.ts';
import type { JsonObject } from './waist.ts';

export const TASK_METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);

/** What a request that speaks of tasks has to declare, in the form of `requiredCapabilities`. */
export const TASKS_CAPABILITY: JsonObject = { extensions: { [TASKS_EXTENSION]: {} } };

/** Whether these capabilities, of a client or a server, have the extension. */
export function declaresTasks({ extensions }: JsonObject): boolean {
  return isObject(extensions) && isObject(extensions[TASKS_EXTENSION]);
}

export function withTasks(capabilities: JsonObject): JsonObject {
  const { extensions } = capabilities;
  return { ...capabilities, extensions: { ...(isObject(extensions) ? extensions : {}), [TASKS_EXTENSION]: {} } };
}

/** The same without the extension; without `extensions` when nothing else is in it. */
export function withoutTasks(capabilities: JsonObject): JsonObject {
  const { extensions, ...rest } = capabilities;
  if (!isObject(extensions)) return capabilities;
  const { [TASKS_EXTENSION]: _, ...others } = extensions;
  return Object.keys(others).length === 0 ? rest : { ...rest, extensions: others };
}
