/**
 * The targets that are no comparison with a peer: acknowledgements after a sync, latency at half of the maximum, two
 * ingest threads, memory with many connections, idle connections. All of the native transport.
 *
 * Each is measured once per round, rounds alternate in their direction, and so do the two runs of a ratio, which are of
 * the same round: whoever comes second finds the disk as the first left it.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonEnvironment } from '../common-options.ts';
import { type Cores, chooseCores } from '../cores.ts';
import { DaemonUnderTest } from '../daemon-under-test.ts';
import { type Generator, loadDaemon, startLoad } from '../load.ts';
import { measureMaximum } from '../maximum.ts';
import { runPaced } from '../paced-load.ts';
import { readMemory } from '../process-usage.ts';
import { type Run, runOf } from '../run.ts';
import { measureDisk } from './disk-speed.ts';
import { slowSync } from './slow-sync.ts';
import type { LimitRun } from './verdicts.ts';

const IDLE_CLIENTS = new URL('idle-clients.ts', import.meta.url).pathname;
/** By so much a sync takes longer on a slow disk. */
const SLOW_SYNC_MS = 5;
/** A line of the benchmark's readings. */
const LINE_BYTES = 139;

export interface LimitsWish {
  readonly runs: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
  readonly generator: Generator;
  /** Where the daemon has one core. */
  readonly oneCore: Cores;
  readonly cores: Cores;
  readonly scratch: string;
  /** 1,000 in earnest. */
  readonly manyConnections: number;
  /** 10,000 in earnest. */
  readonly idleConnections: number;
  readonly openLoopMs: number;
  readonly diskMiB: number;
  isWanted(name: string): boolean;
  onRun(run: LimitRun, done: number, of: number): void;
}

/** Every second round goes backwards. */
type Direction = 'forwards' | 'backwards';

type Measure = (wish: LimitsWish, direction: Direction) => Promise<readonly LimitRun[]>;

/** By name; `--only` takes these. */
const MEASURES: Readonly<Record<string, Measure>> = {
  'synced/64': (wish, direction) => measureSynced(wish, direction, { connections: 8, streams: 8 }),
  'synced-slow/64': measureSlowlySynced,
  'synced/2048': (wish, direction) => measureSynced(wish, direction, { connections: 32, streams: 64 }),
  'latency/1': (wish) => measureLatency(wish, 1),
  'latency/100': (wish) => measureLatency(wish, 100),
  'threads-stream/1': (wish, direction) =>
    measureThreads(wish, direction, { readings: 1, isStreaming: true }),
  'threads/100': (wish, direction) => measureThreads(wish, direction, { readings: 100 }),
  'memory/1': (wish) => measureMemory(wish, 1),
  'memory/100': (wish) => measureMemory(wish, 100),
  idle: measureIdle,
};

export async function measureLimits(wish: LimitsWish): Promise<readonly LimitRun[]> {
  const wanted = Object.entries(MEASURES).filter(([name]) => wish.isWanted(name));
  const runs: LimitRun[] = [];
  let done = 0;
  for (let round = 0; round < wish.runs; round++) {
    const direction = round % 2 === 0 ? 'forwards' : 'backwards';
    for (const [, measure] of direction === 'forwards' ? wanted : wanted.toReversed()) {
      done++;
      for (const run of await measure(wish, direction)) {
        runs.push(run);
        wish.onRun(run, done, wanted.length * wish.runs);
      }
    }
  }
  return runs;
}

/** Both, the second first when the round goes backwards. */
async function both(
  direction: Direction,
  first: () => Promise<Run>,
  second: () => Promise<Run>,
): Promise<readonly [Run, Run]> {
  if (direction === 'forwards') return [await first(), await second()];
  const later = await second();
  return [await first(), later];
}

interface Load {
  readonly readings: number;
  readonly connections: number;
  readonly streams: number;
  readonly isStreaming?: boolean;
  readonly cores: Cores;
}

