import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outgoingCredential } from '../../src/auth/credentials.ts';
import type { Credential } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { httpServer } from '../support/scripted-peer.ts';

const MEANS = { clock: { wallMs: () => 0 }, grants: { outgoing: () => assert.fail() } };

const cases: { name: string; credential: Credential; fields: string[] }[] = [
  { name: 'none', credential: { type: 'none' }, fields: [] },
  { name: 'passthrough', credential: { type: 'passthrough' }, fields: [] },
  {
    name: 'bearer',
    credential: { type: 'bearer', token: makeSecret('t0ken') },
    fields: ['Authorization', 'Bearer t0ken'],
  },
  {
    // RFC 7617 §2: the example of the specification.
    name: 'basic',
    credential: { type: 'basic', username: 'Aladdin', password: makeSecret('open sesame') },
    fields: ['Authorization', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
  },
  {
    // RFC 7617 §2.1: the example in UTF-8.
    name: 'basic beyond ASCII',
    credential: { type: 'basic', username: 'test', password: makeSecret('123\u00a3') },
    fields: ['Authorization', 'Basic dGVzdDoxMjPCow=='],
  },
  {
    name: 'headers',
    credential: {
      type: 'headers',
      headers: [
        ['X-Key', makeSecret('a')],
        ['X-Id', makeSecret('b')],
      ],
    },
    fields: ['X-Key', 'a', 'X-Id', 'b'],
  },
];
for (const { name, credential, fields } of cases) {
  test(`the credential ${name} becomes its fields`, () =>
    assert.deepEqual(outgoingCredential(httpServer('up', { credential }), MEANS).fields(), fields));
}
