/**
 * Who wants to know what changes at a server, and telling them.
 *
 * Listeners are called in the order in which they came, in the same turn as the event. They are few (the gateway has
 * one per peer) and must not throw. Also names the change that a notification of a server stands for. Pure.
 */
import type { ChangeEvent, JsonObject } from '../mcp/waist.ts';

export interface PeerChanges {
  emit(event: ChangeEvent): void;
  /** Changes from now on, until the returned function is called. */
  onChange(listener: (event: ChangeEvent) => void): () => void;
}

export function createPeerChanges(): PeerChanges {
  // Bounded by configuration: the gateway has one listener per peer.
  const listeners = new Set<(event: ChangeEvent) => void>();
  return {
    emit(event) {
      for (const listener of listeners) listener(event);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The change that a notification tells; undefined when it tells something else. */
export function readChange(method: string, params: JsonObject): ChangeEvent | undefined {
  switch (method) {
    case 'notifications/tools/list_changed':
      return { kind: 'tools' };
    case 'notifications/prompts/list_changed':
      return { kind: 'prompts' };
    case 'notifications/resources/list_changed':
      return { kind: 'resources' };
    case 'notifications/resources/updated': {
      const { uri } = params;
      return typeof uri === 'string' ? { kind: 'resource', uri } : undefined;
    }
    default:
      return undefined;
  }
}
