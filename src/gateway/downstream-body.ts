/**
 * Reads the message of a POST to the gateway, whole.
 *
 * Unlike the relay, which never holds a long body, the gateway has to look into it, so the bound is a lower one, and
 * all such bodies together are bounded (`body-room`): they hold their room until the answer has left, and longer where
 * the caller retains it. The waits are those of `http/body`. What is not JSON comes out as undefined, which
 * `mcp/classify` refuses.
 */
import type { ProxyError } from '../errors.ts';
import { pumpBody, takeBody } from '../http/body.ts';
import { GATEWAY_BODY_BYTES_MAX } from '../limits.ts';
import type { BodyHold } from './body-room.ts';
import type { DownstreamPost } from './downstream-context.ts';

export interface BodyEvents {
  /** The parsed body, or undefined when it is not JSON. */
  onBody(body: unknown, hold: BodyHold): void;
  onFailure(error: ProxyError): void;
}

/** Exactly one of the two events follows. */
export function readMessageBody({ exchange, target, bodies }: DownstreamPost, events: BodyEvents): void {
  const { request, response, entry } = exchange;
  let stopRest: (() => void) | undefined;
  const hold = bodies.open(target.principal.id, (error) => {
    stopHead();
    stopRest?.();
    events.onFailure(error);
  });
  response.on('close', () => hold.release());
  const onFailure = (error: ProxyError): void => {
    hold.complete();
    events.onFailure(error);
  };
  const onWhole = (bytes: Buffer): void => {
    hold.complete();
    events.onBody(parse(bytes), hold);
  };
  const onBytes = (chunk: Buffer): void => {
    entry.bytesIn += chunk.length;
    hold.take(chunk.length);
  };
  const bodyBytesMax = GATEWAY_BODY_BYTES_MAX;
  const stopHead = takeBody(exchange, {
    bodyBytesMax,
    onBytes,
    onFailure,
    onReady(body) {
      if (body.kind === 'whole') return onWhole(body.bytes);
      const chunks: Buffer[] = [];
      const pump = pumpBody(request, {
        head: body.head,
        bodyBytesMax,
        onBytes,
        write(chunk) {
          chunks.push(chunk);
          return true;
        },
        onEnd: () => onWhole(Buffer.concat(chunks)),
        onFailure,
      });
      stopRest = () => pump.stop();
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
