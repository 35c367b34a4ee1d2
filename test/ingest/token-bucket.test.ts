/** The token bucket against its invariants, over generated schedules of takers and pauses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from '../../src/ingest/token-bucket.ts';
import { ManualClock } from '../support/manual-clock.ts';

const SEED = { seed: 20261120, numRuns: 500 };
const rate = fc.oneof(fc.integer({ min: 1, max: 1e9 }), fc.double({ min: 0.5, max: 1e6, noNaN: true }));

test('starts full, refuses with the time that the refill takes, and admits then', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1000, 500, clock);
  assert.equal(bucket.take(400), 0);
  assert.equal(bucket.take(200), 100);
  clock.advance(99);
  assert.equal(bucket.take(200), 1);
  clock.advance(1);
  assert.equal(bucket.take(200), 0);
  assert.equal(bucket.take(1), 1);
});

test('a refusal takes nothing', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1000, 500, clock);
  for (let i = 0; i < 10; i++) bucket.take(501);
  bucket.take(450);
  for (let i = 0; i < 10; i++) assert.equal(bucket.take(60), 10);
  assert.equal(bucket.take(50), 0);
});

test('more than the burst never passes, however long one waits', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1000, 500, clock);
  clock.advance(1e9);
  assert.equal(bucket.take(501), Number.POSITIVE_INFINITY);
  assert.equal(bucket.take(500), 0);
});

test('a jump of the wall clock changes nothing', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1000, 500, clock);
  bucket.take(500);
  clock.jumpWall(1e9);
  assert.equal(bucket.take(100), 100);
});

test('who waits as told is admitted', () => {
  fc.assert(
    fc.property(
      rate,
      fc.integer({ min: 1, max: 1e7 }),
      fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1e4, noNaN: true })),
        {
          maxLength: 50,
        },
      ),
      (ratePerSecond, burst, steps) => {
        const clock = new ManualClock();
        const bucket = new TokenBucket(ratePerSecond, burst, clock);
        for (const [share, pauseMs] of steps) {
          const amount = Math.floor(share * burst);
          const waitMs = bucket.take(amount);
          assert.ok(Number.isInteger(waitMs) && waitMs >= 0);
          if (waitMs > 0) {
            clock.advance(waitMs);
            assert.equal(bucket.take(amount), 0);
          }
          clock.advance(pauseMs);
        }
      },
    ),
    SEED,
  );
});

test('never more than burst + rate x time, and close to it for a greedy taker', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1000, max: 1e6 }),
      fc.integer({ min: 100, max: 1e5 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 20 })), {
        minLength: 20,
        maxLength: 200,
      }),
      (ratePerSecond, burst, steps) => {
        const clock = new ManualClock();
        const bucket = new TokenBucket(ratePerSecond, burst, clock);
        let taken = 0;
        let shortestRefusal = 0;
        for (const [amount, pauseMs] of steps) {
          // Greedy: takes until refused.
          let waitMs = bucket.take(amount);
          for (; waitMs === 0; waitMs = bucket.take(amount)) taken += amount;
          shortestRefusal = waitMs;
          const allowed = burst + (ratePerSecond * clock.monotonicMs()) / 1000;
          assert.ok(taken <= allowed + 1e-3, `${taken} of ${allowed}`);
          clock.advance(pauseMs);
        }
        assert.ok(shortestRefusal > 0);
      },
    ),
    SEED,
  );
});
