import assert from 'node:assert/strict';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';
import { errorOf, startProxied } from '../support/proxied-app.ts';
import { verifies } from '../support/verifies.ts';

const port = await findClosedPort();
const servers = {
  closed: `{ url: "http://127.0.0.1:${port}/mcp", retries: 1 }`,
  either: `{ url: "http://localhost:${port}/mcp", retries: 1 }`,
  nowhere: '{ url: "http://no-such-host.invalid/mcp", retries: 1 }',
  secure: `{ url: "https://127.0.0.1:${port}/mcp", retries: 1 }`,
};
const proxied = await startProxied({ after }, { servers });
after(() => checkNothingLeft());

const cases = [
  { server: 'closed', text: /server closed cannot be reached: the connection was refused; nothing listens there/ },
  { server: 'either', text: /server either cannot be reached: the connection was refused/ },
  { server: 'nowhere', text: /server nowhere cannot be reached: its host name cannot be resolved/ },
  { server: 'secure', text: /server secure cannot be reached: the connection was refused/ },
];
for (const { server, text } of cases) {
  for (const method of ['tools/call', 'tools/list']) {
    verifies(
      'retries.unreachable',
      `${method} to '${server}' is 502 that says why, with its attempts in one entry`,
      async () => {
        const { answer, entry } = await proxied.call(server, method);
        assert.equal(answer.status, 502);
        const error = errorOf(answer);
        assert.match(error.message, text);
        assert.equal(error.code, 502);
        assert.equal(error.data['code'], 'UPSTREAM_UNREACHABLE');
        assert.equal(entry['upstream'], server);
        assert.equal(entry['rpc_method'], method);
        assert.equal(entry['error_code'], 'UPSTREAM_UNREACHABLE');
        assert.equal(entry['error'], error.message);
        assert.equal(entry['attempts'], 2);
      },
    );
  }
}

verifies('retries.unreachable', 'one server that is down does not hold up the requests to others', async () => {
  const answers = await Promise.all(
    ['closed', 'nowhere', 'secure'].map((server) => proxied.call(server, 'tools/list')),
  );
  assert.deepEqual(
    answers.map(({ answer }) => answer.status),
    [502, 502, 502],
  );
});
