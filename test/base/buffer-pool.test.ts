/** Memory that is used again: never by two at once, never more kept than allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BufferPool, ROUNDING } from '../../src/base/buffer-pool.ts';

const KEPT_BYTES = 64 * 1024;

test('what is lent is as long as asked for, an eighth more at most lies behind it, and nobody else has it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 200_000 }), fc.boolean()), { maxLength: 60 }),
      (steps) => {
        const pool = new BufferPool(KEPT_BYTES);
        const lent: Buffer<ArrayBuffer>[] = [];
        for (const [bytes, givesBack] of steps) {
          const buffer = pool.take(bytes);
          assert.equal(buffer.length, bytes);
          assert.ok(buffer.buffer.byteLength <= bytes * (1 + ROUNDING));
          assert.ok(lent.every((other) => other.buffer !== buffer.buffer || bytes === 0));
          lent.push(buffer);
          if (givesBack) pool.give(lent.shift()!);
        }
      },
    ),
  );
});

test('memory comes back, of the same size', () => {
  const pool = new BufferPool(KEPT_BYTES);
  const first = pool.take(10_000);
  pool.give(first);
  assert.equal(pool.take(10_001).buffer, first.buffer);
  assert.notEqual(pool.take(10_000).buffer, first.buffer);
});

test('other sizes make room for what comes now, and what is too large is not kept', () => {
  const pool = new BufferPool(KEPT_BYTES);
  const old = [40_000, 20_000].map((bytes) => pool.take(bytes));
  for (const buffer of old) pool.give(buffer);
  const next = pool.take(50_000);
  const huge = pool.take(100_000);
  pool.give(next);
  pool.give(huge);
  assert.notEqual(pool.take(40_000).buffer, old[0]!.buffer);
  assert.equal(pool.take(50_000).buffer, next.buffer);
  assert.notEqual(pool.take(100_000).buffer, huge.buffer);
});
