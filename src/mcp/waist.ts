/**
 * The narrow waist: the one shape that an exchange has inside the gateway, which is that of 2026-07-28.
 *
 * A self-describing request yields notifications and ends in a result, a question (`input_required`) or an error.
 * Every legacy behaviour is translated at a door: N kinds of client and M kinds of server cost N + M adapters, not
 * N × M. Types only. Wire details that do not survive a hop are not in it: request ids, progress tokens, session
 * ids, `io.modelcontextprotocol/*` metadata keys; each adapter makes its own.
 */

export type JsonObject = Readonly<Record<string, unknown>>;

export type LogLevel = 'debug' | 'info' | 'notice' | 'warning' | 'error' | 'critical' | 'alert' | 'emergency';

/** One request on its way to an upstream. */
export interface McpRequest {
  readonly method: string;
  /**
   * As on the wire but for `_meta`, which holds only trace and vendor keys. For the retry of a question it carries
   * `inputResponses` and `requestState` at the top (2026-07-28 basic/patterns/mrtr).
   */
  readonly params: JsonObject;
  /** What the client can do, in the 2026-07-28 form (`elicitation`, `sampling`, `roots`, `extensions`). */
  readonly clientCapabilities: JsonObject;
  readonly clientInfo: JsonObject | undefined;
  /** Log messages wanted for this request; undefined means none. */
  readonly logLevel: LogLevel | undefined;
  /** Progress is wanted: the adapter makes a token of its own. */
  readonly wantsProgress: boolean;
  /** Whose request it is among those who share the server; undefined when nobody in particular. */
  readonly caller?: string | undefined;
}

export interface InputRequest {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  readonly params: JsonObject;
}

/** How a request ends. */
export type McpOutcome =
  /** `result` without `resultType` and without `_meta` keys of the protocol; `ttlMs`/`cacheScope` stay in it. */
  | { readonly kind: 'complete'; readonly result: JsonObject }
  | {
      readonly kind: 'input_required';
      readonly inputRequests: Readonly<Record<string, InputRequest>>;
      readonly requestState: string | undefined;
    }
  /** The tasks extension: the flat task object. */
  | { readonly kind: 'task'; readonly task: JsonObject }
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly data: unknown };

export interface McpEvents {
  /** Strictly increasing per request; the adapter filters (MCP progress). `params` without the token. */
  onProgress(params: JsonObject): void;
  /** `notifications/message` params, only when `logLevel` was given. */
  onLog(params: JsonObject): void;
  /** The request goes to a server now, for the first time or again. */
  onAttempt?(): void;
}

export interface McpCall {
  /** Never rejects: a failure of ours is an error with `data.source: "mcproxy"`. */
  readonly outcome: Promise<McpOutcome>;
  /**
   * The client gave up: cancels upstream in its own idiom. The outcome then never matters again. After a question it
   * means that nobody will come back to it; after any other outcome it means nothing.
   */
  cancel(reason?: string): void;
}

/** What a server says about itself. */
export interface ServerCard {
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly instructions: string | undefined;
  readonly serverInfo: JsonObject | undefined;
}

/** What may change at an upstream. */
export type ChangeEvent =
  | { readonly kind: 'tools' | 'prompts' | 'resources' }
  /** `uri` may be a sub-resource of a subscribed one. */
  | { readonly kind: 'resource'; readonly uri: string }
  /** The connection was lost and made again, so that anything may have changed. */
  | { readonly kind: 'recovered' }
  | { readonly kind: 'lost'; readonly reason: string };

/** `subscriptions/listen` for tasks, by one client. */
export interface TaskListenRequest {
  readonly taskIds: readonly string[];
  readonly clientCapabilities: JsonObject;
}

export interface TaskListen {
  /** Those of the ids that the server tells about. */
  readonly agreed: readonly string[];
  /** Resolves when the server tells no more, also after `stop`. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** One upstream, as one sharing scope (all, a principal, a session) reaches it. */
export interface McpPeer {
  /** Connects if needed. @throws {ProxyError} UPSTREAM_* when it cannot be reached or does not speak MCP */
  describe(): Promise<ServerCard>;
  call(request: McpRequest, events: McpEvents): McpCall;
  /** Changes from now on, until the returned function is called. */
  onChange(listener: (event: ChangeEvent) => void): () => void;
  /** Asks for updates of a resource; resolves to whether the server agreed. Reference-counted by the caller. */
  subscribe(uri: string): Promise<boolean>;
  unsubscribe(uri: string): Promise<void>;
  /** States of tasks, as the server knows them, until it is stopped or ends. @throws {ProxyError} UPSTREAM_* */
  listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen>;
  close(): Promise<void>;
}

/** JSON-RPC messages over any transport that keeps a conversation: stdio, HTTP+SSE, a Streamable HTTP session. */
export interface MessageChannel {
  /**
   * Sends one message. `origin` ties what comes back to it where the transport can (Streamable HTTP: the POST's own
   * stream). Rejects with a ProxyError when it provably did not leave.
   */
  send(message: JsonObject): Promise<void>;
  /** Ends the conversation: DELETE, stdin end, stream close. */
  close(): Promise<void>;
}

export interface ChannelEvents {
  /**
   * One message from the server. `relatedTo` is the id of the request on whose stream it came (Streamable HTTP);
   * undefined where the transport has no such link (stdio, HTTP+SSE, the GET stream).
   */
  onMessage(message: JsonObject, relatedTo: string | number | undefined): void;
  /** The conversation is over; every pending request is lost. Called once. */
  onClose(error: Error): void;
  /** Streamable HTTP: the answer stream of this request ended for good without a response. */
  onLost(requestId: string | number, error: Error): void;
}
