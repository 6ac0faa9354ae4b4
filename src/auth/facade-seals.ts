/**
 * What the authorization server hands out, as sealed texts: registrations, requests, codes, access and refresh tokens.
 *
 * Nothing of them is kept: each carries what it means, can neither be read nor changed by who carries it, and opens only
 * as what it was made for and under the issuer that made it (the context of the seal). All but a registration end by
 * themselves. Prefixes tell people and secret scanners what they have before them.
 */
import { hash, randomUUID } from 'node:crypto';

import type { Clock } from '../model.ts';
import type { Sealer } from './seal.ts';

/** Whose login it is, made with which token, for which client and what for. */
export interface LoginClaims {
  readonly user: string;
  /** Lower-case hex SHA-256 of the token that the person pasted. */
  readonly digest: string;
  /** Digest of the client's id, which may be long. */
  readonly client: string;
  /** The one server it is good for; empty: all that the user may use. */
  readonly server: string;
  /** One login: what came of one consent has the same. */
  readonly family: string;
}

interface Ending {
  readonly endsMs: number;
}

/** An authorization request that was found good, while the person looks at the page. */
export interface AskedClaims {
  /** Digest of the client's id. */
  readonly client: string;
  /** The host that vouches for the client, by a document there; undefined: nobody does. */
  readonly clientHost: string | undefined;
  readonly clientName: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly server: string;
  readonly state: string | undefined;
}

export interface SealedTexts {
  readonly client: { readonly name: string; readonly redirectUris: readonly string[] };
  readonly request: AskedClaims & Ending;
  readonly code: LoginClaims & Ending & { readonly redirectUri: string; readonly challenge: string };
  readonly access: LoginClaims & Ending;
  readonly refresh: LoginClaims & Ending & { readonly generation: number };
}

export type SealedKind = keyof SealedTexts;

export interface Seals {
  seal<K extends SealedKind>(kind: K, value: SealedTexts[K]): string;
  /** What it says, or undefined when it is none of ours of this kind. `ended`: it was, until a while ago. */
  open<K extends SealedKind>(
    kind: K,
    text: string,
  ): { readonly value: SealedTexts[K]; readonly ended: boolean } | undefined;
}

const PREFIX: Readonly<Record<SealedKind, string>> = {
  client: 'mcpclient_',
  request: 'mcpask_',
  code: 'mcpcode_',
  access: 'mcpaccess_',
  refresh: 'mcprefresh_',
};

export function createSeals(sealer: Sealer, issuer: string, clock: Pick<Clock, 'wallMs'>): Seals {
  const contextOf = (kind: SealedKind): string => `oauth ${kind} 1 ${issuer}`;
  return {
    seal: (kind, value) => `${PREFIX[kind]}${sealer.seal(JSON.stringify(value), contextOf(kind))}`,
    open<K extends SealedKind>(kind: K, text: string) {
      if (!text.startsWith(PREFIX[kind])) return undefined;
      const opened = sealer.open(text.slice(PREFIX[kind].length), contextOf(kind));
      if (opened === undefined) return undefined;
      // The seal vouches for the shape: only `seal` above makes what opens.
      const value = JSON.parse(opened) as SealedTexts[K] & Partial<Ending>;
      return { value, ended: value.endsMs !== undefined && value.endsMs <= clock.wallMs() };
    },
  };
}

/** Whether a text says of itself that it is an access token of a façade. */
export function looksIssued(token: string): boolean {
  return token.startsWith(PREFIX.access);
}

export function newFamily(): string {
  return randomUUID();
}

/** SHA-256 in base64url: also what PKCE makes of a verifier (RFC 7636 §4.6). */
export function digestOf(text: string): string {
  return hash('sha256', text, 'base64url');
}
