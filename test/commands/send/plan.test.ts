/** The plan, the fleet and the schedule: pure, so every property can be looked at directly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FleetSource, sensorName, simulatedValue } from '../../../src/commands/send/fleet.ts';
import { type FleetPlan, requestCount, requestShape, shareOf } from '../../../src/commands/send/plan.ts';
import { ClosedLoopSchedule, OpenLoopSchedule, SLOT_MS } from '../../../src/commands/send/schedule.ts';
import { decodeRequest } from './receiving-server.ts';

const PLAN: FleetPlan = {
  sensors: 3,
  sensorPrefix: 's-',
  readingsPerRequest: 4,
  totalReadings: 50,
  valueKind: 'int',
  labels: {},
  seed: 1,
  numbered: false,
  producerPrefix: '',
};

test('the requests of a plan hold each reading of each sensor once, and the exact total', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 2000 }),
      (sensors, readingsPerRequest, totalReadings) => {
        const plan = { ...PLAN, sensors, readingsPerRequest, totalReadings };
        const next = new Map<number, number>();
        let total = 0;
        for (let index = 0; index < requestCount(plan); index++) {
          const { sensor, first, count } = requestShape(plan, index);
          assert.ok(sensor < sensors && count >= 1 && count <= readingsPerRequest);
          assert.equal(first, next.get(sensor) ?? 1);
          next.set(sensor, first + count);
          total += count;
        }
        assert.equal(total, totalReadings);
      },
    ),
    { seed: 11 },
  );
});

test('threads share a plan without gap or overlap', () => {
  const schedule = new ClosedLoopSchedule(0);
  const seen: string[] = [];
  for (let thread = 0; thread < 3; thread++) {
    const source = new FleetSource(
      PLAN,
      schedule,
      Number.POSITIVE_INFINITY,
      thread,
      3,
      () => 1_795_168_800_123,
    );
    assert.equal(source.totalReadings, 50);
    while (source.ready) {
      for (const item of decodeRequest(source.take().body).items!) {
        const number = item.measurement.sensorValue?.value;
        seen.push(`${item.sensorName} ${number}`);
        assert.equal(item.measurement.createdAt?.nanos, 123_000_000 + Number(number));
      }
    }
    assert.ok(source.ended);
  }
  assert.equal(seen.length, 50);
  assert.equal(new Set(seen).size, 50);
  assert.deepEqual(
    [0, 1, 2].map((thread) => shareOf(10, thread, 3)),
    [4, 3, 3],
  );
});

test('the same seed gives the same readings, another seed others', () => {
  const plan = { ...PLAN, valueKind: 'double' as const };
  const read = (seed: number) => [1, 2, 3].map((number) => simulatedValue({ ...plan, seed }, 1, number));
  assert.deepEqual(read(1), read(1));
  assert.notDeepEqual(read(1), read(2));
  const kinds = [4, 5, 6, 7].map((number) => simulatedValue({ ...PLAN, valueKind: 'mixed' }, 0, number).kind);
  assert.deepEqual(kinds, ['int', 'double', 'bool', 'string']);
  assert.equal(sensorName(PLAN, 0), 's-00001');
  assert.equal(sensorName({ ...PLAN, sensors: 1_000_000 }, 999_999), 's-1000000');
});

test('numbered requests carry producer and first number', () => {
  const plan = { ...PLAN, numbered: true };
  const source = new FleetSource(plan, new ClosedLoopSchedule(0), Number.POSITIVE_INFINITY, 0, 1, () => 0);
  for (let index = 0; index < 3; index++) source.take();
  const { producerId, firstSequence } = decodeRequest(source.take().body);
  assert.deepEqual({ producerId, firstSequence }, { producerId: 's-00001', firstSequence: '5' });
});

test('an open-loop schedule keeps its rate, in slots, for any index', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 100_000, noNaN: true }),
      fc.integer({ min: 0, max: 10_000_000 }),
      (rate, index) => {
        const schedule = new OpenLoopSchedule(1000, rate);
        const evenlyMs = 1000 + (index * 1000) / rate;
        const intendedMs = schedule.intendedMs(index);
        assert.ok(Math.abs(evenlyMs - intendedMs) <= SLOT_MS * (1 + 1e-6), `${evenlyMs} ${intendedMs}`);
        assert.ok(schedule.intendedMs(index + 1) >= intendedMs);
      },
    ),
    { seed: 13 },
  );
  const schedule = new OpenLoopSchedule(0, 1000);
  assert.equal(schedule.requestsWithin(1000), 1000);
  assert.equal(new OpenLoopSchedule(0, 10).requestsWithin(1000), 10);
  assert.deepEqual(
    [0, 4, 5, 9, 10].map((index) => schedule.intendedMs(index)),
    [0, 0, 5, 5, 10],
  );
});
