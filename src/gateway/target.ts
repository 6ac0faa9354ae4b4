/**
 * Where a request through a view goes, found before it is made: a server and the words that it knows, or an answer.
 *
 * Types only. Who finds it is each kind of view (`merged-view`, `single-view`, `task-call`); who makes the call and
 * shows what comes back is `view-call`.
 */
import type { JsonObject, McpOutcome } from '../mcp/waist.ts';
import type { ServingMember } from './servers-of.ts';

/** Where a request goes, and how what comes back is shown. */
export interface Target {
  readonly member: ServingMember;
  /** As the server knows them. */
  readonly params: JsonObject;
  /** The server to name to the client; undefined in a view of one server. */
  readonly asker: string | undefined;
  show(result: JsonObject): JsonObject;
  showError(data: unknown): unknown;
}

/** A request that the view answers itself, or one that goes to a server. */
export type Found =
  | { readonly kind: 'answer'; readonly result: JsonObject }
  | { readonly kind: 'outcome'; readonly outcome: McpOutcome }
  | ({ readonly kind: 'target' } & Target);
