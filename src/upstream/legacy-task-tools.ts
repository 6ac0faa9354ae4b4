/**
 * Which tools of a server of 2025-11-25 run only as tasks, as far as its lists have told.
 *
 * Every `tools/list` result passes through here. A tool that needs a task refuses a plain call in a way that cannot
 * be told from a failure of the tool, so before the first call the list is read if nobody has read it yet. Servers
 * that do not offer tasks for tools are never asked. Source: MCP 2025-11-25 basic/utilities/tasks, Tool-Level
 * Negotiation.
 */
import { CATALOG_READ_MS_MAX, MIRROR_PAGE_COUNT_MAX, MIRRORED_TOOL_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject, ServerCard } from '../mcp/waist.ts';
import { askWithin } from './conversation.ts';
import type { Conversation } from './conversation.ts';

export interface TaskTools {
  /** Remembers a page of tools. */
  read(result: JsonObject): void;
  /** Whether a call of the tool has to ask for a task. */
  needsTask(name: unknown, server: Pick<ServerCard, 'capabilities'>, conversation: Conversation): Promise<boolean>;
}

export function createTaskTools(): TaskTools {
  // Bounded by MIRRORED_TOOL_COUNT_MAX.
  const needing = new Set<unknown>();
  let learning: Promise<void> | undefined;
  let isKnown = false;

  function read({ tools }: JsonObject): void {
    isKnown = true;
    for (const tool of Array.isArray(tools) ? (tools as unknown[]) : []) {
      if (!isObject(tool)) continue;
      const { name, execution } = tool;
      const needs = isObject(execution) && execution['taskSupport'] === 'required';
      if (needs && needing.size < MIRRORED_TOOL_COUNT_MAX) needing.add(name);
      else needing.delete(name);
    }
  }

  async function learn(conversation: Conversation): Promise<void> {
    let params: JsonObject = {};
    for (let page = 1; page <= MIRROR_PAGE_COUNT_MAX; page += 1) {
      // oxlint-disable-next-line no-await-in-loop -- each page names the next
      const answer = await askWithin(conversation, { method: 'tools/list', params }, CATALOG_READ_MS_MAX);
      if (answer.kind !== 'result') return;
      read(answer.result);
      const { nextCursor } = answer.result;
      if (typeof nextCursor !== 'string') return;
      params = { cursor: nextCursor };
    }
  }

  return {
    read,
    async needsTask(name, { capabilities }, conversation) {
      if (!offersTasks(capabilities)) return false;
      if (learning === undefined && !isKnown) learning = learn(conversation);
      await learning;
      return needing.has(name);
    },
  };
}

function offersTasks({ tasks }: JsonObject): boolean {
  const requests = isObject(tasks) ? tasks['requests'] : undefined;
  const tools = isObject(requests) ? requests['tools'] : undefined;
  return isObject(tools) && tools['call'] !== undefined;
}
