import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { addUser, listUsers, removeUser, replaceToken } from '../../src/config/edit.ts';
import { addToken, removeToken, rotateToken } from '../../src/config/edit-tokens.ts';
import { verifies } from '../support/verifies.ts';

const D = `sha256:${'d'.repeat(64)}`;
const user = { name: 'zoe', token: { digest: D } };

const additions = [
  { name: 'an empty file', before: '', after: `users:\n  zoe:\n    token: ${D}\n    servers: "*"\n` },
  {
    name: 'comments alone',
    before: '# who may come in',
    after: `# who may come in\nusers:\n  zoe:\n    token: ${D}\n    servers: "*"\n`,
  },
  {
    name: 'no users yet',
    before: 'users:\n# end\n',
    after: `users:\n  zoe:\n    token: ${D}\n    servers: "*"\n# end\n`,
  },
  {
    name: 'users written as null',
    before: 'users: ~ # none\n',
    after: `users:  # none\n  zoe:\n    token: ${D}\n    servers: "*"\n`,
  },
  {
    name: 'a user before, with comments',
    before:
      'users:\n  # the first\n  amy:   # her\n    token: sha256:x  # old\n    servers:\n      - a # last\n\n# end\n',
    after: `users:\n  # the first\n  amy:   # her\n    token: sha256:x  # old\n    servers:\n      - a # last\n  zoe:\n    token: ${D}\n    servers: "*"\n\n# end\n`,
  },
  {
    name: 'deep indentation and no final newline',
    before: 'users:\n    amy:\n        token: x\n        servers: { a: {} }',
    after: `users:\n    amy:\n        token: x\n        servers: { a: {} }\n    zoe:\n      token: ${D}\n      servers: "*"\n`,
  },
  {
    name: 'a user without value',
    before: 'users:\n  amy:\n',
    after: `users:\n  amy:\n  zoe:\n    token: ${D}\n    servers: "*"\n`,
  },
  {
    name: 'Windows line ends',
    before: 'users:\r\n  amy: {}\r\n',
    after: `users:\r\n  amy: {}\r\n  zoe:\r\n    token: ${D}\r\n    servers: "*"\r\n`,
  },
  {
    name: 'something after users',
    before: 'users:\n  amy: {}\nservers: {}\n',
    after: `users:\n  amy: {}\n  zoe:\n    token: ${D}\n    servers: "*"\nservers: {}\n`,
  },
  { name: 'braces', before: 'users: {}\n', after: `users: {"zoe": {"token": "${D}", "servers": "*"}}\n` },
  {
    name: 'braces with a user',
    before: 'users: { amy: {} } # x\n',
    after: `users: { amy: {}, "zoe": {"token": "${D}", "servers": "*"} } # x\n`,
  },
  {
    name: 'JSON',
    before: '{\n  "users": {\n    "amy": {}\n  }\n}\n',
    after: `{\n  "users": {\n    "amy": {},\n    "zoe": {"token": "${D}", "servers": "*"}\n  }\n}\n`,
  },
  { name: 'empty JSON', before: '{}', after: `{"users": {"zoe": {"token": "${D}", "servers": "*"}}}` },
];
for (const { name, before, after } of additions) {
  test(`a user is added to ${name}`, () => assert.equal(addUser(before, user), after));
}

test('role and servers are written, and names are quoted where they must be', () => {
  const text = addUser('', { name: '007', token: { digest: D }, role: 'admin', servers: ['a', 'true'] });
  assert.equal(text, `users:\n  "007":\n    token: ${D}\n    role: admin\n    servers: [a, "true"]\n`);
});

