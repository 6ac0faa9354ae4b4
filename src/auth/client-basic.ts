/**
 * The name and secret of an OAuth client as an `Authorization` field (`client_secret_basic`).
 *
 * Both are form-encoded before they are joined, unlike those of a user (RFC 6749 §2.3.1). The secret is revealed on its
 * way to an authorization server only.
 */
import type { Secret } from '../model.ts';

const encode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

/** The value of the field. */
export function clientBasic(clientId: string, secret: Secret): string {
  const pair = `${encode(clientId)}:${encode(secret.reveal())}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}
