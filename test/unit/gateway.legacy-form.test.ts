import assert from 'node:assert/strict';
import { legacyForm } from '../../src/gateway/legacy-form.ts';
import { verifies } from '../support/verifies.ts';

const TITLED = {
  type: 'string',
  title: 'Colour',
  oneOf: [{ const: 'r', title: 'Red' }, { const: 'g' }],
  default: 'r',
};
const SEVERAL = { type: 'array', items: { type: 'string', enum: ['a', 'b'] }, default: ['a'] };
const CASES: readonly { readonly name: string; readonly from: unknown; readonly to: unknown }[] = [
  {
    name: 'a choice with titles has its older form',
    from: { type: 'object', properties: { colour: TITLED }, required: ['colour'] },
    to: {
      type: 'object',
      properties: { colour: { type: 'string', title: 'Colour', enum: ['r', 'g'], enumNames: ['Red', 'g'] } },
      required: ['colour'],
    },
  },
  {
    name: 'only a yes or no keeps its default',
    from: { type: 'object', properties: { b: { type: 'boolean', default: true }, n: { type: 'number', default: 1 } } },
    to: { type: 'object', properties: { b: { type: 'boolean', default: true }, n: { type: 'number' } } },
  },
  {
    name: 'a choice of several that is not required is left out',
    from: { $schema: 'x', type: 'object', properties: { several: SEVERAL, s: { type: 'string' } }, required: ['s'] },
    to: { type: 'object', properties: { s: { type: 'string' } }, required: ['s'] },
  },
  {
    name: 'a choice of several that is required has no older form',
    from: { type: 'object', properties: { several: SEVERAL }, required: ['several'] },
    to: undefined,
  },
  { name: 'what is no form stays as it is', from: {}, to: {} },
];

for (const { name, from, to } of CASES) {
  verifies('protocol.case-88', `for a client of 2025-06-18 ${name}`, () => {
    assert.deepEqual(legacyForm(from), to);
  });
}
