/**
 * What goes out for a principal, and how it is made: a part of `model.ts`, through which everybody names it.
 *
 * Types only. What the parts of a signed text mean is said in `auth/signer`, which names they have in files in
 * `config/signing`; how access tokens are got in `auth/grant`. In a file of its own because that one is long.
 */
import type { ErrorCode } from './errors.ts';

/** A value that cannot be printed by accident: `String()`, `JSON.stringify` and `inspect` give `[secret]`. */
export interface Secret {
  reveal(): string;
}

export type Credential =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: Secret }
  | { readonly type: 'basic'; readonly username: string; readonly password: Secret }
  | { readonly type: 'headers'; readonly headers: readonly (readonly [name: string, value: Secret])[] }
  | { readonly type: 'hmac'; readonly keyId: string; readonly secret: Secret; readonly scheme: SigningScheme }
  | { readonly type: 'oauth'; readonly client: OAuthClient }
  | { readonly type: 'passthrough' };

/** Who asks an authorization server for access tokens, and for which (RFC 6749 §4.4 and §6, RFC 8707). */
export interface OAuthClient {
  readonly clientId: string;
  /** Undefined: a public client, which has a refresh token. */
  readonly clientSecret: Secret | undefined;
  /** The first of them, which others may follow; undefined: the client-credentials grant. */
  readonly refreshToken: Secret | undefined;
  /** Undefined: found by the metadata of the server (RFC 9728) and of its authorization server (RFC 8414). */
  readonly tokenUrl: string | undefined;
  /** The only authorization server that is asked; undefined: the one that the server named first. */
  readonly issuer: string | undefined;
  /** Empty: what the server says. */
  readonly scopes: readonly string[];
  /** Undefined: what the server calls itself, or its URL. */
  readonly resource: string | undefined;
  /** `auto`: as the metadata says, else `basic`. */
  readonly clientAuth: 'auto' | 'basic' | 'post';
  /** The authorization server is in the own network. */
  readonly allowPrivate: boolean;
  /** The CA of the authorization server; undefined: those that Node knows. */
  readonly caFile: string | undefined;
}

/** What proves to an upstream for whom a request comes; lists are flat, names and values in turn. */
export interface OutgoingCredential {
  /** Sent with every request. */
  fields(): readonly string[];
  /** Made from the request, for each attempt anew; undefined where nothing is. */
  readonly signature:
    | {
        /** Lower-case names of what `sign` gives: fields of the client with these names stay here. */
        readonly names: readonly string[];
        /** @throws {ProxyError} BODY_TOO_LARGE when it covers a body that cannot be held */
        sign(request: OutgoingRequest): readonly string[];
      }
    | undefined;
  /** Where what `sign` gives has to be got first and lasts for a while only; undefined elsewhere. */
  readonly renewal?: CredentialRenewal | undefined;
}

export interface CredentialRenewal {
  /**
   * Undefined when there is something to send, else settles when there is.
   *
   * Rejects with a ProxyError: ISSUER_UNREACHABLE, or UPSTREAM_CREDENTIAL when it was refused.
   */
  prepare(): Promise<void> | undefined;
  /**
   * The server refused what `sign` gave. False: the answer stands. True: `prepare` gets another, and the request may be
   * sent once more. A promise: the same when it has settled, and it never rejects.
   */
  rejected(sent: readonly string[], refusal: CredentialRefusal): boolean | Promise<void>;
}

export interface CredentialRefusal {
  readonly status: 401 | 403;
  /** The `WWW-Authenticate` field of the answer. */
  readonly challenge: string | undefined;
}

/** How it is with the access tokens of one OAuth client; `snake_case`, because it is printed as it is. Never a token. */
export interface TokenState {
  /** Until when the one in use is good, ISO 8601; null: there is none now, and the next request gets one. */
  readonly good_until: string | null;
  /** Why there is no newer one; null when nothing failed. */
  readonly failing: TokenFailure | null;
  /** What the server wants and the token lacks; null where it said nothing of the kind. */
  readonly missing: MissingScopes | null;
}

export interface MissingScopes {
  /** Empty: it names none that could be asked for. */
  readonly scopes: readonly string[];
  /** ISO 8601: when it said so last. */
  readonly last: string;
  /** Why none is got with them; null where nobody may ask, or the authorization server gave one without. */
  readonly reason: string | null;
}

export interface TokenFailure {
  /** ISO 8601; of the first failure in a row. */
  readonly since: string;
  readonly code: ErrorCode;
  /** `invalid_grant` and the like; null where the authorization server gave no code. @see RFC 6749 §5.2 */
  readonly oauth_error: string | null;
  /** Of the last one. */
  readonly reason: string;
  /** ISO 8601: nobody asks before; null: the next request does. */
  readonly next_try: string | null;
}

/** How a request is signed with a secret that both sides have: HMAC over a text made from the request. */
export type SigningScheme = {
  readonly algorithm: 'sha256' | 'sha512';
  /** How the secret is written where it is configured. */
  readonly secretEncoding: 'text' | 'base64' | 'hex';
} & (
  | {
      readonly kind: 'template';
      /** The signed text, with `{name}` for the parts of a request that `auth/signer` lists. */
      readonly text: string;
      readonly encoding: 'hex' | 'base64';
      readonly timestamp: 'rfc3339' | 'unix' | 'unix_ms';
      /** Fields to send; their values may name the same parts, and `{signature}`. */
      readonly headers: readonly (readonly [name: string, value: string])[];
      /** A body that is too long to be held is signed as `UNSIGNED-PAYLOAD` instead of being refused. */
      readonly unsignedPayload: boolean;
    }
  /** HTTP Message Signatures (RFC 9421) with hmac-sha256. */
  | { readonly kind: 'message-signatures'; readonly components: readonly string[]; readonly label: string }
);

/** An outbound request, as far as a signature may cover it. */
export interface OutgoingRequest {
  readonly method: string;
  /** As on the wire, without query. */
  readonly path: string;
  /** With its `?`, or empty. */
  readonly query: string;
  readonly scheme: 'http' | 'https';
  /** As in the `Host` field. */
  readonly host: string;
  /** Undefined for one that is sent as it comes and cannot be read before. */
  readonly body: Buffer | undefined;
  /** A field that will be sent; undefined when there is none. Names in lower case. */
  header(name: string): string | undefined;
}
