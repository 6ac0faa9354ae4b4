/**
 * The keys of an issuer: found by its metadata, read once for everybody, and kept.
 *
 * They are used for as long as the issuer allows, within bounds; then they are read again beside the requests that use
 * them, so that nobody waits. While the issuer does not answer the old ones stay good for `JWKS_STALE_MS_MAX`. An unknown
 * key makes them be read at once, so that a new one is good with its first token; whoever invents keys cannot make us
 * ask more often than once for each in `JWKS_PAUSE_MS_MIN`, and `JWKS_BURST_COUNT` times and then once in that time for
 * all. Nobody waits longer than `ISSUER_WAIT_MS_MAX` for a reading, and what failed is tried again after ever longer
 * pauses, in which nobody waits at all. Source: RFC 8414 §3, OpenID Connect Discovery §4, RFC 7517 §5.
 */
import { ProxyError } from '../errors.ts';
import { ISSUER_WAIT_MS_MAX, JWKS_BURST_COUNT, JWKS_MS_MAX, JWKS_PAUSE_MS_MIN, JWKS_STALE_MS_MAX } from '../limits.ts';
import type { Clock } from '../model.ts';
import { readIssuerMetadata, type AskIssuer } from './issuer-metadata.ts';
import { createPauses, unusable, waitForIssuer } from './issuer-wait.ts';
import { readJwks, type VerificationKey } from './jwt.ts';

export interface IssuerDoor {
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly ask: AskIssuer;
  readonly onDiag: (level: 'info' | 'warn', message: string, data: Readonly<Record<string, unknown>>) => void;
}

export interface KeySource {
  /** Those to verify with, without waiting; undefined when they have to be read first. */
  current(): readonly VerificationKey[] | undefined;
  /**
   * The keys for a token whose key is not one of the current ones, read again if that may help.
   *
   * @throws {ProxyError} ISSUER_UNREACHABLE when there is no answer, or none in time; OVERLOADED when too many ask
   */
  find(kid: string | undefined): Promise<readonly VerificationKey[]>;
}

export interface Issuer {
  readonly issuer: string;
  readonly jwksUrl: string | undefined;
  readonly allowPrivate: boolean;
}

const JWKS_MS_MIN = 60_000;
/** For an issuer that does not say. */
const JWKS_MS_DEFAULT = 10 * 60_000;

interface Held {
  readonly keys: readonly VerificationKey[];
  readonly text: string;
  readonly readMs: number;
  readonly freshMs: number;
}

interface Reading {
  readonly keys: Promise<readonly VerificationKey[]>;
  readonly sinceMs: number;
}

/** @param onChange called when the keys are others than before: what was verified with the old ones is in doubt */
export function createKeySource(issuer: Issuer, door: IssuerDoor, onChange: () => void): KeySource {
  const nowMs = (): number => door.clock.monotonicMs();
  const strangers = createStrangers(nowMs);
  const pauses = createPauses(nowMs);
  let held: Held | undefined;
  let running: Reading | undefined;

  const usable = (): readonly VerificationKey[] | undefined =>
    held !== undefined && nowMs() - held.readMs <= JWKS_STALE_MS_MAX ? held.keys : undefined;

  const read = async (): Promise<readonly VerificationKey[]> => {
    try {
      const { keys, text, maxAgeMs } = await readKeys(issuer, door);
      const readMs = nowMs();
      const isChange = held !== undefined && held.text !== text;
      held = { keys, text, readMs, freshMs: readMs + maxAgeMs };
      if (isChange) {
        door.onDiag('info', 'the issuer of access tokens has other keys now', { issuer: issuer.issuer });
        onChange();
      }
      if (pauses.answered())
        door.onDiag('info', 'the issuer of access tokens answers again', { issuer: issuer.issuer });
      return keys;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      if (pauses.failed(error))
        door.onDiag('warn', 'the keys for access tokens cannot be read', { issuer: issuer.issuer, cause });
      throw error;
    } finally {
      running = undefined;
    }
  };
  const start = (): Reading => {
    const reading = { keys: read(), sinceMs: nowMs() };
    running = reading;
    // Whoever waits for it hears of a failure; so does who comes later.
    reading.keys.catch(() => undefined);
    return reading;
  };
  const wait = ({ keys, sinceMs }: Reading): Promise<readonly VerificationKey[]> =>
    waitForIssuer(keys, sinceMs + ISSUER_WAIT_MS_MAX - nowMs(), issuer.issuer);

  return {
    current() {
      const keys = usable();
      if (keys !== undefined && nowMs() > (held?.freshMs ?? 0) && running === undefined && !pauses.isOn()) start();
      return keys;
    },
    async find(kid) {
      if (running !== undefined) {
        const keys = await wait(running);
        if (kid === undefined || keys.some((key) => key.kid === kid)) return keys;
      }
      if (running !== undefined) return wait(running);
      const keys = usable();
      if (keys !== undefined && strangers.isKnown(kid)) return keys;
      pauses.check();
      if (keys !== undefined) strangers.take(kid);
      return wait(start());
    },
  };
}

