import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GroupHold } from '../../src/pipeline/group-hold.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipelineUnderTest } from '../support/pipeline.ts';

function holdUnderTest() {
  const clock = new ManualClock();
  let expired = 0;
  const back = { waiting: 0 };
  const hold = new GroupHold(clock, () => {
    expired++;
    return back.waiting;
  });
  return {
    clock,
    hold,
    back,
    get expired() {
      return expired;
    },
  };
}

test('keeps the group until as many wait as were answered and waited', () => {
  const { hold, clock } = holdUnderTest();
  hold.begin(2, 1, 8);
  assert.ok(hold.isHolding);
  assert.ok(hold.keeps(1));
  assert.ok(hold.keeps(2));
  assert.ok(!hold.keeps(3));
  assert.ok(!hold.isHolding);
  assert.equal(clock.armedTimers, 0);
});

test('holds for a quarter of the round trip and what a timer may be early, and never longer than 20 ms', () => {
  const h = holdUnderTest();
  h.back.waiting = 3;
  h.hold.begin(2, 1, 7);
  h.clock.advance(2.9);
  assert.ok(h.hold.isHolding);
  h.clock.advance(0.1);
  assert.ok(!h.hold.isHolding);
  assert.equal(h.expired, 1);
  h.hold.begin(2, 1, 1000);
  h.clock.advance(19.9);
  assert.equal(h.expired, 1);
  h.clock.advance(0.1);
  assert.equal(h.expired, 2);
});

test('a hold that begins again has one timer', () => {
  const h = holdUnderTest();
  h.hold.begin(2, 1, 8);
  h.hold.begin(2, 1, 8);
  assert.equal(h.clock.armedTimers, 1);
});

test('holds nothing where a round trip is as short as the way back', () => {
  const { hold, clock } = holdUnderTest();
  hold.begin(2, 1, 1.9);
  assert.ok(!hold.keeps(1));
  assert.equal(clock.armedTimers, 0);
  hold.begin(2, 1, 2);
  assert.ok(hold.keeps(1));
});

test('who is alone is not held', () => {
  const { hold, clock } = holdUnderTest();
  hold.begin(1, 0, 8);
  assert.equal(clock.armedTimers, 0);
});

/** How many groups leave before the next one is held. */
function skipped({ hold }: ReturnType<typeof holdUnderTest>): number {
  let groups = 0;
  for (;;) {
    hold.begin(3, 1, 8);
    if (hold.isHolding) return groups;
    groups++;
  }
}

test('a hold in vain is tried again after 1, 2, 4 ... 64 groups, and one that was not begins anew', () => {
  const h = holdUnderTest();
  const inVain = (): number => {
    h.clock.advance(3);
    return skipped(h);
  };
  assert.equal(skipped(h), 0);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(inVain), [1, 2, 4, 8, 16, 32, 64, 64]);
  assert.ok(!h.hold.keeps(4));
  assert.equal(skipped(h), 0);
  assert.equal(inVain(), 1);
});

test('with three quarters of those expected it was not in vain', () => {
  const h = holdUnderTest();
  h.back.waiting = 3;
  h.hold.begin(3, 1, 8);
  h.clock.advance(3);
  assert.equal(skipped(h), 0);
  h.back.waiting = 2;
  h.clock.advance(3);
  assert.equal(skipped(h), 1);
});

test('that the few came back for whom many waited tells nothing: those in vain still count', () => {
  const h = holdUnderTest();
  skipped(h);
  h.clock.advance(3);
  assert.equal(skipped(h), 1);
  h.clock.advance(3);
  assert.equal(skipped(h), 2);
  h.hold.cancel();
  h.hold.begin(1, 2, 8);
  assert.ok(!h.hold.keeps(3));
  skipped(h);
  h.clock.advance(3);
  assert.equal(skipped(h), 4);
});

test('a group that left for another reason is no verdict', () => {
  const h = holdUnderTest();
  h.hold.begin(2, 1, 8);
  h.hold.cancel();
  h.clock.advance(100);
  assert.equal(h.expired, 0);
  assert.equal(skipped(h), 0);
});

/** Two callers of which one is answered after `roundTripMs` while the other waits. */
async function halves(roundTripMs: number) {
  const p = pipelineUnderTest();
  p.commit('a\n', 1, () => {});
  await p.arrived(1);
  p.commit('b\n', 1, () => {});
  p.clock.advance(roundTripMs);
  p.held[0]!.answer({ ok: true });
  while (p.done.length < 1) await turn();
  return p;
}

test('on a slow disk the caller who was just answered and the one who waits go together', async (t) => {
  const p = await halves(8);
  t.after(() => p.stop());
  await turn();
  assert.equal(p.held.length, 1);
  p.commit('a\n', 1, () => {});
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'b\na\n');
  assert.equal(p.clock.armedTimers, 0);
});

