import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { BLOCK_TARGET_BYTES, parseBlocks } from '../../src/journal/blocks.ts';
import { SUMMED_BATCH_BYTES } from '../../src/pipeline/batch.ts';
import { JournalHarness, makeBatch, temporaryFolder, until } from '../support/journal-harness.ts';

describe('appending', { timeout: 30_000 }, () => {
  test('writes what was queued with one call, acknowledges after it, closes with a report and a sidecar', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    for (let i = 0; i < 100; i++) harness.append(`a${i}`);
    assert.equal(harness.answered, 0);
    assert.deepEqual(harness.segmentFiles(), [], 'a segment is begun by its first batch');
    const before = harness.fileSystem.calls.length;
    writer.flush();
    assert.equal(harness.acknowledged.size, 100);
    const calls = harness.fileSystem.calls.slice(before).map((call) => call.method);
    assert.deepEqual(calls, ['openSync', 'openSync', 'writevSync', 'statusSync']);
    assert.deepEqual(harness.segmentFiles(), ['telemetry-20261120T100000Z-000001.jsonl']);
    await writer.close();
    harness.check();
    harness.checkSidecars();
    assert.deepEqual(harness.causes, ['close']);
    const closed = harness.closed.get(1)!;
    assert.equal(closed.lines, 300);
    assert.equal(closed.suspect, false);
    assert.equal(closed.bytes, closed.fileBytes);
    assert.equal(closed.firstReceivedAtMs, Date.UTC(2026, 10, 20, 10));
    assert.equal(closed.lastReceivedAtMs, Date.UTC(2026, 10, 20, 10) + 2);
    assert.equal(harness.writtenBytes, closed.bytes);
    assert.equal(harness.syncedBytes, closed.bytes);
    assert.equal(harness.fileSystem.openDescriptors.size, 0);
  });

  test('a batch that was summed up where it was made is a block of its own, and nobody sums it up again', async () => {
    assert.equal(SUMMED_BATCH_BYTES, BLOCK_TARGET_BYTES);
    const journal = new JournalHarness(temporaryFolder().path);
    const writer = await journal.open();
    journal.append('before');
    journal.append('large', 100, 1000);
    const changed = makeBatch('changed', 100, 1000);
    let isOk = false;
    writer.append({ ...changed, crc32: (changed.crc32! ^ 1) >>> 0 }, (result) => {
      isOk = result.ok;
    });
    journal.append('behind');
    writer.flush();
    await writer.close();
    assert.ok(isOk);
    const [file] = journal.segmentFiles();
    const { blocks } = parseBlocks(
      readFileSync(join(journal.folder, '.journal', file!.replace('.jsonl', '.blocks'))),
    );
    const batches = [makeBatch('before'), makeBatch('large', 100, 1000), changed, makeBatch('behind')];
    assert.deepEqual(
      blocks.map(({ bytes, lines }) => [bytes, lines]),
      batches.map(({ bytes, lines }) => [bytes.length, lines]),
    );
    assert.deepEqual(
      blocks.map(({ crc32: sum }, index) => sum === crc32(batches[index]!.bytes)),
      [true, true, false, true],
    );
  });

  test('a journal that nothing was written to leaves no segment', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    await harness.open();
    await harness.writer.close();
    assert.deepEqual(harness.segmentFiles(), []);
    assert.deepEqual(readdirSync(join(folder.path, '.journal')), ['lock.sqlite']);
  });

  test('an answer may append and flush again', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    let rounds = 0;
    const again = (): void => {
      harness.append(`r${rounds}`);
      if (++rounds >= 20) return;
      const last = rounds;
      writer.append(
        {
          bytes: Buffer.from('{"sensor_name":"x/0"}\n'),
          lines: 1,
          firstReceivedAtMs: 0,
          lastReceivedAtMs: 0,
        },
        () => {
          assert.equal(rounds, last);
          again();
          writer.flush();
        },
      );
    };
    again();
    writer.flush();
    await writer.close();
    assert.equal(harness.acknowledged.size, 20);
    harness.check();
  });

  test('after close everything is refused', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    await harness.open();
    harness.append('a');
    const closing = harness.writer.close();
    harness.append('b');
    await closing;
    assert.deepEqual([...harness.acknowledged.keys()], ['a']);
    assert.equal(harness.refused.get('b'), 'CLOSED');
    harness.check();
  });

  test('synced: answers follow the sync that covers them, appends go on meanwhile', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a');
    writer.flush();
    harness.append('b');
    writer.flush();
    assert.equal(harness.answered, 0);
    const syncs = (): number => harness.fileSystem.calls.filter((call) => call.method === 'syncData').length;
    assert.equal(syncs(), 1, 'one sync at a time');
    await until(() => harness.answered === 1);
    assert.deepEqual([...harness.acknowledged.keys()], ['a']);
    assert.equal(syncs(), 2);
    await until(() => harness.answered === 2);
    await writer.close();
    harness.check();
    harness.checkSidecars();
  });

  test('written: a sync runs once per interval, and only when something is unsynced', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ syncIntervalMs: 500 });
    const syncs = (): number => harness.fileSystem.calls.filter((call) => call.method === 'syncData').length;
    harness.append('a');
    writer.flush();
    harness.clock.advance(499);
    assert.equal(syncs(), 0);
    harness.clock.advance(1);
    assert.equal(syncs(), 1);
    await until(() => harness.syncedBytes === harness.writtenBytes);
    harness.clock.advance(5000);
    assert.equal(syncs(), 1);
    await writer.close();
    harness.checkSidecars();
  });
});

