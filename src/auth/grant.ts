/**
 * One configured OAuth client: its access token as it is now, got when it is first needed and replaced before it ends.
 *
 * However many requests need a token, one is asked for; each waits at most `OAUTH_WAIT_MS_MAX`. After a failure requests
 * fail at once until a growing pause is over, so that nobody hammers an authorization server; a token that is still good
 * serves on meanwhile. A token that the server refuses is dropped, once: if the next one is refused too, the server
 * refuses us and not the token. What is got is kept before it is used, because a refresh token that was replaced is good
 * no more. Another process with the same client and state directory may have been faster; its tokens are taken over.
 * Source: RFC 6749 §4.4, §6 and §10.4.
 */
import { ProxyError } from '../errors.ts';
import { OAUTH_METADATA_MS_MAX, OAUTH_REJECTED_MS_MIN, OAUTH_WAIT_MS_MAX } from '../limits.ts';
import type { Clock, CredentialRefusal, CredentialRenewal, OAuthClient, TokenState } from '../model.ts';
import { lackedScopes, parseBearerChallenge } from '../text/challenge.ts';
import { createGrantFailures, wallTime, type GrantFailures } from './grant-failures.ts';
import { createGrantScopes, type GrantScopes } from './grant-scopes.ts';
import type { AskIssuer } from './issuer-metadata.ts';
import { withinTime } from './issuer-wait.ts';
import { findTokenEndpoint, type TokenEndpoint } from './token-endpoint.ts';
import { holdKept, holdToken, type HeldToken } from './token-life.ts';
import { requestToken, scopesToAsk, type TokenAnswer } from './token-request.ts';

/** What outlives the process. */
export interface KeptTokens {
  /** Of everything that is configured; with another one the access token is not used. */
  readonly digest: string;
  readonly issuer: string | undefined;
  readonly accessToken: string;
  readonly lifeMs: number;
  /** Wall time. */
  readonly expiresMs: number;
  readonly refreshToken: string | undefined;
}

/** Never rejects: what cannot be kept lives as long as the process. */
export interface TokenStore {
  read(): Promise<KeptTokens | undefined>;
  write(tokens: KeptTokens): Promise<void>;
}

export interface GrantOptions {
  /** For messages: `server up`, `server up of user alice`. */
  readonly label: string;
  readonly client: OAuthClient;
  readonly serverUrl: string;
  readonly digest: string;
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly store: TokenStore;
  readonly ask: AskIssuer;
  /** The `WWW-Authenticate` field of the server when it is asked without a credential. */
  challenge(): Promise<string | undefined>;
  /** What others said, without secrets. */
  readonly redact: (text: string) => string;
  /** Keeps a text out of everything that is written, until the returned function is called. */
  readonly hide: (text: string) => () => void;
  readonly onDiag: (level: 'info' | 'warn', message: string, data: Readonly<Record<string, unknown>>) => void;
}

export interface Grant extends CredentialRenewal {
  /** What goes out now; flat. @throws {ProxyError} UPSTREAM_CREDENTIAL before anything was got */
  fields(): readonly string[];
  /** As it is now. */
  state(): TokenState;
  /** Resolves when nothing is being asked. */
  idle(): Promise<void>;
  /** It is not configured any more: nothing of it has to be hidden from now on. */
  forget(): void;
}

export function createGrant(options: GrantOptions): Grant {
  return new TokenGrant(options);
}

class TokenGrant implements Grant {
  readonly #options: GrantOptions;
  #held: HeldToken | undefined;
  /** As they were kept last, also where there is nothing to keep them in. */
  #kept: KeptTokens | undefined;
  /** What goes out, as a list that is compared by identity. */
  #fields: readonly string[] | undefined;
  /** The last one was refused by the server. */
  #isRefused = false;
  /** The last one that was used, whose end is known here better than wall time tells it. */
  #last: string | undefined;
  #running: { readonly work: Promise<void>; readonly bounded: Promise<void> } | undefined;
  #endpoint: { readonly found: TokenEndpoint; readonly untilMs: number } | undefined;
  /** Of the last 401. */
  #challenge: string | undefined;
  readonly #failures: GrantFailures;
  readonly #scopes: GrantScopes;
  /** Of the tokens before, and of those now. */
  #unhide: readonly [old: readonly (() => void)[], now: readonly (() => void)[]] = [[], []];

  constructor(options: GrantOptions) {
    this.#options = options;
    this.#failures = createGrantFailures(options.clock);
    this.#scopes = createGrantScopes(options.client, options.clock);
  }

