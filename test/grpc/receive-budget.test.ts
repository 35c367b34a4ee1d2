/** The receive budget: never overdrawn, all of it comes back, and who holds little finds room beside who holds much. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Holder } from '../../src/base/client.ts';
import { ByteAllowance } from '../../src/base/shared-budget.ts';
import { AddressBudget, ReceiveBudget } from '../../src/grpc/receive-budget.ts';

const SEED = { seed: 20261122 };
const holder = (): Holder => ({ heldBytes: 0 });
const fill = (take: () => boolean): number => {
  let taken = 0;
  while (take()) taken++;
  return taken;
};

test('who is alone has two thirds, the next two thirds of what is left; who comes after them finds room', () => {
  const budget = new ReceiveBudget(2700);
  const [first, second, third] = [holder(), holder(), holder()];
  assert.equal(
    fill(() => budget.take(1, first)),
    1800,
  );
  assert.equal(
    fill(() => budget.take(1, second)),
    600,
  );
  assert.equal(budget.take(200, third), true);
  // What one gives back is there for the others.
  budget.give(1800, first);
  assert.equal(
    fill(() => budget.take(1, third)),
    1200,
  );
});

test('a refusal takes nothing, and leaves nothing drawn that others could use', () => {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  const [here, there] = [0, 1].map((own) => new ReceiveBudget(3200, new ByteAllowance(3200, cells, own)));
  const greedy = holder();
  assert.equal(here!.take(3200, greedy), false);
  assert.deepEqual([here!.usedBytes, greedy.heldBytes, ...cells], [0, 0, 0, 0]);
  assert.equal(there!.take(2000, holder()), true);
});

test('in several threads: one that is spread over all of them leaves a part, whose size is known', () => {
  const limitBytes = 3_200_000;
  const threads = 4;
  const cells = new Int32Array(new SharedArrayBuffer(4 * threads));
  const budgets = Array.from(
    { length: threads },
    (_, own) => new ReceiveBudget(limitBytes, new ByteAllowance(limitBytes, cells, own)),
  );
  const spread = budgets.map(holder);
  for (let isTaken = true; isTaken; ) {
    isTaken = false;
    budgets.forEach((budget, i) => {
      if (budget.take(1000, spread[i]!)) isTaken = true;
    });
  }
  const heldBytes = spread.reduce((sum, { heldBytes: held }) => sum + held, 0);
  // A ninth; and what threads have drawn ahead, an eighth at most, others cannot count on.
  assert.ok(heldBytes <= (limitBytes * 8) / 9, `${heldBytes}`);
  assert.ok(heldBytes >= (limitBytes * 6) / 9, `${heldBytes}`);
  for (const budget of budgets) assert.equal(budget.take(20_000, holder()), true);
});

test('whatever is taken and given: within the limit, each within its bound when it took, and all comes back', () => {
  const limitBytes = 10_000;
  const step = fc.record({ who: fc.nat(4), bytes: fc.integer({ min: 1, max: 3000 }), gives: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = new ReceiveBudget(limitBytes);
      const holders = Array.from({ length: 5 }, holder);
      const taken: number[][] = holders.map(() => []);
      for (const { who, bytes, gives } of steps) {
        const of = holders[who]!;
        const before = [budget.usedBytes, of.heldBytes];
        if (gives) {
          const last = taken[who]!.pop();
          if (last !== undefined) budget.give(last, of);
        } else if (budget.take(bytes, of)) {
          taken[who]!.push(bytes);
          assert.ok(of.heldBytes <= 2 * (limitBytes - budget.usedBytes));
        } else {
          assert.deepEqual([budget.usedBytes, of.heldBytes], before);
          assert.ok(before[1]! + bytes > 2 * (limitBytes - before[0]! - bytes));
        }
        const sums = taken.map((sizes) => sizes.reduce((sum, size) => sum + size, 0));
        assert.deepEqual(
          holders.map(({ heldBytes }) => heldBytes),
          sums,
        );
        assert.equal(
          budget.usedBytes,
          sums.reduce((sum, size) => sum + size, 0),
        );
      }
    }),
    SEED,
  );
});

test('what is given back twice is a broken invariant, and so is what another holds', () => {
  const budget = new ReceiveBudget(1000);
  const [one, other] = [holder(), holder()];
  assert.ok(budget.take(100, one));
  assert.ok(budget.take(100, other));
  assert.throws(() => budget.give(150, one), /given back more than was taken/);
});

test('addresses are held apart, and forgotten when they hold nothing', () => {
  const budget = new ReceiveBudget(2700);
  const addresses = new AddressBudget(budget);
  const first = fill(() => addresses.take(1, 'a'));
  assert.equal(first, 1800);
  assert.equal(addresses.take(100, 'b'), true);
  assert.equal(addresses.take(3000, 'c'), false);
  assert.equal(addresses.addresses, 2);
  addresses.give(1800, 'a');
  addresses.give(100, 'b');
  addresses.give(0, 'c');
  assert.equal(addresses.addresses, 0);
  assert.throws(() => addresses.give(1, 'c'), /does not hold/);
  assert.equal(budget.usedBytes, 0);
  assert.equal(
    fill(() => addresses.take(1, 'c')),
    1800,
  );
});
