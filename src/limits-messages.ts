/**
 * The bounds of the path of messages: peers, catalogs, sessions and streams. A part of `limits.ts`, whose rules hold here.
 *
 * Apart only because one file would be too long; everybody imports `limits.ts`, which passes these on. Sizes are bytes,
 * times milliseconds; each has its reason above it, which is also its meaning in the README.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Requests in progress on one connection to a server, parked ones included. */
export const PEER_CALL_COUNT_MAX = 1_024;
/** A call whose server asked the client something waits this long for the answers; then it is cancelled. */
export const PARKED_CALL_MS_MAX = 10 * MINUTE;
/** Such calls at once on one connection; beyond it questions are refused. */
export const PARKED_CALL_COUNT_MAX = 256;
/**
 * A cancelled call counts as in progress this long unless its server answers: it may still ask, and such a question
 * must not be taken for one of another call.
 */
export const CANCELLED_CALL_MS = 30 * SECOND;
/** A call that a server runs as a task is held open this long for a client that does not know tasks. */
export const TASK_MS_MAX = 120 * MINUTE;
/** The id that a server gives a task; it is carried by the client, sealed, in a header too. */
export const TASK_ID_CHARS_MAX = 1 * KIB;
/** Pause between two questions for the state of a task when the server names none. */
export const TASK_POLL_MS_DEFAULT = 1 * SECOND;
/** The least pause between two questions for the state of a task, whatever the server names. */
export const TASK_POLL_MS_MIN = 100;
/** The longest pause between two questions for the state of a task, so that its end is noticed. */
export const TASK_POLL_MS_MAX = 30 * SECOND;
/** Failures in a row to ask for the state of a task before its call is given up; a server may restart in between. */
export const TASK_FAILURE_COUNT_MAX = 10;
/** Time for the answer to a question about a task. */
export const TASK_REPLY_MS_MAX = 30 * SECOND;
/** Questions of one call that wait for answers. */
export const QUESTION_COUNT_MAX = 16;
/** After a question further ones of the same call are waited for this long, so that they are asked together. */
export const QUESTION_GATHER_MS = 20;
/** How long a call waits for a legacy server to take a more verbose log level. */
export const LOG_LEVEL_MS_MAX = 2 * SECOND;
/** How long a command is asked for its era; silence means legacy, so it delays the start of such servers. */
export const ERA_PROBE_MS_MAX = 3 * SECOND;
/** How long a server may take to confirm a subscription. */
export const SUBSCRIBE_MS_MAX = 10 * SECOND;

/**
 * A name of a tool or prompt in a merged catalog. Model providers allow 64 characters, and common clients put
 * `mcp__mcproxy__` (14) before it when they call this server `mcproxy`.
 */
