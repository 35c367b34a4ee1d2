/** A budget shared by threads: never overdrawn, nothing lost, whoever races. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { ByteAllowance, SharedBudget } from '../../src/base/shared-budget.ts';

const SEED = { seed: 20261121 };
const cells = (count: number) => new Int32Array(new SharedArrayBuffer(4 * count));

test('what is taken by all sharers stays within the limit, and comes back', () => {
  const shared = cells(2);
  const [a, b] = [new SharedBudget(10, shared, 0), new SharedBudget(10, shared, 1)];
  assert.equal(a.take(6), true);
  assert.equal(b.take(5), false);
  assert.equal(b.take(4), true);
  assert.deepEqual([a.taken, a.free], [10, 0]);
  assert.equal(a.take(1), false);
  b.give(4);
  assert.equal(a.take(4), true);
});

test('what a dead sharer had is free again when its cell is cleared', () => {
  const shared = cells(2);
  assert.equal(new SharedBudget(10, shared, 0).take(10), true);
  const survivor = new SharedBudget(10, shared, 1);
  assert.equal(survivor.take(1), false);
  Atomics.store(shared, 0, 0);
  assert.equal(survivor.take(10), true);
});

test('threads that race for the last of it: never more than the limit is out', {
  timeout: 30_000,
}, async () => {
  const shared = cells(4);
  // Cell 0: what stands now; cell 1: the most that ever stood; cell 2: takings that stood.
  const seen = cells(3);
  const url = new URL('../../src/base/shared-budget.ts', import.meta.url).href;
  const source = `
    import { workerData } from 'node:worker_threads';
    import { SharedBudget } from ${JSON.stringify(url)};
    const { shared, seen, own } = workerData;
    const budget = new SharedBudget(7, shared, own);
    for (let i = 0; i < 20_000; i++) {
      const amount = 1 + (i + own) % 4;
      if (!budget.take(amount)) continue;
      const out = Atomics.add(seen, 0, amount) + amount;
      for (let most = Atomics.load(seen, 1); out > most; most = Atomics.load(seen, 1)) {
        Atomics.compareExchange(seen, 1, most, out);
      }
      Atomics.add(seen, 2, 1);
      Atomics.sub(seen, 0, amount);
      budget.give(amount);
    }`;
  const workers = [0, 1, 2, 3].map(
    (own) =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
        workerData: { shared, seen, own },
      }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.ok(seen[1]! <= 7, `${seen[1]} of 7`);
  assert.ok(seen[2]! > 0);
  assert.deepEqual([...shared], [0, 0, 0, 0]);
});

test('an only sharer has it all from the start, and touches nothing', () => {
  const alone = new ByteAllowance(100);
  assert.deepEqual([alone.grantedBytes, alone.freeBytes, alone.holdsAll], [100, 0, true]);
  assert.equal(alone.ensure(100), true);
  assert.equal(alone.ensure(101), false);
  assert.equal(alone.grow(), false);
  alone.trim(0);
  assert.equal(alone.grantedBytes, 100);
});

test('allowances: grants stay within the limit, cover what is asked for, and leave little idle', () => {
  const step = fc.record({
    sharer: fc.nat(2),
    action: fc.constantFrom('ensure', 'grow', 'trim', 'release'),
    bytes: fc.nat(5000),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(1000, 100_000, 3 * 2 ** 30),
      fc.array(step, { maxLength: 200 }),
      (limitBytes, steps) => {
        const shared = cells(3);
        const sharers = [0, 1, 2].map((own) => new ByteAllowance(limitBytes, shared, own));
        const used = [0, 0, 0];
        for (const { sharer, action, bytes } of steps) {
          const allowance = sharers[sharer]!;
          if (action === 'ensure' && allowance.ensure(used[sharer]! + bytes)) used[sharer]! += bytes;
          if (action === 'grow') {
            const before = allowance.grantedBytes;
            const free = allowance.freeBytes;
            assert.equal(allowance.grow(), free > 0);
            assert.equal(allowance.grantedBytes > before, free > 0);
          }
          if (action === 'trim' || action === 'release') {
            used[sharer] = Math.max(0, used[sharer]! - bytes);
            if (action === 'trim') allowance.trim(used[sharer]!);
            else allowance.release(used[sharer]!);
          }
          const granted = sharers.map(({ grantedBytes }) => grantedBytes);
          for (const [i, bytesUsed] of used.entries()) assert.ok(bytesUsed <= granted[i]!);
          assert.ok(granted.reduce((sum, each) => sum + each, 0) <= limitBytes);
        }
        for (const sharer of sharers) sharer.release(0);
        assert.deepEqual([...shared], [0, 0, 0]);
        for (const [i, sharer] of sharers.entries()) {
          assert.equal(sharer.ensure(1), true, `sharer ${i}`);
          sharer.trim(1);
        }
        const idle = sharers.reduce((sum, { grantedBytes }) => sum + grantedBytes, 0);
        assert.ok(idle <= Math.max(9, limitBytes / 8), `${idle} of ${limitBytes} idle`);
      },
    ),
    SEED,
  );
});
