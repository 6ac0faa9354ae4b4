/**
 * `mcproxy status`: what the running service says of itself, over the admin socket.
 *
 * The shape belongs to the service; here it is only laid out for reading, so that a newer service can say more to
 * an older command. `--json` passes it on as it is.
 */
import { askService, reportNoService, SERVICE_OPTIONS } from './admin-client.ts';
import { EXIT, JSON_OPTION, flagOption, type Command } from './command.ts';

export const statusCommand: Command = {
  name: 'status',
  synopsis: '[--json] [--socket PATH]',
  summary: 'Shows the state of the running service and its servers',
  options: { json: JSON_OPTION, ...SERVICE_OPTIONS },
  positionals: { min: 0, max: 0 },
  async run(invocation) {
    const answer = await askService(invocation, { method: 'GET', target: '/status' });
    if (answer.kind === 'none') return reportNoService(invocation, answer.text);
    if (answer.status !== 200) return reportNoService(invocation, `the service answered ${answer.status}`);
    const json = flagOption(invocation, 'json');
    const text = json ? JSON.stringify(answer.body) : outline(answer.body).join('\n');
    invocation.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
};

/** Any JSON value as indented `name: value` lines. */
export function outline(value: unknown, indentation = ''): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      const [first, ...rest] = outline(item, `${indentation}  `);
      return [`${indentation}- ${(first ?? '').trimStart()}`, ...rest];
    });
  }
  if (typeof value !== 'object' || value === null) return [`${indentation}${scalar(value)}`];
  return Object.entries(value).flatMap(([name, member]) => {
    const nested = typeof member === 'object' && member !== null;
    if (nested && Object.keys(member as object).length > 0) {
      return [`${indentation}${scalar(name)}:`, ...outline(member, `${indentation}  `)];
    }
    return [`${indentation}${scalar(name)}: ${nested ? 'none' : scalar(member)}`];
  });
}

function scalar(value: unknown): string {
  if (value === null || value === undefined) return '-';
  // A name from outside must not move the cursor.
  return typeof value === 'string' ? value.replaceAll(/\p{Cc}/gu, '·') : JSON.stringify(value);
}
