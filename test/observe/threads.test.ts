/** Event-loop delay as measured, and the watch over the threads that report it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { EventLoopMonitor, type EventLoopReport } from '../../src/observe/event-loop-delay.ts';
import { ThreadWatch } from '../../src/observe/thread-watch.ts';
import { ManualClock } from '../support/manual-clock.ts';

const report = (maxMs: number): EventLoopReport => ({ p50Ms: 0, p99Ms: 1, maxMs, utilization: 0.5 });

test('a block right on the edge of a window is reported, and later forgotten', async () => {
  const monitor = new EventLoopMonitor();
  const reports: EventLoopReport[] = [];
  const keepAlive = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => {
    monitor.start(
      systemClock,
      (one) => {
        reports.push(one);
        if (reports.length === 1) {
          const end = performance.now() + 150;
          while (performance.now() < end);
        }
        if (reports.length === 6) resolve();
      },
      100,
    );
  });
  monitor.stop();
  clearInterval(keepAlive);
  assert.ok(Math.max(reports[1]!.maxMs, reports[2]!.maxMs) >= 100, JSON.stringify(reports));
  assert.notEqual(reports[5]!.maxMs, Math.max(reports[1]!.maxMs, reports[2]!.maxMs));
  for (const { p50Ms, p99Ms, maxMs, utilization } of reports) {
    assert.ok(0 <= p50Ms && p50Ms <= p99Ms && p99Ms <= maxMs);
    assert.ok(0 <= utilization && utilization <= 1);
  }
});

test('the maximum shown covers a minute of windows', () => {
  const watch = new ThreadWatch(new ManualClock());
  watch.expect('main');
  watch.report('main', report(70));
  for (let window = 1; window < 12; window++) watch.report('main', report(3));
  assert.equal(watch.states()[0]?.eventLoop?.maxMs, 70);
  watch.report('main', report(3));
  assert.equal(watch.states()[0]?.eventLoop?.maxMs, 3);
});

test('a silent thread is named; one that never came up too; an ended one is not silent but ended', () => {
  const clock = new ManualClock();
  const watch = new ThreadWatch(clock);
  for (const name of ['main', 'writer', 'archiver']) watch.expect(name);
  clock.advance(20_000);
  watch.report('main', report(1));
  watch.ended('archiver');
  clock.advance(15_000);
  assert.deepEqual(watch.silent(30_000), ['writer']);
  const states = watch.states();
  assert.deepEqual(
    states.map(({ name, isAlive, silentMs }) => ({ name, isAlive, silentMs })),
    [
      { name: 'main', isAlive: true, silentMs: 15_000 },
      { name: 'writer', isAlive: true, silentMs: 35_000 },
      { name: 'archiver', isAlive: false, silentMs: 35_000 },
    ],
  );
  assert.equal(states[1]?.eventLoop, undefined);
});

test('a report of an unknown thread is ignored', () => {
  const watch = new ThreadWatch(new ManualClock());
  watch.report('stranger', report(1));
  watch.ended('stranger');
  assert.deepEqual(watch.states(), []);
});
