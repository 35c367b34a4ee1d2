/** Which Host and Origin may reach /api when ADMIN_SOCKET names a host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardApi } from '../../src/admin/request-guard.ts';

const passes = (host: string | undefined, configured: string, port = 9464, origin?: string) =>
  guardApi({ host, origin }, { host: configured, port }, port) === undefined;

test('the configured host passes with its port, in any case of letters', () => {
  assert.ok(passes('sink.internal:9464', 'sink.internal'));
  assert.ok(passes('SINK.internal:9464', 'sink.Internal'));
  assert.ok(!passes('sink.internal:9465', 'sink.internal'));
  assert.ok(!passes('sink.internal', 'sink.internal'));
  assert.ok(passes('sink.internal', 'sink.internal', 80));
  assert.ok(passes('[fd00::5]:9464', 'fd00::5'));
  assert.ok(!passes('other.internal:9464', 'sink.internal'));
});

test('a wildcard is no name', () => {
  for (const wildcard of ['', '0.0.0.0', '::']) {
    assert.ok(!passes(':9464', wildcard));
    assert.ok(!passes('0.0.0.0:9464', wildcard));
    assert.ok(!passes('[::]:9464', wildcard));
    assert.ok(passes('localhost:9464', wildcard));
  }
});

test('no Host, no entry', () => {
  assert.ok(!passes(undefined, 'localhost'));
  assert.ok(!passes('', 'localhost'));
});

test('the origin must be that of the Host', () => {
  assert.ok(passes('sink.internal:9464', 'sink.internal', 9464, 'http://sink.internal:9464'));
  assert.ok(passes('Sink.internal:9464', 'sink.internal', 9464, 'http://sink.internal:9464'));
  assert.ok(!passes('sink.internal:9464', 'sink.internal', 9464, 'http://localhost:9464'));
  assert.ok(!passes('localhost:9464', 'localhost', 9464, 'http://localhost:9464.evil.example'));
});
