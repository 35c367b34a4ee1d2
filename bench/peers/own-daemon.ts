/** The daemon in the row of its peers: one transport and one kind of acknowledgement, the rest its defaults. */
import { readFileSync } from 'node:fs';
import { daemonEnvironment } from '../common-options.ts';
import { DaemonUnderTest } from '../daemon-under-test.ts';
import { assertServed, type Peer } from './server.ts';

const LOCK = new URL('../../package-lock.json', import.meta.url);

export function ownDaemon(transport: string, ack: string): Peer {
  return {
    name: transport,
    version: transport === 'grpc-js' ? `@grpc/grpc-js ${grpcJsVersion()}` : 'this commit',
    does: `checks, makes JSON lines, writes the journal with checksums; ACK=${ack}`,
    async start(scratch, cores) {
      const daemon = await DaemonUnderTest.start({
        parent: scratch,
        cores,
        environment: daemonEnvironment(transport, ack),
      });
      return {
        pid: daemon.pid,
        grpc: daemon.grpc,
        metrics: () => daemon.metrics(),
        async stop(answered, readingsPerRequest) {
          const { readingsWritten } = await daemon.stopMeasured();
          assertServed(transport, readingsWritten, answered * readingsPerRequest);
        },
        remove: () => daemon.remove(),
      };
    },
  };
}

function grpcJsVersion(): string {
  const { packages } = JSON.parse(readFileSync(LOCK, 'utf8')) as {
    packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  return packages['node_modules/@grpc/grpc-js']?.version ?? '?';
}
