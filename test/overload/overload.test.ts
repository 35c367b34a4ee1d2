/**
 * Ten times what a limit lets through: the byte rate, one core, or a slow disk, with thousands of connections, readers
 * that do not read and senders of a byte per second. Memory stays below the computed bound, health stays truthful,
 * good clients are served on, every refusal says what to do, and every acknowledged reading is on disk, no refused one is.
 *
 *   npm run test:overload                                             two minutes each, 5,000 connections
 *   OVERLOAD_SECONDS=600 OVERLOAD_CONNECTIONS=5000 npm test -- test/overload
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../src/base/byte-size.ts';
import { runtimeBytes } from '../../src/commands/serve/memory-limits.ts';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { runCommand } from '../support/command-line.ts';
import { type DaemonProcess, daemonHome } from '../support/daemon.ts';
import { isOnPath, requirement } from '../support/requirements.ts';
import { FATE, type Manner } from './caller.ts';
import { type CallerReport, Fleet, type FleetReport } from './fleet.ts';

const SECONDS = Number(process.env.OVERLOAD_SECONDS ?? 2);
const CONNECTIONS = Number(process.env.OVERLOAD_CONNECTIONS ?? 200);
const GOOD = 20;
const GOOD_INTERVAL_MS = 200;
const PROBE_INTERVAL_MS = 200;
/** The daemon of a checkout runs its TypeScript: what strips the types stays in memory, measured idle. */
const STRIPPING_BYTES = 50 * MiB;

interface Scenario {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly launcher?: readonly string[];
  readonly skip?: string | false;
  /** Of an eager client; 0: as soon as the last was answered. */
  readonly intervalMs: number;
  readonly readingsPerRequest: number;
}

const RATE_BYTES = 256 * 1024;
const DISK_BYTES_PER_SECOND = MiB;
/** Of 12 readings of some 24 bytes. */
const REQUEST_BYTES = 300;
const eager = Math.ceil(CONNECTIONS * 0.8);
/** Ten times `bytesPerSecond`, over all eager clients together. */
const tenfold = (bytesPerSecond: number) =>
  Math.max(1, (1000 * eager * REQUEST_BYTES) / (10 * bytesPerSecond));

/** So small that the bound means something. */
const SMALL = {
  RECEIVE_BUFFER_BYTES: '64MiB',
  QUEUE_BYTES: '8MiB',
  MAX_CONNECTIONS: '6000',
  ROTATE_BYTES: '32MiB',
};

const scenarios: readonly Scenario[] = [
  {
    name: 'ten times the byte rate',
    environment: { ...SMALL, RATE_PER_SECOND: String(RATE_BYTES), RATE_BURST: String(RATE_BYTES) },
    intervalMs: tenfold(RATE_BYTES),
    readingsPerRequest: 12,
  },
  {
    name: 'more than one core takes',
    environment: { ...SMALL },
    launcher: ['taskset', '-c', '0'],
    skip: isOnPath('taskset') ? false : requirement('taskset'),
    intervalMs: 0,
    readingsPerRequest: 12,
  },
  ...(['wait', 'refuse'] as const).map((whenFull) => ({
    name: `ten times what the disk takes, QUEUE_FULL=${whenFull}`,
    environment: {
      ...SMALL,
      QUEUE_FULL: whenFull,
      // Lines are some five times as long as the request.
      NODE_OPTIONS: `--import ${new URL('slow-disk.ts', import.meta.url).pathname}`,
      SLOW_DISK_BYTES_PER_SECOND: String(5 * DISK_BYTES_PER_SECOND),
    },
    intervalMs: tenfold(DISK_BYTES_PER_SECOND),
    readingsPerRequest: 12,
  })),
];

