/**
 * What goes out: the header fields that a credential stands for (RFC 6750 §2.1, RFC 7617 §2).
 *
 * The only place where a Secret is revealed on its way to an upstream. Passthrough adds nothing: the relay then
 * leaves the client's own Authorization in place.
 */
import type { Credential } from '../model.ts';

/** Flat name-value list to add to an outbound request; the names replace the client's fields of that name. */
export function credentialFields(credential: Credential): string[] {
  switch (credential.type) {
    case 'none':
    case 'passthrough':
      return [];
    case 'bearer':
      return ['Authorization', `Bearer ${credential.token.reveal()}`];
    case 'basic': {
      const pair = `${credential.username}:${credential.password.reveal()}`;
      return ['Authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`];
    }
    case 'headers':
      return credential.headers.flatMap(([name, value]) => [name, value.reveal()]);
  }
}
