/**
 * Every option of mcproxy.yml and tokens.yml: one row each, the single source for decoding and for the manual.
 *
 * A row says of what kind the value is, what holds when nothing is written, in which unit it counts and when to change
 * it; `mcproxy check --explain` prints the rows as they are. A dot in a name is a level of nesting: `log.file` is `file`
 * under `log`. The kinds are in `kinds.ts`, the decoder in `decode.ts`; other spellings of the field in
 * `spellings.ts`; what a user and a role may have in `schema-users.ts`.
 */
import {
  BODY_BYTES_MAX,
  CLUSTER_KEY_CHARS_MIN,
  CONFIG_SPAN_MS_MAX,
  CONNECT_MS_DEFAULT,
  FIRST_BYTE_MS_DEFAULT,
} from '../limits.ts';
import { HEARTBEAT_MS_DEFAULT, HEARTBEAT_MS_MIN, IDLE_MS_DEFAULT, RETRY_COUNT_DEFAULT } from '../limits.ts';
import { PEER_IDLE_MS, REPLICA_COUNT_MAX } from '../limits.ts';
import { RETRY_COUNT_MAX, SHUTDOWN_GRACE_MS_DEFAULT, START_MS_DEFAULT } from '../limits.ts';
import { formatDuration } from '../text/duration.ts';
import type { ScalarKind } from './kinds.ts';
import { EXPOSURE } from './schema-exposure.ts';
import { FACADE, OAUTH } from './schema-oauth.ts';
import { SERVER_LIMITS, SETTING_LIMITS } from './schema-limits.ts';

/**
 * Besides the scalars of `kinds.ts`: `secret` a text that is never shown, `word` one of `words`, `list` several of
 * kind `of`, `pairs` a map of texts, `node` something with rules of its own.
 */
export interface Field {
  readonly kind: ScalarKind | 'secret' | 'word' | 'list' | 'pairs' | 'node';
  /** What holds when nothing is written, as the operator would write it. */
  readonly default: string;
  readonly unit?: string;
  readonly when: string;
  /** For `list`. */
  readonly of?: ScalarKind;
  /** For `word`: each accepted spelling in lower case, and what it means. */
  readonly words?: Readonly<Record<string, string>>;
  /** For numbers, in milliseconds where it is a span; for a secret the number of characters. */
  readonly min?: number;
  readonly max?: number;
  /** Zero is allowed below `min`. */
  readonly zero?: boolean;
  /** Other spellings of the name, understood but not explained. */
  readonly also?: readonly string[];
}

export type Table = Readonly<Record<string, Field>>;

const SPAN = {
  kind: 'duration',
  unit: 'span of time; a plain number is seconds',
  min: 1,
  max: CONFIG_SPAN_MS_MAX,
} as const;

const TRANSPORTS = {
  auto: 'auto',
  http: 'auto',
  streamable: 'streamable',
  'streamable-http': 'streamable',
  streamable_http: 'streamable',
  streamablehttp: 'streamable',
  sse: 'sse',
  stdio: 'stdio',
} as const;

const ERAS = { auto: 'auto', legacy: 'legacy', modern: 'modern' } as const;

const LEVELS = {
  error: 'error',
  critical: 'error',
  warn: 'warn',
  warning: 'warn',
  info: 'info',
  debug: 'debug',
} as const;

const LOCK = {
  kind: 'word',
  words: { off: 'off', warn: 'warn', block: 'block' },
  unit: 'off, warn or block',
} as const;

