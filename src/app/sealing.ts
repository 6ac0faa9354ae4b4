/**
 * The sealer that a running mcproxy uses, over changes of its key.
 *
 * `cluster.key` of the configuration stands in for the key in the state directory. After a change what clients carry
 * already still opens here, until the process ends; other instances open it only while they have its key. So a change
 * ends no session that stays at its instance, and costs the others an `initialize` (design: sessions are sealed).
 */
import { makeSealer, type Sealer } from '../auth/seal.ts';
import type { Config } from '../model.ts';

export interface Sealing extends Sealer {
  /** Seals with the key of this configuration from now on. */
  apply(config: Config): void;
}

/** @param stateKey what is used while the configuration has no key */
export function openSealing(stateKey: Uint8Array, config: Config): Sealing {
  let key = keyOf(stateKey, config);
  let current = makeSealer(key);
  let earlier: Sealer | undefined;
  return {
    seal: (text, context) => current.seal(text, context),
    open: (handle, context) => current.open(handle, context) ?? earlier?.open(handle, context),
    apply(next) {
      const changed = keyOf(stateKey, next);
      if (Buffer.compare(key, changed) === 0) return;
      earlier = current;
      key = changed;
      current = makeSealer(key);
    },
  };
}

function keyOf(stateKey: Uint8Array, { clusterKey }: Config): Uint8Array {
  return clusterKey === undefined ? stateKey : Buffer.from(clusterKey.reveal(), 'utf8');
}
