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
  assert.deepEqual(result, { complete: true, tookMs: 300 });
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
    stoppedAt: { step: 'flush', reason: 'not done within DRAIN_TIMEOUT (500ms)' },
  });
  assert.equal(reachedLast, false);
});

test('a step that throws ends the drain with its reason', async () => {
  const result = await drain(
    [{ name: 'sync', run: () => Promise.reject(new Error('EIO: i/o error')) }],
    500,
    new ManualClock(),
  );
  assert.deepEqual(result.stoppedAt, { step: 'sync', reason: 'EIO: i/o error' });
  assert.equal(result.complete, false);
});
