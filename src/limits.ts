/**
 * Every bound of mcproxy: name, unit, and why it is what it is.
 *
 * Nothing that grows is without a row here. The README's limits table is generated from these names and the
 * comment above each, and compared by the house test. Sizes are bytes, times milliseconds.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Request headers in all; Node answers 431 above it. Long `Mcp-Name` URIs need more than its 16 KiB. */
export const HEADER_BYTES_MAX = 32 * KIB;
/** Header fields of one request. */
export const HEADER_COUNT_MAX = 100;
/** Request target (path and query). */
export const TARGET_BYTES_MAX = 8 * KIB;
/** Default of `limits.body`: one request body through the relay, which never holds it whole. */
export const BODY_BYTES_MAX = 1024 * MIB;
/** A request body up to this size is held so that it can be sent again; a longer one streams and is sent once. */
export const REPLAY_BYTES_MAX = 256 * KIB;
/** Time for a client to send its headers (slow-client defence). */
export const CLIENT_HEADERS_MS_MAX = 20 * SECOND;
/** Silence allowed between two pieces of a request body. */
export const CLIENT_BODY_IDLE_MS_MAX = 30 * SECOND;
/** A kept-alive client connection without a request is closed after this; above the 60 s of common load balancers. */
export const CLIENT_KEEP_ALIVE_MS = 65 * SECOND;
/** Silence allowed to a client that does not read an answer that waits for it. */
export const CLIENT_WRITE_IDLE_MS_MAX = 2 * MINUTE;
/** After an early answer the rest of a request is read and dropped this long, so that a reset does not overtake the answer. */
export const CLIENT_LINGER_MS_MAX = 1 * SECOND;
/** Client connections at once; beyond it new ones are refused. */
export const CONNECTION_COUNT_MAX = 10_000;
/** Client connections in percent of the files that the process may have open (`ulimit -n`), where that is less. */
export const CONNECTION_PERCENT_MAX = 75;
/** Exchanges in progress at once (open streams included). */
export const EXCHANGE_COUNT_MAX = 10_000;

/** Body bytes read from sockets, in either direction, after which the memory of those that have passed is collected. */
export const PASSED_BYTES_MAX = 4 * MIB;

/** Attempts after the first (`retries`). */
export const RETRY_COUNT_DEFAULT = 3;
/** `retries` may not be set higher. */
export const RETRY_COUNT_MAX = 10;
/** First retry delay; doubles with each attempt, full jitter. */
export const RETRY_DELAY_MS_BASE = 250;
/** A retry never waits longer than this unless the server asks for it. */
export const RETRY_DELAY_MS_MAX = 5 * SECOND;
/** Default of `timeouts.connect`: DNS, TCP and TLS of one attempt. */
export const CONNECT_MS_DEFAULT = 5 * SECOND;
/** Default of `timeouts.first_byte`: from the request to the head of its answer, all attempts together. */
export const FIRST_BYTE_MS_DEFAULT = 5 * MINUTE;
/** Default of `timeouts.idle`: silence inside an answer that has begun. */
export const IDLE_MS_DEFAULT = 30 * MINUTE;
/** Kept-alive upstream connections without a request are closed after this, before the 5 s after which Node servers do. */
export const UPSTREAM_KEEP_ALIVE_MS = 4 * SECOND;
/** Idle kept-alive connections held per upstream. */
export const UPSTREAM_IDLE_CONNECTION_COUNT_MAX = 256;
/** TCP keep-alive probe start on upstream connections, to notice a peer that lost power. */
export const TCP_KEEP_ALIVE_MS = 30 * SECOND;

/** Default of `heartbeat`: an SSE comment after this silence, because many intermediaries cut at 30 s. */
export const HEARTBEAT_MS_DEFAULT = 25 * SECOND;
/** Default of `shutdown_grace`. */
export const SHUTDOWN_GRACE_MS_DEFAULT = 10 * SECOND;
/** How long to wait for a port that is in use before exit 69. */
export const PORT_WAIT_MS_MAX = 10 * SECOND;

