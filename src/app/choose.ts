/**
 * Relay or messages, where the configuration of the server alone does not say: what a request needs, and whether the
 * server speaks it.
 *
 * The head says it where it can: a modern `MCP-Protocol-Version` is a modern request, a session id that our sealer
 * opens belongs to the gateway and any other to the server. Only a POST without either is looked into, and only while
 * it is so short that the relay holds it anyway: it may be `initialize`, or a modern request whose header was lost.
 * Anything else is left to the server, whose own answer is the best error; only where that says that nothing takes a
 * POST there, the server is asked whether it speaks HTTP+SSE alone, which a client without a session cannot know. What a server speaks is asked by
 * `upstream/speaks`; when it is known nothing waits. Source: MCP 2026-07-28 basic/versioning, Backward Compatibility.
 */
import type { Sealer } from '../auth/seal.ts';
import { isSessionOf } from '../gateway/sessions.ts';
import { readBody } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { sendFailure } from '../http/reply.ts';
import { hasEnvelope } from '../mcp/classify.ts';
import { decodeMessage } from '../mcp/jsonrpc.ts';
import { isModernDate, META } from '../mcp/protocol.ts';
import type { HttpServerConfig } from '../model.ts';
import { opensEndpoint } from '../relay/legacy-endpoint.ts';
import type { RemoteOptions } from '../upstream/mcp-http.ts';
import { isSpoken, type Speech } from '../upstream/speaks.ts';
import type { Path, RoutePart } from './routes.ts';
import { whileOpen } from '../http/while-open.ts';

export interface Choice {
  readonly exchange: Exchange;
  readonly server: HttpServerConfig;
  readonly part: RoutePart;
  readonly principalId: string;
}

export interface ChoiceContext {
  readonly sealer: Sealer;
  readonly bodyBytesMax: number;
  /** How the server is asked, with the credential of the principal. */
  readonly remote: RemoteOptions;
}

/**
 * Asked when the server answered a relayed request with "nothing here": whether it speaks something else instead, so
 * that messages are to be translated. Never rejects.
 */
export type Reconsider = () => Promise<boolean>;

type Then = (path: Path, reconsider?: Reconsider) => void;

/** Calls back with the path, at once when it can be told, or answers the exchange itself when that ended before. */
export function choose(choice: Choice, context: ChoiceContext, then: Then): void {
  const found = judgeHead(choice, context);
  if (found === 'body') return readBodyFirst(choice, context, then);
  if (found === 'relay' || found === 'messages') return then(found);
  judgeSpeech(found, { choice, context }, then);
}

/** The path, the speech that it depends on, or that the head does not say. */
function judgeHead({ exchange, server, part, principalId }: Choice, context: ChoiceContext): Path | Speech | 'body' {
  const { sealer, remote } = context;
  if (part === 'sse') return 'sse';
  if (part === 'messages') {
    const scope = { serverName: server.name, principalId, base: remote.upstream.url };
    return opensEndpoint(exchange.query, scope, sealer) ? 'relay' : 'messages';
  }
  const { headers, method } = exchange.request;
  const revision = headers['mcp-protocol-version'];
  if (typeof revision === 'string' && isModernDate(revision.trim())) return 'modern';
  const session = headers['mcp-session-id'];
  if (typeof session === 'string') {
    return isSessionOf(sealer, session.trim(), { principalId, scope: server.name }) ? 'messages' : 'relay';
  }
  return method === 'POST' ? 'body' : 'relay';
}

function readBodyFirst(choice: Choice, context: ChoiceContext, then: Then): void {
  const { exchange } = choice;
  let byteCount = 0;
  readBody(exchange.request, {
    bodyBytesMax: context.bodyBytesMax,
    onBytes(chunk) {
      byteCount += chunk.length;
    },
    onReady(body) {
      // Whoever serves it takes it from here, and counts its bytes.
      exchange.body = body;
      const speech = body.kind === 'whole' ? speechOf(body.bytes) : undefined;
      if (speech === undefined) then('relay', async () => !(await isSpoken(context.remote, 'legacy')));
      else judgeSpeech(speech, { choice, context }, then);
    },
    onFailure(error) {
      exchange.entry.bytesIn += byteCount;
      sendFailure(exchange, error);
    },
  });
}

const TELLING = ['"initialize"', META.protocolVersion].map((text) => Buffer.from(text));

/** What the body needs; undefined when it does not say. Only what may say it is parsed. */
function speechOf(bytes: Buffer): Speech | undefined {
  if (!TELLING.some((text) => bytes.includes(text))) return undefined;
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  const decoded = decodeMessage(body);
  if (decoded.kind !== 'request') return undefined;
  if (hasEnvelope(decoded.message)) return 'modern';
  return decoded.message.method === 'initialize' ? 'legacy' : undefined;
}

function judgeSpeech(
  speech: Speech,
  { choice, context }: { choice: Choice; context: ChoiceContext },
  then: (path: Path) => void,
): void {
  const spoken = isSpoken(context.remote, speech);
  if (typeof spoken === 'boolean') return then(spoken ? 'relay' : 'messages');
  whileOpen(choice.exchange, spoken, (is) => then(is ? 'relay' : 'messages'));
}
