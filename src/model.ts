/**
 * The nouns that several rooms share. Types only: no value, no behaviour.
 *
 * Config is what the operator wrote, decoded and resolved; Principal who may come in; Credential what goes out; Entry one
 * line of the access log. All are frozen after `config/parse` made them and live as long as the Snapshot that holds them.
 */
import type { ErrorCode, Outcome } from './errors.ts';
import type { AccessConfig, AccessFilter, FilePlace, LimitsConfig, LimitsSaid } from './model-access.ts';
import type { Credential, Secret } from './model-credentials.ts';

export type * from './model-access.ts';
export type * from './model-credentials.ts';

/** MCP's own terms: legacy ≤ 2025-11-25 (initialize), modern ≥ 2026-07-28 (per-request metadata). */
export type Era = 'legacy' | 'modern';

export interface Timeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
}

/** `auto` asks the server; the others skip the question (protocol.md §2.4). */
export type TransportKind = 'auto' | 'streamable' | 'sse' | 'stdio';

/** Which items clients see; patterns with `*` and `?`. */
export interface ItemFilter {
  /** Undefined: all. */
  readonly allow: readonly string[] | undefined;
  /** Wins over `allow`. */
  readonly deny: readonly string[];
}

/** A value for an argument of tools that the client does not see. */
export interface ArgumentRule {
  /** The name of a tool, or a pattern. */
  readonly tool: string;
  readonly argument: string;
  /** `forced` overwrites what the client sends; `default` stands in where it sends none. */
  readonly mode: 'forced' | 'default';
  /** Any JSON value. */
  readonly value: unknown;
}

/** What clients see of a server, by the server's own names. */
export interface ExposureConfig {
  /** Stands with `__` before its names in the merged view; empty: they stand alone. */
  readonly prefix: string;
  readonly tools: ItemFilter;
  readonly prompts: ItemFilter;
  /** Over URIs, and over the texts of URI templates. */
  readonly resources: ItemFilter;
  /** Tools that are shown under another name, before the prefix. */
  readonly rename: readonly (readonly [own: string, shown: string])[];
  readonly describe: readonly (readonly [own: string, text: string])[];
  readonly arguments: readonly ArgumentRule[];
}

/** What a token has besides its digest. */
export interface TokenTerms {
  readonly label: string | undefined;
  /** Valid from the first instant on, and not any more from the second; ms since the epoch. */
  readonly notBeforeMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** CIDR blocks it may come from; empty: anywhere. */
  readonly networks: readonly string[];
  readonly at: FilePlace | undefined;
}
/** What a difference from mcproxy.lock does: nothing, it is told, or the tool is withheld too. */
export type LockMode = 'off' | 'warn' | 'block';

interface ServerCommon {
  /** `[A-Za-z0-9_-]{1,32}`, the first path segment of its URL. */
  readonly name: string;
  readonly enabled: boolean;
  readonly timeouts: Timeouts;
  /** Attempts after the first, 0…`RETRY_COUNT_MAX`. */
  readonly retries: number;
  readonly exposure: ExposureConfig;
  /** `auto` asks the server; the others skip the question (protocol.md §2.4, §2.5). */
  readonly era: Era | 'auto';
  /** Who has a connection or process together: `auto` is as the kind of server suggests (`gateway/members`). */
  readonly share: 'auto' | 'all' | 'user';
  /** Closed after so long without use; 0: never; undefined: as who shares it suggests. */
  readonly idleMs: number | undefined;
  /**
   * What each user has to bring and is not there, as it is written in the file: `token`, `env.GITHUB_TOKEN`,
   * `headers.X-Api-Key`. While there is any nothing goes to the server.
   */
  readonly lacks: readonly string[];
  /** For all who use it together; tools by their own names. */
  readonly limits?: LimitsConfig | undefined;
  /** For the one user whose entry this is, besides `limits`. */
  readonly ownLimits?: LimitsConfig | undefined;
  readonly lock: LockMode;
}

export interface HttpServerConfig extends ServerCommon {
  readonly kind: 'http';
  readonly transport: 'auto' | 'streamable' | 'sse';
  readonly url: string;
  /** Further addresses of the same server: its replicas. */
  readonly otherUrls: readonly string[];
  readonly credential: Credential;
  /** Where the credential came from, for `why` and `check`: `user`, `shared` or `none`. */
  readonly credentialFrom: 'user' | 'shared' | 'none';
  readonly credentialAt?: FilePlace | undefined;
  /** Extra headers that are no credential. */
  readonly headers: readonly (readonly [name: string, value: Secret])[];
  /** PEM file of a private CA; undefined means the system's. */
  readonly caFile: string | undefined;
}

