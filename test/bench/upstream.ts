/**
 * The upstream of the benchmark: answers every POST with one constant tools/call result of about 300 bytes.
 *
 * It demands its own bearer token, so that a proxy which forgets to inject the credential fails instead of looking
 * fast. Prints its port. Arguments: TOKEN.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(4).trim();

/** What the load generator expects, byte for byte. */
const ANSWER = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [{ type: 'text', text: TEXT }], structuredContent: { length: TEXT.length }, isError: false },
});

const expected = `Bearer ${process.argv[2]}`;
const head = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(ANSWER) };

const server = http.createServer((request, reply) => {
  request.resume();
  request.on('end', () => {
    const accepted = request.headers.authorization === expected;
    reply.writeHead(accepted ? 200 : 401, head);
    reply.end(ANSWER);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.error(`listening on ${(server.address() as AddressInfo).port}`));
