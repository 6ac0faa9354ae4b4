/**
 * `mcproxy logs verify`: whether the chain through the files of an access log is whole.
 *
 * Names the place of every line that was changed, removed or put in, as far as the lines tell (`log/chain-verify`), and
 * the digest of the last line, which an operator keeps elsewhere and gives with `--expect` the next time: nothing else
 * shows that lines are missing at the end, or that the log was written anew. Exit 0 whole, 1 not, 66 no such file.
 */
import { createChainReader, type ChainReport, type Finding } from '../log/chain-verify.ts';
import { readLines } from '../log/read-lines.ts';
import { EXIT, JSON_OPTION, flagOption, listOption, usageError, type Command, type Invocation } from './command.ts';
import { printable } from './local-command.ts';

export const logsVerifyCommand: Command = {
  name: 'logs verify',
  synopsis: 'FILE... [--expect DIGEST]... [--json]',
  summary: 'Checks the chain of an access log (log.chain): no line changed, removed or put in',
  options: {
    expect: {
      type: 'string',
      multiple: true,
      value: 'DIGEST',
      help: 'the digest of a line that must be there, as an earlier check printed it',
    },
    json: JSON_OPTION,
  },
  positionals: { min: 1, max: 10_000 },
  notes: [
    'FILE...: the files of one log, oldest first, also compressed ones. Half a line at the end is what kill -9 leaves and no\nfinding. Lines missing at the end, or a log that was written anew, only --expect shows: keep the digest elsewhere.',
    'Example:\n  mcproxy logs verify /var/log/mcproxy/access.ndjson.1 /var/log/mcproxy/access.ndjson',
    'Exit codes: 0 the chain is whole, 1 it is not, 64 wrong use, 66 a file cannot be read.',
  ],
  async run(invocation) {
    const expected = listOption(invocation, 'expect').map((text) => text.trim().toLowerCase());
    if (expected.some((text) => !/^[\da-f]{32}$/.test(text))) {
      return usageError(invocation.stderr, '--expect is 32 hexadecimal digits, as `mcproxy logs verify` prints them');
    }
    const reader = createChainReader(expected);
    for (const file of invocation.positionals) {
      let line = 0;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is what the chain is about
        await readLines(file, (bytes, isEnded) => reader.take(bytes, { file, line: (line += 1) }, isEnded));
      } catch (error) {
        const { code = 'unknown' } = error as NodeJS.ErrnoException;
        invocation.stderr.write(`mcproxy: ${printable(file)} cannot be read (${code})\n`);
        return EXIT.noInput;
      }
    }
    const report = reader.report();
    const ok = report.findingCount === 0 && report.missing.length === 0 && report.linkedCount > 0;
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(jsonOf(report, ok))}\n`);
    else print(invocation, report, ok);
    return ok ? EXIT.ok : EXIT.failed;
  },
};

function jsonOf(report: ChainReport, ok: boolean): Readonly<Record<string, unknown>> {
  const { findings, findingCount, notes, linkedCount, from = null, last = null, missing } = report;
  return { ok, findings, finding_count: findingCount, notes, lines: linkedCount, from, last, missing };
}

function print({ stdout }: Invocation, report: ChainReport, ok: boolean): void {
  const { findings, findingCount, notes, linkedCount, from, last, missing } = report;
  const say = ({ file, line, text }: Finding, kind: string): void =>
    void stdout.write(`${printable(file)}:${line}: ${kind}: ${text}\n`);
  for (const note of notes) say(note, 'note');
  for (const finding of findings) say(finding, 'BROKEN');
  if (findingCount > findings.length) stdout.write(`and ${findingCount - findings.length} more\n`);
  for (const digest of missing)
    stdout.write(`BROKEN: no line has the digest ${digest}: lines are missing or were changed\n`);
  if (linkedCount === 0) stdout.write('BROKEN: no line has a link; was log.chain set?\n');
  if (last === undefined) return;
  const begun = from === null ? 'from the beginning of the chain' : `after the line ${from}`;
  stdout.write(`${ok ? 'The chain is whole' : 'The chain is broken'}: ${linkedCount} lines ${begun}, up to ${last}\n`);
}
