/**
 * Whether the tools of one server are held to mcproxy.lock, from what the server, its base and the settings say.
 *
 * What is passed on byte for byte cannot be withheld: a passthrough server is held to nothing, which is a problem where it
 * was asked for by name. What is in the file is `lock-file.ts`. Pure.
 */
import type { LockMode } from '../model.ts';
import type { Found } from './decode.ts';
import { showName } from './problems.ts';
import type { Reading } from './reading.ts';

/** What a draft says, and what it stands on. */
interface Draft {
  readonly name: string;
  readonly reading: Reading;
  readonly fields: { readonly lock?: Found<LockMode> };
}

interface Ground {
  readonly base: { readonly lock: LockMode } | undefined;
  readonly defaults: { readonly lock?: LockMode };
}

export function resolveLock({ name, reading, fields }: Draft, ground: Ground, isPassthrough: boolean): LockMode {
  const mode = fields.lock?.value ?? ground.base?.lock ?? ground.defaults.lock ?? 'off';
  if (!isPassthrough || mode === 'off') return mode;
  const text = `the tools of ${showName(name)} cannot be locked: with passthrough they are passed on byte for byte`;
  const fix = 'give it a credential in place of passthrough, or write "lock: off" for it';
  if (fields.lock === undefined) reading.problems.warning(undefined, { text, fix });
  else reading.problems.error(fields.lock.at, { text, fix });
  return 'off';
}
