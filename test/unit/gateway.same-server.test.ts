import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainExposure } from '../../src/config/exposure.ts';
import { isSameServer } from '../../src/gateway/same-server.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { httpServer, stdioServer } from '../support/scripted-peer.ts';

const bearer = (token: string) => ({ credential: { type: 'bearer', token: makeSecret(token) } }) as const;
const env = (value: string) => ({ env: [['KEY', makeSecret(value)]] }) as const;

const CASES = [
  { name: 'equal texts', a: stdioServer('a', { args: ['x'] }), b: stdioServer('a', { args: ['x'] }), same: true },
  {
    name: 'other arguments',
    a: stdioServer('a', { args: ['x'] }),
    b: stdioServer('a', { args: ['x', 'y'] }),
    same: false,
  },
  { name: 'equal secrets', a: httpServer('a', bearer('s3cret')), b: httpServer('a', bearer('s3cret')), same: true },
  { name: 'other secrets', a: httpServer('a', bearer('s3cret')), b: httpServer('a', bearer('other')), same: false },
  { name: 'equal environments', a: stdioServer('a', env('1')), b: stdioServer('a', env('1')), same: true },
  { name: 'other environments', a: stdioServer('a', env('1')), b: stdioServer('a', env('2')), same: false },
  { name: 'a command and a URL', a: stdioServer('a'), b: httpServer('a'), same: false },
  {
    name: 'other rules for what is shown',
    a: httpServer('a'),
    b: httpServer('a', { exposure: { ...plainExposure('a'), prefix: '' } }),
    same: true,
  },
  { name: 'other times', a: httpServer('a'), b: httpServer('a', { retries: 1 }), same: false },
];

for (const { name, a, b, same } of CASES) {
  test(`${name} are ${same ? 'the same' : 'another'} server`, () => {
    assert.equal(isSameServer(a, b), same);
  });
}
