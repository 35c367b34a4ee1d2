/** One look at a daemon under soak: memory from /proc, the rest from its own metrics. */
import { KiB, MiB } from '../src/base/byte-size.ts';
import type { DaemonUnderTest } from './daemon-under-test.ts';
import { figure } from './figures.ts';
import { countFileDescriptors, readMemory, readUsage } from './process-usage.ts';

export interface Sample {
  readonly seconds: number;
  readonly rss_kib: number;
  readonly heap_kib: number;
  /** Buffers outside the heap. */
  readonly external_kib: number;
  readonly fds: number;
  readonly cpu_seconds: number;
  /** Of the main thread, worst within the last minute. */
  readonly event_loop_delay_max_ms: number;
  readonly event_loop_delay_p99_ms: number;
  readonly queue_kib: number;
  readonly archive_backlog_segments: number;
  readonly readings_written: number;
}

export async function takeSample(daemon: DaemonUnderTest, seconds: number): Promise<Sample> {
  const metrics = await daemon.metrics();
  const metric = (name: string): number => metrics.get(name) ?? 0;
  return {
    seconds: Math.round(seconds * 10) / 10,
    rss_kib: Math.round(readMemory(daemon.pid)!.rssBytes / KiB),
    heap_kib: Math.round(metric('nodejs_heap_size_used_bytes') / KiB),
    external_kib: Math.round(metric('nodejs_external_memory_bytes') / KiB),
    fds: countFileDescriptors(daemon.pid)!,
    cpu_seconds: readUsage(daemon.pid)!.cpuSeconds,
    event_loop_delay_max_ms: milliseconds(
      metric('telemetry_sink_event_loop_delay_max_seconds{thread="main"}'),
    ),
    event_loop_delay_p99_ms: milliseconds(
      metric('telemetry_sink_event_loop_delay_seconds{thread="main",quantile="0.99"}'),
    ),
    queue_kib: Math.round(metric('telemetry_sink_queue_bytes') / KiB),
    archive_backlog_segments: metric('telemetry_sink_journal_archive_backlog_segments'),
    readings_written: metric('telemetry_sink_readings_written_total'),
  };
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1e5) / 100;
}

const CLEAR_LINE = '\r\x1b[2K';
const BAR_CELLS = 20;

/** Redrawn in place on a terminal; in a pipe a line every so often would do, and it is a line each. */
export function progressLine(
  sample: Sample,
  previous: Sample | undefined,
  durationMs: number,
  isTty: boolean,
): string {
  const share = Math.min(1, (sample.seconds * 1000) / durationMs);
  const cells = Math.round(share * BAR_CELLS);
  const bar = `${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)}`;
  const seconds = sample.seconds - (previous?.seconds ?? 0);
  const rate = seconds > 0 ? (sample.readings_written - (previous?.readings_written ?? 0)) / seconds : 0;
  const text =
    `${figure(sample.seconds)}s of ${figure(durationMs / 1000)}s, ${figure(rate)} readings/s, ` +
    `RSS ${figure((sample.rss_kib * KiB) / MiB)} MiB, heap ${figure((sample.heap_kib * KiB) / MiB)} MiB, ` +
    `loop p99 ${figure(sample.event_loop_delay_p99_ms)} ms, queue ${sample.queue_kib} KiB, ` +
    `${sample.fds} fds, archive ${sample.archive_backlog_segments}`;
  return isTty ? `${CLEAR_LINE}${bar} ${text}` : `${text}\n`;
}
