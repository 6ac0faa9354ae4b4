/**
 * Reads the message of a POST to the gateway, whole.
 *
 * Unlike the relay, which never holds a long body, the gateway has to look into it, so the bound is a lower one. The
 * waits are those of `http/body`. A body that is not JSON comes out as undefined, which `mcp/classify` refuses.
 */
import type { ProxyError } from '../errors.ts';
import { pumpBody, readBody } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { GATEWAY_BODY_BYTES_MAX } from '../limits.ts';

export interface BodyEvents {
  /** The parsed body, or undefined when it is not JSON. */
  onBody(body: unknown): void;
  onFailure(error: ProxyError): void;
}

/** Exactly one of the two events follows. */
export function readMessageBody(exchange: Exchange, events: BodyEvents): void {
  const { request, entry } = exchange;
  const onBytes = (chunk: Buffer): void => {
    entry.bytesIn += chunk.length;
  };
  readBody(request, {
    bodyBytesMax: GATEWAY_BODY_BYTES_MAX,
    onBytes,
    onFailure: (error) => events.onFailure(error),
    onReady(body) {
      if (body.kind === 'whole') return events.onBody(parse(body.bytes));
      const chunks: Buffer[] = [];
      pumpBody(request, {
        head: body.head,
        bodyBytesMax: GATEWAY_BODY_BYTES_MAX,
        onBytes,
        write(chunk) {
          chunks.push(chunk);
          return true;
        },
        onEnd: () => events.onBody(parse(Buffer.concat(chunks))),
        onFailure: (error) => events.onFailure(error),
      });
    },
  });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
