/**
 * The tasks that a client listens to, at whichever servers they are, told with the client's form of their ids.
 *
 * Only tasks of the principal are listened to; ids that are not, and servers that do not tell, are left out of what
 * is agreed. A subscription that a server ends is made again after a growing pause, and then the state of each task
 * is asked for, because it may have changed meanwhile. A state that asks what the client did not declare is not told.
 * Source: MCP extension tasks 2026-07-28, Notifications.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../errors.ts';
import type { JsonObject, TaskListen } from '../mcp/waist.ts';
import { restartDelayMs } from '../upstream/backoff.ts';
import type { ServingMember } from './servers-of.ts';
import { showTask, type TaskRouting } from './task-call.ts';
import type { TaskPlace } from './task-ids.ts';

export interface TaskWatchRequest {
  /** In the client's form. */
  readonly taskIds: readonly string[];
  readonly clientCapabilities: JsonObject;
  onTask(task: JsonObject): void;
}

export interface TaskWatch {
  /** The ids that are listened to. */
  readonly agreed: readonly string[];
  stop(): void;
}

interface Watching extends TaskRouting {
  readonly request: TaskWatchRequest;
  readonly signal: AbortSignal;
}

/** The tasks at one server: its id of each, and the client's. */
type AtServer = ReadonlyMap<string, string>;

/** Resolves when every server has agreed or refused. */
export async function watchTasks(routing: TaskRouting, request: TaskWatchRequest): Promise<TaskWatch> {
  const stopping = new AbortController();
  const watching = { ...routing, request, signal: stopping.signal };
  const agreed = await Promise.all(
    [...placesOf(routing, request.taskIds)].map(([serverName, exposed]) => begin(watching, serverName, exposed)),
  );
  return { agreed: agreed.flat(), stop: () => stopping.abort() };
}

/** The client's ids by server. */
function placesOf({ ids }: TaskRouting, exposedIds: readonly string[]): Map<string, Map<string, string>> {
  // Bounded by LISTEN_RESOURCE_COUNT_MAX ids.
  const places = new Map<string, Map<string, string>>();
  for (const exposed of exposedIds) {
    const place = placeOf(ids, exposed);
    if (place === undefined) continue;
    // Bounded by LISTEN_RESOURCE_COUNT_MAX.
    const known = places.get(place.serverName) ?? new Map<string, string>();
    places.set(place.serverName, known.set(place.taskId, exposed));
  }
  return places;
}

function placeOf(ids: TaskRouting['ids'], exposed: string): TaskPlace | undefined {
  try {
    return ids.open(exposed);
  } catch (error) {
    if (error instanceof ProxyError) return undefined;
    throw error;
  }
}

async function begin(watching: Watching, serverName: string, exposed: AtServer): Promise<readonly string[]> {
  const listen = await open(watching, serverName, exposed);
  if (listen === undefined) return [];
  void follow(watching, { serverName, exposed, first: listen });
  return listen.agreed.flatMap((taskId) => exposed.get(taskId) ?? []);
}

/** Undefined when the server cannot be reached or tells about none of them. */
async function open(watching: Watching, serverName: string, exposed: AtServer): Promise<TaskListen | undefined> {
  const { request, signal } = watching;
  const { clientCapabilities } = request;
  const tell = (task: JsonObject): void => tellTask(watching, { serverName, exposed, task });
  try {
    const member = signal.aborted ? undefined : memberOf(watching.targetAt, serverName);
    const wanted = { taskIds: [...exposed.keys()], clientCapabilities };
    const listen = await member?.listenTasks(wanted, tell);
    if (listen === undefined || listen.agreed.length > 0) return listen;
    listen.stop();
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) return undefined;
    throw error;
  }
}

interface Told {
  readonly serverName: string;
  readonly exposed: AtServer;
  readonly task: JsonObject;
}

/** What cannot be shown is not told; the client learns why when it asks for the state. */
function tellTask({ targetAt, request, signal }: Watching, { serverName, exposed, task }: Told): void {
  const { clientCapabilities } = request;
  const exposedId = exposed.get(String(task['taskId']));
  if (exposedId === undefined || signal.aborted) return;
  try {
    const target = targetAt(serverName, {});
    const shown = target === undefined ? undefined : showTask(task, { exposedId, target, clientCapabilities });
    if (shown?.kind === 'complete') request.onTask(shown.result);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
  }
}

interface Following {
  readonly serverName: string;
  readonly exposed: AtServer;
  readonly first: TaskListen;
}

/** Until the client stops. */
async function follow(watching: Watching, { serverName, exposed, first }: Following): Promise<void> {
  const { signal } = watching;
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let listen: TaskListen | undefined = first;
  for (let breakCount = 0; !signal.aborted;) {
    // oxlint-disable no-await-in-loop -- one subscription after the other
    if (listen !== undefined) {
      await Promise.race([listen.ended, stopped]);
      listen.stop();
    }
    breakCount += 1;
    await delay(restartDelayMs(breakCount), undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    listen = await open(watching, serverName, exposed);
    if (listen !== undefined) await catchUp(watching, serverName, exposed);
    // oxlint-enable no-await-in-loop
  }
  listen?.stop();
}

async function catchUp(watching: Watching, serverName: string, exposed: AtServer): Promise<void> {
  const { targetAt, request } = watching;
  const common = { clientInfo: undefined, logLevel: undefined, wantsProgress: false, method: 'tasks/get' };
  const silent = { onProgress: () => undefined, onLog: () => undefined };
  for (const taskId of exposed.keys()) {
    const asked = { ...common, clientCapabilities: request.clientCapabilities, params: { taskId } };
    // oxlint-disable-next-line no-await-in-loop -- not all at once at a server that has just come back
    const outcome = await memberOf(targetAt, serverName)?.call(asked, silent).outcome;
    if (outcome?.kind === 'complete') tellTask(watching, { serverName, exposed, task: { ...outcome.result, taskId } });
  }
}

function memberOf(targetAt: TaskRouting['targetAt'], serverName: string): ServingMember | undefined {
  try {
    return targetAt(serverName, {})?.member;
  } catch (error) {
    if (error instanceof ProxyError) return undefined;
    throw error;
  }
}
