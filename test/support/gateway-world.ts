/**
 * A gateway with scripted servers for one test, and short ways to ask it.
 *
 * The clock stands still until the test moves it; what the gateway reports as its own bug fails the test.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { makeSealer } from '../../src/auth/seal.ts';
import { LISTS, type ListKind } from '../../src/gateway/catalog-read.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway, GatewayView } from '../../src/gateway/view.ts';
import type { JsonObject, McpOutcome } from '../../src/mcp/waist.ts';
import type { RateLimiter } from '../../src/http/rate-limit.ts';
import type { Clock, Config } from '../../src/model.ts';
import { request, scriptedPeer, standingClock, stdioServer, type Offer, type ScriptedPeer } from './scripted-peer.ts';

export interface World {
  readonly gateway: Gateway;
  /** Every peer that was opened, in order. */
  readonly peers: ScriptedPeer[];
  /** What the gateway wrote to the diagnostic log. */
  readonly diags: readonly { readonly message: string; readonly data: unknown }[];
  readonly clock: ReturnType<typeof standingClock>;
  /** @param principalId alice unless told */
  view(principalId?: string, serverName?: string): GatewayView;
  /** The open peer of a server, shared unless a principal is given. */
  peer(name: string, principalId?: string): ScriptedPeer;
  reload(config: Config): Promise<void>;
}

export const SILENT = { onProgress(): void {}, onLog(): void {} };
export const TWO = [stdioServer('files'), stdioServer('mail')] as const;

export function tools(...names: string[]): JsonObject[] {
  return names.map((name) => ({ name, inputSchema: { type: 'object' } }));
}

/** @param offers what each server has, by its name; nothing is limited without `makeLimiter` */
export function startWorld(
  t: TestContext,
  config: Config & { readonly makeLimiter?: (clock: Clock) => RateLimiter },
  offers: Readonly<Record<string, Offer>> = {},
): World {
  const peers: ScriptedPeer[] = [];
  const bugs: unknown[] = [];
  const diags: { message: string; data: unknown }[] = [];
  const clock = standingClock();
  let current = config;
  const gateway = createGateway({
    config,
    clock,
    sealer: makeSealer(Buffer.alloc(32, 7)),
    ...(config.makeLimiter === undefined ? {} : { limiter: config.makeLimiter(clock) }),
    onDiag(_level, message, data) {
      diags.push({ message, data });
      if (/bug|not closed/.test(message)) bugs.push([message, data]);
    },
    openPeer(server, { principalId }) {
      const peer = scriptedPeer(server.name, offers[server.name] ?? {}, principalId);
      peers.push(peer);
      return peer;
    },
  });
  t.after(async () => {
    await gateway.close();
    assert.deepEqual(bugs, []);
  });
  return {
    gateway,
    peers,
    diags,
    clock,
    view(principalId = 'alice', serverName) {
      const principal = current.principals.find(({ id }) => id === principalId);
      assert.ok(principal, `no user ${principalId}`);
      return gateway.view(principal, serverName);
    },
    peer(name, principalId) {
      const found = peers.findLast((each) => each.name === name && !each.closed && each.principalId === principalId);
      assert.ok(found, `no open peer ${name} of ${principalId ?? 'all'}`);
      return found;
    },
    async reload(next) {
      current = next;
      await gateway.reload(next);
    },
  };
}

export async function ask(view: GatewayView, method: string, params: JsonObject = {}): Promise<McpOutcome> {
  return view.call(request(method, params), SILENT).outcome;
}

export async function result(view: GatewayView, method: string, params: JsonObject = {}): Promise<JsonObject> {
  const outcome = await ask(view, method, params);
  assert.ok(outcome.kind === 'complete', JSON.stringify(outcome));
  return outcome.result;
}

export type Failure = Extract<McpOutcome, { kind: 'error' }>;

export async function errorOf(view: GatewayView, method: string, params: JsonObject = {}): Promise<Failure> {
  const outcome = await ask(view, method, params);
  assert.ok(outcome.kind === 'error', JSON.stringify(outcome));
  return outcome;
}

/** What identifies the items of a list, in order. */
export async function namesOf(view: GatewayView, kind: ListKind = 'tools'): Promise<unknown[]> {
  const { method, member, key } = LISTS[kind];
  const items = (await result(view, method))[member];
  assert.ok(Array.isArray(items));
  return items.map((item: JsonObject) => item[key]);
}

/** Lets everything that waits only for promises go on, also where timers stand still. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await new Promise((resolve) => setImmediate(resolve));
  }
}
