/**
 * The signatures that services of the field have agreed on, as schemes that `auth/signer` follows.
 *
 * A preset is where a configuration starts; each of its settings may be written differently. `gocorestack` is the
 * default: method, path and time, three fields, the body not covered. Sources: go-core-stack/auth-gateway; GitHub,
 * Slack and Stripe documentation of webhook signatures; the Standard Webhooks specification; RFC 9421.
 */
import type { SigningScheme } from '../model.ts';

/** Names that a template may hold between braces. */
export const TEMPLATE_PARTS = [
  'method',
  'path',
  'path_decoded',
  'query',
  'host',
  'timestamp',
  'id',
  'key_id',
  'body',
  'body_sha256',
  'body_sha256_base64',
  'body_sha512',
] as const;

const PLAIN = {
  kind: 'template',
  algorithm: 'sha256',
  secretEncoding: 'text',
  encoding: 'hex',
  timestamp: 'unix',
  unsignedPayload: false,
} as const;

export const SIGNING_PRESETS = {
  gocorestack: {
    ...PLAIN,
    text: '{method}\n{path_decoded}\n{timestamp}',
    timestamp: 'rfc3339',
    headers: [
      ['x-api-key-id', '{key_id}'],
      ['x-timestamp', '{timestamp}'],
      ['x-signature', '{signature}'],
    ],
  },
  github: { ...PLAIN, text: '{body}', headers: [['X-Hub-Signature-256', 'sha256={signature}']] },
  slack: {
    ...PLAIN,
    text: 'v0:{timestamp}:{body}',
    headers: [
      ['X-Slack-Request-Timestamp', '{timestamp}'],
      ['X-Slack-Signature', 'v0={signature}'],
    ],
  },
  stripe: { ...PLAIN, text: '{timestamp}.{body}', headers: [['Stripe-Signature', 't={timestamp},v1={signature}']] },
  'standard-webhooks': {
    ...PLAIN,
    text: '{id}.{timestamp}.{body}',
    encoding: 'base64',
    secretEncoding: 'base64',
    headers: [
      ['webhook-id', '{id}'],
      ['webhook-timestamp', '{timestamp}'],
      ['webhook-signature', 'v1,{signature}'],
    ],
  },
  rfc9421: {
    kind: 'message-signatures',
    algorithm: 'sha256',
    secretEncoding: 'base64',
    components: ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'],
    label: 'sig1',
  },
} as const satisfies Readonly<Record<string, SigningScheme>>;

export type SigningPreset = keyof typeof SIGNING_PRESETS;
