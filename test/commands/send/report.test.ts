/** What people and programs read: progress lines, the table and the JSON summary. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newCounters } from '../../../src/commands/send/counters.ts';
import { grouped, latencyText, perSecond } from '../../../src/commands/send/figures.ts';
import { LatencyHistogram } from '../../../src/commands/send/latency.ts';
import { barLine, type ProgressFigures, plainLine } from '../../../src/commands/send/progress.ts';
import {
  isDelivered,
  jsonSummary,
  type SendOutcome,
  tableSummary,
} from '../../../src/commands/send/summary.ts';

const FIGURES: ProgressFigures = {
  acknowledged: 520_000,
  total: 1_000_000,
  elapsedMs: 10_000,
  durationMs: undefined,
  readingsPerSecond: 48_211.4,
  p50Ms: 6.54321,
  p99Ms: 125.2,
  retries: 12,
  refused: 13,
  rejected: 0,
  waiting: 0,
};

test('progress', () => {
  assert.equal(
    barLine(FIGURES),
    '██████████░░░░░░░░░░ 52%  10s left  520,000 readings  48,211/s  p50 6.54ms  p99 125ms  13 refused  12 retried',
  );
  assert.equal(
    plainLine({ ...FIGURES, total: undefined, p50Ms: undefined, retries: 0, refused: 0, waiting: 4 }),
    'send: 520,000 readings acknowledged, 48,211/s, 4 waiting',
  );
  assert.match(plainLine({ ...FIGURES, total: undefined, durationMs: 40_000 }), /\(25%\).*about 30s left$/);
});

test('figures', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(grouped), ['0', '999', '1,000', '1,234,567']);
  assert.equal(perSecond(1, 3000), '0.33/s');
  assert.deepEqual([0.4123, 6.54321, 42.42, 512.6, 2512].map(latencyText), [
    '0.412ms',
    '6.54ms',
    '42.4ms',
    '513ms',
    '2.51s',
  ]);
});

test('histograms of threads add up to one', () => {
  const [left, right, both] = [new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram()];
  for (let value = 1; value <= 1000; value++) {
    (value % 2 === 0 ? left : right).recordMs(value);
    both.recordMs(value);
  }
  left.addEncoded(right.encode());
  assert.deepEqual(left.figures(), both.figures());
  left.recordMs(1e12);
  left.recordMs(-1);
  assert.equal(left.count, 1002);
});

function outcome(counters: Partial<SendOutcome['counters']>, more: Partial<SendOutcome> = {}): SendOutcome {
  const latency = new LatencyHistogram();
  latency.recordMs(2);
  return {
    target: 'localhost:8000',
    connections: 4,
    threads: 1,
    seed: 1,
    requestsPerSecond: undefined,
    elapsedMs: 2000,
    counters: {
      ...newCounters(),
      readingsAcknowledged: 1000,
      readingsTaken: 1000,
      requestsAcknowledged: 10,
      ...counters,
    },
    latency: latency.figures(),
    attemptLatency: latency.figures(),
    plannedReadings: 1000,
    isTotalRequired: true,
    faultyLines: 0,
    endedEarly: undefined,
    ...more,
  };
}

test('a summary of full success says nothing else', () => {
  const text = tableSummary(outcome({}));
  assert.match(text, /1,000 acknowledged\s+500\/s/);
  assert.doesNotMatch(text, /not delivered|never|Last failure|duplicates/);
  assert.equal(isDelivered(outcome({})), true);
});

test('whatever is missing is in the table, in the JSON and in the exit status', () => {
  const failed = outcome(
    {
      readingsTaken: 900,
      requestsRejected: 1,
      readingsRejected: 100,
      requestsUndelivered: 2,
      readingsUndelivered: 200,
      readingsUncertain: 100,
      possibleDuplicateReadings: 300,
      possibleDuplicateRequests: 3,
      statuses: { UNAVAILABLE: 5 },
      lastFailure: 'UNAVAILABLE: gone',
    },
    { endedEarly: 'no answer for 30s' },
  );
  const text = tableSummary(failed);
  assert.match(text, /Ended early: no answer for 30s/);
  assert.match(text, /100 readings rejected/);
  assert.match(text, /200 readings not delivered \(100 of them may be stored all the same\)/);
  assert.match(text, /100 readings never sent/);
  assert.match(text, /300 readings possibly/);
  assert.match(text, /Last failure: UNAVAILABLE: gone/);
  const json = JSON.parse(jsonSummary(failed));
  assert.equal(json.delivered, false);
  assert.deepEqual(
    [json.readings.rejected, json.readings.undelivered, json.readings.uncertain, json.readings.not_sent],
    [100, 200, 100, 100],
  );
  assert.equal(isDelivered(outcome({ requestsRejected: 1 })), false);
  assert.equal(isDelivered(outcome({ requestsUndelivered: 1 })), false);
  assert.equal(isDelivered(outcome({}, { faultyLines: 1 })), false);
  assert.equal(isDelivered(outcome({ readingsTaken: 999 })), false);
  assert.equal(isDelivered(outcome({ readingsTaken: 999 }, { isTotalRequired: false })), true);
});
