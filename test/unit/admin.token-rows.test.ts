/**
 * Access tokens for servers as an operator sees them: rows of the status, and the lines that `status` and `why` print.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenRows } from '../../src/admin/token-rows.ts';
import { tokenLines, tokenText } from '../../src/app/token-text.ts';
import { STATUS_USER_COUNT_MAX } from '../../src/limits.ts';
import type { HttpServerConfig, OAuthClient, TokenFailure, TokenState } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { configOf, httpServer } from '../support/scripted-peer.ts';
import { OAUTH_CLIENT } from '../support/oauth-client.ts';
import { verifies } from '../support/verifies.ts';

const CLIENT: OAuthClient = { ...OAUTH_CLIENT, refreshToken: makeSecret('refresh-token-0123') };
const NOW = Date.parse('2026-11-26T12:08:00.000Z');
const NOTHING: TokenState = { good_until: null, failing: null, missing: null };
const GOOD: TokenState = { ...NOTHING, good_until: '2026-11-26T13:00:00.000Z' };
const REFUSED: TokenFailure = {
  since: '2026-11-26T12:03:00.000Z',
  code: 'UPSTREAM_CREDENTIAL',
  oauth_error: 'invalid_grant',
  reason: 'https://as.example refuses it (invalid_grant); the refresh token is not good any more',
  next_try: '2026-11-26T12:08:20.000Z',
};
const AWAY: TokenFailure = {
  ...REFUSED,
  code: 'ISSUER_UNREACHABLE',
  oauth_error: null,
  reason: 'https://as.example cannot be asked: ECONNREFUSED',
  next_try: null,
};

const crmOf = (from: 'shared' | 'user', line?: number): HttpServerConfig =>
  httpServer('crm', {
    credential: { type: 'oauth', client: CLIENT },
    credentialFrom: from,
    ...(line === undefined ? {} : { credentialAt: { file: 'tokens.yml', line, column: 9 } }),
  });

verifies('oauth-out.status', 'a shared token is a row with its end', () => {
  const shared = crmOf('shared');
  const [row, ...more] = tokenRows(configOf([shared, httpServer('plain')]), () => GOOD);
  assert.deepEqual(more, []);
  assert.deepEqual(row, {
    server: 'crm',
    from: 'shared',
    clients: 1,
    good: 1,
    good_until: GOOD.good_until,
    failing: 0,
    failures: [],
    missing: [],
  });
  assert.deepEqual(tokenLines([row], NOW), ['crm: access token: good until 2026-11-26T13:00:00Z (in 52m)']);
});

verifies('oauth-out.status', "of users' own those that fail are counted and named, with the edit to make", () => {
  const [shared, ann, bob, cara, dan] = [
    crmOf('shared'),
    crmOf('user', 7),
    crmOf('user', 8),
    crmOf('user'),
    crmOf('user'),
  ];
  const config = configOf([shared], { alice: '*', ann: [ann], bob: [bob], cara: [cara], dan: [dan] });
  const states = new Map([
    [ann, { ...NOTHING, failing: REFUSED }],
    [bob, GOOD],
    [
      cara,
      { ...NOTHING, good_until: '2026-11-26T12:10:00.000Z', failing: { ...AWAY, since: '2026-11-26T12:01:00.000Z' } },
    ],
    [dan, { ...NOTHING, failing: AWAY }],
  ]);
  const rows = tokenRows(config, (server) => states.get(server));
  assert.deepEqual(
    rows.map(({ from, clients, good, good_until: until, failing }) => [from, clients, good, until, failing]),
    [
      ['shared', 1, 0, null, 0],
      ['user', 4, 2, '2026-11-26T12:10:00.000Z', 3],
    ],
  );
  assert.deepEqual(tokenLines(rows, NOW), [
    'crm: access token: none now, one is got when it is needed',
    'crm: access tokens of users: 2 of 4 good, the first of them until 2026-11-26T12:10:00Z (in 2m)',
    '! crm: refresh token refused (invalid_grant) since 2026-11-26T12:03:00Z (5m ago) for user ann: https://as.example refuses it (invalid_grant); not tried again before 2026-11-26T12:08:20Z (in 20s); write a new refresh_token under users.ann.servers.crm.auth (tokens.yml:7:9)',
    '! crm: no new access token since 2026-11-26T12:01:00Z (7m ago) for users cara, dan: https://as.example cannot be asked: ECONNREFUSED; tried again with the next request',
  ]);
  assert.doesNotMatch(JSON.stringify(rows), /token-0123|secret-0123/);
});

verifies('oauth-out.status', 'a secret that users inherit is corrected where it stands', () => {
  const failing = { ...REFUSED, oauth_error: 'invalid_client', reason: 'refused' };
  const [ann, bob] = [crmOf('user'), crmOf('user')];
  const shared = { ...crmOf('shared', 3), lacks: ['auth.refresh_token'] };
  const other = { ...CLIENT, clientSecret: makeSecret('another-secret-0123') };
  const cara = httpServer('crm', { credential: { type: 'oauth', client: other }, credentialFrom: 'user' });
  const rows = tokenRows(configOf([shared], { ann: [ann], bob: [bob], cara: [cara] }), () => ({ ...NOTHING, failing }));
  assert.deepEqual(
    rows.flatMap(({ failures }) => failures.map(({ users, action }) => [users.join(), action])),
    [
      ['ann,bob', 'write the right client_id and client_secret under servers.crm.auth (tokens.yml:3:9)'],
      ['cara', 'write the right client_id and client_secret under users.cara.servers.crm.auth'],
    ],
  );
});

verifies('oauth-out.scope-missing', 'a scope that a server wants is named, with who can give it', () => {
  const missing = { scopes: ['crm.write'], last: '2026-11-26T12:07:00.000Z', reason: null };
  const shared = crmOf('shared');
  const free = { ...OAUTH_CLIENT, refreshToken: undefined };
  const limited = { ...free, scopes: ['crm.read'] };
  const why = 'https://as.example refuses it (invalid_scope)';
  const rows = tokenRows(configOf([shared], { ann: [crmOf('user', 4)], bob: [crmOf('user')] }), () => ({
    ...GOOD,
    missing,
  }));
  assert.deepEqual(
    tokenLines(rows, NOW).filter((line) => line.startsWith('!')),
    [
      '! crm: the server wants the scope crm.write, which the access token lacks, last 2026-11-26T12:07:00Z (1m ago); log in with it and write the new refresh_token under servers.crm.auth',
      '! crm: the server wants the scope crm.write, which the access token lacks for users ann, bob, last 2026-11-26T12:07:00Z (1m ago); log in with it and write the new refresh_token under users.NAME.servers.crm.auth in tokens.yml',
    ],
  );
  for (const { client, state, expected } of [
    {
      client: limited,
      state: missing,
      expected: / ago\); if it may be used, write it to scopes under servers\.crm\.auth$/,
    },
    {
      client: free,
      state: { ...missing, reason: why },
      expected: / ago\), and none is got with it: .*\(invalid_scope\)$/,
    },
    { client: free, state: { ...missing, scopes: [] }, expected: /wants a scope that it does not name, which/ },
  ]) {
    const server = httpServer('crm', { credential: { type: 'oauth', client }, credentialFrom: 'shared' });
    const [, line] = tokenLines(
      tokenRows(configOf([server]), () => ({ ...GOOD, missing: state })),
      NOW,
    );
    assert.match(line ?? '', expected);
  }
});

verifies('oauth-out.status', 'ten thousand users who fail are one line, and a bounded list', () => {
  const users = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`u${at}`, [crmOf('user')]]));
  const [row] = tokenRows(configOf([], users), () => ({ ...NOTHING, failing: REFUSED }));
  assert.equal(row?.failures.length, 1);
  assert.equal(row.failures[0]?.users.length, STATUS_USER_COUNT_MAX);
  assert.equal(row.failures[0].user_count, 10_000);
  const lines = tokenLines([row], NOW);
  assert.match(lines[1] ?? '', /for users u0, u1, u2, u3, u4 and 9995 more: .* users\.NAME\.servers\.crm\.auth in/);
});

test('a server that is switched off, or lacks what each user brings, has no row', () => {
  const shared = crmOf('shared');
  for (const server of [
    { ...shared, enabled: false },
    { ...shared, lacks: ['auth.refresh_token'] },
  ])
    assert.deepEqual(
      tokenRows(configOf([server]), () => GOOD),
      [],
    );
});

test('one client in a line of why', () => {
  assert.equal(
    tokenText({ ...NOTHING, failing: AWAY }, NOW),
    'none now, one is got when it is needed; no new access token since 2026-11-26T12:03:00Z (5m ago): https://as.example cannot be asked: ECONNREFUSED; tried again with the next request',
  );
});
