import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverRows } from '../../src/admin/status.ts';
import { layOut } from '../../src/app/command-status.ts';
import type { MemberStatus, ServerConfig } from '../../src/model.ts';
import { configOf, httpServer, stdioServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const READY: MemberStatus = {
  server: 'files',
  principal: null,
  state: 'ready',
  since: '2026-11-26T12:00:00.000Z',
  era: 'legacy',
  revision: '2025-11-25',
  tools: 14,
  calls: 2,
  restarts: 1,
  pid: 7,
  last_error: null,
  last_error_code: null,
};
const files = stdioServer('files');
const mail = httpServer('mail');
const downOf = (member: Partial<MemberStatus>): MemberStatus => ({
  ...READY,
  state: 'down',
  last_error: 'x',
  ...member,
});

const ACTIONS: readonly {
  readonly name: string;
  readonly server: ServerConfig;
  readonly member?: MemberStatus;
  readonly action: string | null;
}[] = [
  { name: 'a server that works', server: files, member: READY, action: null },
  { name: 'a server that was never used', server: files, action: null },
  {
    name: 'a server that is switched off',
    server: { ...files, enabled: false },
    action: 'remove "enabled: false" of files in mcproxy.yml',
  },
  {
    name: 'a command that is not there',
    server: files,
    member: downOf({ last_error_code: 'UPSTREAM_UNREACHABLE' }),
    action: 'correct "command" of files in mcproxy.yml',
  },
  {
    name: 'a command that is too slow',
    server: files,
    member: downOf({ last_error_code: 'UPSTREAM_TIMEOUT' }),
    action: 'set a longer "timeout" for files in mcproxy.yml',
  },
  {
    name: 'a command that ends',
    server: files,
    member: downOf({ last_error_code: 'UPSTREAM_CLOSED' }),
    action: 'mcproxy tools files --no-service --verbose',
  },
  {
    name: 'a remote server that is not reached, asked by nobody in particular',
    server: mail,
    member: downOf({ server: 'mail', principal: 'local', last_error_code: 'UPSTREAM_UNREACHABLE' }),
    action: 'mcproxy check --connect',
  },
  {
    name: 'a shared credential that is refused',
    server: mail,
    member: downOf({ server: 'mail', principal: 'alice', last_error_code: 'UPSTREAM_CREDENTIAL' }),
    action: 'correct the credential of mail in mcproxy.yml',
  },
  {
    name: "a user's own credential that is refused",
    server: { ...mail, credentialFrom: 'user' },
    member: downOf({ server: 'mail', principal: 'alice', last_error_code: 'UPSTREAM_CREDENTIAL' }),
    action: 'correct the token of mail for alice in tokens.yml',
  },
];
for (const { name, server, member, action } of ACTIONS) {
  verifies('cli.status-action', `${name}: ${action ?? 'nothing to do'}`, () => {
    const rows = serverRows(configOf([server]), member === undefined ? [] : [member], () => null);
    assert.deepEqual(
      rows.map((row) => row.action),
      [action],
    );
  });
}

test('a passthrough server is relayed, and rows follow the order of the file', () => {
  const config = configOf([{ ...mail, credential: { type: 'passthrough' } }, files]);
  const rows = serverRows(config, [READY], (pid) => pid * 1_048_576);
  assert.deepEqual(
    rows.map(({ server, state, rss_bytes: bytes }) => [server, state, bytes]),
    [
      ['mail', 'relayed', null],
      ['files', 'ready', 7_340_032],
    ],
  );
});

verifies('cli.status', 'status is a table with one row for each server and the last errors below', () => {
  const { server: _server, principal: _principal, tools: _tools, last_error_code: _code, ...one } = READY;
  const replicas = [
    { ...one, replica: '1', resting: false, lead: true },
    { ...one, replica: '2', calls: 1, resting: true, lead: false },
  ];
  const members = [
    { ...READY, replicas },
    downOf({ server: 'mail', principal: 'alice', last_error: 'refused', pid: null }),
  ];
  const servers = serverRows(configOf([files, mail]), members, () => 7 * 1_048_576);
  const readiness = { ready: false, reasons: ['the log is full'] };
  const body = { version: '0', url: 'http://a', uptime_seconds: 3_700, readiness, servers, users: 1, entries: 2 };
  const lines = layOut(body, Date.parse('2026-11-26T12:05:30.000Z'));
  assert.deepEqual(lines[0], 'mcproxy 0 at http://a, up 1h1m, NOT READY');
  assert.match(lines[1] ?? '', /restart the service after an upgrade/);
  assert.equal(lines[2], '! the log is full');
  const table = lines
    .filter((line) => /^(?:SERVER|files|mail|  replica|1 user)/.test(line))
    .map((line) => line.split(/ {2,}/));
  assert.deepEqual(table, [
    ['1 user, 2 requests logged'],
    ['SERVER', 'TRANSPORT', 'REVISION', 'STATE', 'SINCE', 'TOOLS', 'CALLS', 'RESTARTS', 'MEMORY', 'ACTION'],
    ['files', 'stdio', '2025-11-25', 'ready', '5m', '14', '2', '1', '7 MiB', '-'],
    ['', 'replica 1', 'stdio', '2025-11-25', 'ready', '5m', '-', '2', '1', '-', '-'],
    ['', 'replica 2', 'stdio', '2025-11-25', 'resting', '5m', '-', '1', '1', '-', '-'],
    [
      'mail (alice)',
      mail.transport,
      '2025-11-25',
      'down',
      '5m',
      '14',
      '2',
      '1',
      '-',
      'mcproxy tools mail --user alice',
    ],
    ['mail (alice): last error: refused'],
  ]);
});
