/**
 * The keys of an issuer: found by its metadata, read once for everybody, and kept.
 *
 * They are used for as long as the issuer allows, within bounds; then they are read again beside the requests that use
 * them, so that nobody waits. While the issuer does not answer the old ones stay good for `JWKS_STALE_MS_MAX`. A token
 * with an unknown key makes them be read again, but never sooner than `JWKS_PAUSE_MS_MIN` after the last time: whoever
 * invents keys cannot make us ask more often. Source: RFC 8414 §3, OpenID Connect Discovery §4, RFC 7517 §5.
 */
import { ProxyError } from '../errors.ts';
import { JWKS_MS_MAX, JWKS_PAUSE_MS_MIN, JWKS_STALE_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { Clock } from '../model.ts';
import { readJwks, type VerificationKey } from './jwt.ts';

/** A request to an authorization server. @throws {ProxyError} ISSUER_UNREACHABLE */
export type AskIssuer = (asked: {
  readonly url: string;
  readonly body?: string;
  readonly fields?: readonly string[];
  readonly allowPrivate: boolean;
}) => Promise<{ readonly status: number; readonly body: unknown; readonly maxAgeSeconds: number | undefined }>;

export interface IssuerDoor {
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly ask: AskIssuer;
  readonly onDiag: (level: 'info' | 'warn', message: string, data: Readonly<Record<string, unknown>>) => void;
}

export interface KeySource {
  /** Those to verify with, without waiting; undefined when they have to be read first. */
  current(): readonly VerificationKey[] | undefined;
  /** Reads them again, unless that was done a moment ago. @throws {ProxyError} ISSUER_UNREACHABLE when there are none */
  refresh(): Promise<readonly VerificationKey[]>;
}

export interface Issuer {
  readonly issuer: string;
  readonly jwksUrl: string | undefined;
  readonly allowPrivate: boolean;
}

const JWKS_MS_MIN = 60_000;
/** For an issuer that does not say. */
const JWKS_MS_DEFAULT = 10 * 60_000;

/** @param onChange called when the keys are others than before: what was verified with the old ones is in doubt */
export function createKeySource(issuer: Issuer, door: IssuerDoor, onChange: () => void): KeySource {
  let held: { readonly keys: readonly VerificationKey[]; readonly text: string; readonly readMs: number } | undefined;
  let freshMs = 0;
  let triedMs: number | undefined;
  let failure: unknown;
  let running: Promise<readonly VerificationKey[]> | undefined;

  const usable = (): readonly VerificationKey[] | undefined =>
    held !== undefined && door.clock.monotonicMs() - held.readMs <= JWKS_STALE_MS_MAX ? held.keys : undefined;
  const read = async (): Promise<readonly VerificationKey[]> => {
    try {
      const { keys, text, maxAgeMs } = await readKeys(issuer, door.ask);
      const readMs = door.clock.monotonicMs();
      if (held !== undefined && held.text !== text) {
        door.onDiag('info', 'the issuer of access tokens has other keys now', { issuer: issuer.issuer });
        onChange();
      }
      if (failure !== undefined)
        door.onDiag('info', 'the issuer of access tokens answers again', { issuer: issuer.issuer });
      held = { keys, text, readMs };
      freshMs = readMs + maxAgeMs;
      failure = undefined;
      return keys;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      if (failure === undefined)
        door.onDiag('warn', 'the keys for access tokens cannot be read', { issuer: issuer.issuer, cause });
      failure = error;
      const keys = usable();
      if (keys === undefined) throw error;
      return keys;
    } finally {
      running = undefined;
    }
  };
  const refresh = async (): Promise<readonly VerificationKey[]> => {
    if (running !== undefined) return running;
    const nowMs = door.clock.monotonicMs();
    if (triedMs !== undefined && nowMs - triedMs < JWKS_PAUSE_MS_MIN) {
      const keys = usable();
      if (keys === undefined) throw failure;
      return keys;
    }
    triedMs = nowMs;
    running = read();
    return running;
  };
  return {
    current() {
      const keys = usable();
      // Told by `read`; whoever needs them hears of it when the old ones are too old.
      if (keys !== undefined && door.clock.monotonicMs() > freshMs) refresh().catch(() => undefined);
      return keys;
    },
    refresh,
  };
}

interface ReadKeys {
  readonly keys: readonly VerificationKey[];
  /** The set as it came, to see a change. */
  readonly text: string;
  readonly maxAgeMs: number;
}

async function readKeys(issuer: Issuer, ask: AskIssuer): Promise<ReadKeys> {
  const { allowPrivate } = issuer;
  const url = issuer.jwksUrl ?? (await findJwksUrl(issuer, ask));
  const { status, body, maxAgeSeconds } = await ask({ url, allowPrivate });
  const keys = readJwks(body);
  if (status !== 200 || keys.length === 0) throw unusable(url, `its key set (HTTP ${status}) holds no usable key`);
  const maxAgeMs = maxAgeSeconds === undefined ? JWKS_MS_DEFAULT : maxAgeSeconds * 1_000;
  return { keys, text: JSON.stringify(body), maxAgeMs: Math.min(Math.max(maxAgeMs, JWKS_MS_MIN), JWKS_MS_MAX) };
}

async function findJwksUrl({ issuer, allowPrivate }: Issuer, ask: AskIssuer): Promise<string> {
  let last: ProxyError | undefined;
  for (const url of metadataUrls(issuer)) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order of preference
      const { status, body } = await ask({ url, allowPrivate });
      if (status !== 200 || !isObject(body)) continue;
      // RFC 8414 §3.3: otherwise the document is of somebody else.
      if (body['issuer'] !== issuer) throw unusable(url, 'its metadata names another issuer');
      if (typeof body['jwks_uri'] === 'string') return body['jwks_uri'];
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      last = error;
    }
  }
  throw last ?? unusable(issuer, 'it publishes no metadata with a jwks_uri; write "jwks_url" under auth.jwt');
}

/** Where an issuer may publish what it is: RFC 8414 §3.1 first, then OpenID Connect in both forms. */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]),
  ];
}

function unusable(url: string, reason: string): ProxyError {
  return new ProxyError('ISSUER_UNREACHABLE', `${new URL(url).origin} is of no use: ${reason}`);
}
