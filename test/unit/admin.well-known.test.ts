import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDiscoveryProbe } from '../../src/admin/well-known.ts';

const probes = [
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/a/mcp',
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration/mcp',
  '/.well-known/anything',
  '/mcp/.well-known/openid-configuration',
  '/a/mcp/.well-known/oauth-authorization-server',
  '/a/.well-known/oauth-protected-resource/mcp',
  '/register',
  '/authorize',
  '/token',
];
const others = [
  '/',
  '/mcp',
  '/a/mcp',
  '/a/register',
  '/registered',
  '/a/.well-known/anything',
  '/a/.well-known/openid-configurations',
  '/x.well-known/openid-configuration',
];
for (const path of probes) test(`${path} is a probe`, () => assert.equal(isDiscoveryProbe(path), true));
for (const path of others) test(`${path} is none`, () => assert.equal(isDiscoveryProbe(path), false));
