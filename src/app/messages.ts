/**
 * Path 2 as the app holds it: the gateway core, the doors towards its servers, and the adapters towards clients.
 *
 * Here the doors meet that may not know each other: a server's credential (auth), its connections (upstream) and the
 * core (gateway). Which requests come this way and which the relay takes is decided in `routes`.
 */
import type { Sealer } from '../auth/seal.ts';
import { userCharges } from '../gateway/charges.ts';
import { createGateway } from '../gateway/gateway.ts';
import { createDownstream, type Downstream } from '../gateway/downstream.ts';
import { openStdio, type StdioConversation, type StdioOptions } from '../gateway/stdio.ts';
import type { Gateway, GatewayView } from '../gateway/view.ts';
import type { Exchange } from '../http/exchange.ts';
import type { RateLimiter } from '../http/rate-limit.ts';
import { PIPED_CHILD_EOF_MS_MAX, PIPED_CHILD_TERM_MS_MAX } from '../limits.ts';
import type { Diag } from '../log/diag.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { Clock, Config, HttpServerConfig, MemberStatus, OutgoingCredential, Principal } from '../model.ts';
import { openPeer } from '../upstream/open-peer.ts';
import { redactedPeer } from '../upstream/redacted-peer.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import { withLocalPrincipal } from './local-principal.ts';
import type { RoutePart } from './routes.ts';
import { stackOf } from './stack.ts';
import type { Credentials } from './credentials.ts';
import { VERSION } from './version.ts';
import { explainAccess, type WhyAnswer, type WhyQuestion } from './why.ts';

export interface MessagePathOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly diag: Diag;
  readonly pool: UpstreamPool;
  readonly sealer: Sealer;
  readonly credentials: Pick<Credentials, 'for' | 'tokenState'>;
  /** Undefined: nothing is limited. */
  readonly limiter?: RateLimiter;
  /** What commands may inherit a few harmless variables from. */
  readonly ambientEnv: Readonly<Record<string, string | undefined>>;
  /** The client waits on a pipe for the end of all commands, and not for long. */
  readonly piped?: boolean;
  /** Commands that all share are not started before somebody needs them. */
  readonly isLazy?: boolean;
  /** Makes the content of a call fit for the log; undefined when it is not logged. */
  logParams(): ((params: unknown) => unknown) | undefined;
}

/** What a client looks at, and as whom. */
export interface ViewTarget {
  readonly principal: Principal;
  /** One server, or undefined for all that the principal may use. */
  readonly serverName: string | undefined;
}

export interface MessageTarget extends ViewTarget {
  readonly part: RoutePart;
}

export interface MessagePath {
  serve(exchange: Exchange, target: MessageTarget): void;
  /** A conversation with a client that is not on HTTP. */
  converse(target: ViewTarget, pipe: Pick<StdioOptions, 'output' | 'begin' | 'refusal'>): StdioConversation;
  /** @param serverName one server, or undefined for all that the principal may use */
  view(principal: Principal, serverName: string | undefined): GatewayView;
  reload(config: Config): Promise<void>;
  /** Ends the streams and sessions of somebody who may no longer come in. */
  endPrincipal(principalId: string): void;
  status(): readonly MemberStatus[];
  /** Why a user may use a server or tool, or may not, as it is now. */
  why(asked: Omit<WhyQuestion, 'nowMs' | 'upstream' | 'tokenState'>): WhyAnswer;
  /** As in `Gateway.conflicts`. */
  conflicts(): readonly JsonObject[];
  /** Sessions of older revisions that have a state in memory. */
  readonly sessionCount: number;
  /** As in `Gateway.drift`. */
  drift(): readonly JsonObject[];
  /** Ends all streams with their closing results. */
  drain(): void;
  close(): Promise<void>;
}

/** Opens nothing yet: servers are started when they are first needed. */
export function openMessagePath(options: MessagePathOptions): MessagePath {
  const { config, clock, diag, pool, sealer, ambientEnv, limiter } = options;
  const stopMs = options.piped ? { eof: PIPED_CHILD_EOF_MS_MAX, term: PIPED_CHILD_TERM_MS_MAX } : undefined;
  const credentialFor = (server: HttpServerConfig): OutgoingCredential => options.credentials.for(server);
  const onDiag = (level: 'warn' | 'info', message: string, data?: Readonly<Record<string, unknown>>): void =>
    diag[level](message, data);
  const gateway: Gateway = createGateway({
    config: withLocalPrincipal(config),
    clock,
    sealer,
    onDiag,
    isLazy: options.isLazy === true,
    ...(limiter === undefined ? {} : { limiter }),
    openPeer(server) {
      const peer = openPeer(server, { pool, credentialFor, ambientEnv, clock, onDiag, stopMs });
      return redactedPeer(peer, (text) => diag.redact(text));
    },
  });
  const towardsClients = {
    serverInfo: { name: 'mcproxy', version: VERSION },
    keepParams: (params: unknown) => options.logParams()?.(params),
    onInternal: (error: unknown) => diag.error('internal error', { cause: stackOf(error) }),
  };
  const downstream: Downstream = createDownstream({
    clock,
    sealer,
    heartbeatMs: config.heartbeatMs,
    pathPrefix: config.pathPrefix,
    onDiag,
    ...towardsClients,
  });
  return {
    serve(exchange, { principal, serverName, part }) {
      const view = gateway.view(principal, serverName);
      const charge = (count: number): void => void limiter?.enter(userCharges(principal), count);
      downstream.serve(exchange, { view, principal, scope: serverName ?? '', part, charge });
    },
    converse({ principal, serverName }, pipe) {
      const view = gateway.view(principal, serverName);
      const owner = { principalId: principal.id, scope: serverName ?? '' };
      return openStdio({ view, owner, ...towardsClients, ...pipe });
    },
    view: (principal, serverName) => gateway.view(principal, serverName),
    reload: (next) => gateway.reload(withLocalPrincipal(next)),
    endPrincipal: (principalId) => downstream.endPrincipal(principalId),
    status: () => gateway.status(),
    why: (asked) =>
      explainAccess({
        ...asked,
        nowMs: clock.wallMs(),
        upstream: (principal, server) => gateway.upstream(principal, server),
        tokenState: (server) => options.credentials.tokenState(server),
      }),
    conflicts: () => gateway.conflicts(),
    get sessionCount() {
      return downstream.sessionCount;
    },
    drift: () => gateway.drift(),
    drain: () => downstream.close(),
    close: () => gateway.close(),
  };
}
