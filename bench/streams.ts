/**
 * What a reading costs in a stream, beside one in a unary call: CPU time of the daemon, in turns of a fifth of a second.
 *
 *   both loads stopped ──▶ books, CPU time ──one goes on──turn──stopped──▶ the daemon rests ──▶ CPU time, books
 *
 * The two are as close as some hundredths with large requests, and a shared machine changes its speed by more than that
 * within seconds. So turns are short, the loads are stopped in between (SIGSTOP) and not ended, and what the
 * writer has left to do counts to the turn that made it. What is compared are neighbours.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchArguments, formatDurationMs } from './arguments.ts';
import { buildDaemon } from './built-daemon.ts';
import { commonOptions, commonWish, daemonEnvironment, noteOf, transportName } from './common-options.ts';
import { chooseOneCore } from './cores.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { figure, markdownTable, middleHalfOf, roundedSpread, type Spread, spreadText } from './figures.ts';
import {
  h2loadCommand,
  okOf,
  type RunningLoad,
  SENSOR_PATH,
  sendCommand,
  startLoad,
  streamsCommand,
} from './load.ts';
import { describeMachine } from './machine.ts';
import { hasProc, readUsage } from './process-usage.ts';
import { grpcMessage, requestBody } from './request-body.ts';
import { deliver, reprintCommand } from './results.ts';
import { makeScratch } from './scratch.ts';

/** Both loads end with the benchmark, not before. */
const LOAD_MS = 3_600_000;
/** CPU time is looked at so often while the daemon comes to rest. */
const REST_LOOK_MS = 4;
/** It rests when that many looks in a row saw next to nothing: timers and scrapes remain. */
const REST_LOOKS = 3;
const REST_CPU_US = 300;
const MOST_TRIES = 10;

const args = new BenchArguments(
  'npm run bench:streams: what a reading costs in a stream, and in a unary call',
  {
    readings: { default: '1,10,100', help: 'Readings per request' },
    turns: { default: '150', help: 'Turns of each' },
    turn: { default: '200ms', help: 'Length of a turn' },
    'warm-up': { default: '3s', help: 'Of each, before the first turn' },
    ...commonOptions,
  },
);
const common = commonWish(args);
const turns = args.count('turns');
const turnMs = args.durationMs('turn');
const warmUpMs = args.durationMs('warm-up');
const cores = chooseOneCore({ daemon: args.text('daemon-cores'), load: args.text('load-cores') });
if (!hasProc) args.fail('CPU time is read from /proc, which this system does not have');

const KINDS = ['unary', 'stream'] as const;
type Kind = (typeof KINDS)[number];

interface Result {
  readonly transport: string;
  readonly readings: number;
  /** CPU time of the daemon, microseconds. */
  readonly unaryUs: Spread;
  readonly streamUs: Spread;
  /** Unary over stream, of neighbours: above 1 streams are cheaper. */
  readonly ratio: Spread;
}

const scratch = makeScratch(args.text('folder'));
DaemonUnderTest.entry = await buildDaemon(scratch);
const machine = describeMachine(scratch);
const results: Result[] = [];
for (const transport of common.transports) {
  for (const readings of args.counts('readings')) results.push(await compare(transport, readings));
}

async function compare(transport: string, readings: number): Promise<Result> {
  const environment = daemonEnvironment(transport, 'accepted', { RETAIN_FILES: '2' });
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores, environment });
  const loads = {} as Record<Kind, RunningLoad>;
  const endLoads = (): void => {
    for (const { child } of Object.values(loads)) child.kill('SIGKILL');
  };
  // Whoever is stopped does not hear a Ctrl-C.
  process.once('exit', endLoads);
  const costs: Record<Kind, number[]> = { unary: [], stream: [] };
  try {
    const message = join(scratch, `message-${readings}`);
    await writeFile(message, grpcMessage(requestBody(readings)));
    for (const kind of KINDS) {
      loads[kind] = startLoad(cores.load, commandOf(kind, daemon.grpc, message, readings));
      await sleep(warmUpMs);
      loads[kind].child.kill('SIGSTOP');
      await untilAtRest(daemon);
    }
    for (let turn = 0; turn < turns; turn++) {
      for (const kind of turn % 2 === 0 ? KINDS : KINDS.toReversed()) {
        costs[kind].push(await costOf(daemon, loads[kind]));
      }
      if ((turn + 1) % 25 === 0)
        console.error(`${transportName(transport)}/${readings}: ${turn + 1}/${turns} turns`);
    }
    endLoads();
    await daemon.stopMeasured();
  } finally {
    endLoads();
    process.off('exit', endLoads);
    await daemon.remove();
  }
  return {
    transport: transportName(transport),
    readings,
    unaryUs: middleHalfOf(costs.unary),
    streamUs: middleHalfOf(costs.stream),
    ratio: middleHalfOf(costs.unary.map((cost, turn) => cost / costs.stream[turn]!)),
  };
}