describe('rotation', { timeout: 30_000 }, () => {
  test('by size: before the batch that would exceed it, and never an empty segment', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ rotateBytes: 4096 });
    for (let i = 0; i < 40; i++) harness.append(`a${i}`, 3, 300);
    harness.append('huge', 3, 9000);
    harness.append('after', 3, 300);
    writer.flush();
    await writer.close();
    harness.check();
    harness.checkSidecars();
    const sizes = harness.segmentFiles().map((file) => statSync(join(folder.path, file)).size);
    assert.equal(sizes.filter((size) => size > 4096).length, 1, 'only the batch that is larger by itself');
    assert.ok(sizes.length >= 12);
    assert.deepEqual([...harness.closed.keys()], harness.opened, 'reported in order');
    assert.equal(harness.fileSystem.openDescriptors.size, 0);
  });

  test('while too many segments wait for the disk, batches wait too, and all get in', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ rotateBytes: 4096 });
    for (let i = 0; i < 100; i++) harness.append(`a${i}`, 3, 1200);
    writer.flush();
    assert.equal(harness.answered, 8, 'each batch fills a segment; the disk has not answered yet');
    await until(() => harness.answered === 100);
    await writer.close();
    harness.check();
    assert.equal(harness.closed.size, 100);
  });

  test('by time: at multiples of the interval on the wall clock, with and without traffic', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    harness.clock.advance(59 * 60_000 + 30_000); // 10:59:30
    const writer = await harness.open({ rotateIntervalMs: 3_600_000 });
    harness.append('a');
    writer.flush();
    harness.clock.advance(29_999);
    await until(() => harness.syncedBytes === harness.writtenBytes);
    assert.notEqual(writer.openSegment, undefined);
    harness.clock.advance(1); // 11:00:00
    assert.equal(writer.openSegment, undefined, 'closed at the boundary though nothing came');
    harness.append('b');
    writer.flush();
    harness.clock.jumpWall(3_600_000);
    harness.append('c');
    writer.flush();
    await writer.close();
    harness.check();
    assert.deepEqual(harness.causes, ['interval', 'interval', 'close']);
    assert.deepEqual(harness.segmentFiles(), [
      'telemetry-20261120T105930Z-000001.jsonl',
      'telemetry-20261120T110000Z-000002.jsonl',
      'telemetry-20261120T120000Z-000003.jsonl',
    ]);
  });

  test('a clock that goes back neither rotates at once nor holds a segment open beyond one interval', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ rotateIntervalMs: 60_000 });
    harness.append('a');
    writer.flush();
    harness.clock.jumpWall(-86_400_000);
    harness.append('b');
    writer.flush();
    assert.deepEqual(harness.opened, [1]);
    harness.clock.advance(60_000);
    harness.append('c');
    writer.flush();
    await writer.close();
    harness.check();
    assert.deepEqual([...harness.closed.keys()], [1, 2]);
    for (const closed of harness.closed.values()) assert.ok(closed.closedAtMs >= closed.startedAtMs);
  });
});

