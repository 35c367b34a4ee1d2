/** Would the simulation notice? Bugs put in on purpose, each of which it must find. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { DELIBERATE_BUGS } from './deliberate-bugs.ts';
import { SeedThreads, seedsFrom } from './run-seeds.ts';

const SEEDS_ENOUGH = 1000;

describe('deliberate bugs', { timeout: 600_000 }, () => {
  const threads = new SeedThreads(2);
  after(() => threads.close());
  for (const [bugIndex, bug] of DELIBERATE_BUGS.entries()) {
    const { name } = bug();
    test(`${name}: found`, async (t) => {
      const results = await threads.run(seedsFrom(1, SEEDS_ENOUGH), {
        bugIndex,
        stopAtViolation: true,
      });
      const found = results.find(({ violation }) => violation !== undefined);
      assert.ok(found !== undefined, `not found in ${SEEDS_ENOUGH} seeds`);
      t.diagnostic(`seed ${found.seed}: ${found.violation!.slice(0, 200)}`);
    });
  }
});
