/** How a queue of batches is cut into groups. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/byte-size.ts';
import { nextGroup, type PendingBatch } from '../../src/journal/pending-batches.ts';

function queueOf(...mebibytes: readonly number[]): PendingBatch[] {
  return mebibytes.map((size) => ({
    batch: {
      bytes: { length: size * MiB } as Uint8Array,
      lines: 1,
      firstReceivedAtMs: 0,
      lastReceivedAtMs: 0,
    },
    onDone() {},
  }));
}

const cases: readonly (readonly [
  name: string,
  queue: PendingBatch[],
  segmentMiB: number,
  rotateMiB: number,
  group: number,
])[] = [
  ['all that is there', queueOf(1, 2, 3), 0, 256, 3],
  ['up to the end of the segment', queueOf(10, 10, 10), 236, 256, 2],
  ['32 MiB, and not the whole queue', queueOf(10, 10, 10, 10, 10), 100, 256, 3],
  ['one that is larger goes alone', queueOf(40, 1), 0, 256, 1],
  ['one that passes the end of its segment, too', queueOf(300, 1), 0, 256, 1],
];
for (const [name, queue, segmentMiB, rotateMiB, group] of cases) {
  test(name, () => {
    assert.equal(nextGroup(queue, 0, segmentMiB * MiB, rotateMiB * MiB).length, group);
  });
}
