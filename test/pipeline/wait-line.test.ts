import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Waiter, WaitLine } from '../../src/pipeline/wait-line.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** As it is, and before it tries to take the room something else happens. */
function after(act: () => void, waiter: Waiter): Waiter {
  return {
    ...waiter,
    tryTake() {
      act();
      return waiter.tryTake();
    },
  };
}

function lineUnderTest(options: Partial<ConstructorParameters<typeof WaitLine>[0]> = {}) {
  const clock = new ManualClock();
  const line = new WaitLine({ whenFull: 'wait', waitMaxMs: 5000, capacityBytes: 1000, ...options }, clock);
  const log: string[] = [];
  const held = new Set<object>();
  let room = 0;
  let takeMs = 0;
  const one = {};
  const waiter = (name: string, sizeBytes: number, deadlineMs?: number, client: object = one): Waiter => ({
    client,
    sizeBytes,
    deadlineMs,
    tryTake: () => {
      if (held.has(client)) return 'held';
      if (sizeBytes > room) return 'short';
      room -= sizeBytes;
      clock.standStill(takeMs);
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
    /** To let one in takes so long. */
    slow(ms: number) {
      takeMs = ms;
    },
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

test('many find room together: some are let in, then the event loop has its turn, and nobody is forgotten', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [many, few] = [{}, {}];
  for (let i = 1; i <= 7; i++) line.enter(waiter(`many ${i}`, 10, undefined, many));
  for (let i = 1; i <= 2; i++) line.enter(waiter(`few ${i}`, 10, undefined, few));
  const taken = (): string => log.splice(0).join().replaceAll(' taken', '');
  slow(0.7);
  giveRoom(500);
  assert.equal(taken(), 'many 1,few 1,many 2');
  // More room at the same time does not make the turn longer.
  giveRoom(500);
  assert.equal(taken(), '');
  assert.equal(line.mayPass(few), false);
  assert.equal(line.mayPass({}), true, 'there is room, and he would overtake nobody of his own');
  await nextTurn();
  assert.equal(taken(), 'few 2,many 3,many 4');
  await nextTurn();
  assert.equal(taken(), 'many 5,many 6,many 7');
  assert.equal(line.isEmpty, true);
});

test('one small turn after the other of a client whose neighbour is large ends in the middle, and goes on there', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [large, small] = [{}, {}];
  for (let i = 1; i <= 4; i++) line.enter(waiter(`small ${i}`, 10, undefined, small));
  line.enter(waiter('large', 40, undefined, large));
  slow(1);
  giveRoom(80);
  assert.deepEqual(log, ['small 1 taken', 'small 2 taken']);
  await nextTurn();
  assert.deepEqual(log.slice(2), ['small 3 taken', 'small 4 taken']);
  await nextTurn();
  assert.deepEqual(log.slice(4), ['large taken']);
});

test('who is turned away while a part of the line is still to be let in is not let in after all', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  for (let i = 1; i <= 3; i++) line.enter(waiter(`${i}`, 10));
  slow(2);
  giveRoom(100);
  line.giveUpAll();
  await nextTurn();
  assert.deepEqual(log, ['1 taken', '2 gave up after 2', '3 gave up after 2']);
  // And it goes on with whoever comes later.
  line.enter(waiter('4', 10));
  giveRoom(0);
  assert.equal(log.at(-1), '4 taken');
});

test('while some are still to be let in, who comes sends as many bytes of his own in before him', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [mine, theirs] = [{}, {}];
  for (let i = 1; i <= 4; i++) line.enter(waiter(`mine ${i}`, 20, undefined, mine));
  for (let i = 1; i <= 2; i++) line.enter(waiter(`theirs ${i}`, 20, undefined, theirs));
  const taken = (): string => log.splice(0).join().replaceAll(' taken', '');
  line.letInFor(mine, 20);
  assert.equal(taken(), '', 'there is no room');
  slow(2);
  giveRoom(1000);
  assert.equal(taken(), 'mine 1');
  // Small ones do not send in large ones, each on its own.
  line.letInFor(mine, 10);
  assert.equal(taken(), '');
  line.letInFor(mine, 10);
  assert.equal(taken(), 'mine 2');
  line.letInFor({}, 1000);
  assert.equal(taken(), '', 'whose is nobody here');
  slow(1);
  line.letInFor(mine, 50);
  assert.equal(taken(), 'mine 3,mine 4');
  assert.equal(line.mayPass(mine), true, 'nobody of his stands before him');
  await nextTurn();
  assert.equal(taken(), 'theirs 1,theirs 2');
  assert.equal(line.isEmpty, true);
});

