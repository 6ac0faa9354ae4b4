import assert from 'node:assert/strict';
import test from 'node:test';

import type { AccessFilter, Config, Principal } from '../../src/model.ts';
import { digestOf, oneLine, parseFiles, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const SHARED = 'servers: { files: { command: x }, git-hub: { url: "https://h.example/" }, git-lab: { command: y } }';
const TOKEN = `token: sha256:${'a'.repeat(64)}`;

function userOf(config: Config, id: string): Principal {
  return config.principals.find((principal) => principal.id === id) ?? assert.fail(`no user ${id}`);
}

function alice(more: string, roles = ''): Principal {
  const tokens = `${roles}users:\n  alice:\n    ${TOKEN}\n${more.replaceAll(/^/gm, '    ')}`;
  return userOf(validConfig({ config: SHARED, tokens }), 'alice');
}

/** `+pattern` and `-pattern`, in order. */
function rules(filter: AccessFilter | undefined): string[] | undefined {
  if (filter === undefined) return undefined;
  return [
    ...(filter.allow ?? []).map(({ pattern }) => `+${pattern}`),
    ...filter.deny.map(({ pattern }) => `-${pattern}`),
  ];
}

const selections = [
  { servers: '["*"]', names: ['files', 'git-hub', 'git-lab'] },
  { servers: '["git-*"]', names: ['git-hub', 'git-lab'] },
  { servers: '["*", "!git-*"]', names: ['files'] },
  { servers: '["!git-hub"]', names: ['files', 'git-lab'] },
  { servers: '[git-lab, files]', names: ['git-lab', 'files'] },
  { servers: '[files, "!files"]', names: [] },
];
for (const { servers, names } of selections) {
  verifies('access.servers', `servers: ${servers} are ${names.join(', ') || 'none'}`, () => {
    assert.deepEqual([...alice(`servers: ${servers}\n`).servers.keys()], names);
  });
}

verifies('access.roles', 'lists of a user and of roles add up, and what one denies is denied', () => {
  const roles = `roles:
  reader: { servers: [files], tools: ["files__read_*"], resources: ["file:///*"] }
  careful: { tools: ["!*__delete_*"] }
`;
  const {
    access,
    servers,
    roles: names,
  } = alice('roles: [reader, careful]\nservers: ["git-*"]\ntools: ["git-hub__*"]\n', roles);
  assert.deepEqual(names, ['reader', 'careful']);
  assert.deepEqual([...servers.keys()], ['git-hub', 'git-lab', 'files']);
  assert.deepEqual(rules(access?.tools), ['+git-hub__*', '+files__read_*', '-*__delete_*']);
  assert.deepEqual(rules(access?.resources), ['+file:///*']);
  assert.equal(access?.prompts, undefined);
  assert.deepEqual(access?.tools?.deny[0], {
    pattern: '*__delete_*',
    from: 'role careful',
    at: { file: '/etc/mcproxy/tokens.yml', line: 3, column: 22 },
  });
});

verifies('access.roles', 'the words user and admin keep their meaning beside roles', () => {
  const roles = 'roles: { ops: { servers: "*" } }\n';
  const { role, roles: names, servers } = alice('roles: [admin, ops]\n', roles);
  assert.deepEqual([role, names, servers.size], ['admin', ['ops'], 3]);
  const { problems } = parseFiles({ config: SHARED, tokens: 'roles: { admin: { servers: "*" } }\n' });
  assert.match(
    problems.map(oneLine).join('\n'),
    /^error 1:10 "admin" cannot be the name of a role \| choose another name/,
  );
});

test('a role gives a server a credential of its own, which a user may replace', () => {
  const roles = 'roles: { bots: { servers: { git-hub: { token: of-the-role } } } }\n';
  const plain = alice('role: bots\n', roles).servers.get('git-hub');
  assert.ok(plain?.kind === 'http' && plain.credential.type === 'bearer');
  assert.equal(plain.credential.token.reveal(), 'of-the-role');
  const own = alice('role: bots\nservers: { git-hub: { token: of-alice } }\n', roles).servers.get('git-hub');
  assert.ok(own?.kind === 'http' && own.credential.type === 'bearer');
  assert.equal(own.credential.token.reveal(), 'of-alice');
  assert.deepEqual(own.credentialAt?.line, 6);
});

verifies('access.servers', 'what a role denies is denied also where the user has an entry of their own', () => {
  const roles = 'roles: { few: { servers: ["!git-hub"] } }\n';
  const { servers } = alice('role: few\nservers: { git-hub: { token: of-alice }, files: {} }\n', roles);
  assert.deepEqual([...servers.keys()], ['files']);
});

const warnings = [
  {
    name: 'patterns of no server',
    more: 'servers: ["gti-*"]',
    expected: /the rules for the user "alice" leave no server/,
  },
  {
    name: 'tools of no server they may use',
    more: 'servers: [files]\ntools: ["git-hub__*"]',
    expected: /the rules for the user "alice" under "tools" match no server they may use \| write names .*"files__\*"/,
  },
];
for (const { name, more, expected } of warnings) {
  verifies('access.check', `a user whose rules leave nothing is worth a word: ${name}`, () => {
    const text = `users:\n  alice:\n    ${TOKEN}\n${more.replaceAll(/^/gm, '    ')}\n`;
    const { config, problems } = parseFiles({ config: SHARED, tokens: text });
    assert.ok(config !== undefined);
    assert.match(problems.map(oneLine).join('\n'), expected);
  });
}

verifies('access.whitelist', 'a list of allowed tools restricts the client of a key', () => {
  const { config, problems } = parseFiles({
    config: SHARED,
    env: { MCP_API_KEYS: 'key-one:jon' },
    files: [
      {
        path: '/etc/users.json',
        text: '{"jon": {"name": "Jon", "allowed_tools": ["files_read", "git-hub:list", "git-lab__*", "nowhere_x"]}, "kim": {"allowed_tools": []}}',
        role: 'tokens',
      },
    ],
  });
  assert.ok(config !== undefined);
  const jon = userOf(config, 'jon');
  assert.equal(jon.servers.size, 3);
  assert.deepEqual(rules(jon.access?.tools), ['+files__read', '+git-hub__list', '+git-lab__*']);
  const texts = problems.map(oneLine).join('\n');
  assert.match(texts, /warning .*"nowhere_x" names no server, so it allows nothing/);
  assert.match(texts, /warning .*"kim" has no token or key, so this list restricts nobody/);
});

const scopes = [
  { scopes: undefined, servers: ['files', 'git-hub', 'git-lab'], tools: undefined },
  { scopes: ['*'], servers: ['files', 'git-hub', 'git-lab'], tools: undefined },
  { scopes: ['files'], servers: ['files'], tools: ['+files__*'] },
  { scopes: ['files', 'git-hub:list_*'], servers: ['files', 'git-hub'], tools: ['+files__*', '+git-hub__list_*'] },
  { scopes: ['mcp:read'], servers: [], tools: [] },
];
for (const { scopes: said, servers, tools } of scopes) {
  verifies(
    'access.scopes',
    `a key with the scopes ${JSON.stringify(said)} grants ${servers.join(', ') || 'nothing'}`,
    () => {
      const text = JSON.stringify({
        'key-one-long': { client_id: 'jon', ...(said === undefined ? {} : { scopes: said }) },
      });
      const { config, problems } = parseFiles({ config: SHARED, files: [{ path: '/k.json', text, role: 'tokens' }] });
      assert.ok(config !== undefined);
      const jon = userOf(config, 'jon');
      assert.deepEqual([...jon.servers.keys()], servers);
      assert.deepEqual(rules(jon.access?.tools), tools);
      assert.equal(
        problems.some(({ text: problem }) => problem.includes('names no server')),
        said?.includes('mcp:read') ?? false,
      );
    },
  );
}

verifies('access.tokens', 'a user has several tokens with labels and terms, in short and long forms', () => {
  const { tokenDigests, tokenTerms } = alice(`servers: "*"
`);
  assert.deepEqual([tokenDigests.length, tokenTerms], [1, undefined]);
  const text = `users:
  amy:
    servers: "*"
    token:
      - sha256:${'b'.repeat(64)}
      - { sha256: ${'c'.repeat(64)}, label: laptop, expires: 2027-01-31, not_before: 2027-01-01T08:00:00+02:00 }
      - { token: plain-text-token, label: phone, networks: [10.0.0.0/8, "fd00::/8"] }
`;
  const amy = userOf(validConfig({ config: SHARED, tokens: text }), 'amy');
  assert.deepEqual(amy.tokenDigests, ['b'.repeat(64), 'c'.repeat(64), digestOf('plain-text-token')]);
  const [laptop, phone] = amy.tokenDigests.slice(1).map((digest) => amy.tokenTerms?.get(digest));
  assert.equal(laptop?.expiresMs, Date.UTC(2027, 1, 1));
  assert.equal(laptop?.notBeforeMs, Date.UTC(2027, 0, 1, 6));
  assert.deepEqual([phone?.label, phone?.networks], ['phone', ['10.0.0.0/8', 'fd00::/8']]);
});

verifies(
  'limits.config',
  'the own word goes before roles, of which the most generous counts, and these before the settings',
  () => {
    const config = `limits: { rate: 60/min, concurrent: 4, tools: { "files__*": { rate: 5/min } } }\n${SHARED}`;
    const tokens = `roles:
  slow: { servers: "*", limits: { rate: 1/s, burst: 3 } }
  fast: { limits: { rate: 10/s, concurrent: 0 } }
users:
  none: { ${TOKEN}, servers: "*" }
  both: { token: sha256:${'b'.repeat(64)}, roles: [slow, fast] }
  own: { token: sha256:${'c'.repeat(64)}, role: slow, limits: { rate: off, tools: { "*": { concurrent: 1 } } } }
`;
    const made = validConfig({ config, tokens });
    const none = userOf(made, 'none').limits;
    assert.equal(none, made.userLimits);
    assert.deepEqual([none?.rate, none?.burst, none?.concurrent], [{ count: 60, perMs: 60_000 }, undefined, 4]);
    const both = userOf(made, 'both').limits;
    assert.deepEqual([both?.rate, both?.burst, both?.concurrent], [{ count: 10, perMs: 1_000 }, undefined, undefined]);
    const own = userOf(made, 'own').limits;
    assert.deepEqual(
      [own?.rate, own?.concurrent, own?.tools.map(({ pattern }) => pattern)],
      [undefined, 4, ['*', 'files__*']],
    );
  },
);

verifies('limits.config', 'the limit of a server is for all, what a user says of it for that user besides', () => {
  const config = 'servers: { files: { command: x, limits: { rate: 100/min } } }';
  const tokens = `users: { a: { ${TOKEN}, servers: { files: { limits: { concurrent: 2 } } } } }`;
  const made = validConfig({ config, tokens });
  const own = userOf(made, 'a').servers.get('files');
  assert.equal(own?.limits, made.servers.get('files')?.limits);
  assert.deepEqual([own?.ownLimits?.rate, own?.ownLimits?.concurrent], [undefined, 2]);
});

test('a rate that is none says how to write one', () => {
  const { problems } = parseFiles({ config: 'limits: { rate: 60 }\nservers: {}' });
  assert.match(problems.map(oneLine).join('\n'), /error 1:17 "limits.rate" is not valid \| write .* such as 60\/min/);
});
