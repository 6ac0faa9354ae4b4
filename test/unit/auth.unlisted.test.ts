import assert from 'node:assert/strict';
import { currentPrincipal, nameOf, strangeNames, unlistedId, type Named } from '../../src/auth/unlisted.ts';
import { judgeAccess } from '../../src/mcp/access.ts';
import { makeExposure } from '../../src/mcp/exposure.ts';
import type { Config, Principal } from '../../src/model.ts';
import { validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const SERVERS =
  'servers:\n  a: { url: https://a.example/mcp }\n  b: { url: https://b.example/mcp }\n  c: { url: https://c.example/mcp }\n';
const ROLES = `
roles:
  support: { servers: [b, c], tools: ["b__get_*", "*__list"], limits: { rate: 60/min } }
  careful: { servers: "!c", tools: "!*__list" }
  special: { servers: { b: { token: of-the-role } }, limits: { rate: 6/min, concurrent: 2 } }
  everything: { servers: "*" }
`;

function configOf(auth: string, more = ''): Config {
  return validConfig({
    config: `${SERVERS}public_url: https://mcp.example.com\nauth: { jwt: { issuer: https://login.example.com }, ${auth} }\n${more}`,
    tokens: `users:\n  alice: { servers: [a] }\n${ROLES}`,
  });
}

const NOTHING: Named = { roles: [], servers: [] };
const CLAIMS = 'role_claim: roles, servers_claim: servers';

function principalOf(config: Config, named: Partial<Named>, subject = 'bob'): Principal | undefined {
  const id = unlistedId(config, subject, { ...NOTHING, ...named });
  return id === undefined ? undefined : currentPrincipal(config, id);
}
const serversOf = (principal: Principal | undefined): string[] => [...(principal?.servers.keys() ?? [])];

verifies('oauth.claims', 'auth.servers, servers of roles and claimed servers add up, and what denies wins', () => {
  const config = configOf(`${CLAIMS}, servers: [a]`);
  assert.deepEqual(serversOf(principalOf(config, {})), ['a']);
  assert.deepEqual(serversOf(principalOf(config, { servers: ['b', 'a'] })), ['a', 'b']);
  assert.deepEqual(serversOf(principalOf(config, { roles: ['support'] })), ['a', 'b', 'c']);
  assert.deepEqual(serversOf(principalOf(config, { roles: ['support', 'careful'], servers: ['c'] })), ['a', 'b']);
  assert.equal(principalOf(config, { roles: ['everything'] })?.servers, config.servers);
});

verifies('oauth.claims', 'rules and limits of the roles hold, and those of the settings without a role', () => {
  const config = configOf(CLAIMS, 'limits: { rate: 600/min }\n');
  const allowed = (principal: Principal | undefined, own: string): boolean => {
    const server = config.servers.get('b') ?? assert.fail();
    const scope = { server: 'b', prefix: 'b', prefixes: ['b', 'c'] };
    return judgeAccess(principal?.access, 'tools', { exposure: makeExposure(server.exposure), scope, own }).allowed;
  };
  const support = principalOf(config, { roles: ['support'] });
  assert.deepEqual(
    [allowed(support, 'get_x'), allowed(support, 'list'), allowed(support, 'put_x')],
    [true, true, false],
  );
  const both = principalOf(config, { roles: ['careful', 'support'] });
  assert.deepEqual([allowed(both, 'get_x'), allowed(both, 'list')], [true, false]);
  assert.deepEqual(support?.limits?.rate, { count: 60, perMs: 60_000 });
  assert.deepEqual(support?.roles, ['support']);
  assert.equal(principalOf(config, { servers: ['a'] })?.limits, config.userLimits);
  const special = principalOf(config, { roles: ['special', 'support'] });
  // The most generous rate, and what only one says.
  assert.deepEqual([special?.limits?.rate?.count, special?.limits?.concurrent], [60, 2]);
  const server = special?.servers.get('b');
  assert.ok(server?.kind === 'http' && server.credential.type === 'bearer');
  assert.equal(server.credential.token.reveal(), 'of-the-role');
});

verifies('oauth.claims-closed', 'names that are not configured, patterns and reserved words give nothing', () => {
  const config = configOf(CLAIMS);
  assert.equal(principalOf(config, {}), undefined);
  assert.equal(
    principalOf(config, { roles: ['*', 'unknown', 'admin', 'user'], servers: ['*', 'd', '?', ''] }),
    undefined,
  );
  const strange = strangeNames(config, { roles: ['support', 'admin', 'x'], servers: ['a', 'd'] });
  assert.deepEqual(strange, { roles: ['admin', 'x'], servers: ['d'] });
});

verifies('oauth.claims-closed', 'a claim that is not configured gives nothing, whatever an id says', () => {
  const roles = configOf('role_claim: roles');
  assert.equal(currentPrincipal(roles, 'oauth:bob servers=a'), undefined);
  const servers = configOf('servers_claim: servers');
  assert.equal(currentPrincipal(servers, 'oauth:bob roles=support'), undefined);
  assert.deepEqual(serversOf(currentPrincipal(servers, 'oauth:bob servers=a')), ['a']);
});

verifies('oauth.claims-closed', 'an administrator is made only by the value that was chosen for it', () => {
  assert.equal(principalOf(configOf(`${CLAIMS}, servers: [a]`), { roles: ['admin'] })?.role, 'user');
  const config = configOf(`${CLAIMS}, admin_role: mcp-admin`);
  assert.equal(principalOf(config, { roles: ['admin'] }), undefined);
  const admin = principalOf(config, { roles: ['mcp-admin'] });
  assert.deepEqual([admin?.role, serversOf(admin), admin?.roles], ['admin', [], undefined]);
  assert.equal(currentPrincipal(configOf(`${CLAIMS}, servers: [a]`), admin?.id ?? '')?.role, 'user');
});

verifies('oauth.claims-closed', 'a name with a blank is nobody, so that it cannot say what rights it has', () => {
  const config = configOf(`${CLAIMS}, servers: [a], admin_role: admin`);
  for (const subject of ['bob roles=admin', ' roles=admin', 'bob\troles=admin', '', 'é'])
    assert.equal(principalOf(config, {}, subject), undefined);
});

verifies('oauth.claims-streams', 'an id has the rights of now, and its name is the same whatever they are', () => {
  const config = configOf(CLAIMS);
  const id = unlistedId(config, 'bob', { roles: ['support', 'careful', 'x'], servers: ['b', 'a', 'x'] }) ?? '';
  assert.equal(id, 'oauth:bob roles=careful,support servers=a,b');
  assert.deepEqual(
    [nameOf(id), nameOf('alice'), nameOf('local (command line)')],
    ['oauth:bob', 'alice', 'local (command line)'],
  );
  assert.equal(id, unlistedId(config, 'bob', { roles: ['careful', 'support'], servers: ['a', 'b'] }));
  const less = validConfig({
    config: `${SERVERS}public_url: https://mcp.example.com\nauth: { jwt: { issuer: https://login.example.com }, ${CLAIMS} }\n`,
    tokens: 'users:\n  alice: { servers: [a] }\nroles:\n  careful: { servers: "!b" }\n',
  });
  assert.deepEqual(serversOf(currentPrincipal(less, id)), ['a']);
});
