/** What makes a connection dear on a fast machine and on a slow one, told by work whose length the test sets. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { DearLimit } from '../../../src/grpc/native/dear-limit.ts';
import { DEAR_FACTOR, DEAR_LEAST_MS, DEAR_MOST_MS } from '../../../src/grpc/native/limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const READ_BYTES = 64 * 1024;
const REQUEST_BYTES = READ_BYTES / 16;

let clock: ManualClock;
let limit: DearLimit;
/** What ordinary requests of 64 KiB take of the thread, and what others take of its core meanwhile. */
let ordinaryMs: number;
let othersMs: number;
let measured: number;

beforeEach(() => {
  clock = new ManualClock();
  ordinaryMs = 0.5;
  othersMs = 0;
  measured = 0;
  limit = new DearLimit(clock, {
    requestBytes: REQUEST_BYTES,
    run: () => {
      measured++;
      clock.othersCpuMs += othersMs;
      clock.advance(ordinaryMs / 16 + othersMs);
    },
  });
});

/** Asked for so long that what was measured before is forgotten. */
function settle(): void {
  for (let i = 0; i < 10; i++) {
    clock.advance(100);
    limit.isBeyond(DEAR_LEAST_MS + 1, READ_BYTES);
  }
}

test('on a fast machine the limit is the least there is, and what is below it costs no measurement', () => {
  for (let i = 0; i < 100; i++) assert.equal(limit.isBeyond(DEAR_LEAST_MS, READ_BYTES), false);
  assert.equal(measured, 0);
  assert.equal(limit.isBeyond(DEAR_LEAST_MS + 0.1, READ_BYTES), true);
});

test('on a slow one it is so many times what ordinary requests take, and follows the machine', () => {
  ordinaryMs = 2;
  settle();
  assert.equal(limit.isBeyond(DEAR_FACTOR * 2 - 0.1, READ_BYTES), false);
  assert.equal(limit.isBeyond(DEAR_FACTOR * 2 + 0.1, READ_BYTES), true);
  // The same of a smaller read.
  assert.equal(limit.isBeyond((DEAR_FACTOR * 2 - 0.1) / 4, READ_BYTES / 4), false);
  assert.equal(limit.isBeyond((DEAR_FACTOR * 2 + 0.1) / 4, READ_BYTES / 4), true);
  ordinaryMs = 1;
  settle();
  assert.equal(limit.isBeyond(DEAR_FACTOR + 0.1, READ_BYTES), true);
});

test('however slow it is, there is a limit', () => {
  ordinaryMs = 1000;
  settle();
  assert.equal(limit.isBeyond(DEAR_MOST_MS, READ_BYTES), false);
  assert.equal(limit.isBeyond(DEAR_MOST_MS + 0.1, READ_BYTES), true);
});

test('one measurement that took long, as the first ones do, says little', () => {
  settle();
  ordinaryMs = 50;
  clock.advance(100);
  assert.equal(limit.isBeyond(DEAR_LEAST_MS + 0.1, READ_BYTES), true);
});

test('it is measured ten times a second at most, however often it is asked for', () => {
  for (let i = 0; i < 1000; i++) {
    limit.isBeyond(DEAR_LEAST_MS + 1, READ_BYTES);
    clock.advance(1);
  }
  // Three more at first, when nothing is known.
  assert.ok(measured <= 10 + 1 + 3, `${measured} times`);
});

test('what others had of the core meanwhile is no part of it', () => {
  ordinaryMs = 2;
  othersMs = 3;
  settle();
  assert.equal(limit.isBeyond(DEAR_FACTOR * 2 - 0.1, READ_BYTES), false);
  assert.equal(limit.isBeyond(DEAR_FACTOR * 2 + 0.1, READ_BYTES), true);
});

test('what it was long ago counts for nothing, and the first answer is a good one', () => {
  ordinaryMs = 2;
  settle();
  ordinaryMs = 1;
  clock.advance(5000);
  assert.equal(limit.isBeyond(DEAR_FACTOR + 0.1, READ_BYTES), true);
});

test('without a measure the machine is taken for a fast one', () => {
  const fast = new DearLimit(clock, undefined);
  assert.equal(fast.isBeyond(DEAR_LEAST_MS, READ_BYTES), false);
  assert.equal(fast.isBeyond(DEAR_LEAST_MS + 0.1, READ_BYTES), true);
});

test('work for less than no bytes, of which packed ones may be made, is beyond any limit', () => {
  assert.equal(limit.isBeyond(0.1, -1000), true);
});
