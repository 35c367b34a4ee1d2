/** The arithmetic that figures rest on, against values worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findBottleneck } from '../../bench/bottleneck.ts';
import { chartOf } from '../../bench/chart.ts';
import { coreList } from '../../bench/cores.ts';
import { figure, fitLine, percentilesOf, spreadOf } from '../../bench/figures.ts';
import { requestsBetween } from '../../bench/h2load-log.ts';
import type { LoadWindow } from '../../bench/load.ts';
import type { UsageBetween } from '../../bench/process-usage.ts';
import { grpcMessage, requestBody } from '../../bench/request-body.ts';
import { RequestEncoder } from '../support/encode-request.ts';

test('median, least and most', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
});

test('percentiles by nearest rank', () => {
  const latenciesUs = Uint32Array.from({ length: 1000 }, (_, index) => (1000 - index) * 1000);
  assert.deepEqual(percentilesOf(latenciesUs), { p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 });
  assert.deepEqual(percentilesOf(new Uint32Array()), { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
});

test('a line through points', () => {
  const exact = fitLine([0, 1, 2, 3].map((x) => ({ x, y: 5 - 2 * x })));
  assert.deepEqual(exact, { slope: -2, slopeError: 0 });
  // Slope 0.8; residual squares 1.2 over 2 degrees of freedom; sum of squares of x 5.
  const points = [0, 2, 1, 3].map((y, x) => ({ x, y }));
  const scattered = fitLine(points);
  assert.ok(Math.abs(scattered.slope - 0.8) < 1e-12);
  assert.ok(Math.abs(scattered.slopeError - Math.sqrt(1.8 / 2 / 5)) < 1e-12);
  assert.equal(fitLine([{ x: 1, y: 1 }]).slope, 0);
});

test('figures as people read them', () => {
  assert.deepEqual([1234567.8, 99.96, 0.04567, 0, Number.NaN].map(figure), [
    '1,234,568',
    '100',
    '0.0457',
    '0',
    '-',
  ]);
});

test('requests that ended inside the window, from a log of h2load', () => {
  const log = Buffer.from(
    [
      '1000000\t200\t5000',
      '1000000\t200\t10000',
      '1004000\t200\t6001',
      '1005000\t503\t2000',
      '1005500\t-1\t1000',
      '1006000\t200\t99',
    ]
      .map((line) => `${line}\n`)
      .join(''),
  );
  const { latenciesUs, failed } = requestsBetween(log, 1005, 1010);
  assert.deepEqual([...latenciesUs], [10_000, 99]);
  assert.equal(failed, 2);
});

test('cores as taskset names them', () => {
  assert.deepEqual(coreList('0-2,5'), [0, 1, 2, 5]);
  assert.deepEqual(coreList(' 3\n'), [3]);
});

test('the request of the benchmark holds as many readings as it says', () => {
  for (const readings of [1, 10, 1000]) {
    const body = requestBody(readings);
    assert.equal(new RequestEncoder().encode(body).count, readings);
    const message = grpcMessage(body);
    assert.deepEqual(
      [message[0], message.readUInt32BE(1), message.length],
      [0, body.length, body.length + 5],
    );
  }
});

function usage(busy: number, waiting: number): UsageBetween {
  return {
    elapsedSeconds: 2,
    cpuSeconds: busy * 2,
    machineCpuSeconds: 7,
    threads: [{ name: 'main', busy, waiting }],
  };
}

test('the side without time left is named, and waiting for a core counts as no time left', () => {
  const latencyMs = { p50: 1, p90: 1, p99: 1, p999: 1, max: 1 };
  const window = (daemon: UsageBetween, generator: UsageBetween): LoadWindow => ({
    requests: 1,
    elapsedMs: 2000,
    latencyMs,
    daemon,
    generator,
  });
  const byDaemon = findBottleneck(window(usage(0.95, 0), usage(0.1, 0)));
  assert.deepEqual([byDaemon.isDaemon, byDaemon.text], [true, 'daemon (thread main 95% busy)']);
  assert.ok(Math.abs(byDaemon.coresUsedByOthers - (7 - 1.9 - 0.2) / 2) < 1e-9);
  assert.match(findBottleneck(window(usage(0.6, 0.35), usage(0.1, 0))).text, /35% waiting for a core/);
  const byLoad = findBottleneck(window(usage(0.5, 0), usage(0.99, 0)));
  assert.equal(byLoad.isDaemon, false);
  assert.match(byLoad.text, /^load generator/);
  assert.match(findBottleneck(window(usage(0.5, 0), usage(0.5, 0))).text, /^neither/);
});

test('the chart shows every median once, with room for names, and no number that is none', () => {
  const cell = (readings: number, ack: string, rate: number) => ({
    readings_per_request: readings,
    ack,
    transport: 'grpc-js',
    readings_per_second: { median: rate, min: rate * 0.9, max: rate * 1.1 },
  });
  const svg = chartOf(
    [
      cell(1, 'written', 20_000),
      cell(1, 'synced', 15_000),
      cell(1000, 'written', 2e6),
      cell(1000, 'synced', 1.9e6),
    ],
    'a <machine> & more',
  );
  assert.equal(svg.match(/class="whisker"/g)!.length, 4);
  assert.match(svg, /ACK=written[\s\S]*ACK=synced|ACK=synced[\s\S]*ACK=written/);
  assert.match(svg, />2M</);
  assert.match(svg, /a &lt;machine&gt; &amp; more/);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});
