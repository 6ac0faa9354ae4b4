/**
 * What an address speaks, for whoever decides how a client's request is served: asked when it is first needed.
 *
 * Three speeches: requests of the modern era, the legacy handshake by POST, the event stream of HTTP+SSE. Each is a
 * verdict of its own, because a server may have several, and only those are asked for that a client needs. A verdict
 * is of the address, shared by all users, and believed for `LEGACY_VERDICT_MS_MAX`; then it is used once more while the
 * question is asked again, so that only the very first request waits, and that not for long. Refused credentials and
 * outages leave no verdict. `transport:` and `era:` in the configuration answer without a question. Source: MCP
 * 2026-07-28 basic/versioning and transports, Backward Compatibility.
 */
import { DETECT_WAIT_MS_MAX, LEGACY_VERDICT_MS_MAX, REPLICA_CHECK_MS } from '../limits.ts';
import type { HttpServerConfig } from '../model.ts';
import { acceptsInitialize, askDiscover, askSse } from './detect.ts';
import type { RemoteOptions } from './mcp-http.ts';
import type { HttpUpstream } from './pool.ts';
import { settlesWithin } from './settles-within.ts';

/** `modern`: 2026-07-28 by POST; `legacy`: `initialize` by POST; `sse`: an event stream with an `endpoint`. */
export type Speech = 'modern' | 'legacy' | 'sse';

interface Flight {
  /** Who asks: another user's credential may be refused where this one's is not. */
  readonly server: HttpServerConfig;
  /** Undefined: it could not be found out. */
  readonly answer: Promise<boolean | undefined>;
  readonly begunMs: number;
}

interface Known {
  readonly is: boolean;
  readonly untilMs: number;
}

interface Address {
  readonly known: Map<Speech, Known>;
  readonly flights: Map<Speech, Flight>;
}

/** Lives as long as the address is configured. */
const addresses = new WeakMap<HttpUpstream, Address>();

const SPEECHES: readonly Speech[] = ['modern', 'legacy', 'sse'];

/**
 * Whether a client of this speech can be left to the server itself: false only when the server certainly speaks
 * something else instead. A server of which nothing is known is best left to say itself what is wrong with it.
 *
 * @returns at once whenever it is known. The promise never rejects
 */
export function isSpoken(remote: RemoteOptions, speech: Speech): boolean | Promise<boolean> {
  const said = saidOf(remote.server, speech);
  if (said !== undefined) return said;
  const own = lookUp(remote, speech);
  if (own === true) return true;
  const others = SPEECHES.filter((other) => other !== speech);
  if (own === false && others.some((other) => lookUp(remote, other) === true)) return false;
  return findOut(remote, speech, others);
}

async function findOut(remote: RemoteOptions, speech: Speech, others: readonly Speech[]): Promise<boolean> {
  if ((await ask(remote, speech)) !== false) return true;
  for (const other of others) {
    // oxlint-disable-next-line no-await-in-loop -- the next question only when this one was denied
    if ((await ask(remote, other)) === true) return false;
  }
  return true;
}

/** What the configuration says. */
function saidOf({ transport, era }: HttpServerConfig, speech: Speech): boolean | undefined {
  if (transport === 'sse') return speech === 'sse';
  if (era === 'modern') return speech === 'modern';
  if ((era === 'legacy' && speech === 'modern') || (transport === 'streamable' && speech === 'sse')) return false;
  return era === 'legacy' && transport === 'streamable' ? true : undefined;
}

/** What is known; an old answer is given once more, while it is asked anew. */
function lookUp(remote: RemoteOptions, speech: Speech): boolean | undefined {
  const known = saidOf(remote.server, speech) ?? addressOf(remote).known.get(speech);
  if (known === undefined || typeof known === 'boolean') return known;
  const nowMs = remote.clock.monotonicMs();
  if (nowMs >= known.untilMs) {
    // Not at every request, if it cannot be found out now.
    addressOf(remote).known.set(speech, { is: known.is, untilMs: nowMs + REPLICA_CHECK_MS });
    void fly(remote, speech).answer;
  }
  return known.is;
}

async function ask(remote: RemoteOptions, speech: Speech): Promise<boolean | undefined> {
  const known = lookUp(remote, speech);
  if (known !== undefined) return known;
  const flight = addressOf(remote).flights.get(speech);
  const answer = await soon(remote, flight ?? fly(remote, speech));
  if (answer !== undefined || flight === undefined || flight.server === remote.server) return answer;
  // Somebody else's question failed, which may be their credential's fault.
  return soon(remote, addressOf(remote).flights.get(speech) ?? fly(remote, speech));
}

/** The answer, or undefined when it takes too long, counted from when it was asked. */
async function soon({ clock }: RemoteOptions, { answer, begunMs }: Flight): Promise<boolean | undefined> {
  const leftMs = begunMs + DETECT_WAIT_MS_MAX - clock.monotonicMs();
  if (leftMs <= 0) return undefined;
  return (await settlesWithin(answer, leftMs)) ? answer : undefined;
}

/** Asks, at most once at a time. */
function fly(remote: RemoteOptions, speech: Speech): Flight {
  const { flights } = addressOf(remote);
  const running = flights.get(speech);
  if (running !== undefined) return running;
  const flight: Flight = {
    server: remote.server,
    begunMs: remote.clock.monotonicMs(),
    answer: question(remote, speech).finally(() => flights.delete(speech)),
  };
  flights.set(speech, flight);
  return flight;
}

async function question(remote: RemoteOptions, speech: Speech): Promise<boolean | undefined> {
  // A server that is away is the relay's to ask again.
  const once: RemoteOptions = { ...remote, server: { ...remote.server, retries: 0 } };
  const { known } = addressOf(remote);
  try {
    const is = await QUESTIONS[speech](once);
    if (known.get(speech)?.is !== is)
      remote.onDiag('info', 'a server said what it speaks', { server: remote.server.name, [speech]: is });
    known.set(speech, { is, untilMs: remote.clock.monotonicMs() + LEGACY_VERDICT_MS_MAX });
    return is;
  } catch {
    // What is wrong, the request itself will show.
    return undefined;
  }
}

const QUESTIONS: Readonly<Record<Speech, (remote: RemoteOptions) => Promise<boolean>>> = {
  modern: async (remote) => (await askDiscover(remote)) !== undefined,
  legacy: acceptsInitialize,
  sse: async (remote) => (await askSse(remote)).isSse,
};

function addressOf({ upstream }: RemoteOptions): Address {
  const address = addresses.get(upstream) ?? {
    known: new Map<Speech, Known>(), // Bounded by the configuration: one for each of SPEECHES.
    flights: new Map<Speech, Flight>(), // Bounded by the configuration: one for each of SPEECHES.
  };
  addresses.set(upstream, address);
  return address;
}
