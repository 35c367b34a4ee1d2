/** What the comparison with peers rests on: the same readings in OTLP, counting what was written, and the verdicts. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { findBottleneck } from '../../bench/bottleneck.ts';
import { peerChartOf } from '../../bench/peers/chart.ts';
import type { Comparison, PeerCell } from '../../bench/peers/comparison.ts';
import { countPoints } from '../../bench/peers/otel-collector.ts';
import { otlpRequest } from '../../bench/peers/otlp-request.ts';
import { assertServed } from '../../bench/peers/server.ts';
import { judge } from '../../bench/peers/targets.ts';
import type { UsageBetween } from '../../bench/process-usage.ts';
import { sampleReading } from '../../bench/request-body.ts';
import type { Run } from '../../bench/run.ts';
import { MiB } from '../../src/base/byte-size.ts';

/** The part of the public OTLP definition that a gauge needs. */
const OTLP = protobuf
  .parse(`
  syntax = "proto3";
  message Request { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { repeated ScopeMetrics scope_metrics = 2; }
  message ScopeMetrics { repeated Metric metrics = 2; }
  message Metric { string name = 1; Gauge gauge = 5; }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message NumberDataPoint { fixed64 time_unix_nano = 3; sfixed64 as_int = 6; }
`)
  .root.lookupType('Request');

test('the OTLP request holds the same names, values and times', () => {
  for (const readings of [1, 100, 1000]) {
    const decoded = OTLP.toObject(OTLP.decode(otlpRequest(readings)), { longs: String });
    assert.equal(decoded.resourceMetrics.length, 1);
    const metrics = decoded.resourceMetrics[0].scopeMetrics[0].metrics;
    const expected = Array.from({ length: readings }, (_, index) => {
      const { sensorName, value, seconds, nanos } = sampleReading(index);
      const timeUnixNano = `${seconds}${String(nanos).padStart(9, '0')}`;
      return { name: sensorName, gauge: { dataPoints: [{ timeUnixNano, asInt: String(value) }] } };
    });
    assert.deepEqual(metrics, expected);
  }
});

test('points are counted across the edges of what is read at once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'telemetry-sink-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'points');
  const point = '{"timeUnixNano":"1","asInt":"2"}';
  assert.equal(MiB % point.length, 0);
  // What is read at once is a MiB: with these, its edge falls on each byte of the mark and around it.
  for (let shift = 0; shift < point.length; shift++) {
    await writeFile(file, ' '.repeat(shift) + point.repeat(MiB / point.length + 1));
    assert.equal(await countPoints(file), MiB / point.length + 1);
  }
  await writeFile(file, 'no point\n'.repeat(1000));
  assert.equal(await countPoints(file), 0);
});

test('a peer that answered more than it holds is no measurement', () => {
  assertServed('peer', 100, 100);
  assert.throws(() => assertServed('peer', 99, 100), /answered 100 in the window but holds only 99/);
});

test('cores without rest are the limit, whichever thread used them', () => {
  const usage = (idleShare: number, busy: number): UsageBetween => ({
    ...{ elapsedSeconds: 1, cpuSeconds: busy * 2, machineCpuSeconds: 2, idleShare },
    strangersShare: Math.max(0, 1 - idleShare - busy * 2),
    threads: [1, 2].map((index) => ({ name: `worker-${index}`, busy, waiting: 0 })),
  });
  const generator = { ...usage(0.9, 0.1), idleShare: undefined as never };
  const latencyMs = { p50: 1, p90: 1, p99: 1, p999: 1, max: 1 };
  const verdict = (daemon: UsageBetween) =>
    findBottleneck({ requests: 1, elapsedMs: 1000, latencyMs, daemon, generator });
  assert.deepEqual([verdict(usage(0.02, 0.49)).isDaemon, verdict(usage(0.3, 0.35)).isDaemon], [true, false]);
  assert.equal(verdict(usage(0.02, 0.49)).text, 'daemon (its cores 98% busy)');
  assert.match(verdict(usage(0, 0.4)).text, /100% busy, 20% used by others/);
});

function comparison(rates: Readonly<Record<string, readonly number[]>>): Pick<Comparison, 'cells'> {
  const cells = new Map<PeerCell, readonly Run[]>();
  for (const [name, values] of Object.entries(rates)) {
    const runs = values.map((rate) => ({ readingsPerSecond: rate, readingsPerCpuSecond: 2 * rate }) as Run);
    cells.set({ name } as PeerCell, runs);
  }
  return { cells };
}

test('verdicts: of runs of the same round, by the median, missed by so much', () => {
  const verdicts = judge(
    comparison({
      'native/1': [100, 300, 200],
      'grpc-js/1': [10, 15, 20],
      'grpc-go/1': [100, 200, 100],
      'native/100': [1_100_000],
      'native-64/written/1': [8],
      'native-64/accepted/1': [10],
    }),
  );
  const [grpcJs, grpcGo, collector, perCpu, written, written100] = verdicts;
  assert.deepEqual([grpcJs!.by_wall_clock, grpcJs!.met], [{ median: 10, min: 10, max: 20 }, true]);
  assert.equal(grpcJs!.text, 'met, 1.25 times over');
  assert.deepEqual([grpcGo!.by_wall_clock!.median, grpcGo!.text], [1.5, 'MISSED by 25%']);
  assert.equal(collector!.text, 'not measured: no runs of otel-collector/100');
  assert.deepEqual([perCpu!.per_cpu_second!.median, perCpu!.met], [2_200_000, true]);
  assert.deepEqual([written!.by_wall_clock!.median, written!.met], [0.8, true]);
  assert.equal(written100!.met, undefined);
});

test('the chart has a bar for each server and size, and leaves the acknowledgements out', () => {
  const cell = (server: string, readings: number, rate: number, name = `${server}/${readings}`) => ({
    ...{ name, server, readings_per_request: readings },
    requests_per_second: { median: rate / readings, min: rate / readings, max: rate / readings },
    readings_per_second: { median: rate, min: rate * 0.9, max: rate * 1.1 },
  });
  const svg = peerChartOf(
    [
      cell('native', 1, 300_000),
      cell('grpc-go', 1, 80_000),
      cell('native', 100, 1e6),
      cell('native', 100, 9e5, 'native-64/written/100'),
    ],
    'here & now',
  );
  assert.equal(svg.match(/class="range"/g)!.length, 3);
  for (const number of ['300k', '80k', '1M']) assert.match(svg, new RegExp(`>${number}<`));
  assert.match(svg, /here &amp; now/);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});
