/**
 * What the admin endpoints cost and take: requests/s and latency percentiles, with autocannon.
 *
 *   node bench/admin.ts                            an admin server of our own, with a sample state
 *   node bench/admin.ts --url http://localhost:9464  a running daemon
 *   --seconds 5 --connections 10 --write           length, load, and whether to keep the result
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { openAdminServer } from '../src/admin/http-server.ts';
import { SampleDaemon } from '../test/admin/sample-daemon.ts';

const PATHS = ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/'];

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
});
const duration = Number(values.seconds);
const connections = Number(values.connections);

async function openOwn() {
  const daemon = new SampleDaemon();
  daemon.live(10_000);
  return openAdminServer(
    { host: '127.0.0.1', port: 0 },
    { status: daemon, metrics: daemon.metrics, onFault: (path, error) => console.error(path, error) },
  );
}

const own = values.url === undefined ? await openOwn() : undefined;
const base = values.url ?? `http://${own!.addresses[0]}`;
const rows: Record<string, Record<string, number>> = {};
for (const path of PATHS) {
  const result = await autocannon({ url: base + path, connections, duration });
  rows[path] = {
    requests_per_second: Math.round(result.requests.average),
    latency_p50_ms: result.latency.p50,
    latency_p99_ms: result.latency.p99,
    latency_p99_9_ms: result.latency.p99_9,
    latency_max_ms: result.latency.max,
    failed: result.errors + result.timeouts + result.non2xx,
  };
}
await own?.close();

console.log(
  `${connections} connections, ${duration}s each, ${own ? 'load and server in one process' : base}`,
);
console.table(rows);

if (values.write) {
  const date = new Date().toISOString();
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`;
  const server = own ? 'sample state, in the process of the load' : 'a running daemon';
  const report = {
    date,
    machine,
    node: process.version,
    server,
    connections,
    seconds: duration,
    results: rows,
  };
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`admin-${date.slice(0, 10)}.json`, folder);
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(`written to ${file.pathname}`);
}
