/**
 * Tokens that are good no more, a warning each, for `check`.
 *
 * The decoder of the files has no clock, so that the same files always give the same problems; what depends on the time
 * is found here. A warning and no error, because a token that has expired does no harm.
 */
import type { Config, Problem } from '../model.ts';
import { formatInstant } from '../text/instant.ts';

export function expiredTokens({ principals }: Config, nowMs: number): Problem[] {
  return principals.flatMap(({ id, tokenTerms }) =>
    [...(tokenTerms?.values() ?? [])].flatMap(({ expiresMs, label, at }) => {
      if (expiresMs === undefined || expiresMs > nowMs) return [];
      const which = label === undefined ? 'a token' : `the token "${label}"`;
      return [
        {
          severity: 'warning' as const,
          file: at?.file ?? '',
          position: at && { line: at.line, column: at.column },
          excerpt: undefined,
          text: `${which} of "${id}" expired at ${formatInstant(expiresMs)}`,
          fix: 'delete it; `mcproxy token add` makes a new one',
        },
      ];
    }),
  );
}
