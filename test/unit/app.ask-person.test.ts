import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { askPerson } from '../../src/app/ask-person.ts';
import { verifies } from '../support/verifies.ts';

/** Types the lines, each as an answer to one prompt, then the end of input. */
async function answer(properties: object, required: readonly string[], lines: readonly string[]) {
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = '';
  let next = 0;
  output.on('data', (chunk) => {
    shown += String(chunk);
    if (!String(chunk).endsWith(': ')) return;
    const line = lines[next];
    next += 1;
    if (line === undefined) input.end();
    else input.write(`${line}\n`);
  });
  const params = { message: '[crm] Which\u001b one?', requestedSchema: { type: 'object', properties, required } };
  const questions = { q: { method: 'elicitation/create', params } } as const;
  const terminal = { input: input as unknown as NodeJS.ReadStream, output };
  return { answers: await askPerson(questions, terminal), shown };
}

verifies('cli.call-asks', 'a form is asked field by field, and what does not fit is asked again', async () => {
  const properties = {
    name: { type: 'string', description: 'who' },
    age: { type: 'integer' },
    sure: { type: 'boolean', default: true },
    color: { type: 'string', enum: ['red', 'blue'] },
    note: { type: 'string' },
  };
  const lines = ['', 'Zoe', 'old', '7.5', '7', '', 'green', 'blue', ''];
  const { answers, shown } = await answer(properties, ['name', 'age', 'color'], lines);
  assert.deepEqual(answers, { q: { action: 'accept', content: { name: 'Zoe', age: 7, sure: true, color: 'blue' } } });
  assert.match(shown, /^\[crm\] Which· one\?\n/);
  assert.match(shown, / {2}name\* \(who\): /);
  assert.match(shown, / {2}sure \(yes \| no; default true\): /);
});

verifies('cli.call-asks', 'the end of input declines', async () => {
  const { answers } = await answer({ name: { type: 'string' } }, ['name'], []);
  assert.deepEqual(answers, { q: { action: 'decline' } });
});