  fields(): readonly string[] {
    if (this.#fields !== undefined) return this.#fields;
    throw new ProxyError('UPSTREAM_CREDENTIAL', `there is no access token for ${this.#options.label} yet`);
  }

  prepare(): Promise<void> | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#held === undefined || nowMs >= this.#held.endMs) return this.#renew();
    if (nowMs >= this.#held.renewMs) this.#renew().catch(() => undefined); // told where it failed
    return undefined;
  }

  rejected(sent: readonly string[], { status, challenge }: CredentialRefusal): boolean | Promise<void> {
    if (status === 403) return this.#stepUp(sent, challenge);
    const held = this.#held;
    // Another request was refused first, and there is a new one already or will be.
    if (held === undefined || sent !== this.#fields) return true;
    if (held.isSecondTry && this.#options.clock.monotonicMs() - held.gotMs < OAUTH_REJECTED_MS_MIN) return false;
    const [now, before] = [challenge, this.#challenge].map(parseBearerChallenge);
    if (now?.resourceMetadata !== before?.resourceMetadata || now?.scope !== before?.scope) this.#endpoint = undefined;
    this.#challenge = challenge ?? this.#challenge;
    this.#isRefused = true;
    this.#held = undefined;
    return true;
  }

  state(): TokenState {
    const { clock } = this.#options;
    const endMs = this.#held?.endMs ?? 0;
    const isGood = clock.monotonicMs() < endMs;
    return {
      good_until: isGood ? wallTime(clock, endMs) : null,
      failing: this.#failures.state(),
      missing: this.#scopes.state(),
    };
  }

  async idle(): Promise<void> {
    await this.#running?.work.catch(() => undefined);
  }

  forget(): void {
    for (const unhide of this.#unhide.flat()) unhide();
    this.#unhide = [[], []];
  }

  #renew(): Promise<void> {
    if (this.#running !== undefined) return this.#running.bounded;
    const failure = this.#failures.current();
    if (failure !== undefined) return Promise.reject(failure);
    const work = this.#get().finally(() => {
      this.#running = undefined;
    });
    const bounded = withinTime(work, OAUTH_WAIT_MS_MAX, () => tooLate(this.#options.label));
    this.#running = { work, bounded };
    // Maybe nobody waits; each failure is told in the diagnostic log.
    bounded.catch(() => undefined);
    return bounded;
  }

  /** The token is good, but the server wants scopes that it lacks. */
  #stepUp(sent: readonly string[], challenge: string | undefined): boolean | Promise<void> {
    const lacked = lackedScopes(challenge);
    if (lacked === undefined) return false;
    // Another request was refused first, and what was got for it may do for this one.
    if (sent !== this.#fields) return true;
    const { redact } = this.#options;
    const more = this.#scopes.want(lacked, redact);
    if (more === undefined) return false;
    if (this.#running !== undefined) return this.#running.bounded.catch(() => undefined);
    const work = this.#getMore(more).finally(() => {
      this.#running = undefined;
    });
    const bounded = withinTime(work, OAUTH_WAIT_MS_MAX, () => tooLate(this.#options.label));
    // Whoever has no token needs one also when no better one was got.
    const prepared = bounded.then(() => this.prepare());
    prepared.catch(() => undefined); // maybe nobody waits for one
    this.#running = { work, bounded: prepared };
    return bounded.catch(() => undefined);
  }

  /** Never rejects: the token in use stays when there is no better one. */
  async #getMore(more: readonly string[]): Promise<void> {
    const { label, onDiag } = this.#options;
    const data = { for: label, scopes: more.join(' ') };
    try {
      const endpoint = await this.#findEndpoint();
      const answer = await this.#request(endpoint, undefined, more);
      this.#scopes.got(more);
      await this.#keep(answer, endpoint);
      onDiag('info', 'an access token has scopes that its server wanted', data);
    } catch (thrown) {
      const { message, cause } = asFailure(label, thrown);
      const reason = thrown instanceof ProxyError ? thrown.message : message;
      if (this.#scopes.refused(reason))
        onDiag('warn', 'scopes that a server wants cannot be got', { ...data, reason, cause });
    }
  }

  async #get(): Promise<void> {
    const { label, onDiag } = this.#options;
    try {
      await this.#take();
    } catch (thrown) {
      const error = asFailure(label, thrown);
      const reason = thrown instanceof ProxyError ? thrown.message : error.message;
      if (this.#failures.failed(error, reason))
        onDiag('warn', 'an access token cannot be got', { reason: error.message, cause: error.cause });
      // Where tokens come from may be what has changed.
      this.#endpoint = undefined;
      throw error;
    }
    if (this.#failures.answered()) onDiag('info', 'access tokens can be got again', { for: label });
  }

  /** Takes over what is kept and still good, or asks for something new. */
  async #take(): Promise<void> {
    const { client, store } = this.#options;
    this.#kept = (await store.read()) ?? this.#kept;
    if (this.#adopt()) return;
    const endpoint = await this.#findEndpoint();
    if (client.refreshToken === undefined) return this.#keep(await this.#requestByClient(endpoint), endpoint);
    const first = this.#kept?.refreshToken ?? client.refreshToken.reveal();
    try {
      return await this.#keep(await this.#request(endpoint, first), endpoint, first);
    } catch (error) {
      if (!isRefusal(error, 'invalid_grant')) throw error;
      // Another process may have used it a moment ago; or what was kept is older than what is configured.
      this.#kept = (await store.read()) ?? this.#kept;
      if (this.#adopt()) return;
      const others = [this.#kept?.refreshToken, client.refreshToken.reveal()];
      const other = others.find((token) => token !== undefined && token !== first);
      if (other === undefined) throw error;
      return this.#keep(await this.#request(endpoint, other), endpoint, other);
    }
  }

  #adopt(): boolean {
    const { clock, digest } = this.#options;
    const kept = this.#kept;
    if (kept === undefined || kept.digest !== digest || kept.accessToken === this.#last) return false;
    const held = holdKept(kept, { clock, isSecondTry: this.#isRefused });
    if (held === undefined) return false;
    // Nobody knows with which it was asked for.
    this.#scopes.use([]);
    this.#use(held, kept);
    return true;
  }

  async #findEndpoint(): Promise<TokenEndpoint> {
    const { client, serverUrl, clock, ask } = this.#options;
    if (this.#endpoint !== undefined && clock.monotonicMs() < this.#endpoint.untilMs) return this.#endpoint.found;
    const found = await findTokenEndpoint({
      client,
      serverUrl,
      ask,
      clock,
      knownIssuer: this.#kept?.issuer,
      challenge: async () => (this.#challenge ??= await this.#options.challenge()),
    });
    this.#endpoint = { found, untilMs: clock.monotonicMs() + OAUTH_METADATA_MS_MAX };
    return found;
  }

  async #requestByClient(endpoint: TokenEndpoint): Promise<TokenAnswer> {
    try {
      return await this.#request(endpoint, undefined);
    } catch (error) {
      // What only the server wanted nobody could delete, and may be given no more.
      if (this.#scopes.more.length === 0 || !isRefusal(error, 'invalid_scope')) throw error;
      this.#scopes.drop();
      return this.#request(endpoint, undefined);
    }
  }

  async #request(
    endpoint: TokenEndpoint,
    refreshToken: string | undefined,
    more = this.#scopes.more,
  ): Promise<TokenAnswer> {
    const { client, ask } = this.#options;
    const scopes = scopesToAsk(client, endpoint, more);
    const answer = await requestToken(client, endpoint, { refreshToken, scopes, ask });
    this.#scopes.use(scopes);
    return answer;
  }

  async #keep(answer: TokenAnswer, { issuer }: TokenEndpoint, sent?: string): Promise<void> {
    const { clock, digest, store } = this.#options;
    const { accessToken, lifeMs } = answer;
    const held = holdToken(accessToken, lifeMs, { clock, isSecondTry: this.#isRefused });
    const refreshToken = answer.refreshToken ?? sent;
    const kept = { digest, issuer, accessToken, lifeMs, expiresMs: clock.wallMs() + lifeMs, refreshToken };
    this.#kept = kept;
    await store.write(kept);
    this.#use(held, kept);
  }

  #use(held: HeldToken, kept: KeptTokens): void {
    this.#hide(kept);
    this.#held = held;
    this.#fields = ['Authorization', `Bearer ${held.accessToken}`];
    this.#last = held.accessToken;
    this.#isRefused = false;
  }

  /** Those before stay hidden for one turn: requests with them are on their way. */
  #hide({ accessToken, refreshToken }: KeptTokens): void {
    const { hide } = this.#options;
    const [old, now] = this.#unhide;
    for (const unhide of old) unhide();
    this.#unhide = [now, [accessToken, ...(refreshToken === undefined ? [] : [refreshToken])].map(hide)];
  }
}

function isRefusal(error: unknown, code: string): boolean {
  return error instanceof ProxyError && error.data?.['oauth_error'] === code;
}

function tooLate(label: string): ProxyError {
  const text = `no access token for ${label}: the authorization server takes too long`;
  return new ProxyError('ISSUER_UNREACHABLE', text, { data: { notProcessed: true } });
}

function asFailure(label: string, thrown: unknown): ProxyError {
  const data = { notProcessed: true };
  if (!(thrown instanceof ProxyError)) return new ProxyError('INTERNAL', 'internal error', { cause: thrown, data });
  const { code, message, cause } = thrown;
  return new ProxyError(code, `no access token for ${label}: ${message}`, { cause, data: { ...thrown.data, ...data } });
}
