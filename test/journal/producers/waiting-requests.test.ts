import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  GiveUpLine,
  WaitingRequest,
  WaitingRequests,
} from '../../../src/journal/producers/waiting-requests.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const nothing = (): void => {};

test('the lowest number is first, of equal ones who came first, whoever leaves in between', () => {
  const step = fc.record({ first: fc.integer({ min: 1, max: 20 }), leaves: fc.option(fc.nat()) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const requests = new WaitingRequests();
      const model: WaitingRequest[] = [];
      for (const { first, leaves } of steps) {
        const request = new WaitingRequest(BigInt(first), nothing, nothing);
        requests.add(request);
        model.push(request);
        if (leaves !== null) requests.remove(model.splice(leaves % model.length, 1)[0]!);
        assert.equal(requests.size, model.length);
      }
      // Array.prototype.sort keeps the order of equal ones, which is that of their arrival.
      for (const expected of model.sort((a, b) => Number(a.first - b.first))) {
        assert.equal(requests.lowest, expected);
        requests.remove(expected);
      }
      assert.equal(requests.lowest, undefined);
    }),
  );
});

test('each gives up when its time is over, and one that has left does not', () => {
  const clock = new ManualClock();
  const line = new GiveUpLine(clock, 100);
  const gone: number[] = [];
  const enter = (n: number): WaitingRequest => {
    const request = new WaitingRequest(1n, nothing, () => gone.push(n));
    line.add(request);
    return request;
  };
  const first = enter(1);
  clock.advance(40);
  const second = enter(2);
  enter(3);
  clock.advance(30);
  line.remove(first);
  enter(4);
  clock.advance(40);
  assert.deepEqual(gone, [], 'the timer was for the first, who has left');
  line.remove(second);
  clock.advance(30);
  assert.deepEqual(gone, [3]);
  clock.advance(30);
  assert.deepEqual(gone, [3, 4]);
  enter(5);
  clock.advance(99);
  assert.deepEqual(gone, [3, 4]);
  clock.advance(1);
  assert.deepEqual(gone, [3, 4, 5]);
});

test('of a crowd that gives up in one moment a turn of the loop lets no more than a thousand go', () => {
  let due: (() => void)[] = [];
  let nowMs = 0;
  const clock = new ManualClock();
  clock.monotonicMs = () => nowMs;
  clock.setTimer = (_delayMs, onFire) => {
    due.push(onFire);
    return { cancel: nothing };
  };
  const line = new GiveUpLine(clock, 100);
  let gone = 0;
  for (let i = 0; i < 2500; i++) line.add(new WaitingRequest(1n, nothing, () => gone++));
  nowMs = 100;
  const turns: number[] = [];
  while (due.length > 0) {
    const fire = due;
    due = [];
    for (const onFire of fire) onFire();
    turns.push(gone);
  }
  assert.deepEqual(turns, [1000, 2000, 2500]);
});
