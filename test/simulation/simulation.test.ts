/** Seeded runs of the whole data plane; npm run test:sim runs many more of them. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { coverageOf } from './coverage.ts';
import { REGRESSION_SEEDS } from './regression-seeds.ts';
import { SeedThreads, seedsFrom } from './run-seeds.ts';

const SEEDS = Number(process.env.SEEDS ?? 200);
const HINT = 'replay it with SEED=<seed> npm run test:sim';

describe('simulation', { timeout: 600_000 }, () => {
  const threads = new SeedThreads(2);
  after(() => threads.close());

  test(`${SEEDS} seeds: what was acknowledged is there, and the books agree`, async () => {
    const results = await threads.run(seedsFrom(1, SEEDS));
    assert.equal(results.length, SEEDS);
    for (const { seed, violation } of results) assert.equal(violation, undefined, `seed ${seed}; ${HINT}`);
    const coverage = coverageOf(results);
    for (const [name, count] of Object.entries(coverage)) {
      // A counter at zero is a part of the world that no seed reaches.
      if (SEEDS >= 200)
        assert.ok(count > 0 || name === 'disk.directWrites', `${name}: never in ${SEEDS} seeds`);
    }
  });

  test('seeds that found something once find nothing', async () => {
    const found = new Map(REGRESSION_SEEDS);
    const results = await threads.run([...found.keys()]);
    for (const { seed, violation } of results)
      assert.equal(violation, undefined, `${seed}: ${found.get(seed)}`);
  });

  test('a seed is a run: the same trace each time, in any thread, after any other seed', async () => {
    const seeds = seedsFrom(1, 24);
    const once = await threads.run(seeds, { threads: 1 });
    const again = await threads.run(seeds.toReversed());
    assert.deepEqual(
      again.map(({ seed, traceHash, counts }) => ({ seed, traceHash, counts })),
      once.map(({ seed, traceHash, counts }) => ({ seed, traceHash, counts })),
    );
    assert.equal(new Set(once.map(({ traceHash }) => traceHash)).size, seeds.length);
  });
});
