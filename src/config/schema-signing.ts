/**
 * The options of `auth` with `type: hmac`: how the requests to a server are signed; rows of the schema (`schema.ts`).
 *
 * A preset says everything but the secret; each of the others changes one thing of it. What they mean together is
 * decided in `signing.ts`, and what is made of them in `auth/signer`.
 */
import { SIGNING_PRESETS, type SigningPreset } from './signing-presets.ts';

const PRESETS = Object.fromEntries(Object.keys(SIGNING_PRESETS).map((name) => [name, name])) as Readonly<
  Record<SigningPreset, SigningPreset>
>;

export const SIGNING = {
  type: { kind: 'node', default: 'none', unit: 'hmac', when: 'Write hmac to sign requests with a shared secret.' },
  preset: {
    kind: 'word',
    words: PRESETS,
    default: 'gocorestack',
    unit: Object.keys(SIGNING_PRESETS).join(', '),
    when: 'Choose the service whose signature the server checks; the others below change parts of it.',
  },
  key_id: { kind: 'text', default: 'none', when: 'Write the name that the server knows the secret by.' },
  secret: { kind: 'secret', default: 'none', when: 'Write the secret that both sides have.' },
  secret_encoding: {
    kind: 'word',
    words: { text: 'text', base64: 'base64', hex: 'hex' },
    default: 'that of the preset',
    unit: 'text, base64 or hex',
    when: 'Set it when the secret is written in another form than the preset expects.',
  },
  algorithm: {
    kind: 'word',
    words: { sha256: 'sha256', sha512: 'sha512' },
    default: 'sha256',
    unit: 'sha256 or sha512',
    when: 'Set it when the server wants HMAC with SHA-512.',
  },
  encoding: {
    kind: 'word',
    words: { hex: 'hex', base64: 'base64' },
    default: 'that of the preset',
    unit: 'hex or base64',
    when: 'Set it when the signature is to be written in the other form.',
  },
  timestamp: {
    kind: 'word',
    words: { rfc3339: 'rfc3339', unix: 'unix', unix_ms: 'unix_ms' },
    default: 'that of the preset',
    unit: 'rfc3339, unix or unix_ms',
    when: 'Set it when the server wants the time in another form.',
  },
  string: {
    kind: 'text',
    default: 'that of the preset',
    unit: 'text with {method} {path} {path_decoded} {query} {host} {timestamp} {id} {key_id} {body} {body_sha256} {body_sha256_base64} {body_sha512}',
    when: 'Write it when the server signs another text than the presets do.',
  },
  headers: {
    kind: 'pairs',
    default: 'those of the preset',
    unit: 'map from name to value, which may hold {signature} and what string may hold',
    when: 'Write it when the server reads the signature from other header fields.',
  },
  components: {
    kind: 'list',
    of: 'text',
    default: '@method, @authority, @path, @query, content-type, content-digest',
    unit: 'names of RFC 9421: header fields in lower case, and derived ones with @',
    when: 'With the preset rfc9421: write it to cover other parts of the request.',
  },
  unsigned_payload: {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'Set true to sign UNSIGNED-PAYLOAD in place of a body that is too long to be held; else it is refused.',
  },
} as const;
