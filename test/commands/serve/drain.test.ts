import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drain } from '../../../src/commands/serve/drain.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('runs the steps in order and tells each how long is left', async () => {
  const clock = new ManualClock();
  const log: string[] = [];
  const step = (name: string, takesMs: number) => ({
    name,
    run: async (leftMs: number) => {
      log.push(`${name} ${leftMs}`);
      clock.advance(takesMs);
    },
  });
  const result = await drain([step('calls', 100), step('flush', 200), step('sync', 0)], 1000, clock);
  assert.deepEqual(log, ['calls 1000', 'flush 900', 'sync 700']);
  assert.deepEqual(result, { complete: true, tookMs: 300, left: [] });
  assert.equal(clock.armedTimers, 0);
});

test('past the deadline it names the step that was not done and runs none after it', async () => {
  const clock = new ManualClock();
  let reachedLast = false;
  const result = drain(
    [
      { name: 'flush', run: () => new Promise(() => {}) },
      { name: 'sync', run: async () => void (reachedLast = true) },
    ],
    500,
    clock,
  );
  clock.advance(500);
  assert.deepEqual(await result, {
    complete: false,
    tookMs: 500,
    left: [{ step: 'flush', reason: 'not done within DRAIN_TIMEOUT (500ms)' }],
  });
  assert.equal(reachedLast, false);
});

test('a step that fails is named, and those after it are done all the same', async () => {
  let reachedLast = false;
  const result = await drain(
    [
      { name: 'sync', run: () => Promise.reject(new Error('EIO: i/o error')) },
      { name: 'record', run: async () => void (reachedLast = true) },
    ],
    500,
    new ManualClock(),
  );
  assert.deepEqual(result.left, [{ step: 'sync', reason: 'EIO: i/o error' }]);
  assert.equal(result.complete, false);
  assert.equal(reachedLast, true);
});

test('a step that waits for others leaves time for those after it', async () => {
  const told: number[] = [];
  const step = (waitsForOthers: boolean) => ({
    name: 'step',
    waitsForOthers,
    run: async (leftMs: number) => void told.push(leftMs),
  });
  await drain([step(true), step(false)], 30_000, new ManualClock());
  await drain([step(true), step(false)], 2000, new ManualClock());
  assert.deepEqual(told, [25_000, 30_000, 1000, 2000]);
});