/** What is asked about keys that the issuer had not: how often, and about which. */
function createStrangers(nowMs: () => number): {
  /** The issuer was asked a moment ago, and had no such key. */
  isKnown(kid: string | undefined): boolean;
  /** Allows one more question. @throws {ProxyError} OVERLOADED */
  take(kid: string | undefined): void;
} {
  const askedMs = new Map<string | undefined, number>(); // Bounded by JWKS_BURST_COUNT.
  let left = JWKS_BURST_COUNT;
  let atMs = nowMs();
  return {
    isKnown: (kid) => nowMs() - (askedMs.get(kid) ?? -Infinity) < JWKS_PAUSE_MS_MIN,
    take(kid) {
      left = Math.min(JWKS_BURST_COUNT, left + (nowMs() - atMs) / JWKS_PAUSE_MS_MIN);
      atMs = nowMs();
      if (left < 1) {
        const text = 'too many access tokens with unknown keys: their issuer is not asked about this one now';
        throw new ProxyError('OVERLOADED', text, { headers: { 'retry-after': String(JWKS_PAUSE_MS_MIN / 1_000) } });
      }
      left -= 1;
      askedMs.delete(kid);
      askedMs.set(kid, atMs);
      const [oldest] = askedMs.keys();
      // No more are asked about within the time that counts.
      if (askedMs.size > 2 * JWKS_BURST_COUNT) askedMs.delete(oldest);
    },
  };
}

interface ReadKeys {
  readonly keys: readonly VerificationKey[];
  /** The set as it came, to see a change. */
  readonly text: string;
  readonly maxAgeMs: number;
}

async function readKeys(issuer: Issuer, door: IssuerDoor): Promise<ReadKeys> {
  const { allowPrivate } = issuer;
  const { ask } = door;
  const url = issuer.jwksUrl ?? (await findJwksUrl(issuer, door));
  const { status, body, maxAgeSeconds } = await ask({ url, allowPrivate });
  const keys = readJwks(body);
  if (status !== 200 || keys.length === 0) throw unusable(url, `its key set (HTTP ${status}) holds no usable key`);
  const maxAgeMs = maxAgeSeconds === undefined ? JWKS_MS_DEFAULT : maxAgeSeconds * 1_000;
  return { keys, text: JSON.stringify(body), maxAgeMs: Math.min(Math.max(maxAgeMs, JWKS_MS_MIN), JWKS_MS_MAX) };
}

async function findJwksUrl({ issuer, allowPrivate }: Issuer, door: IssuerDoor): Promise<string> {
  const advice = 'write "jwks_url" under auth.jwt';
  const metadata = await readIssuerMetadata({ issuer, allowPrivate, member: 'jwks_uri', advice }, door);
  return String(metadata['jwks_uri']);
}