/** The top level of mcproxy.yml. */
export const SETTINGS = {
  listen: {
    kind: 'address',
    default: '127.0.0.1:3000',
    unit: 'HOST:PORT; :PORT means every IPv4 interface, PORT alone keeps the host',
    when: 'Change it when clients on other machines are to connect: 0.0.0.0:3000.',
  },
  path_prefix: {
    kind: 'prefix',
    default: 'none',
    unit: 'URL path',
    when: 'Set it when a web server hands on only the paths below it: /tools makes /tools/mcp.',
  },
  auth: {
    kind: 'word',
    words: { tokens: 'tokens', none: 'none' },
    default: 'tokens',
    unit: 'tokens or none, or the block below',
    when: 'Set none only where nobody else can connect: everybody is then let in, to all servers.',
  },
  ...OAUTH,
  ...FACADE,
  public_url: {
    kind: 'url',
    default: 'with the loopback address it listens on, http:// and the Host that a client sent',
    unit: 'URL of this service as clients see it',
    when: 'Set it with auth.jwt, auth.introspection or oauth: it is what clients ask tokens for, and its name is allowed as Host.',
  },
  servers: {
    kind: 'node',
    default: 'none',
    unit: 'map from name to server',
    when: 'Write here the servers that several people share. Names have up to 32 characters A-Z a-z 0-9 _ -.',
  },
  users: {
    kind: 'node',
    default: 'none',
    unit: 'map from name to user',
    when: 'Usually in tokens.yml, which only the service may read; here when one file is to be enough.',
  },
  roles: {
    kind: 'node',
    default: 'none',
    unit: 'map from name to role',
    when: 'Usually in tokens.yml: what several users have in common.',
  },
  lock: {
    ...LOCK,
    default: 'off',
    when: 'Set warn to be told when a tool is not as in mcproxy.lock (`mcproxy lock`), block to withhold it until it is approved.',
  },
  allowed_hosts: {
    kind: 'list',
    of: 'host',
    default: 'a safe set made from listen',
    unit: 'host names without port',
    when: 'Set it when clients reach the service by a name of your own and are refused with 403.',
  },
  allowed_origins: {
    kind: 'list',
    of: 'origin',
    default: 'the service itself',
    unit: 'origins, or "*"',
    when: 'Set it when a web page of another origin is to call the service and read its answers (CORS).',
  },
  trusted_proxies: {
    kind: 'list',
    of: 'block',
    default: 'none',
    unit: 'IP addresses or CIDR blocks',
    when: 'Set it to the address of a reverse proxy in front, so that the log names the real client.',
  },
  shutdown_grace: {
    ...SPAN,
    min: 0,
    default: formatDuration(SHUTDOWN_GRACE_MS_DEFAULT),
    when: 'Raise it when calls that take longer must be able to end before a restart.',
  },
  drain: {
    ...SPAN,
    min: 0,
    default: '0',
    when: 'Set it, behind a load balancer, above the time in which that notices a 503 of /readyz: a stop first waits so long with the doors open.',
  },
  heartbeat: {
    ...SPAN,
    zero: true,
    min: HEARTBEAT_MS_MIN,
    default: formatDuration(HEARTBEAT_MS_DEFAULT),
    unit: 'span of time; 0 or off sends none',
    when: 'Lower it when something between cuts quiet streams earlier.',
  },
  retries: {
    kind: 'count',
    max: RETRY_COUNT_MAX,
    default: String(RETRY_COUNT_DEFAULT),
    unit: `attempts after the first, 0 to ${RETRY_COUNT_MAX}`,
    when: 'Lower it when a caller should hear of a failure at once. Only what is safe to repeat is repeated.',
  },
  'timeouts.connect': {
    ...SPAN,
    default: formatDuration(CONNECT_MS_DEFAULT),
    when: 'Raise it for servers behind slow links: it covers name lookup, connection and TLS of one attempt.',
  },
  'timeouts.first_byte': {
    ...SPAN,
    default: formatDuration(FIRST_BYTE_MS_DEFAULT),
    when: 'Raise it when tools work longer before they answer anything; all attempts together count.',
  },
  'timeouts.idle': {
    ...SPAN,
    default: formatDuration(IDLE_MS_DEFAULT),
    when: 'Raise it when streams stay silent longer although they are alive.',
  },
  'limits.body': {
    kind: 'size',
    min: 1,
    default: `${BODY_BYTES_MAX / 1024 ** 2}MiB`,
    unit: 'size of one request body; a plain number is bytes',
    when: 'Lower it to refuse large uploads.',
  },
  ...SETTING_LIMITS,
  'cluster.key': {
    kind: 'secret',
    min: CLUSTER_KEY_CHARS_MIN,
    default: 'a key of its own, kept in the state directory',
    unit: `text of ${CLUSTER_KEY_CHARS_MIN} characters or more, by chance: openssl rand -base64 32`,
    when: 'Write the same in every instance behind one load balancer: without it none continues the sessions of the others.',
  },
  'log.file': {
    kind: 'path',
    default: '-',
    unit: 'path, relative to this file; - is standard output',
    when: 'Set it to keep the access log in a file of its own.',
  },
  'log.params': {
    kind: 'word',
    words: { none: 'none', keys: 'keys', full: 'full' },
    default: 'none',
    unit: 'none, keys or full',
    when: 'Set keys or full to log what was asked too; full may write personal data to the log.',
  },
  'log.on_failure': {
    kind: 'word',
    words: { continue: 'continue', refuse: 'refuse' },
    default: 'continue',
    unit: 'continue or refuse',
    when: 'Set refuse when nothing may happen that is not logged.',
  },
  'log.level': {
    kind: 'word',
    words: LEVELS,
    default: 'info',
    unit: 'error, warn, info or debug',
    when: 'Set debug to look for a fault. It is about the diagnostic log, not the access log.',
  },
  'log.chain': {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'Set true to notice when lines of the log are changed or removed: `mcproxy logs verify`.',
  },
  'admin.socket': {
    kind: 'path',
    default: 'admin.sock in the runtime directory',
    unit: 'path, relative to this file',
    when: 'Set it when several instances run on one machine.',
  },
} as const satisfies Table;