test('whoever came before his turn has had it', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const clients = { eager: {}, calm: {}, late: {} };
  for (const [name, client] of Object.entries(clients)) {
    for (let i = 1; i <= 4; i++) line.enter(waiter(`${name} ${i}`, 10, undefined, client));
  }
  const taken = (): string => log.splice(0).join().replaceAll(' taken', '');
  slow(1);
  giveRoom(120);
  assert.equal(taken(), 'eager 1,calm 1');
  line.letInFor(clients.late, 10);
  line.letInFor(clients.eager, 20);
  assert.equal(taken(), 'late 1,eager 2,eager 3');
  for (let i = 0; i < 4; i++) await nextTurn();
  assert.equal(taken(), 'calm 2,late 2,eager 4,calm 3,late 3,calm 4,late 4');
});

test('a large request does not send in small ones without end, nor do small ones what was kept for a large one', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [mine, theirs] = [{}, {}];
  line.enter(waiter('theirs', 1, undefined, theirs));
  line.enter(waiter('theirs', 1, undefined, theirs));
  for (let i = 1; i <= 6; i++) line.enter(waiter(`mine ${i}`, 1, undefined, mine));
  const withdrawLarge = line.enter(waiter('large', 100, undefined, mine)) as () => void;
  for (let i = 7; i <= 16; i++) line.enter(waiter(`mine ${i}`, 1, undefined, mine));
  slow(2);
  giveRoom(1000);
  assert.deepEqual(log.splice(0), ['theirs taken']);
  slow(1);
  line.letInFor(mine, 99);
  assert.deepEqual(log.splice(0), ['mine 1 taken', 'mine 2 taken']);
  slow(0);
  line.letInFor(mine, 4);
  assert.equal(log.splice(0).length, 4);
  line.letInFor(mine, 99);
  assert.deepEqual(log, []);
  withdrawLarge();
  line.letInFor(mine, 2);
  assert.deepEqual(log, ['mine 7 taken', 'mine 8 taken', 'mine 9 taken'], 'one more was kept');
});

test('small ones that come before their turn do not cost all of a turn that is as large as those of others', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [large, small] = [{}, {}];
  for (let i = 1; i <= 3; i++) line.enter(waiter(`large ${i}`, 100, undefined, large));
  for (let i = 1; i <= 12; i++) line.enter(waiter(`small ${i}`, 10, undefined, small));
  slow(2);
  giveRoom(1000);
  line.letInFor(small, 10);
  slow(0);
  assert.deepEqual(log.splice(0), ['large 1 taken', 'small 1 taken']);
  slow(0.2);
  await nextTurn();
  assert.equal(log.length, 10);
  assert.equal(log.indexOf('large 2 taken'), 9, 'the rest of its turn, and no more');
});

test('turns are as large as what stands first now, also where many left without theirs', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest({ capacityBytes: 100_000 });
  const tiny = Array.from({ length: 40 }, () => ({}));
  for (const client of tiny) line.enter(waiter('tiny', 10, undefined, client));
  slow(2);
  giveRoom(100_000);
  slow(0);
  for (const client of tiny) line.letInFor(client, 10);
  assert.equal(log.splice(0).length, 40);
  const [large, small] = [{}, {}];
  for (let i = 0; i < 20; i++) line.enter(waiter('large', 1000, undefined, large));
  for (let i = 0; i < 600; i++) line.enter(waiter('small', 10, undefined, small));
  slow(0.01);
  await nextTurn();
  const large1 = log.filter((entry) => entry === 'large taken').length;
  assert.ok(log.length > 100);
  assert.ok(large1 <= 1 + log.length / 100, `${large1} large ones beside ${log.length - large1} small ones`);
});

test('a round ends when those who stand there had their turns, however many it began with', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest({ capacityBytes: 100_000 });
  const [first, withLarge] = [{}, {}];
  const tiny = Array.from({ length: 40 }, () => ({}));
  for (let i = 0; i < 2; i++) line.enter(waiter('first', 10, undefined, first));
  for (const client of tiny) line.enter(waiter('tiny', 10, undefined, client));
  line.enter(waiter('large', 1000, undefined, withLarge));
  slow(2);
  giveRoom(100_000);
  slow(0);
  for (const client of tiny) line.letInFor(client, 10);
  line.letInFor(withLarge, 1000);
  assert.equal(log.splice(0).length, 42);
  const [a, b] = [{}, {}];
  for (let i = 0; i < 400; i++) {
    line.enter(waiter('a', 10, undefined, a));
    line.enter(waiter('b', 10, undefined, b));
  }
  slow(0.005);
  await nextTurn();
  // What began as large may end so.
  const later = log.slice(202);
  assert.ok(later.length > 100);
  for (let i = 2; i < later.length; i++) assert.equal(later[i], later[i - 2], `${i}: turns of one each`);
  assert.notEqual(later[0], later[1]);
});

