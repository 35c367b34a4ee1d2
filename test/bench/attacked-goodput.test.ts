/** Which pairs of calm and attack count, on a machine whose speed the test sets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttackedGoodput } from '../../bench/attacked-goodput.ts';

/** The maxima in the order they are measured; the last one stays. What is sent beyond a maximum is lost. */
function machine(maxima: number[], attackCost = 0) {
  const log: string[] = [];
  let speed = maxima[0]!;
  let cost = 0;
  const measured = new AttackedGoodput(
    {
      maximum: async () => {
        speed = maxima.length > 1 ? maxima.shift()! : maxima[0]!;
        log.push(`maximum ${speed}`);
        return speed;
      },
      honest: async (rate) => {
        log.push(`${cost > 0 ? 'attacked' : 'calm'} ${rate}`);
        return { share: Math.min(1, (speed * (1 - cost)) / rate), p99Ms: 1 };
      },
      attack: async () => {
        cost = attackCost;
      },
      endAttack: async () => {
        cost = 0;
        return { connections: 1, bytes: 2 };
      },
    },
    0.5,
  );
  return { measured, log };
}

test('each pair has the maximum right before it, and that is also the one behind the pair before', async () => {
  const { measured, log } = machine([1000, 1000, 900, 1000], 0.6);
  const first = await measured.pair('a');
  const second = await measured.pair('b');
  assert.deepEqual(log, [
    ...['maximum 1000', 'calm 500', 'attacked 500', 'maximum 1000'],
    ...['calm 500', 'attacked 500', 'maximum 900'],
  ]);
  assert.deepEqual([first.calm.share, first.attacked.share], [1, 0.8]);
  assert.equal(second.isSteady, true);
  assert.equal(measured.takenAgain, 0);
});

test('a pair in which the machine changed its speed is taken again, and counts for nothing', async () => {
  const { measured, log } = machine([1000, 400, 400], 0.1);
  const pair = await measured.pair('a');
  assert.equal(measured.takenAgain, 1);
  assert.equal(pair.requestsPerSecond, 200);
  assert.equal(pair.isSteady, true);
  assert.equal(log.length, 7);
});

test('what a machine that is never like itself shows is kept in the end, and said to be so', async () => {
  const { measured } = machine([1000, 500, 1000, 500, 1000, 500, 1000, 500, 1000]);
  const pair = await measured.pair('a');
  assert.equal(pair.isSteady, false);
  assert.equal(measured.takenAgain, 5);
});

test('an attack that leaves nothing is no reason to take the pair again', async () => {
  const { measured } = machine([1000], 1);
  const pair = await measured.pair('a');
  assert.equal(pair.isSteady, true);
  assert.equal(pair.attacked.share, 0);
  assert.equal(measured.takenAgain, 0);
});