/** One SSE line when the observer or an adapter reads it. */
export const SSE_LINE_BYTES_MAX = 16 * MIB;
/** The data lines of one SSE event together when the observer or an adapter reads it. */
export const SSE_EVENT_BYTES_MAX = 16 * MIB;
/** The `endpoint` event of HTTP+SSE must come within this many bytes. */
export const SSE_ENDPOINT_BYTES_MAX = 16 * KIB;
/** One line of a stdio peer; it cannot be resynchronised safely beyond it. */
export const STDIO_LINE_BYTES_MAX = 16 * MIB;
/** Line bytes that a decoder keeps allocated between two lines; what a longer line needed is given back. */
export const LINE_HOLD_BYTES_MAX = 64 * KIB;
/** Messages of one JSON-RPC batch (2025-03-26 only). */
export const RPC_BATCH_COUNT_MAX = 256;
/** Nesting of a JSON-RPC message that is translated: printing one recurses, and would end in the middle otherwise. */
export const RPC_DEPTH_MAX = 512;
/** A peer's own text repeated to it in an error message. */
export const QUOTED_CHARS_MAX = 80;
/** One captured scalar (method, name, id) of a JSON-RPC message that is read along. */
export const SCAN_VALUE_BYTES_MAX = 1 * KIB;
/** A configuration file. */
export const CONFIG_BYTES_MAX = 4 * MIB;
/** Nesting of a configuration file. */
export const CONFIG_DEPTH_MAX = 64;
/** The source line shown with a problem; in a longer one the place is not pictured. */
export const EXCERPT_CHARS_MAX = 200;
/** A configured span of time; timers overflow at 24 days. */
export const CONFIG_SPAN_MS_MAX = 7 * 24 * 60 * MINUTE;
/** `heartbeat` may not be set lower (0 is none): each one is written to every open stream. */
export const HEARTBEAT_MS_MIN = 1 * SECOND;
/** Default of `timeout` for a command: spawn and handshake, with what `npx` may have to download first. */
export const START_MS_DEFAULT = 30 * SECOND;
/** A server name; it is part of URLs and a prefix of tool names, which clients limit to 64. */
export const SERVER_NAME_CHARS_MAX = 32;
/** A user name. */
export const USER_NAME_CHARS_MAX = 64;
/** Problems reported for one file; more are counted. */
export const PROBLEM_COUNT_MAX = 100;
/** Configured servers. */
export const SERVER_COUNT_MAX = 256;
/** Configured users. */
export const PRINCIPAL_COUNT_MAX = 10_000;
/** Quiet time after a file event before files are read again. */
export const RELOAD_DEBOUNCE_MS = 100;
/** Access-log entries waiting for the disk; beyond it they go to the diagnostic log. */
export const LOG_QUEUE_BYTES_MAX = 8 * MIB;
/** One access-log line; longer field values are cut and marked. */
export const LOG_LINE_BYTES_MAX = 64 * KIB;
/** One string field of an access-log line. */
export const LOG_FIELD_BYTES_MAX = 2 * KIB;
/** Content of one call when `log.params` is `keys` or `full`. */
export const LOG_PARAMS_BYTES_MAX = 32 * KIB;
/** Nesting of that content; deeper parts are named by their type. */
export const LOG_PARAMS_DEPTH_MAX = 32;
/** Values (members and elements) of that content; more are counted. */
export const LOG_PARAMS_NODE_COUNT_MAX = 2_000;
/** A write to the access log that has not come back by then is given up: its lines go to the diagnostic log. */
export const LOG_STALL_MS_MAX = 5 * SECOND;
/** Pause before a full pipe (EAGAIN) is tried again. */
export const LOG_RETRY_MS = 10;
/** The end of an access log that is read to go on with its chain, and one line of a log that is checked. */
export const LOG_TAIL_BYTES_MAX = 1 * MIB;
/** Findings that are told: of `mcproxy logs verify`, and differences from mcproxy.lock; the rest is counted. */
export const FINDING_COUNT_MAX = 1_000;
/** A configured secret shorter than this is not searched for in text: it would match by chance. */
export const REDACT_CHARS_MIN = 6;
/** Diagnostic lines per second and origin; more are counted and summed up. */
export const DIAG_LINES_PER_SECOND_MAX = 50;
/** Message texts whose rate is watched at once; others share one count. */
export const DIAG_MESSAGE_COUNT_MAX = 1_000;
/** After the end of its stdin a child has this long to leave by itself; then it gets SIGTERM. */
export const CHILD_EOF_MS_MAX = 2 * SECOND;
/** After SIGTERM a child and its process group have this long; then they get SIGKILL. All steps fit in `shutdown_grace`. */
export const CHILD_TERM_MS_MAX = 4 * SECOND;
/** After SIGKILL a child is waited for this long: one that hangs in the kernel (dead network disk) cannot die now. */
export const CHILD_KILL_MS_MAX = 1 * SECOND;
/** What a child wrote before it ended is read this long; a grandchild may hold the pipe open for ever. */
export const CHILD_DRAIN_MS_MAX = 500;
/** How often a process group whose leader has ended is looked at; the system does not tell when it is empty. */
export const CHILD_GROUP_POLL_MS = 25;
/** Lines that leave in one write, unless one alone is longer: what a pipe takes at once. */
export const CHILD_WRITE_BYTES_MAX = 64 * KIB;
/** Messages that wait for a child to read its stdin; must hold one of the longest. */
export const CHILD_INPUT_BYTES_MAX = 2 * STDIO_LINE_BYTES_MAX;
/** Text of a child for the diagnostic log. Twice what the log shows after redaction, so that no cut secret shows. */
export const CHILD_TEXT_BYTES_MAX = 4 * KIB;
/** `CHILD_EOF_MS_MAX` under `mcproxy stdio`, whose client kills it 4 s after it closed the pipe. */
export const PIPED_CHILD_EOF_MS_MAX = 500;
/** `CHILD_TERM_MS_MAX` under `mcproxy stdio`. */
export const PIPED_CHILD_TERM_MS_MAX = 1 * SECOND;
/** `shutdown_grace` under `mcproxy stdio` when it is longer than this; a signal after the end of input ends it. */
export const PIPED_GRACE_MS_MAX = 5 * SECOND;
/** Bytes that wait for the client of `mcproxy stdio` to read; more is not asked for long before, beyond it it ends. */
export const PIPED_OUTPUT_BYTES_MAX = 4 * STDIO_LINE_BYTES_MAX;
/** Bytes of the requests in progress of one client on a pipe; what is more is refused. */
export const PIPED_REQUEST_BYTES_MAX = 4 * STDIO_LINE_BYTES_MAX;
/** Diagnostic lines of `mcproxy stdio` that wait for whoever reads its stderr; more are dropped. */
export const PIPED_STDERR_BYTES_MAX = 256 * KIB;
/** Delay before a crashed child is started again; doubles with each crash. */
export const RESTART_DELAY_MS_BASE = 1 * SECOND;
/** A restart never waits longer than this. */
export const RESTART_DELAY_MS_MAX = 30 * SECOND;
/** A child that ran this long was healthy: its next crash counts as the first. */
export const RESTART_HEALTHY_MS = 1 * MINUTE;
/** Replicas of one server. */
export const REPLICA_COUNT_MAX = 16;
/** Calls in a row that a replica fails, though it was reached, until it is given a rest. */
export const REPLICA_FAILURE_COUNT_MAX = 3;
/** Rest of a replica that failed; doubles each time it fails again. */
export const REPLICA_REST_MS_BASE = 5 * SECOND;
/** A replica never rests longer than this. */
export const REPLICA_REST_MS_MAX = 5 * MINUTE;
/** How often each replica is asked whether it is there, while somebody uses its server. */
export const REPLICA_CHECK_MS = 30 * SECOND;
/** How long a replica may take to answer that. */
export const REPLICA_CHECK_MS_MAX = 10 * SECOND;

