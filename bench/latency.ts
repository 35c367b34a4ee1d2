/**
 * What a client waits for its acknowledgement while the daemon has room to spare: an open loop at a share
 * of the maximum that was measured just before on the same daemon. `npm run bench:latency -- --help`.
 */
import { BenchArguments, formatDurationMs } from './arguments.ts';
import {
  ACKS,
  commonOptions,
  commonWish,
  daemonEnvironment,
  noteOf,
  transportName,
} from './common-options.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { figure, markdownTable, roundedSpread, spreadOf, spreadText } from './figures.ts';
import { type LoadWindow, loadDaemon, type SendSummary } from './load.ts';
import { describeMachine } from './machine.ts';
import { measureMaximum } from './maximum.ts';
import { mostRequestsPerSecond, startOpenLoop } from './open-loop.ts';
import { readUsage, type Usage, usageBetween } from './process-usage.ts';
import { deliver, reprintCommand } from './results.ts';
import { makeScratch } from './scratch.ts';

const args = new BenchArguments('npm run bench:latency: time to the acknowledgement below saturation', {
  readings: { default: '1,100', help: 'Readings per request' },
  ack: { default: 'written', help: `Acknowledgements to compare, of ${ACKS.join(', ')}` },
  share: { default: '0.5', help: 'Rate, as a share of the measured maximum, as far as send keeps up' },
  rate: { default: '', help: 'Requests/s instead of a share of the maximum' },
  runs: { default: '3', help: 'Runs of each' },
  duration: { default: '20s', help: 'Length of a run' },
  'maximum-duration': { default: '3s', help: 'Length of the run that finds the maximum' },
  ...commonOptions,
});
const wish = commonWish(args);
const runs = args.count('runs');
const durationMs = args.durationMs('duration');
const maximumDurationMs = args.durationMs('maximum-duration');
const share = args.number('share', 0.001);

/** MAX_STREAMS_PER_CONNECTION: so many that a rate is kept while answers are late. */
const MOST_STREAMS = 100;

interface Cell {
  readonly readings: number;
  readonly ack: string;
  readonly transport: string;
}

interface Run {
  readonly maximum: number | undefined;
  readonly summary: SendSummary;
  /** The same rate by h2load, where it is installed. */
  readonly check: LoadWindow | undefined;
  readonly daemonCores: number;
  /** Busy or waiting for a core, of 1: a sender near 1 is late itself. */
  readonly busiestSenderThread: number;
  readonly othersCores: number;
}

const cells: Cell[] = [];
for (const readings of args.counts('readings')) {
  for (const ack of args.list('ack', ACKS)) {
    for (const transport of wish.transports) cells.push({ readings, ack, transport });
  }
}

const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
const results = new Map<Cell, Run[]>(cells.map((cell) => [cell, []]));
for (let round = 0; round < runs; round++) {
  for (const cell of round % 2 === 0 ? cells : cells.toReversed()) {
    const run = await measure(cell);
    results.get(cell)!.push(run);
    console.error(
      `round ${round + 1}: ${nameOf(cell)} at ${figure(run.summary.planned_requests_per_s!)} requests/s: ` +
        `p50 ${figure(run.summary.latency_ms.p50)} ms, p99 ${figure(run.summary.latency_ms.p99)} ms`,
    );
  }
}

function nameOf({ readings, ack, transport }: Cell): string {
  return `${readings} ${ack} ${transportName(transport)}`;
}

async function measure({ readings, ack, transport }: Cell): Promise<Run> {
  const environment = daemonEnvironment(transport, ack);
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores: wish.cores, environment });
  try {
    const shape = {
      generator: wish.generator,
      readingsPerRequest: readings,
      connections: wish.connections,
      streams: wish.streams,
      cores: wish.cores,
      scratch,
    };
    const isGiven = args.isSet('rate');
    const maximum = isGiven ? undefined : await measureMaximum(daemon, shape, maximumDurationMs);
    const requestsPerSecond = isGiven
      ? args.number('rate', 0.001)
      : Math.min(maximum! * share, mostRequestsPerSecond(wish.cores, wish.connections));
    const load = startOpenLoop({
      target: daemon.grpc,
      requestsPerSecond,
      readingsPerRequest: readings,
      connections: wish.connections,
      durationMs,
      cores: wish.cores,
    });
    const before = { daemon: readUsage(daemon.pid), sender: readUsage(load.child.pid!) };
    let last = before;
    const watch = setInterval(
      () => {
        // The last look before the sender ends is the one that counts.
        const usages = { daemon: readUsage(daemon.pid), sender: tryReadUsage(load.child.pid!) };
        if (usages.sender !== undefined) last = usages;
      },
      Math.max(50, durationMs / 20),
    );
    const summary = JSON.parse(await load.ended.finally(() => clearInterval(watch))) as SendSummary;
    if (!summary.delivered) throw new Error(`not everything was delivered: ${JSON.stringify(summary)}`);
    const check =
      wish.generator === 'h2load'
        ? await loadDaemon(daemon, {
            ...shape,
            streams: MOST_STREAMS,
            requestsPerSecond,
            warmUpMs: 500,
            durationMs,
          })
        : undefined;
    await daemon.stopBalanced();
    return { maximum, summary, check, ...sharesOf(before, last) };
  } finally {
    await daemon.remove();
  }
}

