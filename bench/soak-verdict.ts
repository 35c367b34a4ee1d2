/** Is memory flat? And the soak's report. */
import { KiB, MiB } from '../src/base/byte-size.ts';
import type { Balance } from './daemon-under-test.ts';
import { figure, fitLine, markdownTable, rounded, spreadOf } from './figures.ts';
import type { SendSummary } from './load.ts';
import type { Sample } from './soak-sample.ts';
import type { Verified } from './verify.ts';

/** The first part fills pools and lets the compiler warm up; it says nothing about leaks. */
const IGNORED_SHARE = 0.2;
/**
 * What RSS may grow by over the rest, by the fitted line. Garbage collection and batches of a MiB move
 * RSS up and down by tens of MiB, so a smaller slope could not be told from where in a wave the run
 * happened to end; and a leak worth finding is far larger: at 4,000 requests/s the smallest object there
 * is (16 bytes), leaked once per request, comes to 29 MiB in 8 minutes. Since the growth is fixed and not
 * the slope, a longer soak asks for a flatter line.
 */
export const GROWTH_BYTES = 8 * MiB;

export interface MemoryVerdict {
  readonly isFlat: boolean;
  readonly slopeKiBPerMinute: number;
  readonly slopeErrorKiBPerMinute: number;
  readonly limitKiBPerMinute: number;
  readonly medianRssMiB: number;
  readonly maxRssMiB: number;
  readonly heapSlopeKiBPerMinute: number;
  readonly samples: number;
}

export function judgeMemory(samples: readonly Sample[]): MemoryVerdict {
  const lastSecond = samples.at(-1)?.seconds ?? 0;
  const settled = samples.filter(({ seconds }) => seconds >= lastSecond * IGNORED_SHARE);
  const perMinute = (of: (sample: Sample) => number) =>
    fitLine(settled.map((sample) => ({ x: sample.seconds / 60, y: of(sample) })));
  const { slope, slopeError } = perMinute((sample) => sample.rss_kib);
  const limit = GROWTH_BYTES / KiB / ((lastSecond * (1 - IGNORED_SHARE)) / 60);
  const rss = spreadOf(settled.map((sample) => sample.rss_kib));
  return {
    // A falling line is no leak, and too few samples are no proof.
    isFlat: settled.length >= 3 && slope < limit,
    slopeKiBPerMinute: rounded(slope),
    slopeErrorKiBPerMinute: rounded(slopeError),
    limitKiBPerMinute: rounded(limit),
    medianRssMiB: rounded((rss.median * KiB) / MiB),
    maxRssMiB: rounded((rss.max * KiB) / MiB),
    heapSlopeKiBPerMinute: rounded(perMinute((sample) => sample.heap_kib).slope),
    samples: settled.length,
  };
}

export interface SoakResult {
  readonly requestsPerSecond: number;
  readonly senderThreads: number;
  readonly samples: readonly Sample[];
  readonly summary: SendSummary;
  readonly balance: Balance;
  readonly rotations: number;
  readonly deletedSegments: number;
  readonly writtenBytes: number;
  readonly verify: Verified;
  readonly memory: MemoryVerdict;
}

/** Enough rows to see a trend by eye. */
const ROWS = 12;

export function soakBody(result: SoakResult, checks: Readonly<Record<string, boolean>>): string {
  const { memory, samples, summary, balance } = result;
  const last = samples.at(-1)!;
  const first = samples[0]!;
  const cores = (last.cpu_seconds - first.cpu_seconds) / (last.seconds - first.seconds);
  const rows = [
    ['time', 'RSS MiB', 'heap MiB', 'external MiB', 'fds', 'loop p99 ms', 'queue KiB', 'to archive'],
  ];
  const step = Math.max(1, Math.floor(samples.length / ROWS));
  for (const sample of samples.filter((_, index) => index % step === 0 || index === samples.length - 1)) {
    rows.push([
      `${figure(sample.seconds)} s`,
      ...[sample.rss_kib / KiB, sample.heap_kib / KiB, sample.external_kib / KiB].map(figure),
      String(sample.fds),
      figure(sample.event_loop_delay_p99_ms),
      figure(sample.queue_kib),
      String(sample.archive_backlog_segments),
    ]);
  }
  return [
    ...Object.entries(checks).map(
      ([name, holds]) => `- ${holds ? 'yes' : 'NO'}: ${name.replaceAll('_', ' ')}`,
    ),
    '',
    `RSS: ${figure(memory.slopeKiBPerMinute)} KiB/min (standard error ${figure(memory.slopeErrorKiBPerMinute)}, limit ${figure(memory.limitKiBPerMinute)}) ` +
      `over ${memory.samples} samples, median ${figure(memory.medianRssMiB)} MiB, most ${figure(memory.maxRssMiB)} MiB; heap ${figure(memory.heapSlopeKiBPerMinute)} KiB/min.`,
    '',
    `Load: ${figure(summary.readings.acknowledged)} readings acknowledged, ${figure(summary.readings.per_s)} readings/s, ${summary.requests.retries} retries; ` +
      `latency p50 ${figure(summary.latency_ms.p50)} ms, p99 ${figure(summary.latency_ms.p99)} ms, p99.9 ${figure(summary.latency_ms.p999)} ms, most ${figure(summary.latency_ms.max)} ms; ` +
      `the daemon used ${figure(cores)} cores.`,
    '',
    `Journal: ${figure(result.writtenBytes / MiB)} MiB written, ${result.rotations} rotations, ${result.deletedSegments} segments deleted by retention. ` +
      `verify: ${result.verify.text}`,
    '',
    `Last log line: ${balance.text}`,
    '',
    markdownTable(rows),
  ].join('\n');
}