export const EXPOSED_NAME_CHARS_MAX = 50;
/** A name or URI of a server with filters; a longer one is not shown, so that comparing it cannot take long. */
export const FILTERED_CHARS_MAX = 8 * KIB;
/** One pattern of a filter. */
export const GLOB_CHARS_MAX = 256;
/** Names that had to give way to another server's, as told in the diagnostic log and in `status`. */
export const NAME_CONFLICT_COUNT_MAX = 1_000;
/** Names that keep their server though another with its prefix comes back; further ones go by the configuration. */
export const NAME_HOLD_COUNT_MAX = 20_000;
/** How long a merged list waits for a server of which nothing is known yet; what comes later is told as a change. */
export const CATALOG_FIRST_MS_MAX = 5 * SECOND;
/** How long a merged list waits for a server whose last known list can stand in. */
export const CATALOG_KNOWN_MS_MAX = 2 * SECOND;
/** How long a merged list waits for a server that failed to answer the last time. */
export const CATALOG_FAILED_MS_MAX = 250;
/** Reading all pages of one list of one server; it goes on in the background when nobody waits any more. */
export const CATALOG_READ_MS_MAX = 1 * MINUTE;
/** A name that is not in a list of this age or younger is unknown; an older list is read again first. */
export const CATALOG_MISS_MS = 5 * SECOND;
/** A server that failed is asked again after this, doubling, while a client waits for changes. */
export const CATALOG_RETRY_MS_BASE = 5 * SECOND;
/** A server that failed is asked again after this at the latest. */
export const CATALOG_RETRY_MS_MAX = 2 * MINUTE;
/** Pages of one list of one server; a server whose cursors never end gives what it gave until then. */
export const CATALOG_PAGE_COUNT_MAX = 100;
/** Tools, prompts, resources or templates of one server. */
export const CATALOG_ITEM_COUNT_MAX = 10_000;
/** One list of one server as JSON text. */
export const CATALOG_CHARS_MAX = 16 * MIB;
/** Items on one page of a merged list; nearly always one page, because not every client asks for a second. */
export const CATALOG_PAGE_ITEM_COUNT_MAX = 1_000;
/** How long a merged `server/discover` or `initialize` waits for servers that are starting. */
export const DISCOVER_MS_MAX = 2 * SECOND;
/** The same for one server, where there is nothing to say without it; above the time that `npx` may need. */
export const DISCOVER_ONE_MS_MAX = 2 * MINUTE;
/** Instructions of one server in the merged ones. */
export const INSTRUCTIONS_CHARS_MAX = 8 * KIB;
/** Changes within this time are told to clients once. */
export const CHANGE_COALESCE_MS = 100;
/** Views of one principal on its servers that are held between requests. */
export const VIEW_COUNT_MAX = 1_024;
/** Resource links of results, per view, that are in no list, so that reading one finds the server it came from. */
export const RESOURCE_LINK_COUNT_MAX = 4_096;
/** Resources subscribed to at one server, by all who share it. */
export const RESOURCE_SUBSCRIPTION_COUNT_MAX = 4_096;
/** Resources that the clients of one view are subscribed to at once. */
export const VIEW_SUBSCRIPTION_COUNT_MAX = 1_000;
/** Connections and children for the servers of all principals at once. */
export const PEER_COUNT_MAX = 2_048;
/** A peer of one principal that nobody used for so long is closed; the next use opens it again. */
export const PEER_IDLE_MS = 15 * MINUTE;
/** How long the question of an `input_required` may be answered. */
export const REQUEST_STATE_MS_MAX = 60 * MINUTE;

/** An answer of a remote server that is one JSON text, when the gateway reads it. */
export const REPLY_BYTES_MAX = 16 * MIB;
/** What is read of a remote server's refusal to find the reason in it. */
export const REFUSAL_BYTES_MAX = 64 * KIB;
/** One question of the detection which transport and era a remote server speaks. */
export const DETECT_MS_MAX = 30 * SECOND;
/** How long a request waits until its server said what it speaks; then it is passed on, and the question goes on. */
export const DETECT_WAIT_MS_MAX = 5 * SECOND;
/** How long a legacy verdict is believed: an upgraded server goes on answering the old way (protocol §2.6). */
export const LEGACY_VERDICT_MS_MAX = 10 * MINUTE;
/** How long `DELETE` of a session may take when it is closed; the server forgets it by itself otherwise. */
export const SESSION_END_MS_MAX = 2 * SECOND;
/** Time for the `endpoint` event of HTTP+SSE after the stream has begun. */
export const SSE_ENDPOINT_MS_MAX = 10 * SECOND;
/** An event stream that goes on after the answer it was opened for is cut then; most servers end it at once. */
export const SSE_LINGER_MS_MAX = 1 * SECOND;
/** Shortest pause before a cut event stream is taken up again, whatever `retry` says. */
export const SSE_RECONNECT_MS_MIN = 100;
/** Longest pause that `retry` may ask for; timers overflow at 24 days. */
export const SSE_RECONNECT_MS_MAX = 5 * MINUTE;
/** Attempts in a row to take up the cut answer stream of a request before the request is given up. */
export const SSE_RESUME_COUNT_MAX = 5;
/** A session id that a remote server gives; it travels in a header of every request. */
export const SESSION_ID_CHARS_MAX = 4 * KIB;
/** How long what a modern server says about itself is kept at least, though `ttlMs` may say 0. */
export const CARD_MS_MIN = 30 * SECOND;
/** How long it is kept at most, whatever `ttlMs` says. */
export const CARD_MS_MAX = 60 * MINUTE;
/** Tools of one server whose arguments are mirrored in headers. */
export const MIRRORED_TOOL_COUNT_MAX = 10_000;
/** Pages of `tools/list` read to learn which headers a tool wants. */
export const MIRROR_PAGE_COUNT_MAX = 100;
/** Resources of one server that are watched at once for one scope. */
export const WATCHED_RESOURCE_COUNT_MAX = 1_000;

