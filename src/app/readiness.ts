/**
 * Whether mcproxy is ready for requests, in words for whoever looks at `/readyz` or `mcproxy status`. Pure.
 *
 * Not ready does not mean that nothing is served: requests go on while a broken file or a full disk is told here, and a
 * load balancer that asks decides for itself.
 */
import type { Readiness } from '../admin/health.ts';

export interface ReadinessFacts {
  readonly draining: boolean;
  readonly logHealthy: boolean;
  /** Errors of the configuration on disk; undefined when it is the one in force. */
  readonly problemCount: number | undefined;
}

export function readinessOf({ draining, logHealthy, problemCount: count }: ReadinessFacts): Readiness {
  const reasons: string[] = [];
  if (draining) reasons.push('mcproxy is stopping');
  if (!logHealthy) reasons.push('the access log cannot be written');
  if (count !== undefined) {
    reasons.push(
      `the configuration on disk has ${count} problem${count === 1 ? '' : 's'} and is not in force; run: mcproxy check`,
    );
  }
  return { ready: reasons.length === 0, reasons };
}
