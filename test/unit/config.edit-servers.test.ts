import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { addServer, listServerNames, printServer, removeServer } from '../../src/config/edit-servers.ts';
import { findPlainSecrets, maskServer, readForeignServers } from '../../src/config/foreign-servers.ts';
import { parseYaml, yamlToValue } from '../../src/text/yaml.ts';
import { validConfig } from '../support/parse-files.ts';

const server = { name: 'files', fields: { command: 'npx', args: ['-y', '@x/fs'], env: { A: '1' } } };
const BLOCK = '  files:\n    command: npx\n    args: ["-y", "@x/fs"]\n    env:\n      A: "1"\n';
const FLOW = '"files": {"command":"npx","args":["-y","@x/fs"],"env":{"A":"1"}}';

const additions = [
  { name: 'an empty file', before: '', after: `servers:\n${BLOCK}` },
  {
    name: 'settings and comments',
    before: '# ours\nlisten: 127.0.0.1:1 # here',
    after: `# ours\nlisten: 127.0.0.1:1 # here\nservers:\n${BLOCK}`,
  },
  {
    name: 'servers before other settings',
    before: 'servers:\n  # the first\n  a: { url: "http://a/" } # a\n\n# below\nlisten: :1\n',
    after: `servers:\n  # the first\n  a: { url: "http://a/" } # a\n${BLOCK}\n# below\nlisten: :1\n`,
  },
  { name: 'servers without a value', before: 'servers:\n# end\n', after: `servers:\n${BLOCK}# end\n` },
  { name: 'JSON', before: '{"servers": {}}', after: `{"servers": {${FLOW}}}` },
  {
    name: "another program's JSON",
    before: '{\n  "mcpServers": {"a": {"command": "x"}}\n}\n',
    after: `{\n  "mcpServers": {"a": {"command": "x"}},\n  "servers": {${FLOW}}\n}\n`,
  },
];
for (const { name, before, after } of additions) {
  test(`a server is added to ${name}, and nothing else changes`, () => {
    assert.equal(addServer(before, server), after);
  });
}

const refusals = [
  { name: 'a name that is taken', text: 'servers: {files: {command: x}}', says: /defined in the file already/ },
  { name: 'a name that mcpServers has', text: 'mcpServers: {files: {command: x}}', says: /already/ },
  { name: 'a name that a list has', text: 'servers: [{name: files, command: x}]', says: /already/ },
  { name: 'servers as a list', text: 'servers:\n  - name: a\n    command: x\n', says: /not a map/ },
  { name: 'a file with problems', text: 'a: &b 1\n', says: /before it is correct: line 1/ },
  { name: 'a list', text: '- a\n', says: /does not hold a map/ },
];
for (const { name, text, says } of refusals) {
  test(`adding a server refuses ${name}`, () => {
    assert.throws(() => addServer(text, server), { code: 'CONFIG_INVALID', message: says });
  });
}

test('whatever the values are, the file says exactly them', () => {
  const text = fc.string({ unit: 'binary' });
  const fields = fc.record({ command: text, args: fc.array(text), env: fc.dictionary(text, text) });
  fc.assert(
    fc.property(fields, (one) => {
      const root = parseYaml(addServer('servers:\n  a: {command: x}\n', { name: 'b', fields: one })).root;
      // JSON, because a dictionary of fast-check has no prototype.
      assert.equal(JSON.stringify(yamlToValue(root)), JSON.stringify({ servers: { a: { command: 'x' }, b: one } }));
    }),
  );
});

test('names in every spelling are known, in the form that they have here', () => {
  const text = 'servers: {a: {}}\nmcpServers: {"b c": {}}\nmcp: {servers: {d: {}}}\n';
  assert.deepEqual(listServerNames(text), ['a', 'b-c', 'd']);
});

const spellings = [
  { name: 'Claude Desktop', text: '{"mcpServers": {"a": {"command": "x", "args": [1]}}}' },
  { name: 'VS Code with comments', text: '{// c\n"servers": {"a": {"command": "x", "args": ["1",],},/* , */ },}' },
  { name: 'VS Code settings', text: '{"mcp": {"servers": {"a": {"command": "x", "args": ["1"]}}}}' },
  {
    name: 'a project of Claude Code',
    text: '{"projects": {"/p": {"mcpServers": {"a": {"command":"x","args":["1"]}}}}}',
  },
  { name: 'a list in YAML', text: 'servers:\n  - name: a\n    command: x\n    args: ["1"]\n' },
];
for (const { name, text } of spellings) {
  test(`the servers of ${name} are read`, () => {
    const expected = { name: 'a', original: 'a', fields: { command: 'x', args: ['1'] }, leftOut: [] };
    assert.deepEqual(readForeignServers(text), [expected]);
  });
}

test('a remote server is brought to our fields, and what has no meaning here is named', () => {
  const entry = { serverUrl: 'https://a/', type: 'sse', headers: { X: 'y' }, disabled: true, autoApprove: [] };
  assert.deepEqual(readForeignServers(JSON.stringify({ mcpServers: { 'my server': entry } })), [
    {
      name: 'my-server',
      original: 'my server',
      fields: { url: 'https://a/', transport: 'sse', headers: { X: 'y' }, enabled: false },
      leftOut: ['autoApprove'],
    },
  ]);
});

