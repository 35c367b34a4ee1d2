/** What the gRPC options demand of one another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '../../src/base/listen-address.ts';
import { type GrpcConfig, grpcOptions } from '../../src/grpc/config.ts';
import { CALL_COST_BYTES, ReceiveBudget } from '../../src/grpc/receive-budget.ts';
import { STREAM_WINDOW_BYTES } from '../../src/grpc/stream-link.ts';

const DEFAULTS: GrpcConfig = {
  grpcServerSocket: parseListenAddress('localhost:8000')!,
  transport: 'grpc-js',
  tlsCertificate: '',
  tlsKey: '',
  tlsClientAuthority: '',
  tlsMinVersion: 'TLSv1.2',
  allowPlaintext: false,
  maxRequestBytes: 4 * 1024 * 1024,
  maxConnections: 4096,
  maxStreamsPerConnection: 100,
  receiveBufferBytes: 256 * 1024 * 1024,
  maxConnectionAgeMs: 1_800_000,
  maxConnectionAgeGraceMs: 30_000,
};

test('plaintext beyond loopback asks for ALLOW_PLAINTEXT, by name', () => {
  const faults = (text: string, allowPlaintext = false) =>
    grpcOptions.check!({ ...DEFAULTS, grpcServerSocket: parseListenAddress(text)!, allowPlaintext });
  for (const text of ['localhost:8000', '127.0.0.1:8000', '127.3.2.1:8000', '[::1]:8000']) {
    assert.deepEqual(faults(text), [], text);
  }
  for (const text of [':50051', '0.0.0.0:50051', '[::]:50051', '192.0.2.1:50051', 'sink.example:50051']) {
    assert.equal(faults(text).length, 1, text);
    assert.match(faults(text)[0]!, /GRPC_SERVER_SOCKET.*ALLOW_PLAINTEXT=true/);
    assert.deepEqual(faults(text, true), [], text);
  }
});

test('TLS needs certificate and key, and makes ALLOW_PLAINTEXT needless', () => {
  const faults = (values: Partial<GrpcConfig>) => grpcOptions.check!({ ...DEFAULTS, ...values });
  const grpcServerSocket = parseListenAddress(':50051')!;
  assert.deepEqual(faults({ grpcServerSocket, tlsCertificate: 'a', tlsKey: 'b' }), []);
  assert.match(faults({ tlsCertificate: 'a' })[0]!, /TLS_CERT and TLS_KEY belong together/);
  assert.match(faults({ tlsKey: 'b' })[0]!, /TLS_CERT and TLS_KEY belong together/);
  assert.match(faults({ tlsClientAuthority: 'c' })[0]!, /TLS_CLIENT_CA.*needs TLS/);
});

test('the receive budget holds two of the largest requests, and one by a stream in the part that one client may hold', () => {
  const faults = (maxRequestBytes: number, receiveBufferBytes: number) =>
    grpcOptions.check!({ ...DEFAULTS, maxRequestBytes, receiveBufferBytes });
  const MiB = 1024 * 1024;
  assert.deepEqual(faults(4 * MiB, 8 * MiB), []);
  assert.match(
    faults(4 * MiB, 8 * MiB - 1)[0]!,
    /RECEIVE_BUFFER_BYTES must be at least 8192KiB.*MAX_REQUEST_BYTES/,
  );
  assert.match(faults(MiB / 2, MiB)[0]!, /RECEIVE_BUFFER_BYTES must be at least 1224KiB/);
  const leastBytes = 1224 * 1024;
  assert.deepEqual(faults(MiB / 2, leastBytes), []);
  // Both figures of it are declared elsewhere.
  const heldBytes = MiB / 2 + STREAM_WINDOW_BYTES + 2 * CALL_COST_BYTES;
  assert.equal(new ReceiveBudget(leastBytes).take(heldBytes, { heldBytes: 0 }), true);
  assert.equal(new ReceiveBudget(leastBytes - 1024).take(heldBytes, { heldBytes: 0 }), false);
});
