/**
 * The manual page mcproxy(8), made from the tables of the command line, so that it says what the program does.
 *
 * `npx tsx build/manual.ts | man -l -` shows it. What the tables do not hold, files and exit codes among it, stands
 * here; the README has the rest. The language is that of man(7).
 */
import { pathToFileURL } from 'node:url';
import { COMMANDS } from '../src/app/cli.ts';
import type { Command, OptionSpec } from '../src/app/command.ts';
import { ENVIRONMENT } from '../src/config/environment.ts';

const FILES = [
  ['/etc/mcproxy/mcproxy.yml', 'Settings and the servers that everyone shares.'],
  ['/etc/mcproxy/tokens.yml', 'Who may come in, and with which credential they go out.'],
  ['/etc/mcproxy/environment', 'Variables for ${NAME} in both files, one NAME=value a line; read at the start only.'],
  ['/var/log/mcproxy/access.ndjson', 'One line of JSON per request.'],
  ['/var/lib/mcproxy', 'The key that lets sessions continue after a restart.'],
  ['/var/cache/mcproxy', 'Home and cache of local commands, for npx and uvx.'],
  ['/run/mcproxy/admin.sock', 'Where the commands reach the running service; group mcproxy may use it.'],
] as const;

const EXIT_CODES = [
  ['0', 'Success.'],
  ['64', 'Wrong use of the command line.'],
  ['69', 'The port is in use, or the service cannot be reached.'],
  ['70', 'A bug.'],
  ['73', 'The access log cannot be opened.'],
  ['78', 'The files have problems; all of them are printed. systemd does not start it again.'],
] as const;

/** The whole page. */
export function manualPage(version: string, date: string): string {
  const parts = [
    `.TH MCPROXY 8 "${date}" "mcproxy ${version}" "System Administration"`,
    '.SH NAME',
    'mcproxy \\- gateway between MCP clients and MCP servers',
    '.SH SYNOPSIS',
    ...COMMANDS.flatMap((command) => ['.PP', usage(command)]),
    '.SH DESCRIPTION',
    escape(
      'mcproxy stands between MCP clients and MCP servers. A bearer token comes in, the credential of that person',
    ),
    escape('goes out, and one line is logged. Local commands and remote servers appear together at /mcp, tools named'),
    escape('server__tool, in every revision of the protocol. Without a command it serves.'),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(commandSection),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(({ name, meaning }) => entry(name, meaning)),
    '.SH FILES',
    ...FILES.flatMap(([path, meaning]) => entry(path, meaning)),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, meaning]) => entry(code, meaning)),
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR journalctl (1),',
    '.BR systemd.service (5)',
    '.PP',
    escape('/usr/share/doc/mcproxy/README.md has the configuration, the errors and the limits.'),
  ];
  return `${parts.join('\n')}\n`;
}

function commandSection(command: Command): string[] {
  return [
    `.SS ${escape(command.name)}`,
    usage(command),
    '.PP',
    escape(`${command.summary}.`),
    ...Object.entries(command.options).flatMap(([name, spec]) => entry(optionHead(name, spec), spec.help)),
    ...(command.notes ?? []).flatMap((note) => ['.PP', escape(note)]),
  ];
}

function usage({ name, synopsis }: Command): string {
  return `\\fBmcproxy ${escape(name)}\\fR ${escape(synopsis)}`.trimEnd();
}

function optionHead(name: string, spec: OptionSpec): string {
  return spec.type === 'boolean' ? `--${name}` : `--${name} ${spec.value ?? 'VALUE'}`;
}

function entry(head: string, text: string): string[] {
  return ['.TP', `\\fB${escape(head)}\\fR`, escape(text)];
}

/** Plain text in the language of man(7): no line may begin with a control character, a hyphen is a hyphen. */
function escape(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(manualPage('0', '1970-01-01'));
}
