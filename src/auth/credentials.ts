/**
 * What goes out: the header fields that a credential stands for (RFC 6750 §2.1, RFC 7617 §2), signatures, and
 * access tokens that are got at run time (`grants`).
 *
 * The only place, with the signer, where a Secret is revealed on its way to an upstream. Passthrough adds nothing: the
 * relay then leaves the client's own Authorization in place. Where each user brings their own, who has none gets an
 * error that says so, and never somebody else's.
 */
import { randomUUID } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { Clock, Credential, HttpServerConfig, OutgoingCredential, Principal, ServerConfig } from '../model.ts';
import type { Grants } from './grants.ts';
import { signatureFields, signatureNames } from './signer.ts';

export interface CredentialMeans {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly grants: Pick<Grants, 'outgoing'>;
}

/** What the credential of a server adds to the requests to it. */
export function outgoingCredential(server: HttpServerConfig, { clock, grants }: CredentialMeans): OutgoingCredential {
  const { credential } = server;
  if (credential.type === 'oauth') return grants.outgoing(server, credential.client);
  if (credential.type !== 'hmac') return { fields: () => credentialFields(credential), signature: undefined };
  return {
    fields: () => [],
    signature: {
      names: signatureNames(credential.scheme),
      sign: (request) => signatureFields(credential, request, { wallMs: clock.wallMs(), id: randomUUID() }),
    },
  };
}

/** Flat name-value list to add to an outbound request; the names replace the client's fields of that name. */
export function credentialFields(credential: Exclude<Credential, { type: 'hmac' | 'oauth' }>): string[] {
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

type Who = Pick<Principal, 'id'> & Partial<Pick<Principal, 'isLocal'>>;

/** Does nothing for a server that has everything. @throws {ProxyError} CREDENTIAL_MISSING naming user and server */
export function requireCredential(server: ServerConfig, who: Who): void {
  if (server.lacks.length > 0) throw new ProxyError('CREDENTIAL_MISSING', lackText(server, who));
}

/** Who lacks what for which server, and where it is written. */
export function lackText({ name, lacks }: ServerConfig, { id, isLocal }: Who): string {
  if (isLocal) return `each user brings ${lacks.join(' and ')} of their own for server ${name}; add --user NAME`;
  const places = lacks.map((what) => `users.${id}.servers.${name}.${what}`);
  return `user ${id} has no ${lacks.join(' and ')} of their own for server ${name}; add ${places.join(' and ')} to tokens.yml`;
}