test('what went in before a turn is taken off it, and one that is larger than a turn waits for larger turns', async () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest({ capacityBytes: 100_000 });
  const enter = (name: string, sizesBytes: number[], client: object) => {
    for (const sizeBytes of sizesBytes) line.enter(waiter(name, sizeBytes, undefined, client));
  };
  const [early, grows] = [{}, {}];
  enter('one', [100], {});
  enter('other', [100], {});
  enter('early', Array(200).fill(10), early);
  enter('grows', [20, 1000], grows);
  enter('small', Array(200).fill(10), {});
  slow(2);
  giveRoom(100_000);
  slow(0);
  for (let i = 0; i < 3; i++) line.letInFor(early, 10);
  line.letInFor(grows, 20);
  assert.deepEqual(log.splice(0), ['one taken', 'early taken', 'early taken', 'early taken', 'grows taken']);
  await nextTurn();
  const runs = log.map((entry, i) => (entry === log[i - 1] ? '' : `${i} ${entry}`)).filter(Boolean);
  assert.deepEqual(runs.slice(0, 5), [
    '0 other taken',
    '1 early taken',
    '8 small taken',
    '18 early taken',
    '118 grows taken',
  ]);
});

test('who is held back saves up nothing for later', () => {
  const { held, line, log, waiter, giveRoom } = lineUnderTest();
  const [free, back] = [{}, {}];
  for (let i = 0; i < 8; i++) {
    line.enter(waiter('free', 10, undefined, free));
    line.enter(waiter('back', 10, undefined, back));
  }
  held.add(back);
  for (let i = 0; i < 4; i++) giveRoom(10);
  held.delete(back);
  log.length = 0;
  giveRoom(40);
  assert.deepEqual(log.toSorted(), ['back taken', 'back taken', 'free taken', 'free taken']);
});

test('who was held back, and lacks room once he is not, is not passed over by a newcomer', async () => {
  const { clock, held, line, waiter } = lineUnderTest();
  const [one, other] = [{}, {}];
  held.add(one).add(other);
  const takesLong = after(() => clock.standStill(2), waiter('one', 10, undefined, one));
  line.enter(takesLong, 'held');
  line.enter(waiter('other', 10, undefined, other), 'held');
  line.admit();
  held.delete(one);
  line.letInFor(one, 10);
  assert.equal(line.mayPass({}), false);
  await nextTurn();
  assert.equal(line.mayPass({}), false);
});

test('who was held back, and sends in one before his turn once he is not, is asked again for the rest', async () => {
  const { clock, giveRoom, held, line, log, waiter } = lineUnderTest();
  const [one, other] = [{}, {}];
  held.add(one).add(other);
  line.enter(
    after(() => clock.standStill(2), waiter('one 1', 10, undefined, one)),
    'held',
  );
  line.enter(waiter('one 2', 10, undefined, one), 'held');
  line.enter(waiter('other', 10, undefined, other), 'held');
  giveRoom(20);
  held.delete(one);
  line.letInFor(one, 10);
  assert.deepEqual(log, ['one 1 taken']);
  await nextTurn();
  assert.deepEqual(log, ['one 1 taken', 'one 2 taken']);
});

test('empty requests are let in in parts as well, and a part that began late lets in one', async (t) => {
  const { clock, line, log, waiter, giveRoom, slow } = lineUnderTest();
  const one = {};
  for (let i = 0; i < 30; i++) line.enter(waiter('', 0, undefined, one));
  slow(1);
  giveRoom(10);
  assert.equal(log.length, 2);
  line.letInFor(one, 0);
  assert.equal(log.length, 4);
  // The thread loses its core between the beginning of a part and its first try.
  const monotonicMs = clock.monotonicMs.bind(clock);
  t.after(() => {
    clock.monotonicMs = monotonicMs;
  });
  clock.monotonicMs = () => {
    clock.standStill(2);
    return monotonicMs();
  };
  await nextTurn();
  assert.equal(log.length, 5);
});

