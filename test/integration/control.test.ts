/**
 * Requests to authorization servers over real sockets: what is refused before anybody is asked, and what of an answer
 * is not taken.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { CONTROL_BYTES_MAX } from '../../src/limits.ts';
import { isPrivate, requestControl } from '../../src/upstream/control.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';

after(() => checkNothingLeft());

async function reasonOf(asked: Parameters<typeof requestControl>[0]): Promise<string> {
  try {
    await requestControl(asked);
  } catch (error) {
    assert.ok(error instanceof ProxyError && error.code === 'ISSUER_UNREACHABLE', String(error));
    return error.message;
  }
  throw new Error(`${asked.url} was asked`);
}

for (const { address, isOutside } of [
  { address: '127.0.0.1', isOutside: false },
  { address: '10.1.2.3', isOutside: false },
  { address: '169.254.169.254', isOutside: false },
  { address: '100.64.0.1', isOutside: false },
  { address: '0.0.0.0', isOutside: false },
  { address: '224.0.0.1', isOutside: false },
  { address: '255.255.255.255', isOutside: false },
  { address: '::1', isOutside: false },
  { address: '::', isOutside: false },
  { address: 'fe80::1', isOutside: false },
  { address: 'fd00::1', isOutside: false },
  { address: '::ffff:10.0.0.1', isOutside: false },
  { address: '::ffff:8.8.8.8', isOutside: false },
  { address: '64:ff9b::a00:1', isOutside: false },
  { address: '2002:a00:1::', isOutside: false },
  { address: '2001:db8::1', isOutside: false },
  { address: 'nonsense', isOutside: false },
  { address: '8.8.8.8', isOutside: true },
  { address: '172.32.0.1', isOutside: true },
  { address: '2606:4700::1111', isOutside: true },
]) {
  test(`${address} is ${isOutside ? '' : 'not '}on the public internet`, () => {
    assert.equal(isPrivate(address), !isOutside);
  });
}

test('a service in the own network is asked only when the operator allows it', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = upstream;
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, to see which was asked
    assert.match(await reasonOf({ url: `https://${host}:${port}/keys`, allowPrivate: false }), /public internet/, host);
  }
  assert.match(await reasonOf({ url: `http://127.0.0.1:${port}/`, allowPrivate: false }), /https/);
  assert.equal(upstream.requests.length, 0);
  const reply = await requestControl({ url: `${upstream.url}/keys`, allowPrivate: true });
  assert.equal(reply.status, 202);
  assert.equal(upstream.requests.length, 1);
});

test('a form goes out as it is and its answer comes back parsed, with its age', async (t) => {
  const upstream = await startUpstream(t, {
    answer: ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' });
      response.end('{"active":true}');
    },
  });
  const fields = ['content-type', 'application/x-www-form-urlencoded', 'authorization', 'Basic eA=='];
  const reply = await requestControl({ url: upstream.url, body: 'token=x', fields, allowPrivate: true });
  assert.deepEqual(reply, { status: 200, body: { active: true }, maxAgeSeconds: 300 });
  const [request] = upstream.requests;
  assert.equal(request?.method, 'POST');
  assert.equal(request?.text(), 'token=x');
  assert.deepEqual(request?.values('authorization'), ['Basic eA==']);
});

test('a redirect is not followed, and nothing endless is read', async (t) => {
  const upstream = await startUpstream(t, {
    answer: ({ request, response }) => {
      if (request.url === '/moved') return void response.writeHead(302, { location: '/else' }).end();
      response.writeHead(200);
      response.end('x'.repeat(CONTROL_BYTES_MAX + 1));
    },
  });
  assert.match(await reasonOf({ url: `${upstream.url}/moved`, allowPrivate: true }), /redirect/);
  assert.match(await reasonOf({ url: `${upstream.url}/long`, allowPrivate: true }), /too long/);
  assert.deepEqual(
    upstream.requests.map(({ url }) => url),
    ['/moved', '/long'],
  );
});

test('what is no URL of the web, or holds a password, is refused without being shown', async () => {
  for (const url of ['file:///etc/passwd', 'https://user:s3cret@example.com/', 'nonsense s3cret']) {
    // oxlint-disable-next-line no-await-in-loop
    assert.ok(!(await reasonOf({ url, allowPrivate: true })).includes('s3cret'));
  }
});

test('nobody there is said with the reason', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.close();
  assert.match(await reasonOf({ url: upstream.url, allowPrivate: true }), /ECONNREFUSED/);
});

test('a ca_file that has gone since the start is said, and nobody is asked', async () => {
  const ca = { file: '/nowhere/ca.pem', option: 'x' };
  const reason = await reasonOf({ url: 'https://127.0.0.1:1/', allowPrivate: true, ca });
  assert.equal(reason, 'https://127.0.0.1:1 cannot be asked: /nowhere/ca.pem of ca_file cannot be read (ENOENT)');
});