function tryReadUsage(pid: number): Usage | undefined {
  try {
    return readUsage(pid);
  } catch {
    return undefined; // it has ended
  }
}

interface Usages {
  readonly daemon: Usage | undefined;
  readonly sender: Usage | undefined;
}

function sharesOf(
  before: Usages,
  after: Usages,
): Pick<Run, 'daemonCores' | 'busiestSenderThread' | 'othersCores'> {
  if (before.daemon === undefined || before.sender === undefined || after === before) {
    return { daemonCores: Number.NaN, busiestSenderThread: Number.NaN, othersCores: Number.NaN };
  }
  const daemon = usageBetween(before.daemon, after.daemon!);
  const sender = usageBetween(before.sender, after.sender!);
  const others = daemon.machineCpuSeconds - daemon.cpuSeconds - sender.cpuSeconds;
  return {
    daemonCores: daemon.cpuSeconds / daemon.elapsedSeconds,
    busiestSenderThread: Math.max(...sender.threads.map(({ busy, waiting }) => busy + waiting)),
    othersCores: Math.max(0, others / daemon.elapsedSeconds),
  };
}

const COLUMNS = {
  'requests/s': (run: Run) => run.summary.requests.per_s,
  'share of maximum': (run: Run) => run.summary.requests.per_s / (run.maximum ?? Number.NaN),
  'p50 ms': (run: Run) => run.summary.latency_ms.p50,
  'p99 ms': (run: Run) => run.summary.latency_ms.p99,
  'p99.9 ms': (run: Run) => run.summary.latency_ms.p999,
  'max ms': (run: Run) => run.summary.latency_ms.max,
  'p50 ms, h2load': (run: Run) => run.check?.latencyMs.p50 ?? Number.NaN,
  'p99 ms, h2load': (run: Run) => run.check?.latencyMs.p99 ?? Number.NaN,
  'p99.9 ms, h2load': (run: Run) => run.check?.latencyMs.p999 ?? Number.NaN,
  'p99 ms of the attempt': (run: Run) => run.summary.attempt_latency_ms.p99,
  'sender late by ms': (run: Run) => run.summary.max_behind_schedule_ms,
  'daemon cores': (run: Run) => run.daemonCores,
  'busiest sender thread': (run: Run) => run.busiestSenderThread,
  'cores used by others': (run: Run) => run.othersCores,
};

const rows = [['readings per request, acknowledged when, transport', ...Object.keys(COLUMNS)]];
for (const [cell, ofCell] of results) {
  rows.push([nameOf(cell), ...Object.values(COLUMNS).map((of) => spreadText(spreadOf(ofCell.map(of))))]);
}
deliver(
  {
    name: 'latency',
    title: 'What a client waits',
    command: reprintCommand('bench:latency'),
    machine,
    conditions: [
      `Load: send, open loop, ${args.isSet('rate') ? 'at the rate given' : `at ${share} of the maximum that ${wish.generator} found just before on the same daemon, and at most ${figure(mostRequestsPerSecond(wish.cores, wish.connections))} requests/s, more than which the sender could not time on these cores`}, ${wish.connections} connections.`,
      'Latency runs from the planned start of a request to its OK (no coordinated omission); the start of each run, in which the sender is still cold, is part of it.',
      '`send` plans requests in slots of 5 ms: those of a slot start together, so a request also waits for those before it.',
      'h2load at the same rate, as a second opinion: warm, and far cheaper than the daemon, but its latency runs from when a request was sent, not from when it was due.',
      `Pinned: ${wish.cores.text}.`,
      `${runs} ${runs === 1 ? 'run' : 'runs'} of each, ${formatDurationMs(durationMs)}, taking turns; medians (least to most) of the percentiles of each run.`,
      'A sender thread that is busy most of the time measures itself: read such a line as an upper bound.',
      ...noteOf(args),
    ],
    body: markdownTable(rows),
    figures: {
      options: { runs, durationMs, share, ...wish },
      cells: [...results].map(([cell, ofCell]) => ({
        readings_per_request: cell.readings,
        ack: cell.ack,
        transport: transportName(cell.transport),
        maximum_requests_per_second: ofCell.map(({ maximum }) =>
          maximum === undefined ? null : Math.round(maximum),
        ),
        requests_acknowledged: ofCell.map(({ summary }) => summary.requests.acknowledged),
        ...Object.fromEntries(
          Object.entries(COLUMNS).map(([name, of]) => [
            name.replaceAll(/[ /.,]+/g, '_'),
            roundedSpread(spreadOf(ofCell.map(of))),
          ]),
        ),
      })),
    },
  },
  wish,
);