/** A daemon of its own, loaded as hard as it takes. */
async function runUnder(
  wish: LimitsWish,
  load: Load,
  environment: Readonly<Record<string, string>>,
  before: (daemon: DaemonUnderTest) => Promise<() => Promise<void>> = async () => async () => {},
): Promise<Run> {
  return withDaemon(wish, load.cores, environment, async (daemon) => {
    const after = await before(daemon);
    const window = await loadDaemon(daemon, {
      generator: wish.generator,
      readingsPerRequest: load.readings,
      connections: load.connections,
      streams: load.streams,
      isStreaming: load.isStreaming ?? false,
      warmUpMs: wish.warmUpMs,
      durationMs: wish.durationMs,
      cores: load.cores,
      scratch: wish.scratch,
    });
    const peakRssBytes = readMemory(daemon.pid)?.peakRssBytes;
    await after();
    return runOf(window, load.readings, peakRssBytes);
  });
}

async function withDaemon<T>(
  { scratch }: LimitsWish,
  cores: Cores,
  environment: Readonly<Record<string, string>>,
  use: (daemon: DaemonUnderTest) => Promise<T>,
): Promise<T> {
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores, environment });
  try {
    const result = await use(daemon);
    await daemon.stopMeasured();
    return result;
  } finally {
    await daemon.remove();
  }
}

async function measureSlowlySynced(wish: LimitsWish, direction: Direction): Promise<readonly LimitRun[]> {
  const environment = slowSync(wish.scratch, SLOW_SYNC_MS);
  if (environment === undefined) {
    return [{ name: 'synced-slow/64', figure: Number.NaN, detail: 'needs Linux and a C compiler (cc)' }];
  }
  const slow = { name: 'synced-slow', moreMs: SLOW_SYNC_MS, environment };
  return measureSynced(wish, direction, { connections: 8, streams: 8 }, slow);
}

/** What could be reached: the same load without waiting, as many groups as the disk syncs, as many lines as it takes. */
async function measureSynced(
  wish: LimitsWish,
  direction: Direction,
  shape: { readonly connections: number; readonly streams: number },
  { name, moreMs, environment } = { name: 'synced', moreMs: 0, environment: {} },
): Promise<readonly LimitRun[]> {
  const load = { ...shape, readings: 1, cores: wish.cores };
  const inFlight = shape.connections * shape.streams;
  const disk = measureDisk(wish.scratch, 30, wish.diskMiB);
  const syncMs = disk.syncMs + moreMs;
  const [accepted, synced] = await both(
    direction,
    () => runUnder(wish, load, daemonEnvironment('native', 'accepted')),
    () => runUnder(wish, load, { ...daemonEnvironment('native', 'synced'), ...environment }),
  );
  const bounds = {
    accepted: accepted.requestsPerSecond,
    syncs: (inFlight / syncMs) * 1000,
    disk: disk.bytesPerSecond / LINE_BYTES,
  };
  const bound = Math.min(bounds.accepted, bounds.syncs, bounds.disk);
  const by = Object.entries(bounds).find(([, value]) => value === bound)![0];
  return [
    {
      name: `${name}/${inFlight}`,
      figure: synced.requestsPerSecond / bound,
      detail: `${round(synced.requestsPerSecond)} requests/s of ${round(bound)} (${by}; a sync alone takes ${syncMs.toFixed(2)} ms)`,
    },
  ];
}

async function measureLatency(wish: LimitsWish, readings: number): Promise<readonly LimitRun[]> {
  const { generator, cores, scratch, openLoopMs, warmUpMs } = wish;
  return withDaemon(wish, cores, daemonEnvironment('native', 'written'), async (daemon) => {
    const shape = { generator, readingsPerRequest: readings, connections: 8, streams: 50, cores, scratch };
    const maximum = await measureMaximum(daemon, shape, wish.durationMs);
    const requestsPerSecond = Math.floor(maximum / 2);
    const paced = await runPaced({
      ...{ target: daemon.grpc, requestsPerSecond, readingsPerRequest: readings, scratch, cores },
      ...{ connections: 16, warmUpMs, durationMs: openLoopMs },
    });
    if (paced.refused > 0) throw new Error(`${paced.refused} requests were refused: not a measurement`);
    const rate = (paced.requests / paced.elapsedMs) * 1000;
    return [
      {
        name: `latency/${readings}`,
        figure: paced.latencyMs.p99,
        detail: `ms, p50 ${paced.latencyMs.p50}, p99.9 ${paced.latencyMs.p999}, ${round(rate)} requests/s = ${((rate / maximum) * 100).toFixed(0)}% of the maximum; from when a request was sent p99 ${paced.latencySinceSentMs.p99}`,
      },
    ];
  });
}