function commandOf(kind: Kind, target: string, message: string, readings: number): readonly string[] {
  const shape = { ...common, cores, readingsPerRequest: readings };
  if (kind === 'stream') return streamsCommand(target, common.connections, LOAD_MS, message);
  if (common.generator === 'send') return sendCommand(target, shape, LOAD_MS);
  return [...h2loadCommand(target, SENSOR_PATH, message, shape), '-D', `${LOAD_MS / 1000}s`];
}

/** CPU time per request, microseconds. A turn that the machine slept through is taken again. */
async function costOf(daemon: DaemonUnderTest, load: RunningLoad): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const costUs = await takeTurn(daemon, load);
    if (costUs !== undefined) return costUs;
  }
  throw new Error(`no request was answered in ${MOST_TRIES} turns`);
}

/** Undefined when no request was answered. */
async function takeTurn(daemon: DaemonUnderTest, load: RunningLoad): Promise<number | undefined> {
  const okBefore = await okOf(daemon);
  await untilAtRest(daemon);
  const cpuBefore = cpuUs(daemon);
  load.child.kill('SIGCONT');
  const ended = await Promise.race([load.ended, sleep(turnMs)]);
  if (ended !== undefined) throw new Error('the load ended before its time');
  load.child.kill('SIGSTOP');
  await untilAtRest(daemon);
  const usedUs = cpuUs(daemon) - cpuBefore;
  const requests = (await okOf(daemon)) - okBefore;
  return requests === 0 ? undefined : usedUs / requests;
}

async function untilAtRest(daemon: DaemonUnderTest): Promise<void> {
  let lastUs = cpuUs(daemon);
  for (let calm = 0; calm < REST_LOOKS; ) {
    await sleep(REST_LOOK_MS);
    const nowUs = cpuUs(daemon);
    calm = nowUs - lastUs < REST_CPU_US ? calm + 1 : 0;
    lastUs = nowUs;
  }
}

/** Of its threads, which count in nanoseconds; the process as a whole counts in ticks. */
function cpuUs(daemon: DaemonUnderTest): number {
  let seconds = 0;
  for (const { cpuSeconds } of readUsage(daemon.pid)!.threads.values()) seconds += cpuSeconds;
  return seconds * 1e6;
}

const rows = results.map(({ transport, readings, unaryUs, streamUs, ratio }) => [
  transport,
  figure(readings),
  spreadText(unaryUs),
  spreadText(streamUs),
  spreadText(ratio),
]);
deliver(
  {
    name: 'streams',
    title: 'A reading in a stream, and in a unary call',
    command: reprintCommand('bench:streams'),
    machine,
    conditions: [
      `${turns} turns of ${formatDurationMs(turnMs)} of each, neighbours compared; one daemon, both loads connected and stopped in between. Figures are medians, in brackets the middle half.`,
      'CPU time is that of the whole daemon until it rests: gRPC, encoder, writer, checksums, hash. ACK=accepted.',
      `Payload: requests of bench/request-body.ts; ${common.connections} connections, ${common.streams} unary calls under way on each (${common.generator}), or one stream (bench/stream-clients.ts).`,
      `Pinned: ${cores.text}. No load generator can limit this: it is CPU time per request, not requests per second.`,
      ...noteOf(args),
    ],
    body: markdownTable([
      [
        'transport',
        'readings per request',
        'unary, µs of CPU each',
        'stream, µs of CPU each',
        'unary : stream',
      ],
      ...rows,
    ]),
    figures: {
      cells: results.map(({ unaryUs, streamUs, ratio, ...cell }) => ({
        ...cell,
        unary_us: roundedSpread(unaryUs),
        stream_us: roundedSpread(streamUs),
        unary_to_stream: roundedSpread(ratio),
      })),
    },
  },
  common,
);