/** A message of a client to the gateway, which reads it whole. */
export const GATEWAY_BODY_BYTES_MAX = 16 * MIB;
/** Such messages that are being read or answered, of all clients; the one read for longest is refused then. */
export const GATEWAY_BODIES_BYTES_MAX = 64 * MIB;
/** The same of one user, so that one user leaves room for the others. */
export const GATEWAY_BODIES_USER_BYTES_MAX = 32 * MIB;
/** How long a session of an older revision is known by its id; its state in memory goes earlier. */
export const SESSION_MS_MAX = 30 * 24 * 60 * MINUTE;
/** What a client says of itself, within the id of its session; extensions are left out beyond it. */
export const SESSION_CLAIM_BYTES_MAX = 4 * KIB;
/** Sessions with a state in memory; beyond it the user with most loses that of the one longest unused. */
export const SESSION_COUNT_MAX = 2_048;
/** A session without a stream and a call for so long loses its state; its id stays good. */
export const SESSION_IDLE_MS = 60 * MINUTE;
/** Ended sessions whose ids are refused; beyond it the oldest of the user with most is forgotten. */
export const SESSION_ENDED_COUNT_MAX = 10_000;
/** Requests in progress of one session. */
export const SESSION_CALL_COUNT_MAX = 1_024;
/** Event streams that one session holds open for what belongs to no request. */
export const SESSION_STREAM_COUNT_MAX = 4;
/** Events of one session that are kept so that a broken stream can be taken up again. */
export const REPLAY_EVENT_COUNT_MAX = 1_024;
/** The same in bytes; a longer answer is not kept, and a client that missed it gets an error instead. */
export const REPLAY_SESSION_BYTES_MAX = 1 * MIB;
/** The same of all sessions; beyond it the user who has most loses what is oldest. */
export const REPLAY_TOTAL_BYTES_MAX = 4 * MIB;
/** How long an answer, or a stream without a connection, is kept for a client that comes back. */
export const REPLAY_MS_MAX = 5 * MINUTE;
/** Streams of one session whose answers have left and are kept, in case they did not arrive. */
export const REPLAY_SENT_COUNT_MAX = 16;
/** Hints of one stream that have left and are kept, in case they did not arrive. */
export const REPLAY_SENT_HINT_COUNT_MAX = 64;
/** Pause that a client is told to make before it takes up a broken stream (`retry`). */
export const REPLAY_RETRY_MS = 1 * SECOND;
/** Questions that wait for the answer of one client of an older revision. */
export const SESSION_QUESTION_COUNT_MAX = 256;
/** How long a client of an older revision may take to answer; below the time for which a server is kept waiting. */
export const QUESTION_MS_MAX = 9 * MINUTE;
/** How often one request may be asked back before it is given up. */
export const QUESTION_ROUND_COUNT_MAX = 8;
/** Pause before a request is repeated whose server asked nothing but to come again. */
export const QUESTION_PAUSE_MS = 250;
/** Changes that wait until a new `subscriptions/listen` is confirmed. */
export const LISTEN_QUEUE_COUNT_MAX = 1_000;
/** Resources, or tasks, that one `subscriptions/listen` or one session may name. */
export const LISTEN_RESOURCE_COUNT_MAX = 256;
/** Bytes of an event stream that wait for the client; a hint beyond it is dropped, anything else cuts the stream. */
export const STREAM_QUEUE_BYTES_MAX = 4 * MIB;
