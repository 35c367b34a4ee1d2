/** A host is one address, however many it has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressName } from '../../src/base/address-name.ts';

test('addresses: without port, IPv4 in IPv6 as itself, IPv6 by its network of 64 bits', () => {
  assert.equal(addressName('192.0.2.7'), '192.0.2.7');
  assert.equal(addressName('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(addressName('::1'), '::1');
  assert.equal(addressName('2001:DB8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(addressName('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(addressName('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(addressName('1::2:3:4:5:6:7'), '1:0:2:3::/64');
  assert.equal(addressName('/run/a socket'), 'unknown');
});
