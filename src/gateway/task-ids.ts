/**
 * Ids of tasks on their way through a client: which server a task is at, and whose it is, sealed into the id.
 *
 * Equal ids of two servers differ at the client, another principal's are not accepted, and nothing has to be kept: a
 * task goes on after a restart, and at another instance with the same key. An id is sealed anew whenever a server
 * makes a task; from then on the client's form of it is repeated, because a client compares. Source: MCP extension
 * tasks 2026-07-28, Security (task ids are bound to who made them).
 */
import type { Sealer } from '../auth/seal.ts';
import { ProxyError } from '../errors.ts';
import { TASK_ID_CHARS_MAX } from '../limits.ts';

export interface TaskPlace {
  readonly serverName: string;
  /** As the server knows it. */
  readonly taskId: string;
}

/** Of one principal. */
export interface TaskIds {
  /** @throws {ProxyError} UPSTREAM_PROTOCOL when the server's id is no id or longer than can be carried */
  seal(taskId: unknown, serverName: string): string;
  /** @throws {ProxyError} RPC_PARAMS when the id is not one of this principal's */
  open(exposed: unknown): TaskPlace;
}

export function createTaskIds(sealer: Sealer, principalId: string): TaskIds {
  const context = `task\0${principalId}`;
  return {
    seal(taskId, serverName) {
      if (typeof taskId !== 'string' || taskId.length > TASK_ID_CHARS_MAX) {
        const text = `server ${serverName} made a task with an id that is no text of at most ${TASK_ID_CHARS_MAX} characters`;
        throw new ProxyError('UPSTREAM_PROTOCOL', text);
      }
      return sealer.seal(JSON.stringify([serverName, taskId]), context);
    },
    open(exposed) {
      const text = typeof exposed === 'string' ? sealer.open(exposed, context) : undefined;
      if (text === undefined) throw unknownTask();
      const [serverName, taskId] = JSON.parse(text) as [string, string];
      return { serverName, taskId };
    },
  };
}

export function unknownTask(): ProxyError {
  return new ProxyError('RPC_PARAMS', 'there is no such task for this user');
}