/** One server, under `servers` of mcproxy.yml or of a user. */
export const SERVER = {
  url: {
    kind: 'list',
    of: 'url',
    also: ['serverUrl', 'httpUrl'],
    default: 'none',
    unit: 'http:// or https:// URL, or a list of them',
    when: 'Write it for a remote server; a list names replicas of the same server, among which the work is spread.',
  },
  command: {
    kind: 'text',
    default: 'none',
    when: 'Write it for a local program that speaks MCP on its standard input and output.',
  },
  args: { kind: 'list', of: 'text', default: 'none', when: 'Write the arguments of command, one item each.' },
  env: {
    kind: 'pairs',
    default: 'none',
    unit: 'map from name to value',
    when: 'Write what the command needs in its environment, its credential above all. NAME: without a value means that each user brings their own, under env in tokens.yml.',
  },
  cwd: {
    kind: 'path',
    default: 'that of the service',
    unit: 'path, relative to this file',
    when: 'Set it when the command expects files around it.',
  },
  transport: {
    kind: 'word',
    words: TRANSPORTS,
    also: ['type'],
    default: 'auto, or stdio with command',
    unit: 'auto, streamable, sse or stdio',
    when: 'Set it when a server answers the question which one it speaks wrongly.',
  },
  era: {
    kind: 'word',
    words: ERAS,
    default: 'auto: the server is asked',
    unit: 'auto, legacy (up to 2025-11-25) or modern (from 2026-07-28)',
    when: 'Set it when a server answers the question which one it speaks wrongly, or legacy for a command that is silent to it, which delays each start.',
  },
  roots: {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'Set true to let clients tell the command which folders of this machine it is to use: many commands take these in place of the folders in args.',
  },
  replicas: {
    kind: 'count',
    min: 1,
    max: REPLICA_COUNT_MAX,
    default: '1',
    unit: `processes of the command, 1 to ${REPLICA_COUNT_MAX}`,
    when: 'Raise it when one process cannot keep up. With url write a list of them instead.',
  },
  share: {
    kind: 'word',
    words: { auto: 'auto', all: 'all', user: 'user' },
    default: 'auto: a command all, a url user',
    unit: 'all or user',
    when: 'Set user when a command keeps something between calls that others must not see. What is special for one user is never shared.',
  },
  idle: {
    ...SPAN,
    zero: true,
    default: `${formatDuration(PEER_IDLE_MS)} for what one user has alone, else off`,
    unit: 'span of time; 0 or off is never',
    when: 'Set it to stop what nobody used for so long; the next use starts it again.',
  },
  auth: {
    kind: 'node',
    default: 'bearer with token, basic with username, else none',
    unit: 'none, bearer, basic, headers or passthrough; or a map of type, token, username, password and headers; or a map of type: hmac or type: oauth and what it needs',
    when: "Write bearer or basic without a value when each user brings their own in tokens.yml. Set passthrough to hand on the client's own Authorization unchanged, which MCP forbids servers to accept.",
  },
  token: { kind: 'secret', default: 'none', when: 'Write the bearer token that goes out.' },
  username: {
    kind: 'text',
    default: 'none',
    when: 'Write it, with password, for a server that wants basic authentication.',
  },
  password: { kind: 'secret', default: 'none', when: 'Write it with username.' },
  headers: {
    kind: 'pairs',
    default: 'none',
    unit: 'map from name to value',
    when: 'Write further header fields to send. Authorization and those named like a secret are the credential. NAME: without a value means that each user brings their own.',
  },
  timeout: {
    ...SPAN,
    default: formatDuration(START_MS_DEFAULT),
    when: 'Raise it when a command needs longer to start; calls wait so long for it, and then have their own time. With url it is timeouts.first_byte.',
  },
  'timeouts.connect': { ...SPAN, default: 'timeouts.connect of mcproxy.yml', when: 'Change it for this server alone.' },
  'timeouts.first_byte': {
    ...SPAN,
    default: 'timeouts.first_byte of mcproxy.yml',
    when: 'Change it for this server alone.',
  },
  'timeouts.idle': { ...SPAN, default: 'timeouts.idle of mcproxy.yml', when: 'Change it for this server alone.' },
  retries: {
    kind: 'count',
    max: RETRY_COUNT_MAX,
    default: 'retries of mcproxy.yml',
    unit: `attempts after the first, 0 to ${RETRY_COUNT_MAX}`,
    when: 'Change it for this server alone.',
  },
  enabled: {
    kind: 'flag',
    default: 'true',
    unit: 'true or false',
    when: 'Set false to keep a server in the file without running it.',
  },
  disabled: {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'The same the other way round, as other programs write it.',
  },
  lock: { ...LOCK, default: 'lock of mcproxy.yml', when: 'Change it for this server alone.' },
  ca_file: {
    kind: 'path',
    default: "the system's certificate authorities",
    unit: 'path of a PEM file, relative to this file',
    when: 'Set it when the server has a certificate of a private authority.',
  },
  ...SERVER_LIMITS,
  ...EXPOSURE,
} as const satisfies Table;

/** `auth` of a server when it is a map. */
export const AUTH = {
  type: { kind: 'node', default: 'from the other members', when: 'As the word that auth can be.' },
  token: SERVER.token,
  username: SERVER.username,
  password: SERVER.password,
  credentials: { kind: 'secret', default: 'none', when: 'User name and password in one: NAME:PASSWORD.' },
  headers: SERVER.headers,
} as const satisfies Table;