export interface StdioServerConfig extends ServerCommon {
  readonly kind: 'stdio';
  readonly transport: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: Secret])[];
  readonly cwd: string | undefined;
  /** Time for spawn and handshake. */
  readonly startMs: number;
  /** Clients may tell the command which folders it is to use; they are folders of this machine. */
  readonly roots: boolean;
  /** Processes that share the work, 1…`REPLICA_COUNT_MAX`. */
  readonly replicas: number;
}

export type ServerConfig = HttpServerConfig | StdioServerConfig;

/** An identity with the servers it may use, each resolved to the credential that goes out. */
export interface Principal {
  readonly id: string;
  readonly role: 'user' | 'admin';
  /** Nobody in particular at the command line of this machine: no user that a file names. */
  readonly isLocal?: true;
  /** Lower-case hex SHA-256 of each token; empty for `auth: none`. */
  readonly tokenDigests: readonly string[];
  readonly servers: ReadonlyMap<string, ServerConfig>;
  /** Of those tokens that have more than their digest, by digest. */
  readonly tokenTerms?: ReadonlyMap<string, TokenTerms>;
  /** Names of the roles whose rules they have, besides `role`. */
  readonly roles?: readonly string[];
  /** Absent: all that the servers offer. */
  readonly access?: AccessConfig;
  /** Tools by their names in the merged catalog. Absent: no limit. */
  readonly limits?: LimitsConfig;
}

/** What a role allows, for who gets it by a claim: each list undefined where the role says nothing. */
export interface RoleConfig {
  readonly servers: AccessFilter | undefined;
  readonly tools: AccessFilter | undefined;
  readonly prompts: AccessFilter | undefined;
  readonly resources: AccessFilter | undefined;
  /** Servers that are its own, or that it says something special of. */
  readonly own: ReadonlyMap<string, ServerConfig>;
  readonly limits: LimitsSaid;
}

/** What claims of an access token give to users who are in no file. */
export interface ClaimsConfig {
  /** The claim that names roles, or a path to it; undefined: none does. */
  readonly role: string | undefined;
  /** The claim that names servers. */
  readonly servers: string | undefined;
  /** The value of the role claim that makes an administrator; undefined: none does. */
  readonly adminRole: string | undefined;
  /** Every role of the files, by name; empty without a role claim. */
  readonly roles: ReadonlyMap<string, RoleConfig>;
}

/** Access tokens of an authorization server, let in besides the tokens of the files (RFC 9068, RFC 7662). */
export interface OAuthConfig {
  /** Exactly as its tokens and its metadata name it; undefined: clients are not told where to log in. */
  readonly issuer: string | undefined;
  /** Undefined: no JWT is verified. */
  readonly jwt: { readonly jwksUrl: string | undefined } | undefined;
  readonly introspection:
    | { readonly url: string; readonly clientId: string; readonly clientSecret: Secret }
    | undefined;
  /** One of them has to be in a token; empty: a public URL of this service. */
  readonly audiences: readonly string[];
  /** All of them have to be in a token. */
  readonly scopes: readonly string[];
  /** The claim that names the user. */
  readonly userClaim: string;
  /** The authorization server is in the own network. */
  readonly allowPrivate: boolean;
  /** Its CA; undefined: those that Node knows. */
  readonly caFile: string | undefined;
  /** What all users may use who are in no file, whatever their claims say. */
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly claims: ClaimsConfig;
}

/** mcproxy as its own authorization server, over the tokens of the files. */
export interface FacadeConfig {
  /** The public URL. */
  readonly issuer: string;
  /** Clients may publish their metadata documents in the own network. */
  readonly allowPrivate: boolean;
}

export type LogParams = 'none' | 'keys' | 'full';

export interface LogConfig {
  /** Absolute path, or `-` for standard output. */
  readonly file: string;
  readonly params: LogParams;
  readonly onFailure: 'continue' | 'refuse';
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** Each line carries the digest of the line before it. */
  readonly chain: boolean;
}

