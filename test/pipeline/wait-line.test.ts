import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Waiter, WaitLine } from '../../src/pipeline/wait-line.ts';
import { ManualClock } from '../support/manual-clock.ts';

function lineUnderTest(options: Partial<ConstructorParameters<typeof WaitLine>[0]> = {}) {
  const clock = new ManualClock();
  const line = new WaitLine({ whenFull: 'wait', waitMaxMs: 5000, capacityBytes: 1000, ...options }, clock);
  const log: string[] = [];
  const held = new Set<object>();
  let room = 0;
  const one = {};
  const waiter = (name: string, sizeBytes: number, deadlineMs?: number, client: object = one): Waiter => ({
    client,
    sizeBytes,
    deadlineMs,
    tryTake: () => {
      if (held.has(client)) return 'held';
      if (sizeBytes > room) return 'short';
      room -= sizeBytes;
      log.push(`${name} taken`);
      return 'taken';
    },
    onGiveUp: (waitedMs) => log.push(`${name} gave up after ${waitedMs}`),
  });
  return {
    clock,
    held,
    line,
    log,
    waiter,
    giveRoom(bytes: number) {
      room += bytes;
      line.admit();
    },
  };
}

test('first come, first served: a small one does not overtake a big one', () => {
  const { line, log, waiter, giveRoom } = lineUnderTest();
  line.enter(waiter('big', 100));
  line.enter(waiter('small', 1));
  giveRoom(50);
  assert.deepEqual(log, []);
  giveRoom(51);
  assert.deepEqual(log, ['big taken', 'small taken']);
  assert.equal(line.isEmpty, true);
  assert.equal(line.waitingBytes, 0);
});

test('gives up at the longest wait, or at the deadline of the call when that is sooner', () => {
  const { clock, line, log, waiter } = lineUnderTest();
  line.enter(waiter('patient', 10));
  line.enter(waiter('hurried', 10, clock.nowMs() + 700));
  clock.advance(700);
  assert.deepEqual(log, ['hurried gave up after 700']);
  clock.advance(4300);
  assert.deepEqual(log, ['hurried gave up after 700', 'patient gave up after 5000']);
  assert.equal(clock.armedTimers, 0);
});

test('a deadline already past, the refuse policy and a full line turn away at once', () => {
  const { clock, line, waiter } = lineUnderTest();
  assert.equal(line.enter(waiter('late', 10, clock.nowMs())), false);
  assert.equal(typeof line.enter(waiter('fits', 990)), 'function');
  assert.equal(line.enter(waiter('one too many', 11)), false);
  const strict = lineUnderTest({ whenFull: 'refuse' });
  assert.equal(strict.line.enter(strict.waiter('any', 1)), false);
});

test('a withdrawn waiter is neither taken nor given up, and those behind it move up', () => {
  const { clock, line, log, waiter, giveRoom } = lineUnderTest();
  const withdraw = line.enter(waiter('big', 100));
  line.enter(waiter('small', 5));
  giveRoom(10);
  assert.deepEqual(log, []);
  assert.ok(withdraw);
  withdraw();
  assert.deepEqual(log, ['small taken']);
  clock.advance(10_000);
  assert.deepEqual(log, ['small taken']);
});

test('giveUpAll empties the line', () => {
  const { line, log, waiter } = lineUnderTest();
  line.enter(waiter('a', 10));
  line.enter(waiter('b', 10));
  line.giveUpAll();
  assert.deepEqual(log, ['a gave up after 0', 'b gave up after 0']);
  assert.equal(line.isEmpty, true);
});

test('clients take turns: one with many requests waits for itself, not the others for it', () => {
  const { line, log, waiter, giveRoom } = lineUnderTest();
  const [many, few, other] = [{}, {}, {}];
  for (let i = 1; i <= 4; i++) line.enter(waiter(`many ${i}`, 10, undefined, many));
  line.enter(waiter('few 1', 10, undefined, few));
  line.enter(waiter('few 2', 10, undefined, few));
  line.enter(waiter('other 1', 10, undefined, other));
  // As room comes, a little at a time: turns go on where they stopped.
  for (let i = 0; i < 7; i++) giveRoom(10);
  assert.deepEqual(
    log.map((entry) => entry.replace(' taken', '')),
    ['many 1', 'few 1', 'other 1', 'many 2', 'few 2', 'many 3', 'many 4'],
  );
  assert.equal(line.isEmpty, true);
});

test('a client that has to leave room to others is passed over, and keeps its place', () => {
  const { line, log, waiter, giveRoom, held } = lineUnderTest();
  const [greedy, modest] = [{}, {}];
  held.add(greedy);
  line.enter(waiter('greedy', 10, undefined, greedy), 'held');
  // Nobody who could go waits, so a newcomer of another client overtakes nobody.
  assert.equal(line.mayPass(modest), true);
  assert.equal(line.mayPass(greedy), false);
  line.enter(waiter('modest', 10, undefined, modest));
  assert.equal(line.mayPass({}), false);
  giveRoom(10);
  assert.deepEqual(log, ['modest taken']);
  held.clear();
  giveRoom(10);
  assert.deepEqual(log, ['modest taken', 'greedy taken']);
});

test('a full line: the newest of who has most standing makes room, but never for one that would have more', () => {
  const { line, log, waiter } = lineUnderTest({ capacityBytes: 100 });
  const [many, few] = [{}, {}];
  for (let i = 1; i <= 10; i++) line.enter(waiter(`many ${i}`, 10, undefined, many));
  assert.equal(line.enter(waiter('many 11', 10, undefined, many)), false);
  assert.deepEqual(log, []);
  assert.ok(line.enter(waiter('few 1', 15, undefined, few)));
  assert.deepEqual(log, ['many 10 gave up after 0', 'many 9 gave up after 0']);
  assert.ok(line.enter(waiter('few 2', 30, undefined, few)));
  assert.equal(line.waitingBytes, 95);
  assert.equal(line.enter(waiter('few 3', 30, undefined, few)), false);
  assert.ok(line.waitingBytes <= 100);
});

test('turns are of bytes: large requests bring a client no more than small ones', () => {
  const { line, log, waiter, giveRoom } = lineUnderTest();
  const [large, small] = [{}, {}];
  for (let i = 1; i <= 3; i++) line.enter(waiter(`large ${i}`, 100, undefined, large));
  for (let i = 1; i <= 9; i++) line.enter(waiter(`small ${i}`, 40, undefined, small));
  const taken = (): string => log.splice(0).join().replaceAll(' taken', '');
  giveRoom(100);
  assert.equal(taken(), 'large 1');
  // What it could not use of its turn is there in its next.
  giveRoom(60);
  giveRoom(20);
  assert.equal(taken(), 'small 1,small 2');
  giveRoom(100);
  assert.equal(taken(), 'large 2');
  giveRoom(120);
  assert.equal(taken(), 'small 3,small 4,small 5');
  giveRoom(1000);
  assert.equal(taken(), 'large 3,small 6,small 7,small 8,small 9');
});

test('who fills the line by himself is known, whatever others have', () => {
  const { line, waiter, giveRoom } = lineUnderTest();
  const two = {};
  line.enter(waiter('a', 499, undefined, two));
  line.enter(waiter('b', 501));
  assert.equal(line.isFilledBy(two, 1), false, 'less than half is his');
  giveRoom(1000);
  line.enter(waiter('c', 500, undefined, two));
  line.enter(waiter('d', 400));
  assert.equal(line.isFilledBy(two, 100), false, 'there is a place');
  assert.equal(line.isFilledBy(two, 101), true);
  assert.equal(line.isFilledBy({}, 101), false);
});
