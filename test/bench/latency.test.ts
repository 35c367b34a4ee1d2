/** The latency benchmark in small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSpread, benchReport, type Spread } from './bench-run.ts';

interface Report {
  readonly cells: readonly {
    readonly readings_per_request: number;
    readonly maximum_requests_per_second: readonly (number | null)[];
    readonly requests_acknowledged: readonly number[];
    readonly p50_ms: Spread;
    readonly p99_ms: Spread;
    readonly p99_9_ms: Spread;
  }[];
}

const SMALL = [
  '--runs',
  '1',
  '--duration',
  '500ms',
  '--connections',
  '2',
  '--streams',
  '8',
  '--readings',
  '10',
];

test('half of a maximum that was measured, and percentiles in order', async () => {
  const { cells } = await benchReport<Report>('latency', [...SMALL, '--maximum-duration', '200ms']);
  const [cell] = cells;
  assert.ok(cell!.maximum_requests_per_second[0]! > 0);
  assertSpread(cell!.p50_ms, 'p50');
  assert.ok(cell!.p50_ms.median <= cell!.p99_ms.median);
  assert.ok(cell!.p99_ms.median <= cell!.p99_9_ms.median);
});

test('a rate that was given is kept', async () => {
  const { cells } = await benchReport<Report>('latency', [...SMALL, '--rate', '100', '--generator', 'send']);
  assert.equal(cells[0]!.maximum_requests_per_second[0], null);
  const acknowledged = cells[0]!.requests_acknowledged[0]!;
  assert.ok(acknowledged > 0 && acknowledged <= 50, 'an open loop never runs ahead of its schedule');
});