for (const [client, lists] of [
  ['Codex', { enabled_tools: ['a', 'b'], disabled_tools: ['c'] }],
  ['Gemini', { includeTools: ['a', 'b'], excludeTools: ['c'] }],
  ['Windsurf', { includeTools: ['a', 'b'], disabledTools: ['c'] }],
] as const) {
  test(`the tools that ${client} is to use, or not, are those that are shown here`, () => {
    const entry = { command: 'x', ...lists };
    const text = JSON.stringify({ mcpServers: { a: entry } });
    const fields = { command: 'x', tools: { allow: ['a', 'b'], deny: ['c'] } };
    assert.deepEqual(readForeignServers(text), [{ name: 'a', original: 'a', fields, leftOut: [] }]);
    const written = addServer('', { name: 'a', fields });
    assert.equal(written, 'servers:\n  a:\n    command: x\n    tools:\n      allow: [a, b]\n      deny: [c]\n');
    const exposures = [text, written].map((config) => validConfig({ config }).servers.get('a')?.exposure.tools);
    assert.deepEqual(exposures[0], { allow: ['a', 'b'], deny: ['c'] });
    assert.deepEqual(exposures[1], exposures[0]);
  });
}

test('what is no list of tools is named, and an object among texts is a text', () => {
  const odd = { toString: 1, valueOf: 1 };
  const entry = { command: 'x', args: [odd, 2], includeTools: [odd], excludeTools: 'all' };
  const servers = readForeignServers(JSON.stringify({ mcpServers: { a: entry } }));
  const text = JSON.stringify(odd);
  assert.deepEqual(servers, [
    {
      name: 'a',
      original: 'a',
      fields: { command: 'x', args: [text, '2'], tools: { allow: [text] } },
      leftOut: ['excludeTools'],
    },
  ]);
});

test('names of tools are never secrets', () => {
  const limited = { name: 'a', fields: { command: 'x', tools: { allow: ['get_token', 'sk-1234567890'] } } };
  assert.deepEqual(findPlainSecrets(limited), []);
  assert.deepEqual(maskServer(limited), limited);
});

test('text that is neither JSON nor YAML says where, and a map without servers gives none', () => {
  const why = readForeignServers('{"a": "s3cret", // "\n  "b": }, {\n} /* \n */ {');
  assert.ok(!Array.isArray(why));
  assert.deepEqual([why.position?.line, why.position?.column], [2, 9]);
  assert.doesNotMatch(why.text, /s3cret/);
  assert.ok('text' in readForeignServers('[mcp_servers.a\n'));
  assert.deepEqual(readForeignServers('{"a": 1, "mcpServers": 3}'), []);
});

test('secrets are found by name, by shape, in arguments and URLs; a reference is none', () => {
  const found = {
    name: 'a',
    fields: {
      url: 'https://h/?api_key=s3cr3t',
      args: ['--token', 's3cr3t', '--db=postgres://u:s3cr3t@h/d', 'ghp_s3cr3t'],
      env: { API_KEY: 's3cr3t', DB: 'postgres://u:s3cr3t@h/d', HOME: '/h', TOKEN: '${TOKEN}' },
      headers: { Authorization: 'Bearer s3cr3t' },
    },
  };
  assert.deepEqual(findPlainSecrets(found), ['url', 'args', 'env API_KEY', 'env DB', 'headers Authorization']);
  const shown = printServer(maskServer(found));
  assert.doesNotMatch(shown, /s3cr3t/);
  assert.match(shown, /HOME: "\/h"\n +TOKEN: "\$\{TOKEN\}"/);
});

const removals = [
  {
    name: 'a block map',
    before: '# ours\nservers:\n  a: { command: x } # a\n  # the second\n  b:\n    command: y\nlisten: :1\n',
    remove: 'b',
    after: '# ours\nservers:\n  a: { command: x } # a\n  # the second\nlisten: :1\n',
  },
  { name: 'the last of a block map', before: 'servers:\n  a:\n    command: x\n', remove: 'a', after: 'servers:\n' },
  {
    name: 'JSON',
    before: '{"servers": {"a": {"command": "x"}, "b": {"command": "y"}}}',
    remove: 'a',
    after: '{"servers": {"b": {"command": "y"}}}',
  },
];
for (const { name, before, remove, after } of removals) {
  test(`a server is removed from ${name}, and nothing else changes`, () => {
    assert.equal(removeServer(before, remove), after);
  });
}

test('removing refuses a server that is not there or not under servers, and names the nearest', () => {
  assert.throws(() => removeServer('servers: {files: {command: x}}', 'file'), { message: /did you mean "files"\?/ });
  assert.throws(() => removeServer('mcpServers: {files: {command: x}}', 'files'), { message: /by hand/ });
  assert.throws(() => removeServer('', 'files'), { code: 'CONFIG_INVALID' });
});