const removals = [
  { name: 'the only one', before: 'users:\n  zoe:\n    token: x\n# end\n', after: 'users:\n# end\n' },
  {
    name: 'the first',
    before: 'users:\n  zoe:\n    token: x\n  # amy\n  amy: {}\n',
    after: 'users:\n  # amy\n  amy: {}\n',
  },
  { name: 'the last', before: 'users:\n  amy: {}\n  zoe:\n    servers:\n      - a\n', after: 'users:\n  amy: {}\n' },
  {
    name: 'one in braces',
    before: 'users: { amy: {}, zoe: { token: x }, ben: {} }',
    after: 'users: { amy: {}, ben: {} }',
  },
  { name: 'the first in braces', before: 'users: {zoe: {}, ben: {}}', after: 'users: {ben: {}}' },
  { name: 'the only one in JSON', before: '{"users": {"zoe": {"token": "x"}}}', after: '{"users": {}}' },
  {
    name: 'the last in JSON',
    before: '{"users": {\n  "amy": {},\n  "zoe": {}\n}}',
    after: '{"users": {\n  "amy": {}\n}}',
  },
];
for (const { name, before, after } of removals) {
  test(`a user is removed: ${name}`, () => assert.equal(removeUser(before, 'zoe'), after));
}

const replacements = [
  {
    name: 'a plain token',
    before: 'users:\n  zoe:\n    token: old # x\n    role: admin\n',
    after: `users:\n  zoe:\n    token: ${D} # x\n    role: admin\n`,
  },
  { name: 'a quoted token', before: 'users:\n  zoe:\n    token: "old"\n', after: `users:\n  zoe:\n    token: ${D}\n` },
  {
    name: 'a list of tokens',
    before: 'users:\n  zoe:\n    token:\n      - a\n      - b\n    role: user\n',
    after: `users:\n  zoe:\n    token: ${D}\n    role: user\n`,
  },
  {
    name: 'a token without value',
    before: 'users:\n  zoe:\n    token:\n    role: user\n',
    after: `users:\n  zoe:\n    token: ${D}\n    role: user\n`,
  },
  {
    name: 'JSON',
    before: '{"users": {"zoe": {"token": ["a", "b"], "role": "user"}}}',
    after: `{"users": {"zoe": {"token": "${D}", "role": "user"}}}`,
  },
  {
    name: 'no token yet',
    before: 'users:\n  zoe:\n    role: user\n',
    after: `users:\n  zoe:\n    token: ${D}\n    role: user\n`,
  },
  { name: 'nothing yet', before: 'users:\n  zoe:\n  amy: {}\n', after: `users:\n  zoe:\n    token: ${D}\n  amy: {}\n` },
  { name: 'empty braces', before: 'users: { zoe: {} }', after: `users: { zoe: {"token": "${D}"} }` },
];
for (const { name, before, after } of replacements) {
  test(`a token is replaced: ${name}`, () => assert.equal(replaceToken(before, 'zoe', { digest: D }), after));
}

const H = D.replace('sha256:', '');
const NOW_MS = Date.UTC(2027, 0, 15);
const rotate = (text: string, label?: string): string =>
  rotateToken(text, 'zoe', { digest: D, nowMs: NOW_MS, ...(label && { label }) });
const rotations: readonly { name: string; label?: string; before: string; after: string }[] = [
  {
    name: 'alone',
    before: 'users:\n  zoe:\n    token: sha256:abc # mine\n    role: user\n',
    after: `users:\n  zoe:\n    token: ${D} # mine\n    role: user\n`,
  },
  {
    name: 'with terms',
    before: 'users:\n  zoe:\n    token: { sha256: "abc", label: laptop, networks: [10.0.0.0/8] }\n',
    after: `users:\n  zoe:\n    token: { "sha256": "${H}", label: laptop, networks: [10.0.0.0/8] }\n`,
  },
  {
    name: 'in lines of its own',
    label: 'b',
    before:
      'users:\n  zoe:\n    token:\n      - sha256:abc\n      - label: b # phone\n        sha256: "x"\n        expires: 2027-01-31\n',
    after: `users:\n  zoe:\n    token:\n      - sha256:abc\n      - label: b # phone\n        sha256: "${H}"\n        expires: 2027-01-31\n`,
  },
  {
    name: 'written as it is',
    label: 'b',
    before: 'users:\n  zoe: { token: [ "secret-1", { label: b, token: secret-2 } ] }\n',
    after: `users:\n  zoe: { token: [ "secret-1", { label: b, "sha256": "${H}" } ] }\n`,
  },
  {
    name: 'JSON',
    label: 'a',
    before: '{"users": {"zoe": {"token": [{"sha256": "x", "label": "a"}, "b"]}}}',
    after: `{"users": {"zoe": {"token": [{"sha256": "${H}", "label": "a"}, "b"]}}}`,
  },
  { name: 'a list of one', before: 'users:\n  zoe:\n    token: [abc]\n', after: `users:\n  zoe:\n    token: [${D}]\n` },
  {
    name: 'none yet',
    before: 'users:\n  zoe:\n    role: user\n',
    after: `users:\n  zoe:\n    token: ${D}\n    role: user\n`,
  },
];
for (const { name, label, before, after } of rotations) {
  verifies('identity.token-rotate', `a token is rotated and keeps what is said of it: ${name}`, () => {
    assert.equal(rotate(before, label), after);
  });
}