export interface Config {
  readonly listen: { readonly host: string; readonly port: number };
  /** Empty, or `/a/b` without trailing slash. */
  readonly pathPrefix: string;
  /** `tokens`: fail closed; `none`: everybody is the principal `anonymous`. */
  readonly auth: 'tokens' | 'none';
  /** Undefined: only the tokens of the files. */
  readonly oauth: OAuthConfig | undefined;
  readonly facade?: FacadeConfig;
  /** What clients call this service, prefix included and without trailing slash; undefined: its loopback address. */
  readonly publicUrl: string | undefined;
  /** All servers as written under `servers:`, in order, with the shared credential. */
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly principals: readonly Principal[];
  /** Of every user of whom nothing else is said, who then has this very object. */
  readonly userLimits?: LimitsConfig;
  readonly log: LogConfig;
  readonly bodyBytesMax: number;
  readonly heartbeatMs: number;
  readonly shutdownGraceMs: number;
  /** How long a stop is told at `/readyz` before connections are refused. */
  readonly drainMs: number;
  /** Lower-case host names (no port) that `Host` may carry; empty means the default rule of `http/guard`. */
  readonly allowedHosts: readonly string[];
  /** Full origins (`https://app.example`), or `*`. */
  readonly allowedOrigins: readonly string[];
  /** CIDR blocks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly adminSocket: string | undefined;
  /** Seals what clients carry, in place of the key in the state directory; the same at every instance. */
  readonly clusterKey?: Secret;
  /** The digests of mcproxy.lock, by server, by the tool's own name; empty without the file. */
  readonly toolLock: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Every secret text in the files and the environment that fed them, for redaction. */
  readonly secrets: readonly Secret[];
}

/** A position in a file: 1-based line and column (in characters). */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One finding about the operator's files; `text` never contains a secret value. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly position: Position | undefined;
  /** The offending source line with secret values masked, for the caret picture. */
  readonly excerpt: string | undefined;
  /** What is wrong. */
  readonly text: string;
  /** What to write instead. */
  readonly fix: string | undefined;
}

/** One record of the access log; null where unknown. The order of the line is fixed in `log/access.ts`. */
export interface Entry {
  /** Wall time of the request's arrival, ms since the epoch. */
  tsMs: number;
  requestId: string;
  principal: string | null;
  clientIp: string | null;
  route: string | null;
  upstream: string | null;
  rpcMethod: string | null;
  rpcName: string | null;
  httpStatus: number | null;
  rpcError: number | null;
  latencyMs: number;
  attempts: number;
  bytesIn: number;
  bytesOut: number;
  outcome: Outcome;
  errorCode: ErrorCode | null;
  error: string | null;
  /** A tool result with `isError: true`; a success of the proxy. */
  toolError: boolean;
  /** Present only with `log.params` other than `none`. */
  params: unknown;
}

/** One server as the gateway holds it for all or for one principal; `snake_case`, because it is printed as it is. */
export interface MemberStatus {
  readonly server: string;
  /** Whose own it is; null: all share it. */
  readonly principal: string | null;
  /** `lacking`: some users have not what each brings (`last_error` names them), and nothing runs for those. */
  readonly state: 'idle' | 'starting' | 'ready' | 'down' | 'lacking';
  /** Of the state, ISO 8601; null for `lacking`. */
  readonly since: string | null;
  readonly era: Era | null;
  readonly revision: string | null;
  /** How many tools it listed last. */
  readonly tools: number | null;
  /** Calls in progress. */
  readonly calls: number;
  readonly restarts: number;
  readonly pid: number | null;
  readonly last_error: string | null;
  readonly last_error_code: ErrorCode | null;
  /** Each of them, where there are several. */
  readonly replicas?: readonly ReplicaStatus[];
}

/** One replica of a server. */
export interface ReplicaStatus extends Pick<
  MemberStatus,
  'state' | 'since' | 'era' | 'revision' | 'calls' | 'restarts' | 'pid' | 'last_error'
> {
  /** Its number in the configuration. */
  readonly replica: string;
  /** It failed, and is given no work for a while. */
  readonly resting: boolean;
  /** Lists come from it. */
  readonly lead: boolean;
}

/** Time and chance, passed in so that a test can hold them still. */
export interface Clock {
  /** Wall time, ms since the epoch. */
  wallMs(): number;
  /** Monotonic time in ms; only differences mean something. */
  monotonicMs(): number;
  /** 0 ≤ x < 1, not for secrets. */
  random(): number;
}
