/**
 * How much the daemon takes: requests/s and readings/s, by wall clock and per CPU-second of the whole
 * process, latency and memory, for 1, 10, 100 and 1000 readings per request and each kind of
 * acknowledgement. `npm run bench -- --help`; how to read it: bench/README.md.
 *
 * Runs of everything that is compared take turns, and every second round goes backwards, so that whatever
 * else the machine does hits all alike. Each run has a daemon and a folder of its own.
 */
import { BenchArguments, formatDurationMs } from './arguments.ts';
import { findBottleneck } from './bottleneck.ts';
import { ACKS, commonOptions, commonWish, daemonEnvironment, noteOf } from './common-options.ts';
import { type Cell, cellName, type Run, summarize } from './daemon-summary.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { type LoadWindow, loadDaemon } from './load.ts';
import { describeMachine } from './machine.ts';
import { readMemory } from './process-usage.ts';
import { PAYLOAD_TEXT, requestBody } from './request-body.ts';
import { deliver, reprintCommand } from './results.ts';
import { makeScratch } from './scratch.ts';

const args = new BenchArguments('npm run bench: requests/s and readings/s of the daemon', {
  only: { default: '', help: 'Only cells whose name holds one of these, as in written/100,synced/1' },
  readings: { default: '1,10,100,1000', help: 'Readings per request' },
  ack: { default: ACKS.join(','), help: 'Acknowledgements to compare' },
  runs: { default: '5', help: 'Runs of each cell' },
  duration: { default: '5s', help: 'Measured part of a run' },
  'warm-up': { default: '2s', help: 'Load before the measured part' },
  quick: { default: false, help: 'One short run of each: an impression in under two minutes' },
  ...commonOptions,
});
const wish = commonWish(args);
const isQuick = args.isSet('quick');
const runs = isQuick ? 1 : args.count('runs');
const durationMs = isQuick ? 1500 : args.durationMs('duration');
const warmUpMs = isQuick ? 1000 : args.durationMs('warm-up');
const patterns = args.list('only');

const cells: Cell[] = [];
for (const readings of args.counts('readings')) {
  for (const ack of args.list('ack', ACKS)) {
    for (const transport of wish.transports) {
      const cell: Cell = { readings, ack, transport };
      const isWanted =
        patterns.length === 0 || patterns.some((pattern) => `${cellName(cell)}/`.includes(`${pattern}/`));
      if (isWanted) cells.push(cell);
    }
  }
}
if (cells.length === 0)
  args.fail(`--only ${args.text('only')} leaves nothing; cells are named like written/100`);

const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
const results = new Map<Cell, Run[]>(cells.map((cell) => [cell, []]));
let done = 0;
for (let round = 0; round < runs; round++) {
  for (const cell of round % 2 === 0 ? cells : cells.toReversed()) {
    const run = await measure(cell);
    results.get(cell)!.push(run);
    done++;
    console.error(
      `${String(done).padStart(3)}/${cells.length * runs} ${cellName(cell).padEnd(24)} ` +
        `${Math.round(run.requestsPerSecond).toLocaleString('en').padStart(9)} requests/s, limited by ${run.bottleneck}`,
    );
  }
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
    const faults = await daemon.faults();
    if (faults > 0) throw new Error(`${faults} requests were refused or failed: not a measurement`);
    const balance = await daemon.stop();
    if (balance.requestsDifference !== 0 || balance.readingsDifference !== 0) throw new Error(balance.text);
    return runOf(window, readings, peakRssBytes);
  } finally {
    await daemon.remove();
  }
}

function runOf(window: LoadWindow, readings: number, peakRssBytes: number | undefined): Run {
  const { requests, elapsedMs, latencyMs, daemon, generator } = window;
  const bottleneck = findBottleneck(window);
  const perSecond = (requests / elapsedMs) * 1000;
  const coresOf = (cpuSeconds: number | undefined): number => ((cpuSeconds ?? Number.NaN) / elapsedMs) * 1000;
  return {
    requestsPerSecond: perSecond,
    readingsPerSecond: perSecond * readings,
    requestsPerCpuSecond: requests / (daemon?.cpuSeconds ?? Number.NaN),
    readingsPerCpuSecond: (requests * readings) / (daemon?.cpuSeconds ?? Number.NaN),
    latencyMs,
    peakRssBytes: peakRssBytes ?? Number.NaN,
    daemonCores: coresOf(daemon?.cpuSeconds),
    generatorCores: coresOf(generator?.cpuSeconds),
    othersCores: bottleneck.coresUsedByOthers,
    bottleneck: bottleneck.text,
    isDaemonTheLimit: bottleneck.isDaemon,
  };
}

const { body, figures } = summarize(results);
const pace = `${runs} ${runs === 1 ? 'run' : 'runs'} of each, ${formatDurationMs(durationMs)} after ${formatDurationMs(warmUpMs)} of warm-up`;
deliver(
  {
    name: 'daemon',
    title: 'What the daemon takes',
    command: reprintCommand('bench'),
    machine,
    conditions: [
      `Load: ${wish.generator}, closed loop, ${wish.connections} connections with ${wish.streams} requests underway on each.${
        wish.generator === 'send'
          ? ' h2load is not installed; send takes far more CPU and limits sooner.'
          : ''
      }`,
      `Payload: ${args
        .counts('readings')
        .map(
          (readings) => `${readings} readings = ${requestBody(readings).length.toLocaleString('en')} bytes`,
        )
        .join(', ')}; ${PAYLOAD_TEXT}.`,
      `Pinned: ${wish.cores.text}.`,
      `${pace}, taking turns; figures are medians (least to most). The daemon runs with its defaults besides ACK${wish.transports[0] === '' ? '' : ' and TRANSPORT'}.`,
      'CPU is user and system time of the whole daemon: gRPC, encoder, writer, archiver, garbage collection.',
      ...noteOf(args),
    ],
    body,
    figures: { options: { runs, durationMs, warmUpMs, ...wish }, ...figures },
  },
  wish,
);