test('bytes that come while some are still to be let in send in as many, whatever the sizes', () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest({ capacityBytes: 100_000 });
  const [one, other] = [{}, {}];
  for (let i = 0; i < 2; i++) line.enter(waiter('other', 1, undefined, other));
  for (let i = 0; i < 20; i++) line.enter(waiter('first', 50, undefined, one));
  slow(2);
  giveRoom(1_000_000);
  slow(0);
  const standsBytes = line.waitingBytes;
  const sizes = [1, 99, 30, 70, 49, 51, 13];
  for (let i = 0; i < 700; i++) {
    const sizeBytes = sizes[i % sizes.length]!;
    line.letInFor(one, sizeBytes);
    line.enter(waiter('next', sizeBytes, undefined, one), 'held');
  }
  assert.ok(log.length > 600);
  assert.ok(line.waitingBytes <= standsBytes + 100, `${line.waitingBytes - standsBytes} bytes more`);
});

test('nobody is sent in before who lacks room, nor where only shares hold back', async () => {
  const { line, log, waiter, giveRoom, slow, held } = lineUnderTest();
  const [mine, theirs] = [{}, {}];
  for (let i = 1; i <= 4; i++) line.enter(waiter(`mine ${i}`, 10, undefined, mine));
  slow(2);
  giveRoom(500);
  line.enter(waiter('larger than the room', 900, undefined, theirs), 'short');
  line.letInFor(mine, 10);
  assert.deepEqual(log.splice(0), ['mine 1 taken']);
  await nextTurn();
  assert.deepEqual(log.splice(0), ['mine 2 taken']);
  assert.equal(line.mayPass({}), true);
  line.letInFor(theirs, 900);
  assert.equal(line.mayPass({}), false, 'somebody lacks room');
  line.giveUpAll();
  await nextTurn();
  let tries = 0;
  held.add(mine);
  line.enter(
    after(() => tries++, waiter('greedy', 10, undefined, mine)),
    'held',
  );
  line.letInFor(mine, 10);
  assert.equal(tries, 0);
});

test('what one brought while his share held him back sends in nothing later', async () => {
  const { line, log, waiter, giveRoom, slow, held } = lineUnderTest();
  const [greedy, modest] = [{}, {}];
  line.enter(waiter('modest 1', 10, undefined, modest));
  line.enter(waiter('modest 2', 10, undefined, modest));
  for (let i = 1; i <= 3; i++) line.enter(waiter(`greedy ${i}`, 10, undefined, greedy));
  slow(2);
  giveRoom(500);
  held.add(greedy);
  for (let i = 0; i < 3; i++) line.letInFor(greedy, 10);
  held.clear();
  line.letInFor(greedy, 10);
  assert.deepEqual(log, ['modest 1 taken', 'greedy 1 taken']);
});

test('nobody is sent in while all are turned away', () => {
  const { line, log, waiter, giveRoom, slow } = lineUnderTest();
  const [one, other] = [{}, {}];
  for (const [client, next] of [
    [one, other],
    [other, one],
  ] as const) {
    for (let i = 0; i < 3; i++) {
      line.enter({ ...waiter('', 10, undefined, client), onGiveUp: () => line.letInFor(next, 1000) });
    }
  }
  slow(2);
  giveRoom(1000);
  assert.equal(log.length, 1);
  line.giveUpAll();
  assert.equal(log.length, 1);
});

test('who is larger than what was left of a turn, once the first one is withdrawn, goes in with the next', () => {
  const { line, log, waiter, giveRoom } = lineUnderTest();
  const [other, one] = [{}, {}];
  line.enter(after(() => withdrawSmall(), waiter('first', 10, undefined, other)));
  const withdrawSmall = line.enter(waiter('small', 10, undefined, one)) as () => void;
  line.enter(waiter('larger', 50, undefined, one));
  giveRoom(100);
  assert.deepEqual(log, ['first taken', 'larger taken']);
});

/** Clients that always have more standing than a turn holds, each of sizes of its own in turn; what was let in of each. */
function alwaysStanding(sizesBytes: Record<string, readonly number[]>) {
  const rig = lineUnderTest({ capacityBytes: 1_000_000 });
  const clients = new Map(
    Object.entries(sizesBytes).map(([name, sizes]) => [name, { sizes, next: 0, stands: 0 }]),
  );
  const tookBytes: Record<string, number> = {};
  const fill = () => {
    for (const [name, client] of clients) {
      for (; client.stands < 120; client.stands++) {
        const sizeBytes = client.sizes[client.next++ % client.sizes.length]!;
        const waiter = rig.waiter(name, sizeBytes, undefined, client);
        const onLeft = () => {
          client.stands--;
          tookBytes[name] = (tookBytes[name] ?? 0) + sizeBytes;
        };
        rig.line.enter({ ...waiter, onLeft }, 'held');
      }
    }
  };
  const letInFor = (name: string, bytes: number) => rig.line.letInFor(clients.get(name)!, bytes);
  return { ...rig, fill, letInFor, tookBytes };
}

