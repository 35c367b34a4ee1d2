/**
 * The daemon at half of what it can do, for as long as asked, with rotation, compression and retention at
 * work: does its memory stay flat, do the books balance, is what it leaves clean?
 * `npm run bench:soak -- --minutes 10`; --help; how to read it: bench/README.md.
 *
 * Exit status: 0 all of it holds, 1 something does not.
 */
import { formatByteSize, MiB } from '../src/base/byte-size.ts';
import { BenchArguments } from './arguments.ts';
import {
  ACKS,
  commonOptions,
  commonWish,
  daemonEnvironment,
  noteOf,
  transportName,
} from './common-options.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { figure } from './figures.ts';
import type { SendSummary } from './load.ts';
import { describeMachine } from './machine.ts';
import { measureMaximum } from './maximum.ts';
import { startOpenLoop } from './open-loop.ts';
import { hasProc } from './process-usage.ts';
import { deliver, reprintCommand } from './results.ts';
import { makeScratch } from './scratch.ts';
import { progressLine, type Sample, takeSample } from './soak-sample.ts';
import { GROWTH_BYTES, judgeMemory, type SoakResult, soakBody } from './soak-verdict.ts';
import { verify } from './verify.ts';

const args = new BenchArguments('npm run bench:soak: is memory flat at half of the maximum?', {
  minutes: { default: '10', help: 'Length of the load' },
  readings: { default: '100', help: 'Readings per request' },
  ack: { default: 'written', help: `One of ${ACKS.join(', ')}` },
  share: { default: '0.5', help: 'Rate, as a share of the measured maximum' },
  rate: { default: '', help: 'Requests/s instead of a share of the maximum' },
  'maximum-duration': { default: '4s', help: 'Length of the run that finds the maximum' },
  'sample-every': { default: '2s', help: 'Distance between samples' },
  'rotate-bytes': { default: '64MiB', help: 'ROTATE_BYTES' },
  compress: { default: 'zstd', help: 'COMPRESS' },
  'retain-bytes': { default: '512MiB', help: 'RETAIN_BYTES' },
  'retain-files': {
    default: '12',
    help: 'RETAIN_FILES; what the load of send compresses to is too little to reach bytes',
  },
  ...commonOptions,
});
const wish = commonWish(args);
const [ack = 'written'] = args.list('ack', ACKS);
const [transport = ''] = wish.transports;
const readings = args.count('readings');
const minutes = args.number('minutes', 0.01);
const durationMs = minutes * 60_000;
const sampleEveryMs = args.durationMs('sample-every');
if (!hasProc) args.fail('the soak reads memory from /proc, which only Linux has');

const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
const shape = {
  generator: wish.generator,
  readingsPerRequest: readings,
  connections: wish.connections,
  streams: wish.streams,
  cores: wish.cores,
  scratch,
};

/** On a daemon of its own: full load fills pools that half load would never fill. */
async function findRate(): Promise<number> {
  if (args.isSet('rate')) return args.number('rate', 0.001);
  const environment = daemonEnvironment(transport, ack);
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores: wish.cores, environment });
  try {
    return (
      (await measureMaximum(daemon, shape, args.durationMs('maximum-duration'))) * args.number('share', 0.001)
    );
  } finally {
    await daemon.remove();
  }
}

async function soak(requestsPerSecond: number): Promise<SoakResult> {
  const daemon = await DaemonUnderTest.start({
    parent: scratch,
    cores: wish.cores,
    environment: daemonEnvironment(transport, ack, {
      ROTATE_BYTES: args.text('rotate-bytes'),
      COMPRESS: args.text('compress'),
      RETAIN_BYTES: args.text('retain-bytes'),
      RETAIN_FILES: args.text('retain-files'),
    }),
  });
  const samples: Sample[] = [];
  const startMs = performance.now();
  const load = startOpenLoop({
    target: daemon.grpc,
    requestsPerSecond,
    readingsPerRequest: readings,
    connections: wish.connections,
    durationMs,
    cores: wish.cores,
  });
  let isLoaded = true;
  const ended = load.ended.finally(() => {
    isLoaded = false;
  });
  ended.catch(() => {}); // awaited below
  try {
    while (isLoaded) {
      const sample = await takeSample(daemon, (performance.now() - startMs) / 1000);
      samples.push(sample);
      process.stderr.write(progressLine(sample, samples.at(-2), durationMs, process.stderr.isTTY));
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, sampleEveryMs))]);
    }
    if (process.stderr.isTTY) process.stderr.write('\n');
    const summary = JSON.parse(await ended) as SendSummary;
    const final = await daemon.metrics();
    const balance = await daemon.stop();
    return {
      requestsPerSecond,
      senderThreads: load.threads,
      samples,
      summary,
      balance,
      rotations: sumOf(final, 'telemetry_sink_journal_rotations_total'),
      deletedSegments: sumOf(final, 'telemetry_sink_journal_segments_deleted_total'),
      writtenBytes: sumOf(final, 'telemetry_sink_journal_written_bytes_total'),
      verify: await verify(daemon.folder),
      memory: judgeMemory(samples),
    };
  } finally {
    load.child.kill('SIGKILL');
    await daemon.remove();
  }
}

function sumOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = 0;
  for (const [sample, value] of metrics) if (sample === name || sample.startsWith(`${name}{`)) sum += value;
  return sum;
}

const result = await soak(await findRate());
const { memory, balance, summary } = result;
const checks = {
  memory_is_flat: memory.isFlat,
  everything_was_delivered: summary.delivered && summary.requests.retries === 0,
  books_balance: balance.requestsDifference === 0 && balance.readingsDifference === 0,
  every_reading_was_written: balance.readingsWritten === summary.readings.acknowledged,
  verify_is_clean: result.verify.status === 0,
};
const isPassed = Object.values(checks).every(Boolean);
deliver(
  {
    name: 'soak',
    title: `Soak of ${figure(minutes)} minutes: ${isPassed ? 'passed' : 'FAILED'}`,
    command: reprintCommand('bench:soak'),
    machine,
    conditions: [
      `Load: send with ${result.senderThreads} threads, open loop at ${figure(result.requestsPerSecond)} requests/s of ${readings} readings (${
        args.isSet('rate')
          ? 'as given'
          : `${args.text('share')} of the maximum that ${wish.generator} found just before`
      }), ${wish.connections} connections, ACK=${ack}, transport ${transportName(transport)}.`,
      `ROTATE_BYTES=${args.text('rotate-bytes')} COMPRESS=${args.text('compress')} RETAIN_BYTES=${args.text('retain-bytes')} RETAIN_FILES=${args.text('retain-files')}.`,
      `Pinned: ${wish.cores.text}.`,
      `Flat: RSS grows by less than ${formatByteSize(GROWTH_BYTES)} over the last 80% of the run, by least squares: ${figure(memory.limitKiBPerMinute)} KiB/min here.`,
      ...noteOf(args),
    ],
    body: soakBody(result, checks),
    figures: {
      passed: isPassed,
      checks,
      options: { minutes, readings, ack, transport: transportName(transport), durationMs, sampleEveryMs },
      requests_per_second: Math.round(result.requestsPerSecond),
      memory,
      balance: balance.text,
      verify: result.verify.text,
      rotations: result.rotations,
      deleted_segments: result.deletedSegments,
      written_mib: Math.round(result.writtenBytes / MiB),
      latency_ms: summary.latency_ms,
      samples: result.samples,
    },
  },
  wish,
);
process.exitCode = isPassed ? 0 : 1;
