/**
 * Alive and ready, for load balancers, systemd and people.
 *
 * `/healthz` says that the process answers; `/readyz` that it should be sent traffic (configuration valid, log
 * writable, not stopping); `/health` both in one. Reasons name what is wrong, never what is configured: nobody
 * needs a token for these. Only a valid token adds the names of the servers that it may use.
 */

export interface Readiness {
  readonly ready: boolean;
  /** Plain sentences, safe for anybody. */
  readonly reasons: readonly string[];
}

export interface HealthReply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** @param servers names to list, or undefined without a valid token */
export function healthReply(
  path: '/healthz' | '/readyz' | '/health',
  readiness: Readiness,
  servers: readonly string[] | undefined,
): HealthReply {
  if (path === '/healthz') return { status: 200, body: { status: 'ok' } };
  const reasons = readiness.reasons.length === 0 ? {} : { reasons: readiness.reasons };
  const status = readiness.ready ? 200 : 503;
  if (path === '/readyz') return { status, body: { status: readiness.ready ? 'ready' : 'not_ready', ...reasons } };
  const listed = servers === undefined ? {} : { servers };
  return {
    status,
    body: {
      status: readiness.ready ? 'healthy' : 'unhealthy',
      service: 'mcproxy',
      ready: readiness.ready,
      ...reasons,
      ...listed,
    },
  };
}
