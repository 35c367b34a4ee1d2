/** Options of the gRPC front: where it listens and what it lets in before a request is understood. */
import { GiB, KiB, MiB } from '../base/byte-size.ts';
import { isLoopback } from '../base/listen-address.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const grpcOptions = optionGroup({
  title: 'gRPC server',
  options: {
    grpcServerSocket: {
      env: 'GRPC_SERVER_SOCKET',
      type: 'address',
      default: 'localhost:8000',
      help: 'Where sensors connect: localhost:8000 (both loopbacks), :50051 or [::]:50051 (every interface), 0.0.0.0:50051 (IPv4)',
    },
    transport: {
      env: 'TRANSPORT',
      type: 'enum',
      values: ['native', 'grpc-js'],
      // docs/decisions/0103 says what it had to pass first.
      default: 'native',
      help: 'What speaks HTTP/2: native, our own and many times faster, or grpc-js, the reference',
    },
    tlsCertificate: {
      env: 'TLS_CERT',
      type: 'path',
      default: '',
      help: 'PEM file of the certificate (and its chain) to serve TLS with; read again when it changes',
    },
    tlsKey: {
      env: 'TLS_KEY',
      type: 'path',
      default: '',
      help: 'PEM file of the private key of TLS_CERT',
    },
    tlsClientAuthority: {
      env: 'TLS_CLIENT_CA',
      type: 'path',
      default: '',
      help: 'PEM file of the authorities whose clients are let in: each must show a certificate of theirs (mutual TLS)',
    },
    tlsMinVersion: {
      env: 'TLS_MIN_VERSION',
      type: 'enum',
      values: ['TLSv1.2', 'TLSv1.3'],
      // What RFC 9113 9.2 asks for at least, and what older radio modules can do.
      default: 'TLSv1.2',
      help: 'Oldest version of TLS that is spoken',
    },
    allowPlaintext: {
      env: 'ALLOW_PLAINTEXT',
      type: 'boolean',
      default: 'false',
      help: 'Serve without TLS beyond loopback; say true only where the network itself is trusted',
    },
    maxRequestBytes: {
      env: 'MAX_REQUEST_BYTES',
      type: 'bytes',
      // 4 MiB is what every gRPC implementation accepts by default, so no client is built for more.
      default: '4MiB',
      min: KiB,
      max: 256 * MiB,
      help: 'Largest request, as serialized and after decompression; a larger one is refused for good',
    },
    maxConnections: {
      env: 'MAX_CONNECTIONS',
      type: 'integer',
      unit: 'connections',
      // Bounds file descriptors and session state; see docs/decisions/0052.
      default: '4096',
      min: 1,
      max: 1_000_000,
      help: 'Connections open at once; further ones are closed at once and counted',
    },
    maxStreamsPerConnection: {
      env: 'MAX_STREAMS_PER_CONNECTION',
      type: 'integer',
      unit: 'calls',
      // The least that RFC 9113 recommends: clients queue beyond it by themselves.
      default: '100',
      min: 1,
      max: 100_000,
      help: 'Calls open at once on one connection; clients hold further ones back',
    },
    receiveBufferBytes: {
      env: 'RECEIVE_BUFFER_BYTES',
      type: 'bytes',
      // Room for 64 of the largest requests at once, or for some 10,000 small calls.
      default: '256MiB',
      min: MiB,
      max: 64 * GiB,
      help: 'Memory for requests that arrive or wait for their answer, over all connections, of which one client leaves the others a part; beyond it calls are refused for now',
    },
    maxConnectionAgeMs: {
      env: 'MAX_CONNECTION_AGE',
      type: 'duration',
      // Sensors stay connected for weeks; after a restart or a scale-out the load is even again within this long.
      default: '30m',
      min: 100,
      max: 30 * 24 * 3_600_000,
      zero: 'unlimited',
      help: 'Ask a connection to leave at this age (10% more or less), so that clients spread over threads and pods anew',
    },
    maxConnectionAgeGraceMs: {
      env: 'MAX_CONNECTION_AGE_GRACE',
      type: 'duration',
      default: '30s',
      min: 100,
      max: 3_600_000,
      help: 'How long calls may still run on a connection that was asked to leave for its age',
    },
  },
  check: (values) => {
    const faults: string[] = [];
    const hasTls = values.tlsCertificate !== '';
    if (!hasTls && !values.allowPlaintext && !isLoopback(values.grpcServerSocket)) {
      faults.push(
        'GRPC_SERVER_SOCKET listens beyond loopback and the server speaks plaintext: set TLS_CERT and TLS_KEY, or ALLOW_PLAINTEXT=true if the network is trusted, or listen on localhost',
      );
    }
    if (hasTls !== (values.tlsKey !== '')) {
      faults.push('TLS_CERT and TLS_KEY belong together: set both, or neither');
    }
    if (values.tlsClientAuthority !== '' && !hasTls) {
      faults.push('TLS_CLIENT_CA asks clients for certificates and needs TLS: set TLS_CERT and TLS_KEY too');
    }
    const leastBytes = leastReceiveBufferBytes(values.maxRequestBytes);
    if (values.receiveBufferBytes < leastBytes) {
      faults.push(
        `RECEIVE_BUFFER_BYTES must be at least ${leastBytes / KiB}KiB with this MAX_REQUEST_BYTES, or the largest request could never be received`,
      );
    }
    return faults;
  },
});

/** The window of a stream and what its calls cost: what the largest request may hold beside itself. */
const LARGEST_EXTRA_BYTES = 304 * KiB;

/** As much as it holds is left then, where a client has to leave half as much; the other half is for what others hold. */
function leastReceiveBufferBytes(maxRequestBytes: number): number {
  return Math.ceil((2 * (maxRequestBytes + LARGEST_EXTRA_BYTES)) / KiB) * KiB;
}

export type GrpcConfig = GroupValues<typeof grpcOptions>;
