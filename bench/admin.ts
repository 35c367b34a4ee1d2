/**
 * What the admin endpoints cost and take: requests/s and latency percentiles, with autocannon.
 *
 *   npm run bench:admin                                  an admin server of our own, with a sample state
 *   npm run bench:admin -- --url http://localhost:9464   a running daemon
 */
import autocannon from 'autocannon';
import { openAdminServer } from '../src/admin/http-server.ts';
import { SampleDaemon } from '../test/admin/sample-daemon.ts';
import { BenchArguments } from './arguments.ts';
import { figure, markdownTable } from './figures.ts';
import { describeMachine } from './machine.ts';
import { deliver, reprintCommand } from './results.ts';

const args = new BenchArguments('npm run bench:admin: requests/s of the admin endpoints', {
  url: { default: '', help: 'A running daemon instead of an admin server of our own' },
  paths: { default: '/metrics,/healthz,/readyz,/api/v1/status,/', help: 'What to ask for' },
  seconds: { default: '5', help: 'Seconds for each path' },
  connections: { default: '10', help: 'Connections, each with one request underway' },
  note: { default: '', help: 'A sentence for the report' },
  json: { default: false, help: 'Print the report as JSON' },
  write: { default: false, help: 'Keep the report in bench/results' },
});
const duration = args.count('seconds');
const connections = args.count('connections');

async function openOwn() {
  const daemon = new SampleDaemon();
  daemon.live(10_000);
  return openAdminServer(
    { host: '127.0.0.1', port: 0 },
    { status: daemon, metrics: daemon.metrics, onFault: (path, error) => console.error(path, error) },
  );
}

const own = args.isSet('url') ? undefined : await openOwn();
const base = own === undefined ? args.text('url') : `http://${own.addresses[0]}`;
const paths: Record<string, Record<string, number>> = {};
for (const path of args.list('paths')) {
  const result = await autocannon({ url: base + path, connections, duration });
  paths[path] = {
    requests_per_second: Math.round(result.requests.average),
    latency_p50_ms: result.latency.p50,
    latency_p99_ms: result.latency.p99,
    latency_p99_9_ms: result.latency.p99_9,
    latency_max_ms: result.latency.max,
    failed: result.errors + result.timeouts + result.non2xx,
  };
  console.error(`${path}: ${figure(result.requests.average)} requests/s`);
}
await own?.close();

const rows = [['path', 'requests/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'failed']];
for (const [path, figures] of Object.entries(paths)) {
  rows.push([`\`${path}\``, ...Object.values(figures).map(figure)]);
}
deliver(
  {
    name: 'admin',
    title: 'What the admin endpoints take',
    command: reprintCommand('bench:admin'),
    machine: describeMachine('.'),
    conditions: [
      `Load: autocannon, closed loop, ${connections} connections, ${duration}s for each path. Nothing pinned.`,
      own === undefined
        ? `Server: a running daemon, ${base}.`
        : 'Server: an admin server with the state of a busy daemon, in the process of the load: the two share one core, so the daemon alone takes more.',
      'One run: these endpoints are asked every few seconds; the figures show that a scrape costs milliseconds, no more.',
      ...(args.text('note') === '' ? [] : [args.text('note')]),
    ],
    body: markdownTable(rows),
    figures: { connections, seconds: duration, paths },
  },
  { json: args.isSet('json'), write: args.isSet('write') },
);
process.exitCode = Object.values(paths).every(({ failed }) => failed === 0) ? 0 : 1;
