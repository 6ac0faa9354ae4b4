import assert from 'node:assert/strict';
import { describeDiff, diffConfig } from '../../src/config/diff.ts';
import { assertRefused, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const PUBLIC = 'public_url: https://mcp.example.com/\n';

const forms: readonly (readonly [name: string, config: string, facade: unknown])[] = [
  ['a word', `${PUBLIC}oauth: facade\n`, { issuer: 'https://mcp.example.com', allowPrivate: false }],
  ['a block', `${PUBLIC}oauth: { allow_private: true }\n`, { issuer: 'https://mcp.example.com', allowPrivate: true }],
  ['a block that is off', `${PUBLIC}oauth: { facade: false, allow_private: true }\n`, undefined],
  ['off', `${PUBLIC}oauth: off\n`, undefined],
  ['nothing', PUBLIC, undefined],
  [
    'a prefix',
    `${PUBLIC}path_prefix: /tools\noauth: facade\n`,
    { issuer: 'https://mcp.example.com/tools', allowPrivate: false },
  ],
  [
    'a loopback address',
    'public_url: http://127.0.0.1:3000\noauth: facade\n',
    { issuer: 'http://127.0.0.1:3000', allowPrivate: false },
  ],
];
for (const [name, config, facade] of forms) {
  verifies('facade.config', `oauth as ${name} is read`, () => assert.deepEqual(validConfig({ config }).facade, facade));
}

verifies('facade.config', 'the variable is stronger than the file', () => {
  const env = { MCPROXY_OAUTH: 'off' };
  assert.equal(validConfig({ config: `${PUBLIC}oauth: { facade: true }\n`, env }).facade, undefined);
  assert.ok(validConfig({ config: PUBLIC, env: { MCPROXY_OAUTH: 'facade' } }).facade);
});

const gaps: readonly (readonly [name: string, config: string, problem: RegExp])[] = [
  ['no public URL', 'oauth: facade\n', /where clients log in is not known \| write "public_url"/],
  ['plain HTTP', 'public_url: http://mcp.example.com\noauth: facade\n', /has to be https:\/\//],
  ['a loopback look-alike', 'public_url: http://127.0.0.1.example.com\noauth: facade\n', /has to be https:\/\//],
  ['no door', `${PUBLIC}auth: none\noauth: facade\n`, /everybody is let in/],
  ['two servers', `${PUBLIC}oauth: facade\nauth: { jwt: { issuer: https://x.example } }\n`, /contradict each other/],
  ['another word', `${PUBLIC}oauth: maybe\n`, /"oauth" is not valid/],
  ['another key', `${PUBLIC}oauth: { alow_private: true }\n`, /did you mean "allow_private"/],
];
for (const [name, config, problem] of gaps) {
  verifies('facade.config', `oauth with ${name} is an error`, () => {
    assertRefused(config, problem);
  });
}

verifies('facade.config', 'a reload says that it was switched on', () => {
  const changes = describeDiff(
    diffConfig(validConfig({ config: PUBLIC }), validConfig({ config: `${PUBLIC}oauth: facade\n` })),
  );
  assert.ok(
    changes.some((line) => /oauth/.test(line)),
    changes.join(),
  );
});
