/**
 * A request to an OAuth endpoint of mcproxy itself, with what its rules need of the running service.
 *
 * Here the snapshot, the table of logins, the lock-out and the log meet; what is right is decided in `auth/facade-*`, how
 * it is said in `admin/oauth-endpoints`.
 */
import { serveOAuth, type OAuthDoor, type OAuthEndpoint } from '../admin/oauth-endpoints.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Clock } from '../model.ts';
import { refusePasted, type AdmitOptions } from './admit.ts';
import type { Issuing } from './facade.ts';
import type { Snapshot } from './snapshot.ts';

export interface LoginOptions extends AdmitOptions {
  readonly clock: Clock;
}

export interface LoginRequest {
  readonly exchange: Exchange;
  readonly endpoint: OAuthEndpoint;
  readonly issuing: Issuing;
  readonly snapshot: Snapshot;
}

/** Answers a request to an OAuth endpoint. @param onThrown answers after what nobody expected */
export function serveLogin(
  { exchange, endpoint, issuing, snapshot }: LoginRequest,
  options: LoginOptions,
  onThrown: OAuthDoor['onThrown'],
): void {
  const { authenticator } = snapshot;
  const { clock, diag } = options;
  const { issuer, seals, clients, families } = issuing;
  const nowMs = (): number => clock.wallMs();
  serveOAuth(exchange, endpoint, {
    issuer,
    seals,
    clients,
    nowMs,
    tokens: {
      issuer,
      seals,
      families,
      nowMs,
      stillValid: (bearer) => authenticator.stillValid(bearer),
      onReuse: ({ user }, what) =>
        diag.warn(`a ${what} was used twice, so that its login was ended`, {
          principal: user,
          client_ip: exchange.entry.clientIp,
          request_id: exchange.entry.requestId,
        }),
    },
    ofFiles: (token, clientIp) => authenticator.ofFiles(token, clientIp),
    refuse: (refused, result) => refusePasted(refused, result, options),
    onGrant: (user, client) =>
      diag.info('a client was let in', { principal: user, client: client.name, returns_to: client.returnsTo }),
    onThrown,
  });
}
