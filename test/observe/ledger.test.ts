/** The books: both equations hold along any history of events, and a double or missing answer shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FAILURE_REASONS, LOSS_REASONS, REFUSAL_REASONS } from '../../src/base/outcome.ts';
import { LEDGER_CELLS, Ledger, sumLedgers } from '../../src/observe/ledger.ts';

const count = fc.integer({ min: 0, max: 1_000_000 });

/** One request from its arrival to its end; `end` undefined leaves it in flight. */
const requestEnd = fc.oneof(
  fc.constant(undefined),
  fc.constant({ kind: 'ok' } as const),
  fc.record({ kind: fc.constant('refused' as const), reason: fc.constantFrom(...REFUSAL_REASONS) }),
  fc.record({ kind: fc.constant('failed' as const), reason: fc.constantFrom(...FAILURE_REASONS) }),
);

test('requests: every history balances, and each end is counted under its reason', () => {
  fc.assert(
    fc.property(fc.array(requestEnd, { maxLength: 200 }), (ends) => {
      const ledger = new Ledger();
      for (const end of ends) {
        ledger.requestReceived();
        if (end?.kind === 'ok') ledger.requestOk();
        else if (end?.kind === 'refused') ledger.requestRefused(end.reason);
        else if (end?.kind === 'failed') ledger.requestFailed(end.reason);
      }
      const { requests } = ledger.snapshot();
      assert.equal(requests.difference, 0);
      assert.equal(requests.received, ends.length);
      assert.equal(requests.ok, ends.filter((end) => end?.kind === 'ok').length);
      assert.equal(requests.inFlight, ends.filter((end) => end === undefined).length);
      assert.equal(ledger.requestsInFlight, requests.inFlight);
      for (const reason of REFUSAL_REASONS) {
        const expected = ends.filter((end) => end?.kind === 'refused' && end.reason === reason).length;
        assert.equal(requests.refused[reason], expected);
      }
      for (const reason of FAILURE_REASONS) {
        const expected = ends.filter((end) => end?.kind === 'failed' && end.reason === reason).length;
        assert.equal(requests.failed[reason], expected);
      }
    }),
    { seed: 60 },
  );
});

test('readings: what was decoded is written, deduplicated, refused, lost or in flight', () => {
  fc.assert(
    fc.property(
      count,
      count,
      fc.tuple(fc.constantFrom(...REFUSAL_REASONS), count),
      fc.tuple(fc.constantFrom(...LOSS_REASONS), count),
      count,
      (written, deduplicated, [refusal, refused], [loss, lost], left) => {
        const ledger = new Ledger();
        ledger.readingsDecoded(written + deduplicated + refused + lost + left);
        ledger.readingsWritten(written);
        ledger.readingsDeduplicated(deduplicated);
        ledger.readingsRefused(refusal, refused);
        ledger.readingsLost(loss, lost);
        const { readings } = ledger.snapshot();
        assert.equal(readings.difference, 0);
        assert.equal(readings.inFlight, left);
        assert.equal(ledger.readingsInFlight, left);
        assert.equal(readings.written, written);
        assert.equal(readings.deduplicated, deduplicated);
        assert.equal(readings.refused[refusal], refused);
        assert.equal(readings.lost[loss], lost);
      },
    ),
    { seed: 61 },
  );
});

test('a request answered twice shows as requests in flight below zero', () => {
  const ledger = new Ledger();
  ledger.requestReceived();
  ledger.requestOk();
  ledger.requestFailed('internal');
  const { requests } = ledger.snapshot();
  assert.equal(requests.inFlight, -1);
});

test('a forgotten request stays in flight', () => {
  const ledger = new Ledger();
  ledger.requestReceived();
  ledger.requestReceived();
  ledger.requestOk();
  assert.equal(ledger.snapshot().requests.inFlight, 1);
});

test('a snapshot does not change afterwards', () => {
  const ledger = new Ledger();
  ledger.requestReceived();
  ledger.readingsDecoded(5);
  const before = ledger.snapshot();
  const copy = structuredClone(before);
  ledger.requestRefused('queue_full');
  ledger.readingsLost('disk', 5);
  assert.deepEqual(before, copy);
});

test('the sum of several books is one book', () => {
  const [a, b] = [new Ledger(), new Ledger(new Float64Array(new SharedArrayBuffer(8 * LEDGER_CELLS)))];
  for (const ledger of [a, b]) {
    ledger.requestReceived();
    ledger.requestReceived();
    ledger.readingsDecoded(10);
    ledger.readingsWritten(4);
  }
  a.requestOk();
  b.requestRefused('rate_limited');
  b.readingsLost('disk', 1);
  const { requests, readings } = sumLedgers([a, b]);
  assert.deepEqual(
    [requests.received, requests.ok, requests.refused.rate_limited, requests.inFlight, requests.difference],
    [4, 1, 1, 2, 0],
  );
  assert.deepEqual(
    [readings.decoded, readings.written, readings.lost.disk, readings.inFlight, readings.difference],
    [20, 8, 1, 11, 0],
  );
});

test('the books of a dead thread: written is what the writer wrote, the rest is lost, in flight is nothing', () => {
  const cells = new Float64Array(LEDGER_CELLS);
  const ledger = new Ledger(cells);
  for (let i = 0; i < 5; i++) ledger.requestReceived();
  ledger.readingsDecoded(100);
  ledger.requestOk();
  ledger.readingsWritten(20);
  // The thread knew of 20; the writer has written 50 and failed 10, and 40 never reached it.
  const heir = new Ledger(cells);
  heir.closeAfterDeath({ written: 50, deduplicated: 0, refused: 0, failed: 10 });
  const { requests, readings } = heir.snapshot();
  assert.deepEqual(
    [requests.ok, requests.failed.thread_death, requests.inFlight, requests.difference],
    [1, 4, 0, 0],
  );
  assert.deepEqual(
    [
      readings.written,
      readings.lost.disk,
      readings.lost.thread_death,
      readings.inFlight,
      readings.difference,
    ],
    [50, 10, 40, 0, 0],
  );
});

test('an entry that was made twice shows in a dead thread as well', () => {
  const ledger = new Ledger();
  ledger.readingsDecoded(10);
  ledger.readingsWritten(10);
  ledger.readingsWritten(10);
  ledger.closeAfterDeath({ written: 10, deduplicated: 0, refused: 0, failed: 0 });
  assert.equal(ledger.snapshot().readings.written, 10);
  assert.equal(ledger.readingsInFlight, 0);
});

test('detached books leave the cells as they are', () => {
  const cells = new Float64Array(LEDGER_CELLS);
  const [ledger, reader] = [new Ledger(cells), new Ledger(cells)];
  ledger.requestReceived();
  ledger.detach();
  ledger.requestOk();
  assert.equal(reader.requestsInFlight, 1);
});
