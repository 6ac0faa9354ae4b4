/**
 * `mcproxy status`: what the running service says of itself and its servers, over the admin socket.
 *
 * One row for each server, with the command or edit that puts it right; reasons stand below the table, because they
 * are sentences. `--json` passes the answer on as it is. Exit 69: there is no service to ask. What the rows say is
 * decided by the service (`admin/status`).
 */
import type { ServerRow } from '../admin/status.ts';
import type { TokenRow } from '../admin/token-rows.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { askService, reportNoService, SERVICE_OPTIONS } from './admin-client.ts';
import { CLOCK } from './clock.ts';
import { EXIT, JSON_OPTION, flagOption, type Command } from './command.ts';
import { printable } from './local-command.ts';
import { spanText, tokenLines } from './token-text.ts';
import { VERSION } from './version.ts';

const MEBIBYTE = 1_048_576;

export const statusCommand: Command = {
  name: 'status',
  synopsis: '[--json] [--socket PATH]',
  summary: 'Shows the state of the running service and its servers',
  options: { json: JSON_OPTION, ...SERVICE_OPTIONS },
  positionals: { min: 0, max: 0 },
  notes: [
    "STATE: ready, starting, idle (not used yet), down, disabled, lacking (users have no credential of their\nown), or relayed (only with the client's own credential). Replicas have rows of their own below their server.\nACTION is the command to run or the edit to make.",
    'Example:\n  mcproxy status --json | jq -r \'.servers[] | select(.state == "down") | .server\'',
    'Exit codes: 0 the service answered, 69 there is none to ask.',
  ],
  async run(invocation) {
    const answer = await askService(invocation, { method: 'GET', target: '/status' });
    if (answer.kind === 'none') return reportNoService(invocation, answer.text);
    const { status, body } = answer;
    if (status !== 200 || !isObject(body)) return reportNoService(invocation, `the service answered ${status}`);
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(body)}\n`);
    else invocation.stdout.write(printable(`${layOut(body, CLOCK.wallMs()).join('\n')}\n`));
    return EXIT.ok;
  },
};

/** The status as lines of text. Members that are not there, of an older service, are left out. */
export function layOut(body: Readonly<Record<string, unknown>>, nowMs: number): string[] {
  const { version, url, uptime_seconds: uptime, readiness, servers, users, entries } = body;
  const { ready, reasons } = isObject(readiness) ? readiness : {};
  const up = typeof uptime === 'number' ? `, up ${spanText(uptime * 1_000)}` : '';
  const lines = [
    `mcproxy ${typeof version === 'string' ? version : '?'} at ${String(url)}${up}, ${ready === true ? 'ready' : 'NOT READY'}`,
  ];
  if (version !== VERSION) lines.push(`This command is mcproxy ${VERSION}: restart the service after an upgrade.`);
  if (Array.isArray(reasons)) lines.push(...reasons.map((reason) => `! ${String(reason)}`));
  lines.push(`${counted(users, 'user')}, ${counted(entries, 'request')} logged`, '');
  const rows = (Array.isArray(servers) ? servers : []).filter(isObject) as unknown as ServerRow[];
  if (rows.length === 0) return [...lines, 'No servers.'];
  const cells = rows.flatMap((row) => [cellsOf(row, nowMs), ...replicaCells(row, nowMs)]);
  lines.push(...table([HEADS, ...cells]));
  for (const { server, user, last_error: reason } of rows) {
    if (reason !== null && reason !== undefined) lines.push('', `${nameOf({ server, user })}: last error: ${reason}`);
  }
  const tokens = (Array.isArray(body['access_tokens']) ? body['access_tokens'] : []).filter(isObject);
  if (tokens.length > 0) lines.push('', ...tokenLines(tokens as unknown as TokenRow[], nowMs));
  return [...lines, ...driftLines(body['tool_lock'])];
}

/** A line for each server whose tools are not as in mcproxy.lock. */
function driftLines(rows: unknown): string[] {
  const lines = (Array.isArray(rows) ? rows : []).filter(isObject).map((row) => {
    const counts = (['changed', 'new', 'vanished'] as const).flatMap((kind) => {
      const names: unknown = row[kind];
      return Array.isArray(names) && names.length > 0 ? [`${names.length} ${kind}`] : [];
    });
    const what =
      row['locked'] === true ? `tools differ from mcproxy.lock (${counts.join(', ')})` : 'not in mcproxy.lock';
    return `! ${String(row['server'])}: ${what}${row['mode'] === 'block' ? ', withheld' : ''}; run: ${String(row['run'])}`;
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

const HEADS = ['SERVER', 'TRANSPORT', 'REVISION', 'STATE', 'SINCE', 'TOOLS', 'CALLS', 'RESTARTS', 'MEMORY', 'ACTION'];

function cellsOf(row: ServerRow, nowMs: number): string[] {
  const since = sinceText(row.since, nowMs);
  const memory = row.rss_bytes === null ? '-' : `${Math.round(row.rss_bytes / MEBIBYTE)} MiB`;
  const counts = [row.tools ?? '-', row.calls, row.restarts].map(String);
  return [nameOf(row), row.transport, row.revision ?? '-', row.state, since, ...counts, memory, row.action ?? '-'];
}

/** A row for each replica, under the row of its server. */
function replicaCells({ transport, replicas = [] }: ServerRow, nowMs: number): string[][] {
  return replicas.map((one) => {
    const state = one.resting ? 'resting' : one.state;
    const { since, calls, restarts } = one;
    const counts = ['-', calls, restarts].map(String);
    return [
      `  replica ${one.replica}`,
      transport,
      one.revision ?? '-',
      state,
      sinceText(since, nowMs),
      ...counts,
      '-',
      '-',
    ];
  });
}

function sinceText(since: string | null, nowMs: number): string {
  return since === null ? '-' : spanText(Math.max(0, nowMs - Date.parse(since)));
}

function counted(count: unknown, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function nameOf({ server, user }: Pick<ServerRow, 'server' | 'user'>): string {
  return user === null ? server : `${server} (${user})`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADS.map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
