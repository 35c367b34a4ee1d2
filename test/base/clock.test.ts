/** What the daemon weighs its clients' work by has to be as fine as that work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';

test('CPU time moves with the work, and not with the ticks of a timer', () => {
  const steps: number[] = [];
  let lastMs = systemClock.threadCpuMs();
  for (let looks = 0; looks < 1e6 && steps.length < 200; looks++) {
    const nowMs = systemClock.threadCpuMs();
    if (nowMs !== lastMs) steps.push(nowMs - lastMs);
    lastMs = nowMs;
  }
  steps.sort((a, b) => a - b);
  assert.ok(steps[100]! < 0.5, `${steps[100]} ms at a time`);
});