test('clients that are alike get as much, also where there is room for one or two at a time', () => {
  for (const room of [10, 20, 30, 100, 1010]) {
    const { fill, giveRoom, tookBytes } = alwaysStanding({ mixed: [1000, 10], small: [10], other: [10] });
    for (let i = 0; i < 3000; i++) {
      fill();
      giveRoom(room);
    }
    const took = Object.values(tookBytes);
    assert.ok(Math.max(...took) - Math.min(...took) < 2000, `${room}: ${JSON.stringify(tookBytes)}`);
  }
});

test('what one brings just after his turn is taken off his next', async () => {
  for (const brought of [10, 20, 50]) {
    const { fill, giveRoom, letInFor, log, slow, tookBytes } = alwaysStanding({
      a: [10],
      b: [10],
      eager: [10],
    });
    fill();
    slow(2);
    giveRoom(1_000_000);
    for (let i = 0; i < 300; i++) {
      fill();
      if (log.at(-1) === 'eager taken') {
        slow(0);
        for (let bytes = 0; bytes < brought; bytes += 10) letInFor('eager', 10);
        log.push('');
        slow(2);
      }
      await nextTurn();
    }
    const { a, b, eager } = tookBytes as { a: number; b: number; eager: number };
    assert.ok(a > 900 && Math.abs(a - b) <= 20);
    const mostBytes = Math.max(a, (a * brought) / 10) + 100;
    assert.ok(eager <= mostBytes, `brings ${brought}: ${eager} beside ${a}`);
  }
});

test('behind a long turn of others the line has a quarter of it', async () => {
  const { clock, line, log, waiter, giveRoom, slow } = lineUnderTest();
  for (let i = 1; i <= 50; i++) line.enter(waiter(`${i}`, 1));
  slow(1);
  giveRoom(100);
  assert.equal(log.length, 2);
  clock.standStill(40);
  await nextTurn();
  assert.equal(log.length, 2 + 10);
  // Where the machine stood still that is no measure.
  clock.standStill(10_000);
  await nextTurn();
  assert.equal(log.length, 12 + 25);
  slow(40);
  await nextTurn();
  assert.equal(log.length, 37 + 1);
  slow(1);
  await nextTurn();
  assert.equal(log.length, 38 + 2, 'what it took itself is no turn of others');
});

test('those that are passed over do not keep the line from who stands behind them, and all are asked only once', async () => {
  const { clock, line, log, waiter, giveRoom, held } = lineUnderTest();
  let tries = 0;
  const enter = (name: string, client: object): void => {
    const ask = (): void => {
      tries++;
      clock.standStill(0.5);
    };
    line.enter(after(ask, waiter(name, 1, undefined, client)), 'held');
  };
  for (let i = 1; i <= 10; i++) {
    const greedy = {};
    held.add(greedy);
    enter(`greedy ${i}`, greedy);
  }
  enter('modest', {});
  giveRoom(100);
  for (let i = 0; i < 10; i++) await nextTurn();
  assert.deepEqual(log, ['modest taken']);
  assert.equal(tries, 10 + 1 + 10, 'once more each behind the one that was let in');
  held.clear();
  giveRoom(0);
  for (let i = 0; i < 10; i++) await nextTurn();
  assert.equal(line.isEmpty, true);
});

test('one that was passed over and makes room in the line does not count for those that were not asked yet', async () => {
  const { clock, line, log, waiter, giveRoom, held } = lineUnderTest();
  for (let i = 1; i <= 4; i++) {
    const greedy = {};
    held.add(greedy);
    line.enter(
      after(() => clock.standStill(0.5), waiter(`greedy ${i}`, 240, undefined, greedy)),
      'held',
    );
  }
  const modest = {};
  line.enter(waiter('modest', 30, undefined, modest), 'held');
  giveRoom(1000);
  assert.ok(line.enter(waiter('modest too', 200, undefined, modest), 'held'));
  assert.deepEqual(log.splice(0), ['greedy 1 gave up after 2']);
  for (let i = 0; i < 3; i++) await nextTurn();
  assert.deepEqual(log, ['modest taken', 'modest too taken']);
});
