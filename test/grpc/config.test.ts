/** What the gRPC options demand of one another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '../../src/base/listen-address.ts';
import { ByteAllowance } from '../../src/base/shared-budget.ts';
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

test('the receive budget has room for the largest request, by a stream, beside others in all threads', () => {
  const faults = (maxRequestBytes: number, receiveBufferBytes: number) =>
    grpcOptions.check!({ ...DEFAULTS, maxRequestBytes, receiveBufferBytes });
  const KiB = 1024;
  for (const maxRequestBytes of [512 * KiB, 1024 * KiB, 4096 * KiB]) {
    const leastBytes = 2 * (maxRequestBytes + 304 * KiB);
    assert.deepEqual(faults(maxRequestBytes, leastBytes), []);
    assert.match(
      faults(maxRequestBytes, leastBytes - 1)[0]!,
      new RegExp(`RECEIVE_BUFFER_BYTES must be at least ${leastBytes / KiB}KiB.*MAX_REQUEST_BYTES`),
    );
    // What the largest holds is declared elsewhere.
    const heldBytes = maxRequestBytes + STREAM_WINDOW_BYTES + 2 * CALL_COST_BYTES;
    for (const threads of [1, 2, 4, 8]) {
      const cells = new Int32Array(new SharedArrayBuffer(4 * threads));
      const budgets = Array.from(
        { length: threads },
        (_, own) => new ReceiveBudget(leastBytes, new ByteAllowance(leastBytes, cells, own)),
      );
      // Somebody watches in each, for which each has drawn a step.
      for (const budget of budgets) assert.equal(budget.take(CALL_COST_BYTES, { heldBytes: 0 }), true);
      assert.equal(budgets[0]!.take(heldBytes, { heldBytes: 0 }), true);
    }
  }
});
