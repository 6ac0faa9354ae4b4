import assert from 'node:assert/strict';
import test from 'node:test';

import { explainConfig } from '../../src/config/explain.ts';
import { AUTH, SERVER, SETTINGS, type Table } from '../../src/config/schema.ts';
import { ROLE, TOKEN, USER } from '../../src/config/schema-users.ts';

test('every option is explained, default first, in lines that fit a terminal', () => {
  const manual = explainConfig();
  for (const table of [SETTINGS, SERVER, AUTH, USER, ROLE, TOKEN] as Table[]) {
    for (const [name, field] of Object.entries(table)) {
      assert.ok(manual.includes(`\n  ${name}\n      Default: `), name);
      assert.match(field.when, /\.$/, name);
    }
  }
  assert.ok(manual.includes('\n  MCPROXY_LOG_FILE\n'));
  for (const line of manual.split('\n')) assert.ok(line.length <= 120, line);
});
