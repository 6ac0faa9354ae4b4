import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { RETRY_DELAY_MS_BASE, RETRY_DELAY_MS_MAX } from '../../src/limits.ts';
import type { ProxyError } from '../../src/errors.ts';
import type { Outbound, OutboundBody } from '../../src/upstream/forward.ts';
import type { HttpUpstream } from '../../src/upstream/pool.ts';
import { forwardWithRetry, retryDelayMs } from '../../src/upstream/retry.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';

const PLENTY = 1_000_000;
const delays = [
  { name: 'the first delay', attempt: 1, after: undefined, left: PLENTY, random: 0.5, delay: RETRY_DELAY_MS_BASE / 2 },
  { name: 'the third delay', attempt: 3, after: undefined, left: PLENTY, random: 0.5, delay: RETRY_DELAY_MS_BASE * 2 },
  { name: 'a late delay', attempt: 50, after: undefined, left: PLENTY, random: 0.5, delay: RETRY_DELAY_MS_MAX / 2 },
  { name: 'Retry-After', attempt: 1, after: 60_000, left: PLENTY, random: 0.5, delay: 60_000 },
  { name: 'Retry-After: 0', attempt: 5, after: 0, left: 1, random: 0.5, delay: 0 },
  { name: 'Retry-After beyond the deadline', attempt: 1, after: 60_000, left: 60_000, random: 0, delay: undefined },
  { name: 'no time left', attempt: 1, after: undefined, left: 0, random: 0, delay: undefined },
];
for (const { name, attempt, after: asked, left, random, delay } of delays) {
  test(`${name} is ${delay ?? 'none'}`, () => assert.equal(retryDelayMs(attempt, asked, { ms: left, random }), delay));
}

test('a delay is never negative, never over its bound and never beyond the deadline', () => {
  const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: -10, max: 20_000, noNaN: true }),
      unit,
      (n, ms, random) => {
        const delay = retryDelayMs(n, undefined, { ms, random });
        if (delay === undefined) return;
        assert.ok(delay >= 0 && delay < ms && delay <= RETRY_DELAY_MS_MAX);
      },
    ),
  );
});

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

interface Told {
  readonly attempts: number;
  readonly status: number | undefined;
  readonly code: ProxyError['code'] | undefined;
}

/** Runs attempts against these ports in turn and tells how it ended. */
function run(ports: readonly number[], body: OutboundBody, options: { readOnly: boolean }): Promise<Told> {
  const { readOnly } = options;
  let attempts = 0;
  const upstream: HttpUpstream = {
    url: new URL('http://127.0.0.1/'),
    secure: false,
    host: '127.0.0.1',
    request: (given) =>
      httpRequest({ ...given, host: '127.0.0.1', port: ports[attempts - 1] ?? ports.at(-1), agent: false }),
  };
  const outbound: Outbound = {
    serverName: 'up',
    method: 'POST',
    path: '/',
    fields: ['Host', 'x', ...framing(body)],
    body,
  };
  return new Promise((resolve) => {
    forwardWithRetry(upstream, outbound, {
      clock: { wallMs: () => 0, monotonicMs: () => performance.now(), random: () => 0.01 },
      timeouts: { connectMs: 1_000, firstByteMs: 3_000, idleMs: 1_000 },
      retries: 3,
      readOnly,
      onAttempt: (attempt) => (attempts = attempt),
      onHead: (head) => {
        head.resume();
        resolve({ attempts, status: head.statusCode, code: undefined });
      },
      onFailure: ({ code }) => resolve({ attempts, status: undefined, code }),
    });
  });
}

function framing(body: OutboundBody): string[] {
  return body.kind === 'whole' ? ['Content-Length', String(body.bytes.length)] : ['Transfer-Encoding', 'chunked'];
}

const whole = { kind: 'whole', bytes: Buffer.from('{}') } as const;

/** A body that can be used up only once. */
function streamed(): OutboundBody & { readonly pumpCount: () => number } {
  let count = 0;
  return {
    kind: 'stream',
    pumpCount: () => count,
    pump(sink) {
      count += 1;
      sink.write(Buffer.from('{}'));
      sink.end();
      return { resume: () => undefined, stop: () => undefined };
    },
  };
}

async function serve(answer: Answering): Promise<number> {
  const server = createServer((request, response) => {
    request
      .resume()
      .on('end', () => answer(request, response))
      .on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

const closed = await findClosedPort();
const good = await serve((_request, response) => void response.end('{}'));
const busy = await serve((_request, response) => void response.writeHead(503, { 'retry-after': '0' }).end());
const resetting = await serve((request) => void request.socket.resetAndDestroy());
const failing = await serve((_request, response) => void response.writeHead(500).end());
// Hooks run in the order of their registration.
after(() => checkNothingLeft());

const OK = { status: 200, code: undefined };
const UNREACHABLE = { status: undefined, code: 'UPSTREAM_UNREACHABLE' } as const;
const CLOSED = { status: undefined, code: 'UPSTREAM_CLOSED' } as const;
const both = [true, false];
const runs = [
  ...both.map((readOnly) => ({
    name: 'nothing was sent',
    ports: [closed, closed, good],
    readOnly,
    end: { attempts: 3, ...OK },
  })),
  ...both.map((readOnly) => ({
    name: 'nothing was ever sent',
    ports: [closed],
    readOnly,
    end: { attempts: 4, ...UNREACHABLE },
  })),
  ...both.map((readOnly) => ({
    name: 'it was refused',
    ports: [busy, closed, good],
    readOnly,
    end: { attempts: 3, ...OK },
  })),
  ...both.map((readOnly) => ({
    name: 'it was always refused',
    ports: [busy],
    readOnly,
    end: { attempts: 4, status: 503, code: undefined },
  })),
  ...both.map((readOnly) => ({
    name: 'it failed',
    ports: [failing, good],
    readOnly,
    end: { attempts: 1, status: 500, code: undefined },
  })),
  { name: 'a reset', ports: [resetting, good], readOnly: true, end: { attempts: 2, ...OK } },
  { name: 'a reset', ports: [resetting, good], readOnly: false, end: { attempts: 1, ...CLOSED } },
  {
    name: 'a reset after a refusal',
    ports: [closed, resetting, good],
    readOnly: false,
    end: { attempts: 2, ...CLOSED },
  },
];
for (const { name, ports, readOnly, end } of runs) {
  test(`${name}: what ${readOnly ? 'only reads' : 'acts'} ends after ${end.attempts} attempts`, async () => {
    assert.deepEqual(await run(ports, whole, { readOnly }), end);
  });
}

const streams = [
  { name: 'nothing was sent', ports: [closed, closed, good], end: { attempts: 3, ...OK } },
  { name: 'it was refused', ports: [busy, good], end: { attempts: 1, status: 503, code: undefined } },
  { name: 'a reset', ports: [resetting, good], end: { attempts: 1, ...CLOSED } },
];
for (const { name, ports, end } of streams) {
  test(`${name}: a body that is not held is sent once`, async () => {
    const body = streamed();
    assert.deepEqual(await run(ports, body, { readOnly: true }), end);
    assert.equal(body.pumpCount(), 1);
  });
}
