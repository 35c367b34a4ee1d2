import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GroupHold } from '../../src/pipeline/group-hold.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipelineUnderTest } from '../support/pipeline.ts';

function holdUnderTest() {
  const clock = new ManualClock();
  let expired = 0;
  const hold = new GroupHold(clock, () => {
    expired++;
  });
  return {
    clock,
    hold,
    get expired() {
      return expired;
    },
  };
}

test('holds until as many wait as were expected', () => {
  const { hold, clock } = holdUnderTest();
  hold.begin(3, 8);
  assert.ok(hold.isHolding);
  assert.ok(hold.holds(1));
  assert.ok(hold.holds(2));
  assert.ok(!hold.holds(3));
  assert.ok(!hold.isHolding);
  assert.equal(clock.armedTimers, 0);
});

test('holds for a quarter of the round trip and what a timer may be early, and never longer than 20 ms', () => {
  const h = holdUnderTest();
  h.hold.begin(3, 7);
  h.clock.advance(2.9);
  assert.ok(h.hold.isHolding);
  h.clock.advance(0.1);
  assert.ok(!h.hold.isHolding);
  assert.equal(h.expired, 1);
  h.hold.begin(3, 1000);
  h.clock.advance(20);
  assert.equal(h.expired, 2);
});

test('holds nothing where a round trip is as short as the way back', () => {
  const { hold, clock } = holdUnderTest();
  hold.begin(3, 1.9);
  assert.ok(!hold.holds(1));
  assert.equal(clock.armedTimers, 0);
});

test('a hold in vain is tried again after 1, 2, 4 ... 64 groups, and one that was not begins anew', () => {
  const { hold, clock } = holdUnderTest();
  const skipped = (): number => {
    let groups = 0;
    for (;;) {
      hold.begin(3, 8);
      if (hold.isHolding) return groups;
      groups++;
    }
  };
  const inVain = (): number => {
    clock.advance(3);
    hold.wasInVain();
    return skipped();
  };
  assert.equal(skipped(), 0);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(inVain), [1, 2, 4, 8, 16, 32, 64, 64]);
  assert.ok(!hold.holds(3));
  assert.equal(skipped(), 0);
  assert.equal(inVain(), 1);
});

test('a group that left for another reason is no verdict', () => {
  const h = holdUnderTest();
  h.hold.begin(3, 8);
  h.hold.cancel();
  h.clock.advance(100);
  assert.equal(h.expired, 0);
  h.hold.begin(3, 8);
  assert.ok(h.hold.isHolding);
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

test('a hold for which nobody waited was not in vain', async (t) => {
  const p = pipelineUnderTest();
  t.after(() => p.stop());
  for (let round = 0; round < 2; round++) {
    p.commit('a\n', 1, () => {});
    await p.arrived(round + 1);
    p.clock.advance(8);
    p.held[round]!.answer({ ok: true });
    while (p.done.length < round + 1) await turn();
    assert.equal(p.clock.armedTimers, 1);
    p.clock.advance(3);
  }
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
