/**
 * The OpenTelemetry Collector from OTLP over gRPC to JSON lines in a file, loaded with the same readings as gauge
 * points. It answers once its batch processor took the points, which is our ACK=accepted.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCollector, collectorVersion } from './build.ts';
import { OTLP_PATH, otlpRequest } from './otlp-request.ts';
import { startPeer } from './peer-process.ts';
import { assertServed, type Peer } from './server.ts';

const CONFIG = fileURLToPath(new URL('otel-collector/config.yaml', import.meta.url));
/** Once per data point of what the file exporter writes. */
const POINT = Buffer.from('"timeUnixNano"');

export function otelCollectorPeer(): Peer {
  const program = buildCollector();
  const modules = execFileSync('go', ['version', '-m', program], { encoding: 'utf8' });
  const grpc = /dep\s+google\.golang\.org\/grpc\s+(\S+)/.exec(modules)?.[1] ?? '?';
  const go = /: (go\S+)/.exec(modules)?.[1] ?? '?';
  return {
    name: 'otel-collector',
    version: `OpenTelemetry Collector ${collectorVersion()} with grpc-go ${grpc}, ${go}`,
    does: 'batches and writes JSON to a file; no checksum, no rotation, no sync',
    request: (readings) => ({ path: OTLP_PATH, body: otlpRequest(readings) }),
    async start(scratch, cores) {
      const folder = await mkdtemp(join(scratch, 'otel-collector-'));
      const file = join(folder, 'metrics.jsonl');
      const collector = startPeer([program, '--config', CONFIG], cores, {
        BENCH_ADDRESS: '127.0.0.1:0',
        BENCH_FILE: file,
      });
      const address = await collector.line((line) => /"endpoint":"([^"]+)"/.exec(line)?.[1]);
      return {
        pid: collector.pid,
        grpc: address,
        async stop(answered, readingsPerRequest) {
          await collector.stop();
          assertServed('otel-collector', await countPoints(file), answered * readingsPerRequest);
        },
        async remove() {
          await collector.kill();
          await rm(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

export async function countPoints(file: string): Promise<number> {
  let points = 0;
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let at = bytes.indexOf(POINT); at >= 0; at = bytes.indexOf(POINT, from)) {
      points++;
      from = at + POINT.length;
    }
    // A mark may lie across two chunks.
    rest = bytes.subarray(Math.max(from, bytes.length - POINT.length + 1));
  }
  return points;
}
