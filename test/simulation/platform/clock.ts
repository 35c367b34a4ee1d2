/** In place of src/base/clock.ts: the time of the run. */
import type { Clock } from '../../../src/base/clock.ts';
import { START_MS } from '../disk.ts';
import { world } from '../world.ts';

/** A timer comes late by up to this much, as on a machine with other things to do. */
const LATE_MS = 0.5;

/** Now and then work takes its time, as who asks before and behind it sees; else it would take none in a run. */
const SLOW_WORK_PROBABILITY = 1 / 32;
const SLOW_WORK_MS = 5;

function monotonicMs(): number {
  const { scheduler } = world();
  const { random } = scheduler;
  if (random.next() < SLOW_WORK_PROBABILITY) scheduler.nowMs += random.next() * SLOW_WORK_MS;
  return scheduler.nowMs;
}

export const systemClock: Clock = {
  nowMs: () => Math.floor(START_MS + world().scheduler.nowMs + world().wallMs),
  monotonicMs,
  threadCpuMs: () => world().scheduler.nowMs,
  setTimer: (delayMs, onFire) => {
    const { scheduler } = world();
    return scheduler.afterMine(Math.max(0, delayMs) + scheduler.random.next() * LATE_MS, 'timer', onFire);
  },
};
