/**
 * Codes, access tokens and refresh tokens: made for a person who showed a token, given for each other, and ended.
 *
 * Each use asks whether the token that the person pasted would let them in now, from where the request comes: its end,
 * by revocation or by its terms, is the end of everything that came of it, at once. Nothing is kept but the table of
 * logins. A code is spent only by who proves that they asked for it (PKCE), so that a thief of it cannot even end the
 * login. Source: OAuth 2.1 §4.1.3, §4.3, RFC 7009, RFC 9700 §4.14.
 */
import { OAUTH_ACCESS_MS, OAUTH_CODE_MS_MAX, OAUTH_REFRESH_MS } from '../limits.ts';
import type { Bearer } from './authenticate.ts';
import type { Families } from './facade-families.ts';
import { withParameters } from './facade-redirect.ts';
import { serverOf } from './facade-request.ts';
import { digestOf, newFamily, type AskedClaims, type LoginClaims, type Seals } from './facade-seals.ts';

export interface TokenRules {
  readonly issuer: string;
  readonly seals: Seals;
  readonly families: Families;
  nowMs(): number;
  /** Whether the token that was pasted lets its user in now. */
  stillValid(bearer: Bearer): boolean;
  /** A code or refresh token was used again, after its time: the login was ended. */
  onReuse(login: LoginClaims, what: 'code' | 'refresh token'): void;
}

export type TokenAnswer =
  | { readonly ok: true; readonly user: string; readonly body: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly text: string; readonly user?: string };

/** The person agreed. @returns the URL that takes their browser back to the client (RFC 9207 §2) */
export function grant(asked: AskedClaims, who: { user: string; digest: string }, rules: TokenRules): string {
  const { client, redirectUri, challenge, server, state } = asked;
  const code = rules.seals.seal('code', {
    ...who,
    client,
    server,
    family: newFamily(),
    redirectUri,
    challenge,
    endsMs: rules.nowMs() + OAUTH_CODE_MS_MAX,
  });
  return withParameters(redirectUri, { code, state, iss: rules.issuer });
}

export interface TokenForm {
  readonly parameters: URLSearchParams;
  readonly clientIp: string | null;
}

/** Answers the token endpoint. */
export function exchangeTokens(form: TokenForm, rules: TokenRules): TokenAnswer {
  const repeated = [...new Set(form.parameters.keys())].find((name) => form.parameters.getAll(name).length > 1);
  if (repeated !== undefined) return failed('invalid_request', 'a parameter is given more than once');
  const clientId = form.parameters.get('client_id');
  if (clientId === null || clientId === '')
    return failed('invalid_client', 'client_id is needed in the body; clients have no secret here');
  const isRegistered = /^https?:/.test(clientId) || rules.seals.open('client', clientId) !== undefined;
  if (!isRegistered) return failed('invalid_client', 'the client is not registered here; it has to register again');
  const type = form.parameters.get('grant_type');
  if (type === 'authorization_code') return redeem(form, clientId, rules);
  if (type === 'refresh_token') return renew(form, clientId, rules);
  return failed('unsupported_grant_type', 'grant_type has to be authorization_code or refresh_token');
}

function redeem({ parameters, clientIp }: TokenForm, clientId: string, rules: TokenRules): TokenAnswer {
  const opened = rules.seals.open('code', parameters.get('code') ?? '');
  if (opened === undefined) return failed('invalid_grant', 'the code is not valid');
  const { value: code, ended } = opened;
  const verifier = parameters.get('code_verifier') ?? '';
  const isTheirs =
    code.client === digestOf(clientId) &&
    code.redirectUri === parameters.get('redirect_uri') &&
    /^[A-Za-z0-9._~-]{43,128}$/.test(verifier) &&
    code.challenge === digestOf(verifier);
  if (!isTheirs) return failed('invalid_grant', 'client_id, redirect_uri or code_verifier is not that of the code');
  if (ended) return failed('invalid_grant', 'the code has expired', code.user);
  return proceed({ parameters, clientIp }, code, {
    ...rules,
    next() {
      if (rules.families.begin(code.family)) return 0;
      rules.onReuse(code, 'code');
      return undefined;
    },
  });
}

function renew(form: TokenForm, clientId: string, rules: TokenRules): TokenAnswer {
  const opened = rules.seals.open('refresh', form.parameters.get('refresh_token') ?? '');
  if (opened === undefined) return failed('invalid_grant', 'the refresh token is not valid');
  const { value: token, ended } = opened;
  if (token.client !== digestOf(clientId))
    return failed('invalid_grant', 'the refresh token is that of another client');
  if (ended) return failed('invalid_grant', 'the refresh token has expired', token.user);
  return proceed(form, token, {
    ...rules,
    next() {
      const hadEnded = rules.families.hasEnded(token.family);
      const generation = rules.families.renew(token.family, token.generation);
      if (generation === undefined && !hadEnded) rules.onReuse(token, 'refresh token');
      return generation;
    },
  });
}

interface Proceeding extends TokenRules {
  /** The generation of the refresh token to give; undefined: what was shown was used before. */
  next(): number | undefined;
}

function proceed({ parameters, clientIp }: TokenForm, login: LoginClaims, rules: Proceeding): TokenAnswer {
  const { user, digest, client, family } = login;
  // Before anything is spent: a request that is wrong may be corrected.
  const asked = serverOf(parameters.getAll('resource'), rules.issuer);
  if (asked === undefined || !covers(login.server, asked))
    return failed('invalid_target', 'resource has to be what was asked for when logging in', user);
  if (!rules.stillValid({ tokenDigest: digest, principalId: user, clientIp }))
    return failed('invalid_grant', 'the login has ended; log in again', user);
  const generation = rules.next();
  if (generation === undefined) return failed('invalid_grant', 'it was used before; log in again', user);
  const nowMs = rules.nowMs();
  const claims = { user, digest, client, family };
  const access = { ...claims, server: asked === '' ? login.server : asked, endsMs: nowMs + OAUTH_ACCESS_MS };
  const refresh = { ...claims, server: login.server, generation, endsMs: nowMs + OAUTH_REFRESH_MS };
  const body = {
    access_token: rules.seals.seal('access', access),
    token_type: 'Bearer',
    expires_in: OAUTH_ACCESS_MS / 1_000,
    refresh_token: rules.seals.seal('refresh', refresh),
    scope: FACADE_SCOPE,
  };
  return { ok: true, user, body };
}

/** A token says who somebody is; what they may do is said by the files. So there is one scope, and everybody has it. */
export const FACADE_SCOPE = 'mcp';

function covers(granted: string, asked: string): boolean {
  return asked === '' || granted === '' || granted === asked;
}

/** Ends a login by one of its tokens (RFC 7009 §2). @returns whose it was; undefined: none of ours */
export function revokeLogin(parameters: URLSearchParams, rules: TokenRules): LoginClaims | undefined {
  const token = parameters.get('token') ?? '';
  const found = rules.seals.open('refresh', token) ?? rules.seals.open('access', token);
  if (found === undefined || found.value.client !== digestOf(parameters.get('client_id') ?? '')) return undefined;
  rules.families.end(found.value.family);
  return found.value;
}

function failed(error: string, text: string, user?: string): TokenAnswer {
  return { ok: false, error, text, ...(user === undefined ? {} : { user }) };
}
