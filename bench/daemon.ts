/**
 * `npm run bench`: what the daemon takes, what it takes beside its peers, and the other targets. Three tables, each of which
 * can be had alone:
 *
 *   --own     requests/s and readings/s, by wall clock and per CPU-second of the whole process, latency and memory, for
 *             1, 10, 100 and 1000 readings per request and each kind of acknowledgement
 *   --peers   both transports, a no-op grpc-go server and the OpenTelemetry Collector, each on one core
 *             (bench/peers), with the targets and how far they are met
 *   --limits  what is no throughput: synced acknowledgements, latency, two threads, memory, idle connections (bench/limits)
 *
 * `npm run bench -- --help`; how to read it: bench/README.md. Runs of everything that is compared take
 * turns, and every second round goes backwards, so that whatever else the machine does hits all alike. Each
 * run has a daemon and a folder of its own.
 */
import { BenchArguments, formatDurationMs } from './arguments.ts';
import { buildDaemon } from './built-daemon.ts';
import { ACKS, commonOptions, commonWish, daemonEnvironment, noteOf } from './common-options.ts';
import { chooseOneCore } from './cores.ts';
import { type Cell, cellName, summarize } from './daemon-summary.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { figure } from './figures.ts';
import { measureLimits } from './limits/measure.ts';
import { summarizeLimits } from './limits/verdicts.ts';
import { loadDaemon } from './load.ts';
import { describeMachine } from './machine.ts';
import { measurePageCache, pageCacheText } from './page-cache.ts';
import { compare, FOREIGN_PEERS } from './peers/comparison.ts';
import { otlpRequest } from './peers/otlp-request.ts';
import { summarizePeers } from './peers/summary.ts';
import { readMemory } from './process-usage.ts';
import { PAYLOAD_TEXT, requestBody } from './request-body.ts';
import { deliver, reprintCommand } from './results.ts';
import { type Run, runOf } from './run.ts';
import { makeScratch } from './scratch.ts';

const args = new BenchArguments('npm run bench: what the daemon takes, alone and beside its peers', {
  own: { default: false, help: 'Only the table of the daemon alone' },
  peers: { default: false, help: 'Only the comparison with its peers' },
  limits: { default: false, help: 'Only the targets beyond throughput' },
  only: {
    default: '',
    help: 'Only cells whose name holds one of these, as in written/100 or, of peers, native/1, of limits, synced/64,idle',
  },
  readings: { default: '1,10,100,1000', help: 'Readings per request; of peers always 1 and 100' },
  ack: { default: ACKS.join(','), help: 'Acknowledgements to compare' },
  peer: { default: FOREIGN_PEERS.join(','), help: 'Peers of other make' },
  runs: { default: '3', help: 'Runs of each cell' },
  duration: { default: '4s', help: 'Measured part of a run' },
  'warm-up': { default: '2s', help: 'Load before the measured part' },
  'many-connections': { default: '1000', help: 'Connections of the memory target' },
  'idle-connections': { default: '10000', help: 'Connections of the idle target' },
  quick: { default: false, help: 'One short run of each: an impression in two minutes' },
  ...commonOptions,
});
const only = (['own', 'peers', 'limits'] as const).filter((name) => args.isSet(name));
if (only.length > 1) args.fail(`--${only.join(' and --')}: each means only that one`);
function isPart(name: 'own' | 'peers' | 'limits'): boolean {
  return only.length === 0 || only[0] === name;
}
const wish = commonWish(args);
const isQuick = args.isSet('quick');
const runs = isQuick ? 1 : args.count('runs');
const durationMs = isQuick ? 1000 : args.durationMs('duration');
const warmUpMs = isQuick ? 1000 : args.durationMs('warm-up');
const patterns = args.list('only');
const peers = args.list('peer', FOREIGN_PEERS);

function isWanted(name: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => `${name}/`.includes(`${pattern}/`));
}

function ownCells(): readonly Cell[] {
  if (!isPart('own')) return [];
  // An impression leaves out what lies between.
  const readingsOf = isQuick && !args.isSet('readings') ? [1, 100] : args.counts('readings');
  return readingsOf
    .flatMap((readings) =>
      args
        .list('ack', ACKS)
        .filter((ack) => !isQuick || args.isSet('ack') || ack !== 'synced')
        .flatMap((ack) => wish.transports.map((transport): Cell => ({ readings, ack, transport }))),
    )
    .filter((cell) => isWanted(cellName(cell)));
}

const cells = ownCells();
const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
const coresOfPeers = chooseOneCore({ daemon: args.text('daemon-cores'), load: args.text('load-cores') });

function progress(name: string, run: Run, done: number, of: number): void {
  console.error(
    `${String(done).padStart(3)}/${of} ${name.padEnd(24)} ` +
      `${Math.round(run.requestsPerSecond).toLocaleString('en').padStart(9)} requests/s, limited by ${run.bottleneck}`,
  );
}

async function measureOwn(): Promise<ReadonlyMap<Cell, readonly Run[]>> {
  const results = new Map<Cell, Run[]>(cells.map((cell) => [cell, []]));
  let done = 0;
  for (let round = 0; round < runs; round++) {
    for (const cell of round % 2 === 0 ? cells : cells.toReversed()) {
      const run = await measure(cell);
      results.get(cell)!.push(run);
      progress(cellName(cell), run, ++done, cells.length * runs);
    }
  }
  return results;
}

