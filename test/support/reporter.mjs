/**
 * The report of `npm test`: what failed, in full, once where it happened or at the end, and the counts.
 *
 * A dot stands for every ten tests that pass, since there are thousands and whoever reads the end of a long output has to
 * find the failures there. The words are those of Node's `spec` reporter. Where a test was made by a function of the
 * tests' own (`verifies`), Node gives that as its place; the place in the test file is taken from the error. Plain
 * JavaScript, because Node 20 loads reporters before tsx.
 */
import { spec as Spec } from 'node:test/reporters';

const PASSED_PER_DOT = 10;

/** @param {AsyncIterable<{ type: string, data: any }>} events */
// oxlint-disable-next-line no-default-export -- what Node asks for
export default async function* report(events) {
  const spec = new Spec();
  let passed = 0;
  let dots = false;
  for await (const event of events) {
    // The reporter wants to see the end of each test of which it saw the start.
    if (event.type === 'test:start') continue;
    if (event.type === 'test:pass' && event.data.skip === undefined) {
      passed++;
      if (passed % PASSED_PER_DOT !== 0) continue;
      dots = true;
      yield '.';
      continue;
    }
    if (event.type === 'test:fail') nameTestFile(event.data);
    spec.write(event);
    const text = spec.read()?.toString() ?? '';
    if (text === '') continue;
    yield dots ? `\n${text}` : text;
    dots = false;
  }
  spec.end();
  for await (const text of spec) yield text.toString();
}

/** Puts the first place in a test file that the error's stack names into what is reported of a failure. */
function nameTestFile(data) {
  if (data.file?.endsWith('.test.ts')) return;
  const [, file, line, column] = /([^\s(]+\.test\.ts):(\d+):(\d+)/.exec(data.details?.error?.cause?.stack ?? '') ?? [];
  if (file !== undefined)
    Object.assign(data, { file: file.replace('file://', ''), line: Number(line), column: Number(column) });
}
