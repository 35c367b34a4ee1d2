/** Checkpoints on a real folder: what they may speak of. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { realFileSystem } from '../../../src/journal/file-system.ts';
import { parseCheckpoint } from '../../../src/journal/producers/checkpoint.ts';
import { CheckpointWriter } from '../../../src/journal/producers/checkpoint-writer.ts';
import { temporaryFolder } from '../../support/journal-harness.ts';

const BASE = 'telemetry-20261120T100000Z-00000';

test('a checkpoint speaks of nothing that lies in a segment that is not closed: a power cut may take it', () => {
  const folder = join(temporaryFolder().path, '.journal');
  mkdirSync(folder);
  let next = 11n;
  const faults: unknown[] = [];
  const writer = new CheckpointWriter(
    realFileSystem,
    folder,
    () => [{ id: 'p', next, holes: [], seenAtMs: 1 }],
    (error) => faults.push(error),
  );
  const begin = (number: number): readonly [bigint, number] => {
    writer.segmentOpened(number, `${BASE}${number}.jsonl`);
    const checkpoint = parseCheckpoint(readFileSync(join(folder, `${BASE}${number}.producers`)))!;
    return [checkpoint.producers[0]!.next, checkpoint.scanFrom];
  };
  assert.deepEqual(begin(1), [11n, 1]);
  next = 21n;
  assert.deepEqual(begin(2), [11n, 1], 'segment 1 is still to be synced');
  next = 31n;
  writer.segmentEnded(1);
  // What was under way when 2 was begun lies in 1 or behind. It once was read from 2 on: kill -9, and it was in no book.
  assert.deepEqual(begin(3), [21n, 1]);
  writer.segmentEnded(2);
  writer.segmentEnded(3);
  assert.deepEqual(begin(4), [31n, 4]);
  assert.deepEqual(faults, []);
});
