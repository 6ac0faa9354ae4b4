import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientIp, makeTrustedProxies } from '../../src/http/client-ip.ts';

const OURS = ['10.0.0.0/8', '192.168.1.1', 'fd00::/8'];
const cases = [
  {
    name: 'without trusted proxies the field means nothing',
    peer: '10.0.0.1',
    field: '1.2.3.4',
    blocks: [],
    ip: '10.0.0.1',
  },
  { name: 'a peer that is not trusted is the client', peer: '9.9.9.9', field: '1.2.3.4', blocks: OURS, ip: '9.9.9.9' },
  { name: 'a trusted peer names the client', peer: '10.0.0.1', field: '1.2.3.4', blocks: OURS, ip: '1.2.3.4' },
  {
    name: 'an IPv4 peer in IPv6 form is the same',
    peer: '::ffff:10.0.0.1',
    field: '1.2.3.4',
    blocks: OURS,
    ip: '1.2.3.4',
  },
  {
    name: 'a trusted peer in IPv6 names the client',
    peer: 'fd00::1',
    field: '2001:db8::5',
    blocks: OURS,
    ip: '2001:db8::5',
  },
  {
    name: 'what is left of the client is its own claim',
    peer: '10.0.0.1',
    field: '6.6.6.6, 1.2.3.4',
    blocks: OURS,
    ip: '1.2.3.4',
  },
  { name: 'trusted hops are passed over', peer: '10.0.0.1', field: '1.2.3.4,192.168.1.1', blocks: OURS, ip: '1.2.3.4' },
  {
    name: 'when all are trusted the first is it',
    peer: '10.0.0.1',
    field: '10.0.0.3, 10.0.0.2',
    blocks: OURS,
    ip: '10.0.0.3',
  },
  {
    name: 'what is no address ends the chain',
    peer: '10.0.0.1',
    field: '1.2.3.4, unknown',
    blocks: OURS,
    ip: '10.0.0.1',
  },
  { name: 'an empty field names nobody', peer: '10.0.0.1', field: '', blocks: OURS, ip: '10.0.0.1' },
  {
    name: 'an address beside one that is listed',
    peer: '192.168.1.2',
    field: '1.2.3.4',
    blocks: OURS,
    ip: '192.168.1.2',
  },
  { name: 'a connection that is gone has none', peer: undefined, field: '1.2.3.4', blocks: OURS, ip: null },
];
for (const { name, peer, field, blocks, ip } of cases) {
  test(name, () => assert.equal(clientIp(peer, field, makeTrustedProxies(blocks)), ip));
}

test('no field makes the client another than its peer unless that is trusted, and none throws', () => {
  const trusted = makeTrustedProxies(OURS);
  fc.assert(
    fc.property(fc.string(), fc.ipV4(), (field, peer) => {
      const ip = clientIp(peer, field, trusted);
      if (trusted?.trusts(peer) !== true) assert.equal(ip, peer);
    }),
  );
});