async function measure({ readings, ack, transport }: Cell): Promise<Run> {
  const daemon = await DaemonUnderTest.start({
    parent: scratch,
    cores: wish.cores,
    environment: daemonEnvironment(transport, ack),
  });
  try {
    const window = await loadDaemon(daemon, {
      generator: wish.generator,
      readingsPerRequest: readings,
      connections: wish.connections,
      streams: wish.streams,
      warmUpMs,
      durationMs,
      cores: wish.cores,
      scratch,
    });
    const peakRssBytes = readMemory(daemon.pid)?.peakRssBytes;
    await daemon.stopMeasured();
    return runOf(window, readings, peakRssBytes);
  } finally {
    await daemon.remove();
  }
}

/** Undefined when it was not asked for. */
async function measurePeers(): Promise<ReturnType<typeof summarizePeers> | undefined> {
  if (!isPart('peers')) return undefined;
  const comparison = await compare({
    ...{ peers, runs, durationMs, warmUpMs, scratch, isWanted },
    mayBuildCollector: !isQuick,
    connections: wish.connections,
    streams: wish.streams,
    generator: wish.generator,
    cores: coresOfPeers,
    onRun: ({ name }, run, done, of) => progress(name, run, done, of),
  });
  return comparison.cells.size === 0 ? undefined : summarizePeers(comparison);
}

/** The like of it at 100 readings per request is measured. */
const LEFT_OUT_IN_A_HURRY = new Set(['latency/1', 'memory/1', 'synced/64', 'synced-slow/64']);

async function measureBeyond(): Promise<ReturnType<typeof summarizeLimits> | undefined> {
  if (!isPart('limits')) return undefined;
  const found = await measureLimits({
    ...{ runs, durationMs, warmUpMs, scratch },
    isWanted: (name) => isWanted(name) && !(isQuick && LEFT_OUT_IN_A_HURRY.has(name)),
    generator: wish.generator,
    cores: wish.cores,
    oneCore: coresOfPeers,
    manyConnections: args.count('many-connections'),
    idleConnections: args.count('idle-connections'),
    // The sender is cold at first, and late by that.
    openLoopMs: isQuick ? durationMs : Math.max(2 * durationMs, args.isSet('duration') ? 0 : 10_000),
    diskMiB: durationMs < 1000 ? 16 : isQuick ? 64 : 256,
    onRun: (run, done, of) =>
      console.error(
        `${String(done).padStart(3)}/${of} ${run.name.padEnd(24)} ${figure(run.figure)} ${run.detail}`,
      ),
  });
  return found.length === 0 ? undefined : summarizeLimits(found);
}

DaemonUnderTest.entry = await buildDaemon(scratch);
const pageCache = measurePageCache(scratch);
const own = cells.length === 0 ? undefined : summarize(await measureOwn());
const beside = await measurePeers();
const beyond = await measureBeyond();
if (own === undefined && beside === undefined && beyond === undefined) {
  args.fail(
    `--only ${args.text('only')} leaves nothing; cells are named like written/100, of peers like native/1, of limits like synced/64`,
  );
}

const pace = `${runs} ${runs === 1 ? 'run' : 'runs'} of each, ${formatDurationMs(durationMs)} after ${formatDurationMs(warmUpMs)} of warm-up`;
const readingsOf = [...new Set(cells.map(({ readings }) => readings))];
const sizes = [
  ...new Set([...readingsOf, ...(beside === undefined && beyond === undefined ? [] : [1, 100])]),
].map((readings) => `${readings} readings = ${requestBody(readings).length.toLocaleString('en')} bytes`);
deliver(
  {
    name: own !== undefined ? 'daemon' : beside !== undefined ? 'peers' : 'limits',
    title:
      own !== undefined
        ? 'What the daemon takes'
        : beside !== undefined
          ? 'The daemon beside its peers'
          : 'The targets beyond throughput',
    command: reprintCommand('bench'),
    machine,
    conditions: [
      `Load: ${wish.generator}, closed loop, ${wish.connections} connections with ${wish.streams} requests underway on each.${
        wish.generator === 'send'
          ? ' h2load is not installed; send takes far more CPU and limits sooner.'
          : ''
      }`,
      `Payload: ${sizes.join(', ')}; ${PAYLOAD_TEXT}.`,
      ...(own === undefined ? [] : [`Pinned: ${wish.cores.text}.`]),
      ...(beside === undefined
        ? []
        : [
            `Pinned, beside peers: ${coresOfPeers.text}, the server with all its threads.`,
            `The Collector gets the same readings as OTLP gauge points, 1 = ${otlpRequest(1).length} and 100 = ${otlpRequest(100).length.toLocaleString('en')} bytes. It answers when its batch processor took them, which is ACK=accepted, and writes 105 bytes per point at 100 per request; the daemon's line has 139.`,
          ]),
      ...(beyond === undefined
        ? []
        : [
            `Pinned, beyond throughput: latency and synced as the daemon alone (${wish.cores.text}), memory and idle connections with one core (${coresOfPeers.text}), one and two ingest threads with the daemon on cores 0-2 and the load on core 3.`,
          ]),
      `${pace}, taking turns; figures are medians (least to most). The daemon runs built, with its defaults besides ACK and TRANSPORT.`,
      'CPU is user and system time of the whole process: gRPC, encoder, writer, archiver, garbage collection.',
      pageCacheText(pageCache),
      ...noteOf(args),
    ],
    body: [own?.body, beside?.body, beyond?.body].filter((text) => text !== undefined).join('\n\n'),
    figures: {
      options: { runs, durationMs, warmUpMs, ...wish },
      page_cache: pageCache,
      ...own?.figures,
      ...(beside === undefined ? {} : { peers: beside.figures }),
      ...(beyond === undefined ? {} : { limits: beyond.figures }),
    },
  },
  wish,
);
