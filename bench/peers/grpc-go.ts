/**
 * A no-op grpc-go server: what Google's own server in Go does on the same core when nothing is to be done
 * with a request but decode it. With grpc.NumStreamWorkers, since that makes it about a tenth faster than
 * its default: a peer should not lose for want of an option.
 */
import { execFileSync } from 'node:child_process';
import { buildGrpcGo } from './build.ts';
import { startPeer } from './peer-process.ts';
import { assertServed, type Peer } from './server.ts';

const STREAM_WORKERS = '64';

export function grpcGoPeer(): Peer {
  const program = buildGrpcGo();
  const modules = execFileSync('go', ['version', '-m', program], { encoding: 'utf8' });
  const version = (module: string): string =>
    new RegExp(`dep\\s+${module}\\s+(\\S+)`).exec(modules)?.[1] ?? '?';
  const go = /: (go\S+)/.exec(modules)?.[1] ?? '?';
  return {
    name: 'grpc-go',
    version: `grpc-go ${version('google.golang.org/grpc')}, protobuf ${version('google.golang.org/protobuf')}, ${go}, ${STREAM_WORKERS} stream workers`,
    does: 'nothing: decodes, counts, writes no file',
    async start(_scratch, cores) {
      const server = startPeer([program, '-stream-workers', STREAM_WORKERS], cores);
      const grpc = await server.line((line) => /"address":"([^"]+)"/.exec(line)?.[1]);
      return {
        pid: server.pid,
        grpc,
        async stop(answered, readingsPerRequest) {
          const readings = server.line((line) => /"readings":(\d+)/.exec(line)?.[1]);
          readings.catch(() => {}); // stop() says what went wrong
          await server.stop();
          assertServed('grpc-go', Number(await readings), answered * readingsPerRequest);
        },
        remove: () => server.kill(),
      };
    },
  };
}
