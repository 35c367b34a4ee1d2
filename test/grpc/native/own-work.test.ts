/** What a piece of work took, told by a clock whose CPU time moves in ticks as the kernel's does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnWork } from '../../../src/grpc/native/own-work.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const TICK_MS = 4;

/** While nobody takes the core the kernel brings CPU time up to date with its ticks only. */
class TickingClock extends ManualClock {
  override threadCpuMs(): number {
    return Math.floor(super.threadCpuMs() / TICK_MS) * TICK_MS;
  }
}

test('while nobody else has the core, what passes is what was worked, in however small pieces', () => {
  const clock = new TickingClock();
  const own = new OwnWork();
  for (let i = 0; i < 50; i++) {
    own.begin(clock.monotonicMs(), clock);
    clock.advance(0.375);
    own.end(clock.monotonicMs(), clock);
    assert.equal(own.surelyMs, 0.375);
    assert.equal(own.tookMs, 0.375);
  }
});

test('what others had of the core is not held against anybody, and what is within a tick is not known', () => {
  const clock = new TickingClock();
  const own = new OwnWork();
  let tookMs = 0;
  for (let i = 0; i < 500; i++) {
    own.begin(clock.monotonicMs(), clock);
    clock.othersCpuMs += 3;
    clock.advance(3.5);
    own.end(clock.monotonicMs(), clock);
    assert.equal(own.surelyMs, undefined);
    tookMs += own.tookMs;
  }
  assert.ok(
    Math.abs(tookMs - 500 * 0.5) < 70,
    `${tookMs} ms of 250: right on average, but for what the wall bounds`,
  );
});

test('of much work most is known, whoever had the core meanwhile', () => {
  const clock = new TickingClock();
  const own = new OwnWork();
  own.begin(clock.monotonicMs(), clock);
  clock.othersCpuMs += 10;
  clock.advance(40);
  own.end(clock.monotonicMs(), clock);
  assert.ok(own.surelyMs! <= 30 && own.surelyMs! >= 30 - 2 * TICK_MS, `${own.surelyMs}`);
});