/** One ingest thread against two. The writer, the collector's helpers and the rest have a third core; the load has the last. */
async function measureThreads(
  wish: LimitsWish,
  direction: Direction,
  shape: Pick<Load, 'readings' | 'isStreaming'>,
): Promise<readonly LimitRun[]> {
  const name = `threads${shape.isStreaming ? '-stream' : ''}/${shape.readings}`;
  if (availableParallelism() < 4 || wish.oneCore.daemon === undefined) {
    return [{ name, figure: Number.NaN, detail: 'needs four cores and taskset' }];
  }
  const cores = chooseCores({ daemon: '0-2', load: '3' });
  const load = { ...shape, connections: 256, streams: 2, cores };
  const environment = daemonEnvironment('native', 'accepted');
  const [one, two] = await both(
    direction,
    () => runUnder(wish, load, { ...environment, INGEST_THREADS: '1' }),
    () => runUnder(wish, load, { ...environment, INGEST_THREADS: '2' }),
  );
  return [
    {
      name,
      figure: two.readingsPerSecond / one.readingsPerSecond,
      detail: `${round(one.readingsPerSecond)} to ${round(two.readingsPerSecond)} readings/s, ${one.daemonCores.toFixed(2)} to ${two.daemonCores.toFixed(2)} cores; with one, limited by ${one.bottleneck}; with two, by ${two.bottleneck}`,
    },
  ];
}

async function measureMemory(wish: LimitsWish, readings: number): Promise<readonly LimitRun[]> {
  const load = { readings, connections: wish.manyConnections, streams: 1, cores: wish.oneCore };
  const run = await runUnder(wish, load, daemonEnvironment('native', 'accepted'));
  return [
    {
      name: `memory/${readings}`,
      figure: run.peakRssBytes / 2 ** 20,
      detail: `MiB at its most, ${round(run.readingsPerSecond)} readings/s from ${wish.manyConnections} connections`,
    },
  ];
}

async function measureIdle(wish: LimitsWish, direction: Direction): Promise<readonly LimitRun[]> {
  const count = wish.idleConnections;
  const load = { readings: 100, connections: 8, streams: 50, cores: wish.oneCore };
  const environment = {
    ...daemonEnvironment('native', 'accepted'),
    MAX_CONNECTIONS: String(count + 100),
    // The receive budget sets aside what a connection may cost.
    RECEIVE_BUFFER_BYTES: '1GiB',
  };
  let perConnectionBytes = Number.NaN;
  async function connectIdle(daemon: DaemonUnderTest): Promise<() => Promise<void>> {
    const before = readMemory(daemon.pid)?.rssBytes ?? Number.NaN;
    const clients = startLoad(load.cores.load, [process.execPath, IDLE_CLIENTS, daemon.grpc, String(count)]);
    await Promise.race([once(clients.child.stdout!, 'data'), clients.ended]);
    // The accepted sockets' own garbage goes with the next small collection.
    await sleep(Math.min(1000, wish.durationMs));
    perConnectionBytes = ((readMemory(daemon.pid)?.rssBytes ?? Number.NaN) - before) / count;
    return async () => {
      clients.child.kill('SIGTERM');
      await clients.ended;
    };
  }
  const [alone, beside] = await both(
    direction,
    () => runUnder(wish, load, environment),
    () => runUnder(wish, load, environment, connectIdle),
  );
  return [
    { name: 'idle/memory', figure: perConnectionBytes / 1024, detail: `KiB each, ${count} connections` },
    {
      name: 'idle/rate',
      figure: beside.readingsPerSecond / alone.readingsPerSecond,
      detail: `${round(alone.readingsPerSecond)} readings/s alone, ${round(beside.readingsPerSecond)} beside ${count} idle connections`,
    },
  ];
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en');
}
