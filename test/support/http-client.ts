/**
 * A plain HTTP client that shows what came over the wire, and a raw socket for what no client would send.
 *
 * Every request has a connection of its own that ends with it, so that nothing is left when a test ends. Headers
 * may be given as a flat list of names and values to send a header twice.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>> | readonly string[];
  /** Text, bytes or a stream; any other value is sent as JSON, with its content type unless headers are a list. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export interface Head {
  readonly status: number;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** The value of a header, several joined by comma; undefined when it is missing. */
  header(name: string): string | undefined;
}

export interface Answer extends Head {
  readonly body: Buffer;
  text(): string;
  json(): unknown;
}

export interface StreamedAnswer extends Head {
  /** Bytes as they come; throws when the connection breaks. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Leaves, as a client does that is closed by its user. */
  close(): void;
}

/** Sends a request and reads the whole answer. */
export async function send(url: string, options: RequestOptions = {}): Promise<Answer> {
  const incoming = await begin(url, options);
  const body = await buffer(incoming);
  if (!incoming.complete) throw new Error('the answer was cut');
  return {
    ...headOf(incoming),
    body,
    text: () => body.toString('utf8'),
    json: () => JSON.parse(body.toString('utf8')) as unknown,
  };
}

/** Sends a request and gives the head of the answer as soon as it is there. */
export async function openStream(url: string, options: RequestOptions = {}): Promise<StreamedAnswer> {
  const incoming = await begin(url, options);
  return { ...headOf(incoming), chunks: incoming, close: () => void incoming.destroy() };
}

/** Reads a stream until what came so far satisfies `enough`, and gives it. */
export async function readUntil(stream: StreamedAnswer, enough: (text: string) => boolean): Promise<string> {
  const iterator = stream.chunks[Symbol.asyncIterator]();
  const decoder = new TextDecoder();
  let text = '';
  while (!enough(text)) {
    // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
    const next = await iterator.next();
    if (next.done === true) throw new Error(`the stream ended with: ${text}`);
    text += decoder.decode(next.value, { stream: true });
  }
  return text;
}

export interface RawOptions {
  readonly port: number;
  readonly host?: string;
  /** Leaves the sending side open after the bytes, for a peer that must end the conversation itself. */
  readonly keepOpen?: boolean;
  /** A peer that has not closed by then is an error. */
  readonly deadlineMs?: number;
}

const RAW_MS_MAX = 10_000;

/** Writes bytes to a socket and gives everything that comes back until the peer closes. */
export function sendRaw(bytes: string | Buffer, options: RawOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: options.host ?? '127.0.0.1', port: options.port });
    const chunks: Buffer[] = [];
    const deadlineMs = options.deadlineMs ?? RAW_MS_MAX;
    const late = setTimeout(() => {
      chunks.length = 0;
      socket.destroy(new Error(`the peer did not close within ${deadlineMs} ms`));
    }, deadlineMs);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('connect', () => (options.keepOpen === true ? socket.write(bytes) : socket.end(bytes)));
    // A peer that has said everything may reset instead of reading the rest of a bad request.
    socket.on('error', (error) => (chunks.length > 0 ? resolve(textOf(chunks)) : reject(error)));
    socket.on('close', () => {
      clearTimeout(late);
      resolve(textOf(chunks));
    });
  });
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('latin1');
}

function begin(url: string, options: RequestOptions): Promise<IncomingMessage> {
  const { body, headers = {}, method = body === undefined ? 'GET' : 'POST', signal } = options;
  const isPlain = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) || body instanceof Readable;
  const payload = isPlain ? body : JSON.stringify(body);
  const given = isList(headers) ? withHost(headers, url) : { ...(isPlain ? {} : JSON_TYPE), ...headers };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, {
      method,
      agent: false,
      maxHeaderSize: HEADER_BYTES_MAX,
      headers: given,
      ...(signal && { signal }),
    });
    outgoing.once('response', resolve);
    // Stays on: a connection that breaks under the answer is reported by the answer.
    outgoing.on('error', reject);
    if (payload instanceof Readable) payload.pipe(outgoing);
    else outgoing.end(payload);
  });
}

/** More than Node's own 16 KiB, so that the bound of mcproxy is the one that shows. */
const HEADER_BYTES_MAX = 256 * 1024;
const JSON_TYPE = { 'content-type': 'application/json' };

function isList(headers: NonNullable<RequestOptions['headers']>): headers is readonly string[] {
  return Array.isArray(headers);
}

/** Node sends a flat list as it is and adds no `Host` to it. */
function withHost(headers: readonly string[], url: string): string[] {
  const hasHost = headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  return hasHost ? [...headers] : ['Host', new URL(url).host, ...headers];
}

function headOf(incoming: IncomingMessage): Head {
  const { rawHeaders } = incoming;
  return {
    status: incoming.statusCode ?? 0,
    rawHeaders,
    header: (name) => {
      const values = rawHeaders.filter(
        (_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name.toLowerCase(),
      );
      return values.length === 0 ? undefined : values.join(', ');
    },
  };
}