verifies('identity.token-rotate', 'nothing is rotated where it is not clear what, or is of no use', () => {
  const two = 'users:\n  zoe:\n    token: [sha256:a, { sha256: b, label: phone }]\n';
  assert.throws(() => rotate(two), /several tokens \(one without a label, phone\): say which with --label, or --all/);
  assert.throws(() => rotate(two, 'laptop'), /no token with this label/);
  assert.throws(() => rotate('users:\n  zoe: {}\n', 'laptop'), /no token with this label/);
  assert.throws(() => rotate('users:\n  amy: {}\n'), /there is no user "zoe"/);
  const old = (end: string): string => `users:\n  zoe:\n    token: { sha256: a, expires: ${end} }\n`;
  assert.throws(() => rotate(old('2027-01-14')), /has expired \(2027-01-14\)/);
  assert.match(rotate(old('2027-01-15')), /expires: 2027-01-15/);
});

const refusals = [
  { name: 'a user who exists', edit: () => addUser('users:\n  zoe: {}\n', user), message: /"zoe" exists already/ },
  {
    name: 'a name that is none',
    edit: () => addUser('', { ...user, name: 'a b' }),
    message: /"a b" cannot be the name/,
  },
  {
    name: 'a user who does not exist',
    edit: () => removeUser('users:\n  amy: {}\n', 'zoe'),
    message: /there is no user "zoe"/,
  },
  {
    name: 'a token of a user who does not exist',
    edit: () => replaceToken('', 'zoe', { digest: D }),
    message: /there is no user "zoe"/,
  },
  {
    name: 'a file with problems',
    edit: () => addUser('users: {\n', user),
    message: /^the file cannot be edited before it is correct: line \d+, column \d+: /,
  },
  { name: 'a file that is a list', edit: () => addUser('- a\n', user), message: /does not hold a map/ },
  { name: 'users that are a list', edit: () => addUser('users:\n  - zoe\n', user), message: /"users" is not a map/ },
  {
    name: 'a user that is a text',
    edit: () => replaceToken('users:\n  zoe: sha256:x\n', 'zoe', { digest: D }),
    message: /the user "zoe" is not a map/,
  },
];
for (const { name, edit, message } of refusals) {
  test(`an edit is refused with the reason: ${name}`, () => {
    assert.throws(edit, { name: 'ProxyError', code: 'CONFIG_INVALID', message });
  });
}

verifies('identity.token-list', 'users are listed without their tokens', () => {
  const text =
    'users:\n  amy: { token: [a, {sha256: b, label: l, expires: 2027-01-31, networks: [10.0.0.0/8]}], role: admin, servers: "*" }\n' +
    '  ben: { token: a, servers: { x: {}, y: {} } }\n  cid:\n';
  const bare = { label: null, expires: null, not_before: null, networks: [] };
  const termed = { label: 'l', expires: '2027-01-31', not_before: null, networks: ['10.0.0.0/8'] };
  assert.deepEqual(listUsers(text), [
    { name: 'amy', role: 'admin', roles: [], tokenCount: 2, tokens: [bare, termed], servers: ['*'] },
    { name: 'ben', role: 'user', roles: [], tokenCount: 1, tokens: [bare], servers: ['x', 'y'] },
    { name: 'cid', role: 'user', roles: [], tokenCount: 0, tokens: [], servers: [] },
  ]);
  assert.deepEqual(listUsers(''), []);
});

