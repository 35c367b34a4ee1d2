/** Checkpoints on a real folder: what they may speak of. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileSystem, realFileSystem } from '../../../src/journal/file-system.ts';
import { parseCheckpoint } from '../../../src/journal/producers/checkpoint.ts';
import { CheckpointWriter } from '../../../src/journal/producers/checkpoint-writer.ts';
import type { ProducerRecord } from '../../../src/journal/producers/producer-table.ts';
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
    { size: 1, records: () => [{ id: 'p', next, holes: [], seenAtMs: 1 }] },
    (error) => faults.push(error),
  );
  const fileOf = (number: number): string => join(folder, `${BASE}${number}.producers`);
  const sizeOf = (number: number): number => statSync(fileOf(number)).size;
  const checkpointOf = (number: number): readonly [bigint, number] => {
    const checkpoint = parseCheckpoint(readFileSync(fileOf(number)))!;
    return [checkpoint.producers[0]!.next, checkpoint.scanFrom];
  };
  const begin = (number: number): readonly [bigint, number] => {
    writer.segmentOpened(number, `${BASE}${number}.jsonl`);
    return checkpointOf(number);
  };
  const end = (number: number): void => writer.segmentEnded(number, `${BASE}${number}.jsonl`);
  assert.deepEqual(begin(1), [11n, 1]);
  next = 21n;
  assert.deepEqual(begin(2), [11n, 1], 'segment 1 is still to be synced');
  next = 31n;
  end(1);
  // What was under way when 2 was begun lies in 1 or behind. It once was read from 2 on: kill -9, and it was in no book.
  assert.deepEqual(begin(3), [21n, 1]);
  end(2);
  next = 41n;
  assert.deepEqual(checkpointOf(3), [21n, 1], 'one is open: nothing new');
  const size = sizeOf(3);
  end(3);
  assert.deepEqual(checkpointOf(3), [41n, 4], 'none is open: all is known, and on the disk');
  truncateSync(fileOf(3), sizeOf(3) - 3);
  assert.deepEqual(checkpointOf(3), [21n, 1], 'torn, it takes nothing with it');
  assert.ok(sizeOf(3) > size);
  next = 51n;
  assert.deepEqual(begin(4), [51n, 4]);
  assert.ok(existsSync(fileOf(2)));
  assert.deepEqual(begin(5), [51n, 4]);
  assert.equal(existsSync(fileOf(2)), false, 'three are kept');
  // Retention was faster with the oldest: no fault, it once was reported as one.
  rmSync(fileOf(3));
  begin(6);
  assert.deepEqual(faults, []);
});

test('a segment whose sync failed counts as not closed until it is on the disk', () => {
  const folder = join(temporaryFolder().path, '.journal');
  mkdirSync(folder);
  let next = 11n;
  const known = { size: 1, records: () => [{ id: 'p', next, holes: [], seenAtMs: 1 }] };
  const writer = new CheckpointWriter(realFileSystem, folder, known, (error) => assert.ifError(error));
  const nameOf = (number: number): string => `${BASE}${number}.jsonl`;
  const checkpointOf = (number: number): readonly [bigint, number] | undefined => {
    const file = join(folder, `${BASE}${number}.producers`);
    if (!existsSync(file)) return undefined;
    const checkpoint = parseCheckpoint(readFileSync(file))!;
    return [checkpoint.producers[0]!.next, checkpoint.scanFrom];
  };
  const begin = (number: number): readonly [bigint, number] | undefined => {
    writer.segmentOpened(number, nameOf(number));
    return checkpointOf(number);
  };
  begin(1);
  next = 21n;
  writer.segmentDoubted(1, nameOf(1));
  assert.deepEqual(begin(2), [11n, 1]);
  next = 31n;
  writer.segmentEnded(2, nameOf(2));
  assert.deepEqual(begin(3), [11n, 1], '1 is older, and still in doubt');
  writer.segmentSettled(1);
  next = 41n;
  assert.deepEqual(begin(4), [31n, 1]);
  writer.segmentEnded(3, nameOf(3));
  writer.segmentDoubted(4, nameOf(4));
  assert.deepEqual(checkpointOf(4), [31n, 1]);
  writer.segmentSettled(4);
  assert.deepEqual(checkpointOf(4), [41n, 5], 'none is in doubt any more');

  // Recovery found 5 so: what was known before it nobody knows.
  writer.segmentDoubted(5, nameOf(5));
  next = 51n;
  assert.equal(begin(6), undefined);
  writer.segmentSettled(5);
  next = 61n;
  assert.deepEqual(begin(7), [51n, 5]);
});

test('a checkpoint that could not be written pushes out none that is whole', () => {
  const folder = join(temporaryFolder().path, '.journal');
  mkdirSync(folder);
  let isFull = false;
  let faults = 0;
  const fileSystem: FileSystem = {
    ...realFileSystem,
    writevSync: (fd, parts, position) => {
      if (!isFull) return realFileSystem.writevSync(fd, parts, position);
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    },
  };
  const producers = [{ id: 'p', next: 11n, holes: [], seenAtMs: 1 }];
  const writer = new CheckpointWriter(
    fileSystem,
    folder,
    { size: 1, records: () => producers },
    () => faults++,
  );
  const begin = (number: number): void => writer.segmentOpened(number, `${BASE}${number}.jsonl`);
  begin(1);
  isFull = true;
  for (let number = 2; number <= 6; number++) begin(number);
  assert.equal(faults, 5);
  isFull = false;
  begin(7);
  const segmentIn = (number: number) =>
    parseCheckpoint(readFileSync(join(folder, `${BASE}${number}.producers`)))?.segment;
  assert.deepEqual([segmentIn(1), segmentIn(7)], [1, 7]);
});

test('where nobody numbers, retention has to wait for no segment; once somebody does, for all that were open then', () => {
  const folder = join(temporaryFolder().path, '.journal');
  mkdirSync(folder);
  const producers: ProducerRecord[] = [];
  let size = 0;
  const writer = new CheckpointWriter(
    realFileSystem,
    folder,
    {
      get size() {
        return size;
      },
      records: () => producers,
    },
    (error) => assert.fail(error as Error),
  );
  const begin = (number: number): number => {
    writer.segmentOpened(number, `${BASE}${number}.jsonl`);
    return parseCheckpoint(readFileSync(join(folder, `${BASE}${number}.producers`)))!.scanFrom;
  };
  assert.equal(begin(1), 1);
  assert.equal(begin(2), 2);
  // Its first lines are under way, in 2 or behind.
  size = 1;
  assert.ok(begin(3) <= 2);
});