for (const transport of ['native', 'grpc-js']) {
  for (const { name, environment, launcher, skip = false, ...load } of scenarios) {
    test(`${name}, ${transport}`, { skip, timeout: (SECONDS + 120) * 2000 }, async (t) => {
      const home = await daemonHome(t);
      const daemon = home.start({ ...environment, TRANSPORT: transport }, [], launcher);
      const { grpc, admin } = await daemon.ready();
      const others = CONNECTIONS - eager;
      const fleet = new Fleet({
        port: Number(grpc.split(':').at(-1)),
        groups: [
          { manner: 'good', count: GOOD, readingsPerRequest: 1, intervalMs: GOOD_INTERVAL_MS },
          { manner: 'eager', count: eager, ...load },
          { manner: 'deaf', count: Math.ceil(others / 2), ...load },
          { manner: 'trickling', count: Math.ceil(others / 2), readingsPerRequest: 1, intervalMs: 0 },
        ],
      });
      let report: FleetReport;
      const probes = { answered: 0, faults: [] as string[] };
      try {
        await fleet.begun;
        const until = Date.now() + SECONDS * 1000;
        while (Date.now() < until) {
          await probe(admin, probes);
          await sleep(PROBE_INTERVAL_MS);
        }
      } finally {
        report = await fleet.end();
      }
      assert.deepEqual(probes.faults.slice(0, 5), []);
      const boundBytes = await memoryBound(admin);
      const peakBytes = peakResidentBytes(daemon);
      t.diagnostic(summary(report, peakBytes, boundBytes, probes.answered));
      if (peakBytes !== undefined) assert.ok(peakBytes <= boundBytes, `${peakBytes} > ${boundBytes}`);

      const exit = await daemon.stop();
      assert.deepEqual(exit, { status: 0, signal: null }, daemon.stderr);
      const { requests, readings } = daemon.log.at(-1) as unknown as Record<'requests' | 'readings', Book>;
      assert.equal(requests.difference, 0);
      assert.equal(readings.difference, 0);

      for (const manner of Object.keys(report.tallies) as Manner[]) {
        assert.equal(report.tallies[manner].unhinted, 0, `${manner}: refusals without a hint`);
        for (const code of report.tallies[manner].refused.keys())
          assert.ok(code === 8 || code === 14, `status ${code}`);
      }
      for (const caller of report.callers) {
        if (caller.manner === 'good') assert.ok(caller.delivered > 0, `${caller.name} was never served`);
      }
      const { missing, uncalledFor } = await compare(home.folder, report.callers);
      assert.deepEqual(missing, [], 'acknowledged and not on disk');
      assert.deepEqual(uncalledFor, [], 'refused and on disk');
      const verified = await runCommand(['verify', home.folder]);
      assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    });
  }
}

interface Book {
  readonly difference: number;
}

/** Nothing is wrong with the daemon but that it has too much to do: it is alive, ready, and says so. */
async function probe(admin: string, probes: { answered: number; faults: string[] }): Promise<void> {
  for (const path of ['/healthz', '/readyz']) {
    // A connection for each, as a kubelet does it: one that is kept may be closed by the other end just as we use it.
    const response = await fetch(`http://${admin}${path}`, { headers: { connection: 'close' } });
    const text = await response.text();
    if (response.status === 200) probes.answered++;
    else probes.faults.push(`${path}: ${response.status} ${text}`);
  }
}

/** What the daemon says that its buffers can hold at most, and what the runtime needs beside them. */
async function memoryBound(admin: string): Promise<number> {
  const { memory, threads } = (await (await fetch(`http://${admin}/api/v1/status`)).json()) as {
    readonly memory: { readonly limits_sum_bytes: number };
    readonly threads: readonly { readonly name: string }[];
  };
  const ingestThreads = threads.filter(({ name }) => name.startsWith('ingest')).length;
  return memory.limits_sum_bytes + runtimeBytes(ingestThreads) + STRIPPING_BYTES;
}

/** Undefined where there is no /proc. */
function peakResidentBytes(daemon: DaemonProcess): number | undefined {
  try {
    return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))![1]);
  } catch {
    return undefined;
  }
}

function summary(report: FleetReport, peakBytes = 0, boundBytes: number, probes: number): string {
  const tallies = Object.entries(report.tallies).map(([manner, { acknowledged, refused, unknown }]) => {
    const refusals = [...refused].map(([code, count]) => `${count} with ${code}`).join(', ') || 'none';
    return `${manner}: ${acknowledged} acknowledged, refused ${refusals}, ${unknown} without answer`;
  });
  const good = report.callers.filter(({ manner }) => manner === 'good');
  const wanted = good.reduce((sum, caller) => sum + caller.wanted, 0);
  const delivered = good.reduce((sum, caller) => sum + caller.delivered, 0);
  return [
    ...tallies,
    `good clients: ${delivered} of ${wanted} delivered, the least served ${Math.min(...good.map((caller) => caller.delivered))}`,
    `memory at most ${Math.round(peakBytes / MiB)} of ${Math.round(boundBytes / MiB)} MiB; ${probes} probes answered`,
  ].join('\n');
}

/** Values that are not where they should be, or are where they should not. */
async function compare(
  folder: string,
  callers: readonly CallerReport[],
): Promise<{ missing: readonly string[]; uncalledFor: readonly string[] }> {
  const written = new Map(callers.map(({ name, fates }) => [name, new Uint8Array(fates.length)]));
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const { sensor_name, sensor_value } = JSON.parse(line.toString()) as {
        sensor_name: string;
        sensor_value: number;
      };
      const values = written.get(sensor_name);
      if (values !== undefined && sensor_value < values.length) values[sensor_value] = 1;
    }
  }
  const missing: string[] = [];
  const uncalledFor: string[] = [];
  for (const { name, fates } of callers) {
    const values = written.get(name)!;
    for (const [value, fate] of fates.entries()) {
      if (fate === FATE.ACKNOWLEDGED && values[value] === 0) missing.push(`${name} ${value}`);
      if (fate === FATE.REFUSED && values[value] === 1) uncalledFor.push(`${name} ${value}`);
    }
  }
  return { missing: missing.slice(0, 10), uncalledFor: uncalledFor.slice(0, 10) };
}
