/**
 * How requests to a server are signed: a part of `model.ts`, through which everybody names it.
 *
 * Types only. What the parts of a text mean is said in `auth/signer`, which names they have in files in `config/signing`.
 * In a file of its own because that one is long.
 */

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