verifies(
  'identity.token-edit-in-place',
  'adding and removing users in any order leaves the rest of the text as it was',
  () => {
    const starts = [
      '# head\nusers:\n  keep: { token: k } # note\n# tail\n',
      '{"users": {\n  "keep": {"token": "k"}\n}}\n',
    ];
    const names = fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9._@-]{1,8}$/), { maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...starts), names, (start, list) => {
        const added = list.filter((name) => name !== 'keep' && name !== 'anonymous');
        const full = added.reduce((text, name) => addUser(text, { name, token: { digest: D } }), start);
        assert.deepEqual(
          listUsers(full)
            .map(({ name }) => name)
            .toSorted(),
          ['keep', ...added].toSorted(),
        );
        assert.equal(
          added.toReversed().reduce((text, name) => removeUser(text, name), full),
          start,
        );
      }),
    );
  },
);

const E = `sha256:${'e'.repeat(64)}`;
const LAPTOP = { digest: E, label: 'laptop', expires: '2027-01-31', networks: ['10.0.0.0/8'] };
const YAML_ENTRY = `{ sha256: "${'e'.repeat(64)}", label: "laptop", expires: "2027-01-31", networks: ["10.0.0.0/8"] }`;
const JSON_ENTRY = `{"sha256": "${'e'.repeat(64)}", "label": "laptop", "expires": "2027-01-31", "networks": ["10.0.0.0/8"]}`;
const tokenAdditions = [
  {
    name: 'a text',
    before: `users:\n  zoe:\n    token: ${D} # old\n    servers: "*"\n`,
    after: `users:\n  zoe:\n    token: [${D}, ${YAML_ENTRY}] # old\n    servers: "*"\n`,
  },
  {
    name: 'a list on one line',
    before: `users:\n  zoe: { token: [${D}], servers: "*" }\n`,
    after: `users:\n  zoe: { token: [${D}, ${JSON_ENTRY}], servers: "*" }\n`,
  },
  {
    name: 'a list of lines',
    before: `users:\n  zoe:\n    token:\n      - ${D} # old\n      # more\n    servers: "*"\n`,
    after: `users:\n  zoe:\n    token:\n      - ${D} # old\n      - ${YAML_ENTRY}\n      # more\n    servers: "*"\n`,
  },
  {
    name: 'a map of lines',
    before: `users:\n  zoe:\n    token:\n      sha256: ${'d'.repeat(64)}\n      label: phone\n    servers: "*"\n`,
    after: `users:\n  zoe:\n    token: [{ sha256: "${'d'.repeat(64)}", label: "phone" }, ${YAML_ENTRY}]\n    servers: "*"\n`,
  },
  {
    name: 'JSON',
    before: `{"users": {"zoe": {"token": "${D}", "servers": "*"}}}`,
    after: `{"users": {"zoe": {"token": ["${D}", ${JSON_ENTRY}], "servers": "*"}}}`,
  },
  {
    name: 'nothing',
    before: `users:\n  zoe:\n    servers: "*"\n`,
    after: `users:\n  zoe:\n    token: ${YAML_ENTRY}\n    servers: "*"\n`,
  },
];
for (const { name, before, after } of tokenAdditions) {
  verifies('access.token-edit', `a token is added to ${name} and taken away by its label`, () => {
    const added = addToken(before, 'zoe', LAPTOP);
    assert.equal(added, after);
    assert.throws(() => addToken(added, 'zoe', LAPTOP), /has a token with this label already/);
    if (name === 'nothing') return assert.throws(() => removeToken(added, 'zoe', 'laptop'), /this is the only token/);
    const removed = listUsers(removeToken(added, 'zoe', 'laptop'))[0];
    assert.deepEqual([removed?.tokenCount, removed?.tokens.some(({ label }) => label === 'laptop')], [1, false]);
    return assert.throws(() => removeToken(added, 'zoe', 'desk'), /has no token with this label/);
  });
}