/** An accepted `X-Request-Id`. */
export const REQUEST_ID_CHARS_MAX = 128;
/** A request on the admin socket. */
export const ADMIN_BODY_BYTES_MAX = 64 * KIB;
/** How long the command line waits for the service's answer on the admin socket. */
export const ADMIN_REPLY_MS_MAX = 30 * SECOND;
/** An answer that the command line accepts on the admin socket. */
export const ADMIN_REPLY_BYTES_MAX = 4 * MIB;
/** Commands connected to the admin socket at once. */
export const ADMIN_CONNECTION_COUNT_MAX = 32;
/** A request to a server on the admin socket: as long as one over HTTP may be. */
export const LOCAL_REQUEST_BYTES_MAX = 16 * MIB;
/** Commands that ask servers at once. */
export const LOCAL_REQUEST_COUNT_MAX = 16;
/** One line of an answer on the admin socket: the lists of all servers in one. */
export const LOCAL_LINE_BYTES_MAX = 256 * MIB;
/** How long `mcproxy call` and `mcproxy tools` wait unless told: a command may have to be downloaded first. */
export const LOCAL_ANSWER_MS_DEFAULT = 2 * MINUTE;
/** A command at a terminal that takes longer says what it waits for. */
export const LOCAL_SILENCE_MS_MAX = 1_000;
/** How often watched files are looked at besides the events, which network file systems and bind mounts do not send. */
export const WATCH_POLL_MS = 500;
/** A change that never goes quiet is read after this all the same. */
export const WATCH_QUIET_MS_MAX = 500;
/** Files that one configuration is read from: settings, users, and two that the environment may name. */
export const FILE_COUNT_MAX = 5;
/** Symbolic links followed from one watched path, as the kernel does. */
export const LINK_COUNT_MAX = 40;
/** How long a command waits for another one that edits the same file. */
export const EDIT_LOCK_MS_MAX = 10 * SECOND;
/** `check --connect`: one question to one server. */
export const PROBE_MS_MAX = 10 * SECOND;
/** `check --connect`: what is read of an answer. */
export const PROBE_REPLY_BYTES_MAX = 64 * KIB;
/** `check --connect`: servers asked at once. */
export const PROBE_COUNT_MAX = 8;
/** An access-log write that takes longer shows a slow disk: the next ones go through a thread. */
export const LOG_SYNC_MS_MAX = 20;
/** How long access-log writes go through a thread after a slow one. */
export const LOG_ASYNC_MS = 1 * MINUTE;
/** One file that a secret stands in alone. */
export const SECRET_FILE_BYTES_MAX = 64 * KIB;
/** Files of secrets that a configuration refers to; each is watched. */
export const SECRET_FILE_COUNT_MAX = 256;
/** The definition of one tool in mcproxy.lock; of a longer one only the digest is kept. */
export const LOCKED_DEFINITION_CHARS_MAX = 64 * KIB;

export * from './limits-messages.ts';
export * from './limits-access.ts';
export * from './limits-auth.ts';
