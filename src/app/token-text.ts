/**
 * The state of access tokens as lines for an operator: until when one is good, what fails since when, and what to do.
 *
 * Times are those of the log (UTC), so that its lines can be found, with the span from now beside them. What failed is
 * said in the words of the grant. Pure.
 */
import type { TokenFailureRow, TokenRow } from '../admin/token-rows.ts';
import type { MissingScopes, TokenFailure, TokenState } from '../model.ts';
import { formatDuration } from '../text/duration.ts';

const MINUTE_MS = 60_000;
/** A line is to stay readable; `--json` names more. */
const USER_COUNT_SHOWN = 5;

/** Lines of `status`; those that ask for something begin with `!`. */
export function tokenLines(rows: readonly TokenRow[], nowMs: number): string[] {
  return rows.flatMap((row) => [
    goodLine(row, nowMs),
    ...row.failures.map((failure) =>
      alertLine(row, failure, `${failureText(failure, whose(failure), nowMs)}; ${nextText(failure, nowMs)}`),
    ),
    ...row.missing.map((missing) => alertLine(row, missing, missingText(missing, whose(missing), nowMs))),
  ]);
}

/** One client, for `why`. */
export function tokenText({ good_until: until, failing, missing }: TokenState, nowMs: number): string {
  return [
    goodText(until, nowMs),
    ...(failing === null ? [] : [failureText(failing, '', nowMs), nextText(failing, nowMs)]),
    ...(missing === null ? [] : [missingText(missing, '', nowMs)]),
  ].join('; ');
}

/** Seconds below a minute, minutes above: nobody wants to know more at a glance. */
export function spanText(ms: number): string {
  return formatDuration(ms < MINUTE_MS ? Math.floor(ms / 1_000) * 1_000 : Math.floor(ms / MINUTE_MS) * MINUTE_MS);
}

function goodLine({ server, from, clients, good, good_until: until }: TokenRow, nowMs: number): string {
  if (from === 'shared') return `${server}: access token: ${goodText(until, nowMs)}`;
  const first = until === null ? '' : `, the first of them until ${atText(until, nowMs)}`;
  return `${server}: access tokens of users: ${good} of ${clients} good${first}`;
}

function goodText(until: string | null, nowMs: number): string {
  return until === null ? 'none now, one is got when it is needed' : `good until ${atText(until, nowMs)}`;
}

function alertLine({ server }: TokenRow, { action }: Pick<TokenFailureRow, 'action'>, text: string): string {
  return `! ${server}: ${text}${action === null ? '' : `; ${action}`}`;
}

function whose({ users, user_count: count }: Pick<TokenFailureRow, 'users' | 'user_count'>): string {
  if (count === 0) return '';
  const more = count > USER_COUNT_SHOWN ? ` and ${count - USER_COUNT_SHOWN} more` : '';
  return ` for user${count === 1 ? '' : 's'} ${users.slice(0, USER_COUNT_SHOWN).join(', ')}${more}`;
}

/** A refusal ends in advice, which the action gives with its place. */
function failureText({ since, oauth_error: code, reason }: TokenFailure, of: string, nowMs: number): string {
  const what = code === 'invalid_grant' ? `refresh token refused (${code})` : 'no new access token';
  return `${what} since ${atText(since, nowMs)}${of}: ${code === null ? reason : reason.replace(/;.*/, '')}`;
}

function missingText({ scopes, last, reason }: MissingScopes, of: string, nowMs: number): string {
  const what = scopes.length === 0 ? 'a scope that it does not name' : `the scope ${scopes.join(' ')}`;
  const why = reason === null ? '' : `, and none is got with it: ${reason}`;
  return `the server wants ${what}, which the access token lacks${of}, last ${atText(last, nowMs)}${why}`;
}

function nextText({ next_try: next }: TokenFailure, nowMs: number): string {
  return next === null || Date.parse(next) <= nowMs
    ? 'tried again with the next request'
    : `not tried again before ${atText(next, nowMs)}`;
}

function atText(iso: string, nowMs: number): string {
  const ms = Date.parse(iso) - nowMs;
  return `${iso.replace(/\.\d+Z$/, 'Z')} (${ms < 0 ? `${spanText(-ms)} ago` : `in ${spanText(ms)}`})`;
}