test('on a fast disk nobody is held', async (t) => {
  const p = await halves(1);
  t.after(() => p.stop());
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'b\n');
});

test('who does not come back holds nobody for longer, and not the next group either', async (t) => {
  const p = await halves(8);
  t.after(() => p.stop());
  p.clock.advance(3);
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'b\n');
  p.commit('c\n', 1, () => {});
  p.clock.advance(8);
  p.held[1]!.answer({ ok: true });
  await p.arrived(3);
  assert.equal(p.held[2]!.text, 'c\n');
});

test('a hold to which nobody came was in vain, too', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  const round = async (count: number): Promise<void> => {
    p.commit('a\n', 1, () => {});
    p.commit('b\n', 1, () => {});
    await p.arrived(count);
    p.clock.advance(8);
    p.held[count - 1]!.answer({ ok: true });
    while (p.done.length < count) await turn();
  };
  await round(1);
  assert.equal(p.clock.armedTimers, 1);
  p.clock.advance(3);
  await round(2);
  assert.equal(p.clock.armedTimers, 0);
});

test('those of all batches that were under way together are expected, and those of a refused one are not', async (t) => {
  for (const isRefused of [false, true]) {
    const p = pipelineUnderTest({ bufferSizeReadings: 2 });
    t.after(() => p.stop());
    for (const name of ['a', 'b', 'c', 'd']) p.commit(`${name}\n`, 1, () => {});
    await p.arrived(2);
    p.commit('e\n', 1, () => {});
    p.clock.advance(8);
    p.held[0]!.answer({ ok: true });
    p.held[1]!.answer(isRefused ? { ok: false, code: 'EIO', message: 'no' } : { ok: true });
    while (p.done.length < 2) await turn();
    await turn();
    assert.equal(p.held.length, isRefused ? 3 : 2);
  }
});

test('what is overdue for want of a place in the queue is not held', async (t) => {
  const p = pipelineUnderTest({ capacityItems: 1, bufferSizeReadings: 3 });
  t.after(() => p.stop());
  p.commit('a\n', 1, () => {});
  await p.arrived(1);
  for (const name of ['b', 'c', 'd']) p.commit(`${name}\n`, 1, () => {});
  assert.equal(p.flushes.length, 1);
  p.clock.advance(8);
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'b\nc\nd\n');
});

test('the group waits for the last of three callers', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  p.commit('a\n', 1, () => {});
  p.commit('b\n', 1, () => {});
  await p.arrived(1);
  p.commit('c\n', 1, () => {});
  p.clock.advance(8);
  p.held[0]!.answer({ ok: true });
  while (p.done.length < 1) await turn();
  p.commit('b\n', 1, () => {});
  await turn();
  await turn();
  assert.equal(p.held.length, 1);
  p.commit('a\n', 1, () => {});
  await p.arrived(2);
  assert.equal(p.held[1]!.text, 'c\nb\na\n');
});

test('lines for which nobody waits are nobody to wait for', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  p.commit('a\n', 1);
  p.processor.makeRoom();
  await p.arrived(1);
  p.commit('b\n', 1, () => {});
  p.clock.advance(8);
  p.held[0]!.answer({ ok: true });
  await p.arrived(2);
});

test('a caller who is alone never waits for anybody', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  for (let round = 0; round < 3; round++) {
    p.commit('a\n', 1, () => {});
    await p.arrived(round + 1);
    p.clock.advance(8);
    p.held[round]!.answer({ ok: true });
    while (p.done.length < round + 1) await turn();
  }
});

test('a fault holds nobody: who was refused waits as it was told', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  p.commit('a\n', 1, () => {});
  await p.arrived(1);
  p.commit('b\n', 1, () => {});
  p.clock.advance(8);
  p.held[0]!.answer({ ok: false, code: 'ENOSPC', message: 'no space left' });
  await p.arrived(2);
});

test('size and close are not held', async (t) => {
  const p = await halves(8);
  t.after(() => p.stop());
  const closing = p.processor.close();
  await p.arrived(2);
  assert.equal(p.flushes.at(-1)!.cause, 'close');
  p.held[1]!.answer({ ok: true });
  await closing;
  assert.equal(p.clock.armedTimers, 0);

  const q = pipelineUnderTest({ bufferSizeReadings: 3 });
  t.after(() => q.stop());
  q.commit('a\na\n', 2, () => {});
  await q.arrived(1);
  q.commit('b\n', 1, () => {});
  q.clock.advance(8);
  q.held[0]!.answer({ ok: true });
  while (q.done.length < 1) await turn();
  q.commit('c\nc\n', 2, () => {});
  await q.arrived(2);
  assert.equal(q.flushes.at(-1)!.cause, 'size');
  assert.equal(q.clock.armedTimers, 0);
});
