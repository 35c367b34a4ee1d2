/** The throughput benchmark in small: figures exist, agree with each other, and name what limited them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOnPath, requirement } from '../support/requirements.ts';
import { assertSpread, benchReport, runBench, type Spread } from './bench-run.ts';

interface CellFigures {
  readonly name: string;
  readonly readings_per_request: number;
  readonly requests_per_second: Spread;
  readonly readings_per_second: Spread;
  readonly readings_per_cpu_second: Spread;
  readonly latency_p50_ms: Spread;
  readonly latency_p99_ms: Spread;
  readonly peak_rss_bytes: Spread;
  readonly limited_by: string;
  readonly runs: readonly unknown[];
}

interface Report {
  readonly cells: readonly CellFigures[];
  readonly ratios: readonly { readonly text: string; readonly ratio: Spread }[];
}

// Long enough for a cold start on a busy machine to leave some answers in the measured window.
const SMALL = ['--own', '--duration', '1500ms', '--warm-up', '1s', '--connections', '2', '--streams', '8'];

function assertCell(cell: CellFigures, runs: number): void {
  assert.equal(cell.runs.length, runs);
  assertSpread(cell.requests_per_second, 'requests/s');
  assertSpread(cell.latency_p50_ms, 'latency');
  assert.ok(cell.latency_p50_ms.median <= cell.latency_p99_ms.median);
  const readings = cell.requests_per_second.median * cell.readings_per_request;
  // Both are rounded to four digits.
  assert.ok(Math.abs(cell.readings_per_second.median / readings - 1) < 0.002);
  assert.notEqual(cell.limited_by, '');
  if (process.platform === 'linux') {
    assertSpread(cell.readings_per_cpu_second, 'readings per CPU-second');
    assertSpread(cell.peak_rss_bytes, 'peak RSS');
  }
}

test('h2load: every acknowledgement, ratios of runs of the same round', {
  skip: requirement('h2load'),
}, async () => {
  const { cells, ratios } = await benchReport<Report>('daemon', [
    ...SMALL,
    ...['--generator', 'h2load', '--readings', '10', '--runs', '1'],
  ]);
  assert.deepEqual(
    cells.map(({ name }) => name),
    ['accepted/10', 'written/10', 'synced/10'],
  );
  for (const cell of cells) assertCell(cell, 1);
  assert.ok(ratios.some(({ text }) => text === 'synced/10 to written/10, requests/s'));
  for (const { text, ratio } of ratios) assertSpread(ratio, text);
});

test('send in place of h2load, two runs, one cell', async () => {
  const { cells, conditions } = {
    ...(await benchReport<Report>('daemon', [
      ...SMALL,
      ...['--generator', 'send', '--only', 'written/100', '--runs', '2', '--daemon-cores', 'all'],
    ])),
  };
  assert.deepEqual(
    cells.map(({ name }) => name),
    ['written/100'],
  );
  assertCell(cells[0]!, 2);
  assert.match(conditions.join('\n'), /nothing pinned/);
});

test('a wish that cannot be met ends with 2 and says why', async () => {
  for (const [args, why] of [
    [['--only', 'written/7'], /leaves nothing/],
    [['--durration', '1s'], /durration/],
    [['--ack', 'maybe'], /accepted, written, synced/],
    [['--runs', '0'], /--runs 0/],
    [['--own', '--peers'], /--own and --peers/],
    [['--peer', 'nobody'], /grpc-go, otel-collector/],
  ] as const) {
    const { status, stderr } = await runBench('daemon', args);
    assert.equal(status, 2);
    assert.match(stderr, why);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
});

test('the program that limits is looked up on the PATH', () => {
  assert.equal(isOnPath('no-such-program-anywhere'), false);
});
