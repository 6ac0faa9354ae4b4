import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthReply } from '../../src/admin/health.ts';

const READY = { ready: true, reasons: [] };
const BROKEN = { ready: false, reasons: ['the access log cannot be written'] };
const { reasons } = BROKEN;

const cases = [
  { path: '/healthz', readiness: BROKEN, status: 200, body: { status: 'ok' } },
  { path: '/readyz', readiness: READY, status: 200, body: { status: 'ready' } },
  { path: '/readyz', readiness: BROKEN, status: 503, body: { status: 'not_ready', reasons } },
  { path: '/health', readiness: READY, status: 200, body: { status: 'healthy', service: 'mcproxy', ready: true } },
  {
    path: '/health',
    readiness: BROKEN,
    status: 503,
    body: { status: 'unhealthy', service: 'mcproxy', ready: false, reasons },
  },
] as const;
for (const { path, readiness, status, body } of cases) {
  test(`${path} is ${status} when ${readiness.ready ? 'ready' : 'not ready'}`, () => {
    assert.deepEqual(healthReply(path, readiness, undefined), { status, body });
  });
}

test('only /health names servers', () => {
  assert.deepEqual(healthReply('/health', READY, ['a']).body['servers'], ['a']);
  for (const path of ['/healthz', '/readyz'] as const) {
    assert.equal('servers' in healthReply(path, READY, ['a']).body, false);
  }
});
