/** The run itself with a clock that the test moves and a daemon made of callbacks: timing without time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { seededRandom } from '../../../src/base/random.ts';
import { FleetSource } from '../../../src/commands/send/fleet.ts';
import { LoadRun, type LoadRunOptions } from '../../../src/commands/send/load-run.ts';
import type { FleetPlan } from '../../../src/commands/send/plan.ts';
import { ClosedLoopSchedule, OpenLoopSchedule } from '../../../src/commands/send/schedule.ts';
import { ManualClock } from './manual-clock.ts';

const OPTIONS: LoadRunOptions = {
  isOpenLoop: true,
  exactlyOnce: false,
  concurrency: 2,
  timeoutMs: 1000,
  retries: Number.POSITIVE_INFINITY,
  silenceMs: 5000,
  endMs: undefined,
};

const PLAN: FleetPlan = {
  sensors: 1,
  sensorPrefix: 's-',
  readingsPerRequest: 10,
  totalReadings: 40,
  valueKind: 'int',
  labels: {},
  seed: 1,
  numbered: false,
  producerPrefix: '',
};

type Done = (error: ServiceError | null) => void;

function failed(code: number, details: string, trailers: Record<string, string> = {}): ServiceError {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
  return Object.assign(new Error(details), { code, details, metadata });
}

/** A run whose calls stand open until the test answers them. */
function openRun(options: Partial<LoadRunOptions> = {}) {
  const clock = new ManualClock();
  const calls: Done[] = [];
  let onCall: (() => void) | undefined;
  const isOpenLoop = options.isOpenLoop ?? true;
  const schedule = isOpenLoop ? new OpenLoopSchedule(0, 100) : new ClosedLoopSchedule(0);
  const run = new LoadRun(
    { ...OPTIONS, ...options },
    {
      pool: {
        call: (_body, _deadlineMs, done) => {
          calls.push(done);
          onCall?.();
        },
      },
      source: new FleetSource(PLAN, schedule, Number.POSITIVE_INFINITY, 0, 1, () => clock.nowMs()),
      clock,
      random: seededRandom(1),
      log: undefined,
    },
  );
  const finished = run.run();
  /** Resolves once that many calls have been made in all; bottleneck starts its jobs in its own time. */
  const called = (count: number): Promise<void> =>
    new Promise((resolve) => {
      onCall = () => calls.length >= count && resolve();
      onCall();
    });
  return { run, clock, calls, finished, called };
}

test('latency counts from the intended start, also for requests that found no room', async () => {
  const { run, clock, calls, finished, called } = openRun();
  // 100 requests/s: meant to start at 0, 10, 20 and 30 ms. Two places, and a daemon that stalls for 1s.
  await called(1);
  clock.advance(1000);
  await called(2);
  assert.equal(run.counters.inFlight, 2);
  calls[0]!(null);
  calls[1]!(null);
  await called(4);
  clock.advance(100);
  calls[2]!(null);
  calls[3]!(null);
  await finished;
  // 1000 - 0, 1000 - 10, 1100 - 20 and 1100 - 30: the stall is in all of them, not in two.
  const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) <= 1, `${actual}`);
  near(run.latency.percentileMs(0.1), 990);
  near(run.latency.percentileMs(50), 1000);
  near(run.latency.percentileMs(75), 1070);
  near(run.latency.percentileMs(100), 1080);
  near(run.attemptLatency.percentileMs(50), 100);
  near(run.counters.maxBehindMs, 990);
  assert.equal(run.counters.readingsAcknowledged, 40);
});

test('a refused request waits as long as it was told, holds its place, and is delivered', async () => {
  const { run, clock, calls, finished } = openRun({ isOpenLoop: false });
  assert.equal(calls.length, 2);
  calls[0]!(failed(status.RESOURCE_EXHAUSTED, 'rate', { 'grpc-retry-pushback-ms': '500' }));
  assert.equal(run.counters.waiting, 1);
  assert.equal(calls.length, 2, 'the waiting request keeps its place');
  clock.advance(499);
  assert.equal(calls.length, 2);
  clock.advance(101);
  assert.equal(calls.length, 3);
  for (let next = 1; next < calls.length; next++) calls[next]!(null);
  await finished;
  assert.equal(run.counters.readingsAcknowledged, 40);
  assert.equal(run.counters.retries, 1);
  assert.equal(run.counters.possibleDuplicateReadings, 0);
});

test('a retry after an unclear failure counts as possible duplicate, once per request', async () => {
  const { run, clock, calls, finished } = openRun({ isOpenLoop: false, concurrency: 1 });
  for (let attempt = 0; attempt < 3; attempt++) {
    calls[attempt]!(failed(status.UNAVAILABLE, 'Connection dropped'));
    clock.advance(1000);
  }
  for (let next = 3; next < calls.length; next++) calls[next]!(null);
  await finished;
  assert.equal(run.counters.retries, 3);
  assert.equal(run.counters.possibleDuplicateRequests, 1);
  assert.equal(run.counters.possibleDuplicateReadings, 10);
  assert.deepEqual(run.counters.statuses, { UNAVAILABLE: 3 });
});

test('what the daemon will never take is rejected and the rest goes on', async () => {
  const { run, calls, finished } = openRun({ isOpenLoop: false });
  calls[0]!(failed(status.INVALID_ARGUMENT, 'items[0].sensor_name is empty'));
  for (let next = 1; next < calls.length; next++) calls[next]!(null);
  await finished;
  assert.equal(run.counters.readingsRejected, 10);
  assert.equal(run.counters.readingsAcknowledged, 30);
});

test('retries are used up', async () => {
  const { run, clock, calls, finished } = openRun({ isOpenLoop: false, concurrency: 1, retries: 2 });
  for (let attempt = 0; attempt < 3; attempt++) {
    calls[attempt]!(failed(status.RESOURCE_EXHAUSTED, 'rate'));
    clock.advance(3000);
  }
  for (let next = 3; next < calls.length; next++) calls[next]!(null);
  await finished;
  assert.equal(run.counters.readingsUndelivered, 10);
  assert.equal(run.counters.readingsUncertain, 0);
  assert.equal(run.counters.readingsAcknowledged, 30);
});

test('a target that stays silent ends the run; what was underway is uncertain', async () => {
  const { run, clock, calls, finished } = openRun({ isOpenLoop: false, concurrency: 1 });
  for (let attempt = 0; run.endedEarly === undefined; attempt++) {
    calls[attempt]!(failed(status.UNAVAILABLE, 'Connection dropped'));
    clock.advance(3000);
  }
  await finished;
  assert.match(run.endedEarly ?? '', /no answer for/);
  assert.equal(run.counters.readingsUndelivered, 10);
  assert.equal(run.counters.readingsUncertain, 10);
  assert.equal(run.counters.requestsTaken, 1);
});

test('stop gives up what waits, lets end what is on the wire', async () => {
  const { run, calls, finished } = openRun({ isOpenLoop: false });
  calls[0]!(failed(status.UNAVAILABLE, 'full', { 'grpc-retry-pushback-ms': '60000' }));
  run.stop('interrupted');
  assert.equal(run.counters.readingsUndelivered, 10);
  assert.equal(run.counters.inFlight, 1);
  calls[1]!(null);
  await finished;
  assert.equal(run.counters.readingsAcknowledged, 10);
  assert.equal(calls.length, 2);
});

test('time ends a closed loop', async () => {
  const { run, clock, calls, finished } = openRun({ isOpenLoop: false, endMs: 1000 });
  clock.advance(1000);
  calls[0]!(null);
  calls[1]!(null);
  await finished;
  assert.equal(run.counters.requestsTaken, 2);
});
