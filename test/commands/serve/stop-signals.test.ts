import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { onStopSignals } from '../../../src/commands/serve/stop-signals.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function signalsUnderTest() {
  const emitter = new EventEmitter();
  const clock = new ManualClock();
  const log: string[] = [];
  const signals = onStopSignals(emitter as unknown as NodeJS.Process, clock, {
    onFirst: (signal) => log.push(`first ${signal}`),
    onSecond: (signal) => log.push(`second ${signal}`),
  });
  return { emitter, clock, log, signals };
}

test('the first signal drains, a second one counts from a second later', () => {
  const { emitter, clock, log } = signalsUnderTest();
  emitter.emit('SIGINT', 'SIGINT');
  emitter.emit('SIGINT', 'SIGINT');
  clock.advance(999);
  emitter.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual(log, ['first SIGINT']);
  clock.advance(1);
  emitter.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual(log, ['first SIGINT', 'second SIGTERM']);
});

test('release goes back to the default handling', () => {
  const { emitter, signals } = signalsUnderTest();
  signals.release();
  assert.equal(emitter.listenerCount('SIGTERM') + emitter.listenerCount('SIGINT'), 0);
});
