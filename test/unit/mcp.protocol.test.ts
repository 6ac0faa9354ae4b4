import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  eraOfRevision,
  findClientRequest,
  isModernDate,
  isReadOnlyMethod,
  isRevision,
  negotiateLegacy,
  REVISIONS,
} from '../../src/mcp/protocol.ts';

test('revisions are in order of time, and the last is the modern one', () => {
  assert.deepEqual(REVISIONS, [...REVISIONS].toSorted());
  assert.deepEqual(REVISIONS.map(eraOfRevision), ['legacy', 'legacy', 'legacy', 'legacy', 'modern']);
});

test('only a known text is a revision', () => {
  assert.equal(isRevision('2025-03-26'), true);
  for (const value of ['2025-03-27', '', undefined, 20250326, ['2025-03-26']]) assert.equal(isRevision(value), false);
});

test('initialize is answered with the legacy revision asked for, else the newest legacy one', () => {
  for (const [requested, answered] of [
    ['2024-11-05', '2024-11-05'],
    ['2026-07-28', '2025-11-25'],
    ['x', '2025-11-25'],
    [undefined, '2025-11-25'],
  ]) {
    assert.equal(negotiateLegacy(requested), answered);
  }
});

test('a date from 2026-07-28 on is modern whether served or not', () => {
  for (const text of ['2026-07-28', '2027-01-01']) assert.equal(isModernDate(text), true);
  for (const text of ['2026-07-27', '2025-11-25', 'v999', '2027', '']) assert.equal(isModernDate(text), false);
});

const methods = [
  { method: 'initialize', spans: 'served served served served other' },
  { method: 'tools/call', spans: 'served served served served served' },
  { method: 'server/discover', spans: 'other other other other served' },
  { method: 'tasks/get', spans: 'other other other served served' },
  { method: 'tasks/result', spans: 'other other other served other' },
  { method: 'acme/do', spans: 'unknown unknown unknown unknown unknown' },
];
for (const c of methods) {
  test(`${c.method} is served by the revisions that have it`, () => {
    assert.equal(REVISIONS.map((revision) => findClientRequest(c.method, revision)).join(' '), c.spans);
  });
}

test('methods that only read may be repeated, calls may not', () => {
  for (const method of [
    'tools/list',
    'resources/templates/list',
    'resources/read',
    'prompts/get',
    'ping',
    'initialize',
    'server/discover',
  ])
    assert.equal(isReadOnlyMethod(method), true, method);
  for (const method of ['tools/call', 'acme/list', 'completion/complete', 'resources/subscribe', ''])
    assert.equal(isReadOnlyMethod(method), false, method);
});
