/** The soak in small, and its verdict on memory that rises, falls and waves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample } from '../../bench/soak-sample.ts';
import { judgeMemory } from '../../bench/soak-verdict.ts';
import { requirement } from '../support/requirements.ts';
import { assertDescribed, type Described, runBench } from './bench-run.ts';

interface Report extends Described {
  readonly passed: boolean;
  readonly checks: Readonly<Record<string, boolean>>;
  readonly samples: readonly Sample[];
  readonly rotations: number;
  readonly deleted_segments: number;
}

test('rotation, compression and retention at work, books balanced, files clean', {
  skip: requirement('/proc', () => process.platform === 'linux'),
}, async () => {
  const { status, stdout, stderr } = await runBench('soak', [
    ...['--minutes', '0.04', '--rate', '400', '--sample-every', '300ms', '--connections', '2', '--json'],
    ...['--rotate-bytes', '256KiB', '--compress', 'gzip', '--retain-files', '5'],
  ]);
  const report = JSON.parse(stdout) as Report;
  assertDescribed(report);
  // Two seconds are too short for memory to settle: that verdict may be either.
  const { memory_is_flat: isFlat, ...others } = report.checks;
  assert.deepEqual(others, {
    everything_was_delivered: true,
    books_balance: true,
    every_reading_was_written: true,
    verify_is_clean: true,
  });
  assert.equal(status, isFlat ? 0 : 1);
  assert.equal(report.passed, isFlat);
  assert.ok(report.rotations > 0, 'segments were closed');
  assert.ok(report.deleted_segments > 0, 'retention deleted some');
  assert.ok(report.samples.length >= 3);
  for (const sample of report.samples) {
    assert.ok(sample.rss_kib > 10_000 && sample.heap_kib > 1000 && sample.fds > 10, JSON.stringify(sample));
  }
  assert.match(stderr, /readings\/s, RSS/);
});

const BASE_KIB = 300_000;

function samplesOf(minutes: number, rssKib: (minute: number) => number): readonly Sample[] {
  const sample: Sample = {
    seconds: 0,
    rss_kib: 0,
    heap_kib: 50_000,
    external_kib: 0,
    fds: 30,
    cpu_seconds: 0,
    event_loop_delay_max_ms: 0,
    event_loop_delay_p99_ms: 0,
    queue_kib: 0,
    archive_backlog_segments: 0,
    readings_written: 0,
  };
  return Array.from({ length: minutes * 30 }, (_, index) => ({
    ...sample,
    seconds: index * 2,
    rss_kib: BASE_KIB + rssKib(index / 30),
  }));
}

test('memory that waves around a level is flat, however high it rose at the start', () => {
  const start = (minute: number): number => Math.min(0, (minute - 1.5) * 100_000);
  const waves = (minute: number): number => 20_000 * Math.sin(minute * 9) + start(minute);
  const verdict = judgeMemory(samplesOf(10, waves));
  assert.equal(verdict.isFlat, true, JSON.stringify(verdict));
});

test('a leak of 16 bytes per request at 4,000 requests/s is found under the same waves', () => {
  const leakKibPerMinute = (16 * 4000 * 60) / 1024;
  const verdict = judgeMemory(
    samplesOf(10, (minute) => 20_000 * Math.sin(minute * 9) + leakKibPerMinute * minute),
  );
  assert.equal(verdict.isFlat, false, JSON.stringify(verdict));
  assert.ok(Math.abs(verdict.slopeKiBPerMinute / leakKibPerMinute - 1) < 0.2);
});

test('the longer the soak, the flatter it has to be', () => {
  const slow = (minute: number): number => 300 * minute;
  assert.equal(judgeMemory(samplesOf(10, slow)).isFlat, true);
  assert.equal(judgeMemory(samplesOf(60, slow)).isFlat, false);
});

test('memory that falls is no leak, and too few samples are no proof', () => {
  assert.equal(judgeMemory(samplesOf(10, (minute) => -5000 * minute)).isFlat, true);
  assert.equal(judgeMemory(samplesOf(10, () => 0).slice(0, 2)).isFlat, false);
  assert.equal(judgeMemory([]).isFlat, false);
});