describe('files and folders that go away', { timeout: 30_000 }, () => {
  test('lines written into a removed file are refused; the next batch begins a new segment', async () => {
    for (const durability of ['written', 'synced'] as const) {
      const folder = temporaryFolder();
      const harness = new JournalHarness(folder.path);
      const writer = await harness.open({ durability });
      harness.append('a');
      writer.flush();
      await until(() => harness.answered === 1);
      unlinkSync(join(folder.path, harness.segmentFiles()[0]!));
      harness.append('b');
      writer.flush();
      assert.equal(harness.refused.get('b'), 'SEGMENT_REMOVED');
      harness.append('c');
      writer.flush();
      await until(() => harness.answered === 3);
      await writer.close();
      harness.acknowledged.delete('a');
      harness.given--;
      harness.check();
      assert.deepEqual(
        harness.lost.map(({ number }) => number),
        [1],
      );
      assert.deepEqual([...harness.closed.keys()], [2]);
    }
  });

  test('synced: a file removed between write and sync is not acknowledged', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open({ durability: 'synced' });
    harness.append('a');
    writer.flush();
    unlinkSync(join(folder.path, harness.segmentFiles()[0]!));
    await until(() => harness.answered === 1);
    assert.equal(harness.refused.get('a'), 'SEGMENT_REMOVED');
    await writer.close();
    harness.check();
  });

  test('a file moved away is noticed within a second', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    harness.append('a');
    writer.flush();
    const file = join(folder.path, harness.segmentFiles()[0]!);
    renameSync(file, `${file}.moved`);
    harness.clock.advance(1000);
    assert.equal(writer.openSegment, undefined);
    harness.append('b');
    writer.flush();
    await writer.close();
    assert.deepEqual([...harness.closed.keys()], [2]);
    assert.deepEqual(
      harness.lost.map(({ number }) => number),
      [1],
    );
    assert.equal(harness.health.length, 0);
  });

  test('a removed folder is not made anew; back again, it is locked and written to in a new segment', async () => {
    for (const durability of ['written', 'synced'] as const) {
      const folder = temporaryFolder();
      const harness = new JournalHarness(join(folder.path, 'data'));
      const writer = await harness.open({ durability });
      harness.append('a');
      writer.flush();
      await until(() => harness.answered === 1);
      rmSync(harness.folder, { recursive: true });
      harness.append('b');
      writer.flush();
      assert.notEqual(harness.refused.get('b'), undefined);
      assert.deepEqual(
        harness.health.map((health) => health.ok || health.code),
        ['FOLDER_MISSING'],
      );
      for (let i = 0; i < 5; i++) {
        harness.clock.advance(1000);
        harness.append(`b${i}`);
        writer.flush();
        assert.equal(harness.refused.get(`b${i}`), 'FOLDER_MISSING');
        await until(() => harness.fileSystem.calls.at(-1)?.method !== 'stat');
      }
      assert.equal(existsSync(harness.folder), false);
      mkdirSync(harness.folder);
      await harness.untilHealthy();
      harness.append('c');
      writer.flush();
      await until(() => harness.acknowledged.has('c'));
      await assert.rejects(new JournalHarness(harness.folder).open(), { code: 'FOLDER_LOCKED' });
      await writer.close();
      harness.acknowledged.delete('a');
      harness.given--;
      harness.check();
      assert.deepEqual(
        harness.lost.map(({ number }) => number),
        [1],
      );
      assert.deepEqual(harness.opened, [1, 2]);
    }
  });

  test('an idle journal notices too', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(join(folder.path, 'data'));
    await harness.open();
    rmSync(harness.folder, { recursive: true });
    harness.clock.advance(1000);
    assert.equal(harness.writer.health.ok, false);
    mkdirSync(harness.folder);
    await harness.untilHealthy();
    await harness.writer.close();
  });

  test('a folder that went away with its segments and came back keeps every line', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(join(folder.path, 'data'));
    const writer = await harness.open({ rotateBytes: 4096 });
    for (let i = 0; i < 20; i++) harness.append(`a${i}`, 3, 300);
    writer.flush();
    renameSync(harness.folder, `${harness.folder}.away`);
    harness.clock.advance(1000);
    assert.equal(writer.health.ok, false);
    harness.append('b');
    writer.flush();
    renameSync(`${harness.folder}.away`, harness.folder);
    await harness.untilHealthy();
    harness.append('c');
    writer.flush();
    await writer.close();
    assert.equal(harness.refused.size, 1);
    harness.check();
    harness.checkSidecars();
    assert.deepEqual(harness.lost, []);
    assert.deepEqual([...harness.closed.keys()], harness.opened);
  });

  test('a removed lock file is locked anew; segments go on', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    const writer = await harness.open();
    harness.append('a');
    writer.flush();
    rmSync(join(folder.path, '.journal'), { recursive: true });
    harness.clock.advance(1000);
    assert.deepEqual(
      harness.health.map((health) => health.ok || health.code),
      ['LOCK_LOST'],
    );
    await harness.untilHealthy();
    await assert.rejects(new JournalHarness(folder.path).open(), { code: 'FOLDER_LOCKED' });
    harness.append('b');
    writer.flush();
    await writer.close();
    harness.check();
    harness.checkSidecars();
    assert.deepEqual([...harness.closed.keys()], [1, 2]);
  });

  test('a folder taken over by another daemon is left to it', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(join(folder.path, 'data'));
    const writer = await harness.open();
    harness.append('a');
    writer.flush();
    rmSync(harness.folder, { recursive: true });
    const other = new JournalHarness(harness.folder);
    await other.open();
    other.append('other');
    other.writer.flush();
    harness.clock.advance(1000);
    await until(() => harness.health.some((health) => !health.ok && health.code === 'FOLDER_LOCKED'));
    harness.append('b');
    writer.flush();
    assert.equal(harness.refused.has('b'), true);
    await other.writer.close();
    await harness.untilHealthy();
    harness.append('c');
    writer.flush();
    await writer.close();
    other.check();
    assert.equal(harness.acknowledged.has('c'), true);
    assert.equal(new Set(harness.segmentFiles().map((file) => file.slice(-12))).size, 2, 'numbers differ');
  });
});

describe('a folder that cannot be used', { timeout: 30_000 }, () => {
  test('gets one clear line that names it, and nothing stays locked', async () => {
    const folder = temporaryFolder();
    const file = join(folder.path, 'file');
    writeFileSync(file, 'not a folder');
    for (const path of [file, join(file, 'below')]) {
      await assert.rejects(new JournalHarness(path).open(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'FOLDER_NOT_WRITABLE');
        assert.ok(error.message.startsWith(`FILE_PATH ${path}: cannot be created: `));
        assert.ok(!error.message.includes('\n'));
        return true;
      });
    }
    const unreadable = join(folder.path, 'unreadable');
    mkdirSync(join(unreadable, '.journal', 'manifest.jsonl'), { recursive: true });
    for (let round = 0; round < 2; round++) {
      await assert.rejects(new JournalHarness(unreadable).open(), { code: 'JOURNAL_UNREADABLE' });
    }
  });

  test('the folder is made with everything above it', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(join(folder.path, 'a', 'b', 'c'));
    await harness.open();
    harness.append('a');
    await harness.writer.close();
    harness.check();
  });
});
