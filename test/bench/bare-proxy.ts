/**
 * The floor: what a reverse proxy on `node:http` costs when it does nothing.
 *
 * It keeps connections alive and pipes both ways. It authenticates nobody, changes no header, logs nothing, bounds
 * nothing and checks nothing; mcproxy cannot be cheaper than this on the same runtime. Prints its port.
 * Arguments: UPSTREAM_PORT.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const upstreamPort = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 256 });

const server = http.createServer((request, reply) => {
  const outgoing = http.request({
    agent,
    host: '127.0.0.1',
    port: upstreamPort,
    method: request.method,
    path: request.url,
    headers: request.headers,
  });
  outgoing.on('response', (answer) => {
    reply.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(reply);
  });
  outgoing.on('error', () => reply.destroy());
  reply.on('close', () => outgoing.destroy());
  request.pipe(outgoing);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.error(`listening on ${(server.address() as AddressInfo).port}`));
