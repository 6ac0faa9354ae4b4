/**
 * Every failure mcproxy speaks of itself: one class, one table.
 *
 * The table gives each stable code its HTTP status (RFC 9110), its JSON-RPC code, whether another attempt may
 * help, and the outcome that the access log records. A code without a row is a type error. For mcproxy's own
 * failures the JSON-RPC code is the HTTP status: MCP 2026-07-28 (basic, Error Codes) reserves -32000…-32099 and
 * leaves the rest free. Codes the spec defines keep their spec number. The README's error table is generated
 * from here and compared by the house test.
 */

export type Outcome = 'ok' | 'client_error' | 'upstream_error' | 'proxy_error' | 'cancelled';

/** `always`: nothing was sent or processed; `read-only`: only when the method merely reads; `never`. */
export type Retry = 'always' | 'read-only' | 'never';

export interface ErrorSpec {
  readonly http: number;
  readonly rpc: number;
  readonly retry: Retry;
  readonly outcome: Outcome;
  /** When it happens and what to do, for the README's table. */
  readonly help: string;
}

export const ERRORS = {
  AUTH_MISSING: {
    http: 401,
    rpc: 401,
    retry: 'never',
    outcome: 'client_error',
    help: 'No bearer token was sent. Add the header `Authorization: Bearer TOKEN`; `mcproxy token add NAME` makes a token.',
  },
  AUTH_INVALID: {
    http: 401,
    rpc: 401,
    retry: 'never',
    outcome: 'client_error',
    help: 'The token is malformed, unknown, revoked or out of its terms. Ask the operator for a new one; the log says which.',
  },
  ACCESS_DENIED: {
    http: 403,
    rpc: 403,
    retry: 'never',
    outcome: 'client_error',
    help: 'The token is valid but may not be used for this. For a tool the client hears `Unknown tool`; `mcproxy why` names the rule.',
  },
  ORIGIN_REJECTED: {
    http: 403,
    rpc: 403,
    retry: 'never',
    outcome: 'client_error',
    help: 'The `Origin` or `Host` header names a site that is not allowed. Add it to `allowed_origins` or `allowed_hosts`.',
  },
  ROUTE_UNKNOWN: {
    http: 404,
    rpc: 404,
    retry: 'never',
    outcome: 'client_error',
    help: 'There is no such path, or no such server for this user.',
  },
  REQUEST_INVALID: {
    http: 400,
    rpc: -32600,
    retry: 'never',
    outcome: 'client_error',
    help: 'The HTTP request itself is wrong: repeated or contradicting headers, a bad path, or it could not be parsed.',
  },
  REQUEST_TIMEOUT: {
    http: 408,
    rpc: 408,
    retry: 'never',
    outcome: 'client_error',
    help: 'The client took too long to send its request.',
  },
  HEADERS_TOO_LARGE: {
    http: 431,
    rpc: 431,
    retry: 'never',
    outcome: 'client_error',
    help: 'The request headers are over the bound of the limits table.',
  },
  METHOD_NOT_ALLOWED: {
    http: 405,
    rpc: 405,
    retry: 'never',
    outcome: 'client_error',
    help: 'The HTTP method is not served on this path; `Allow` lists those that are.',
  },
  MEDIA_TYPE: {
    http: 415,
    rpc: -32600,
    retry: 'never',
    outcome: 'client_error',
    help: 'The body is not `Content-Type: application/json`.',
  },
  NOT_ACCEPTABLE: {
    http: 406,
    rpc: -32600,
    retry: 'never',
    outcome: 'client_error',
    help: '`Accept` must allow `application/json` and `text/event-stream` (POST) or `text/event-stream` (GET).',
  },
  BODY_TOO_LARGE: {
    http: 413,
    rpc: 413,
    retry: 'never',
    outcome: 'client_error',
    help: 'The request body is over `limits.body`.',
  },
  RATE_LIMITED: {
    http: 429,
    rpc: 429,
    retry: 'never',
    outcome: 'client_error',
    help: 'Over a limit, or too many failed logins from this address; wait as `Retry-After` or `data.retry_after_ms` says.',
  },
  SESSION_MISSING: {
    http: 400,
    rpc: -32600,
    retry: 'never',
    outcome: 'client_error',
    help: 'A session of an older MCP revision is needed and `Mcp-Session-Id` is missing.',
  },
  SESSION_UNKNOWN: {
    http: 404,
    rpc: 404,
    retry: 'never',
    outcome: 'client_error',
    help: 'The session has ended or belongs to somebody else; the client starts a new one.',
  },
  RPC_PARSE: {
    http: 400,
    rpc: -32700,
    retry: 'never',
    outcome: 'client_error',
    help: 'The body is not JSON.',
  },
  RPC_INVALID: {
    http: 400,
    rpc: -32600,
    retry: 'never',
    outcome: 'client_error',
    help: 'The body is JSON but not a JSON-RPC message, or is a batch where none is allowed.',
  },
  RPC_METHOD: {
    http: 404,
    rpc: -32601,
    retry: 'never',
    outcome: 'client_error',
    help: 'The method is not served (HTTP 404 in the 2026-07-28 era, 200 before).',
  },
  RPC_PARAMS: {
    http: 200,
    rpc: -32602,
    retry: 'never',
    outcome: 'client_error',
    help: 'Unknown tool, prompt or resource, or bad parameters.',
  },
  HEADER_MISMATCH: {
    http: 400,
    rpc: -32020,
    retry: 'never',
    outcome: 'client_error',
    help: 'A mirrored `Mcp-*` header is missing, repeated or differs from the body.',
  },
  VERSION_UNSUPPORTED: {
    http: 400,
    rpc: -32022,
    retry: 'never',
    outcome: 'client_error',
    help: 'The MCP revision is not served; `data.supported` lists those that are.',
  },
  CREDENTIAL_MISSING: {
    http: 502,
    rpc: 502,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'Each user brings their own credential for this server, and this one has none. Add it in tokens.yml, under the user and the server.',
  },
  UPSTREAM_UNREACHABLE: {
    http: 502,
    rpc: 502,
    retry: 'always',
    outcome: 'upstream_error',
    help: 'No connection to the server (DNS, connect, TLS, spawn). Nothing was sent. Check its `url` or `command`.',
  },
  UPSTREAM_CLOSED: {
    http: 502,
    rpc: 502,
    retry: 'read-only',
    outcome: 'upstream_error',
    help: 'The server closed the connection before it answered. Whether it acted is unknown.',
  },
  UPSTREAM_PROTOCOL: {
    http: 502,
    rpc: 502,
    retry: 'never',
    outcome: 'upstream_error',
    help: 'The server answered something that is not HTTP, SSE or MCP as agreed, or redirected elsewhere.',
  },
  UPSTREAM_CREDENTIAL: {
    http: 502,
    rpc: 502,
    retry: 'never',
    outcome: 'upstream_error',
    help: 'The server, or the authorization server that gives its access tokens, refused the credential that mcproxy has for this user. Correct it in tokens.yml or mcproxy.yml.',
  },
  UPSTREAM_TIMEOUT: {
    http: 504,
    rpc: 504,
    retry: 'read-only',
    outcome: 'upstream_error',
    help: 'The server did not answer in time (`timeouts` in mcproxy.yml).',
  },
  ISSUER_UNREACHABLE: {
    http: 503,
    rpc: 503,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'An authorization server that is needed to let somebody in, or to get a token for a server, gave no usable answer. The diagnostic log says which and why.',
  },
  UPSTREAM_NOT_READY: {
    http: 503,
    rpc: 503,
    retry: 'always',
    outcome: 'upstream_error',
    help: 'The server is starting, backing off after a crash, or disabled. Try again as `Retry-After` or `data.retry_after_ms` says.',
  },
  SHUTTING_DOWN: {
    http: 503,
    rpc: 503,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'mcproxy is stopping. Try again shortly.',
  },
  OVERLOADED: {
    http: 503,
    rpc: 503,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'A bound of the limits table is reached (open exchanges, sessions, bytes of messages). Try again shortly.',
  },
  CLIENT_GONE: {
    http: 499,
    rpc: 499,
    retry: 'never',
    outcome: 'cancelled',
    help: 'The client closed the connection first; seen in the log only.',
  },
  CONFIG_INVALID: {
    http: 500,
    rpc: 500,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'A configuration file has problems: exit code 78 at start; a reload keeps the old configuration.',
  },
  LISTEN_FAILED: {
    http: 500,
    rpc: 500,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'The address cannot be listened on, most often because the port is in use: exit code 69 after waiting 10 s.',
  },
  LOG_UNWRITABLE: {
    http: 503,
    rpc: 503,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'The access log cannot be opened (exit code 73 at start) or written (`log.on_failure: refuse`).',
  },
  INTERNAL: {
    http: 500,
    rpc: -32603,
    retry: 'never',
    outcome: 'proxy_error',
    help: 'A bug in mcproxy; the diagnostic log has the stack under the same request id.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export interface ProxyErrorOptions {
  /** The underlying error; goes to the diagnostic log only. */
  readonly cause?: unknown;
  /** Extra members for the JSON-RPC `error.data`; safe to show. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Extra reply headers, lower-case names (`allow`, `retry-after`, `www-authenticate`). */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A failure with a stable code. `message` is safe to show to the client. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ProxyError';
    this.code = code;
    this.data = options.data;
    this.headers = options.headers;
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }
}
