/** Which pairs of calm and attack count, on a machine whose speed the test sets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttackedGoodput } from '../../bench/attacked-goodput.ts';

/** The core's speeds in the order they are looked at; the last one stays. What is sent beyond what the daemon takes is lost. */
function machine(speeds: number[], attack: { cost?: number; leaves?: number } = {}) {
  const log: string[] = [];
  let speed = speeds[0]!;
  let cost = 0;
  let left = 1;
  const measured = new AttackedGoodput(
    {
      coreSpeed: async () => {
        speed = speeds.length > 1 ? speeds.shift()! : speeds[0]!;
        return speed;
      },
      maximum: async () => {
        log.push('maximum');
        return 1000 * speed * left;
      },
      honest: async (rate) => {
        log.push(`${cost > 0 ? 'attacked' : 'calm'} ${rate}`);
        return { share: Math.min(1, (1000 * speed * left * (1 - cost)) / rate), p99Ms: 1 };
      },
      attack: async () => {
        cost = attack.cost ?? 0.1;
      },
      endAttack: async () => {
        cost = 0;
        left *= attack.leaves ?? 1;
        return { connections: 1, bytes: 2 };
      },
    },
    { share: 0.5, steadiness: 0.8 },
  );
  return { measured, log };
}

test('each pair has the maximum right before it, which is also the one behind the pair before', async () => {
  const { measured, log } = machine([1], { cost: 0.6 });
  const first = await measured.pair('a');
  await measured.pair('b');
  assert.deepEqual(log, [
    ...['maximum', 'calm 500', 'attacked 500', 'maximum'],
    ...['calm 500', 'attacked 500', 'maximum'],
  ]);
  assert.deepEqual([first.calm.share, first.attacked.share, first.maximumKept], [1, 0.8, 1]);
  assert.equal(measured.takenAgain, 0);
});

for (const [when, speeds] of [
  ['before the calm', [1, 0.4]],
  ['before the attack', [1, 1, 0.4]],
  ['behind it', [1, 1, 1, 0.4]],
] as const) {
  test(`a pair in which the core became slower, ${when}, is taken again and counts for nothing`, async () => {
    const { measured } = machine([...speeds]);
    const pair = await measured.pair('a');
    assert.ok(measured.takenAgain >= 1);
    assert.equal(pair.requestsPerSecond, 200);
    assert.ok(pair.isSteady && pair.attacked.share === 1);
  });
}

test('what a machine that is never like itself shows is kept in the end, and said to be so', async () => {
  const { measured } = machine(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 1 : 0.5)));
  const pair = await measured.pair('a');
  assert.equal(pair.isSteady, false);
  assert.equal(measured.takenAgain, 5);
});

test('an attack that leaves nothing is no reason to take the pair again', async () => {
  const { measured } = machine([1], { cost: 1 });
  const pair = await measured.pair('a');
  assert.equal(pair.isSteady, true);
  assert.equal(pair.attacked.share, 0);
  assert.equal(measured.takenAgain, 0);
});

test('nor is one that harms for good, and that shows', async () => {
  const { measured } = machine([1], { leaves: 0.5 });
  const pair = await measured.pair('a');
  assert.equal(pair.isSteady, true);
  assert.equal(pair.maximumKept, 0.5);
  assert.equal(measured.takenAgain, 0);
});
