import assert from 'node:assert/strict';
import test from 'node:test';
import { addressBlock } from '../../src/http/address-block.ts';
import { createFailedLogins } from '../../src/http/failed-logins.ts';
import {
  LOGIN_ADDRESS_COUNT_MAX,
  LOGIN_BLOCK_ADDRESS_COUNT_MAX,
  LOGIN_FAILURE_COUNT_FREE,
} from '../../src/limits-access.ts';
import { LOGIN_LOCK_MS_BASE, LOGIN_LOCK_MS_MAX } from '../../src/limits-access.ts';
import { verifies } from '../support/verifies.ts';

const blocks = [
  { ip: '192.0.2.7', own: '192.0.2.7', wider: '192.0.2.0/24' },
  { ip: '2001:db8:1:2:3:4:5:6', own: '2001:db8:1:2::/64', wider: '2001:db8:1::/48' },
  { ip: '2001:DB8::1', own: '2001:db8:0:0::/64', wider: '2001:db8:0::/48' },
  { ip: '::1', own: '0:0:0:0::/64', wider: '0:0:0::/48' },
  { ip: 'fe80::1%eth0', own: 'fe80:0:0:0::/64', wider: 'fe80:0:0::/48' },
  { ip: '::ffff:0a00:1', own: '0:0:0:0::/64', wider: '0:0:0::/48' },
  { ip: '64:ff9b::192.0.2.33', own: '64:ff9b:0:0::/64', wider: '64:ff9b:0::/48' },
  { ip: 'nonsense', own: 'unknown', wider: 'unknown' },
  { ip: null, own: 'unknown', wider: 'unknown' },
];
for (const { ip, own, wider } of blocks) {
  test(`the address ${ip ?? 'that is not known'} is of ${own} and ${wider}`, () => {
    assert.deepEqual(addressBlock(ip), { own, wider });
  });
}

function start() {
  const clock = { nowMs: 1_000, monotonicMs: () => clock.nowMs };
  const locks: string[] = [];
  const logins = createFailedLogins({ clock, onLocked: ({ address, ms }) => locks.push(`${address} ${ms}`) });
  return { clock, logins, locks };
}

verifies('limits.logins', 'some failures are free, then each further one doubles the wait, up to a bound', () => {
  const { clock, logins, locks } = start();
  for (let count = 0; count < LOGIN_FAILURE_COUNT_FREE; count += 1) assert.equal(logins.fail('192.0.2.7'), undefined);
  assert.deepEqual(locks, []);
  let expected = LOGIN_LOCK_MS_BASE;
  for (let count = 0; count < 14; count += 1) {
    assert.equal(logins.fail('192.0.2.7'), undefined);
    assert.equal(logins.fail('192.0.2.7'), expected);
    assert.equal(locks.at(-1), `192.0.2.7 ${expected}`);
    clock.nowMs += expected - 1;
    assert.equal(logins.fail('192.0.2.7'), 1);
    clock.nowMs += 1;
    expected = Math.min(expected * 2, LOGIN_LOCK_MS_MAX);
  }
  assert.equal(expected, LOGIN_LOCK_MS_MAX);
  clock.nowMs += LOGIN_LOCK_MS_MAX;
  for (let count = 0; count < LOGIN_FAILURE_COUNT_FREE; count += 1) assert.equal(logins.fail('192.0.2.7'), undefined);
  assert.equal(logins.fail('192.0.2.8'), undefined);
});

verifies('limits.logins', 'the addresses of one IPv6 network wait together, those of another do not', () => {
  const { logins } = start();
  for (let count = 0; count <= LOGIN_FAILURE_COUNT_FREE; count += 1) logins.fail(`2001:db8::${count + 1}`);
  assert.ok(logins.fail('2001:db8::ffff') !== undefined);
  assert.equal(logins.fail('2001:db8:0:1::1'), undefined);
});

verifies('limits.addresses', 'who has many addresses of one network takes few places and gains nothing by more', () => {
  const { logins } = start();
  const other = '198.51.100.1';
  for (let count = 0; count <= LOGIN_FAILURE_COUNT_FREE; count += 1) logins.fail(other);
  for (let count = 0; count < 50_000; count += 1)
    logins.fail(`2001:db8:1:${count.toString(16).padStart(4, '0').slice(-4)}::1`);
  assert.ok(logins.size <= LOGIN_BLOCK_ADDRESS_COUNT_MAX + 2, String(logins.size));
  assert.ok(logins.fail(other) !== undefined, 'the other address was pushed out');
  assert.ok(logins.fail('2001:db8:1:ffff::1') !== undefined, 'a further address of the crowd does not wait');
});

verifies('limits.addresses', 'the table never has more places than its bound, and empties', () => {
  const { clock, logins } = start();
  for (let count = 0; count < LOGIN_ADDRESS_COUNT_MAX * 3; count += 1)
    logins.fail(`10.${count % 256}.${Math.floor(count / 256) % 256}.${count % 7}`);
  assert.ok(logins.size <= LOGIN_ADDRESS_COUNT_MAX);
  clock.nowMs += LOGIN_LOCK_MS_MAX;
  logins.fail('192.0.2.1');
  assert.equal(logins.size, 1);
});
