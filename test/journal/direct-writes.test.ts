/** Groups large enough to go around the page cache: the same files, byte for byte, whatever the file system says to it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MiB } from '../../src/base/byte-size.ts';
import { openArchiver } from '../../src/journal/archiver.ts';
import { type FileSystem, realFileSystem } from '../../src/journal/file-system.ts';
import type { ManifestRecord } from '../../src/journal/manifest.ts';
import { DIRECT_BLOCK_BYTES } from '../../src/journal/run-writer.ts';
import { DeferredRunWriter } from '../support/deferred-run-writer.ts';
import { type FaultRule, type FaultyFileSystem, faultyFileSystem } from '../support/faulty-file-system.ts';
import { JournalHarness, makeBatch, temporaryFolder } from '../support/journal-harness.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { requirement } from '../support/requirements.ts';
import { mountTmpfs, tmpfsRequirement } from '../support/tmpfs.ts';

const LARGE = { rotateBytes: 64 * MiB };

/** Appends a group of each size, in lines of about 1 KiB, and closes. */
async function fill(harness: JournalHarness, groupsKiB: readonly number[]): Promise<void> {
  const writer = await harness.open(LARGE);
  groupsKiB.forEach((kib, group) => {
    // Two batches a group: a run gathers over their border. The pad makes every boundary an odd one.
    harness.append(`g${group}a`, Math.max(1, kib >> 1), 900 + group);
    harness.append(`g${group}b`, Math.max(1, kib >> 1), 901 + group);
    writer.flush();
  });
  await writer.close();
  harness.check();
}

function expectWhole(harness: JournalHarness, groups: number): void {
  assert.equal(harness.acknowledged.size, 2 * groups);
  harness.checkSidecars();
  assert.equal(harness.fileSystem.openDescriptors.size, 0);
}

function writesOf(fileSystem: FaultyFileSystem): number {
  return fileSystem.calls.filter(({ method }) => method === 'writevSync').length;
}

/** False when the folder for temporary files takes direct writes; otherwise the reason to skip. */
function directRequirement(): string | false {
  return requirement('a temporary folder on a file system with O_DIRECT', () => {
    try {
      const path = join(temporaryFolder().path, 'probe');
      realFileSystem.closeSync(realFileSystem.openSync(path, 'create'));
      realFileSystem.closeSync(realFileSystem.openSync(path, 'direct'));
      return true;
    } catch {
      return false;
    }
  });
}

/** Notes the descriptors that were opened for direct writes, and what went through them. */
function watched(inner: FileSystem): {
  fileSystem: FileSystem;
  direct: { bytes: number; position: number }[];
} {
  const direct: { bytes: number; position: number }[] = [];
  const descriptors = new Set<number>();
  return {
    direct,
    fileSystem: {
      ...inner,
      openSync: (path, mode) => {
        const fd = inner.openSync(path, mode);
        if (mode === 'direct') descriptors.add(fd);
        return fd;
      },
      writevSync: (fd, parts, position) => {
        const count = inner.writevSync(fd, parts, position);
        if (descriptors.has(fd)) direct.push({ bytes: count, position });
        return count;
      },
      close: (fd) => {
        descriptors.delete(fd);
        return inner.close(fd);
      },
    },
  };
}

const SIZES_KIB = [3, 700, 1, 300, 2500, 10, 257, 1024] as const;

describe('writing around the page cache', { timeout: 300_000 }, () => {
  test('groups of all sizes: whole blocks go around it, the file is the same', {
    skip: directRequirement(),
  }, async () => {
    const folder = temporaryFolder();
    const { fileSystem, direct } = watched(realFileSystem);
    const harness = new JournalHarness(folder.path, fileSystem as FaultyFileSystem);
    const writer = await harness.open(LARGE);
    let expected = Buffer.alloc(0);
    SIZES_KIB.forEach((kib, group) => {
      const batch = makeBatch(`g${group}`, kib, 900 + group);
      expected = Buffer.concat([expected, batch.bytes]);
      harness.append(`g${group}`, kib, 900 + group);
      writer.flush();
    });
    const [file] = harness.segmentFiles();
    assert.ok(readFileSync(join(folder.path, file!)).equals(expected), 'readers see it before any sync');
    await writer.close();
    harness.check();
    harness.checkSidecars();
    assert.ok(readFileSync(join(folder.path, file!)).equals(expected));
    const closed = harness.closed.get(1)!;
    assert.equal(closed.sha256, createHash('sha256').update(expected).digest('hex'));
    for (const { bytes, position } of direct) {
      assert.equal(bytes % DIRECT_BLOCK_BYTES, 0);
      assert.equal(position % DIRECT_BLOCK_BYTES, 0);
    }
    assert.ok(direct.reduce((sum, { bytes }) => sum + bytes, 0) > expected.length * 0.9);
  });

  test('small groups open nothing more', async () => {
    const folder = temporaryFolder();
    const harness = new JournalHarness(folder.path);
    await fill(harness, [1, 20, 50]);
    expectWhole(harness, 3);
    assert.equal(harness.fileSystem.calls.filter(({ method }) => method === 'openSync').length, 2);
  });

  const refusals: Readonly<Record<string, FaultRule>> = {
    'at opening': (() => {
      let opened = 0;
      return ({ method, path }) =>
        method === 'openSync' && path.endsWith('.jsonl') && ++opened > 1
          ? { kind: 'error', code: 'EINVAL' }
          : undefined;
    })(),
    'no descriptor left': (() => {
      let opened = 0;
      return ({ method, path }) =>
        method === 'openSync' && path.endsWith('.jsonl') && ++opened > 1
          ? { kind: 'error', code: 'EMFILE' }
          : undefined;
    })(),
  };
  for (const [name, rule] of Object.entries(refusals)) {
    test(`refused, ${name}: all of it goes through the page cache, and nobody notices`, async () => {
      const folder = temporaryFolder();
      const harness = new JournalHarness(folder.path, faultyFileSystem(rule));
      await fill(harness, SIZES_KIB);
      expectWhole(harness, SIZES_KIB.length);
      assert.deepEqual(harness.health, []);
    });
  }

  test('refused by every write, whatever its alignment', async () => {
    const folder = temporaryFolder();
    const direct = new Set<number>();
    const harness = new JournalHarness(folder.path, {
      ...realFileSystem,
      openSync: (path, mode) => {
        const fd = realFileSystem.openSync(path, mode === 'direct' ? 'modify' : mode);
        if (mode === 'direct') direct.add(fd);
        return fd;
      },
      writevSync: (fd, parts, position) => {
        if (direct.has(fd)) throw Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
        return realFileSystem.writevSync(fd, parts, position);
      },
    } as FaultyFileSystem);
    await fill(harness, SIZES_KIB);
    assert.equal(harness.acknowledged.size, 2 * SIZES_KIB.length);
    harness.checkSidecars();
    assert.deepEqual(harness.health, []);
    assert.equal(direct.size, 1, 'it is not tried again');
  });

  test('on a file system in memory', { skip: tmpfsRequirement() }, async (context) => {
    const folder = temporaryFolder().path;
    const unmount = await mountTmpfs(folder, '32m');
    context.after(unmount);
    const harness = new JournalHarness(folder);
    await fill(harness, SIZES_KIB);
    expectWhole(harness, SIZES_KIB.length);
  });

  const faults = [
    ...(['error', 'short', 'partial', 'late'] as const).map((kind) => ({ kind, code: 'ENOSPC' })),
    { kind: 'error', code: 'EINVAL' },
  ] as const;
  const cases = faults.flatMap((fault) => [
    { fault, isBeside: false, groupsKiB: [300, 1, 1500, 300] },
    { fault, isBeside: true, groupsKiB: [300, 2600, 1, 1500] },
  ]);
  for (const { fault, isBeside, groupsKiB } of cases) {
    const { kind, code } = fault;
    const where = isBeside ? 'in a thread beside the writer' : 'in the writer';
    test(`each write in turn, ${where}: ${kind} ${code}`, async () => {
      const journal = (fileSystem: FaultyFileSystem) => {
        const runs = isBeside ? new DeferredRunWriter(fileSystem) : undefined;
        return { runs, harness: new JournalHarness(temporaryFolder().path, fileSystem, runs) };
      };
      const counting = journal(faultyFileSystem());
      await fill(counting.harness, groupsKiB);
      expectWhole(counting.harness, groupsKiB.length);
      const writes = writesOf(counting.harness.fileSystem);
      assert.ok(writes > 8);
      if (isBeside && directRequirement() === false) assert.ok(counting.runs!.runs >= 4);
      for (let failing = 1; failing <= writes; failing++) {
        let seen = 0;
        const fileSystem = faultyFileSystem(({ method }) =>
          method === 'writevSync' && ++seen === failing ? fault : undefined,
        );
        const { harness } = journal(fileSystem);
        await fill(harness, groupsKiB);
        for (const { sha256, file, bytes, fileBytes } of harness.closed.values()) {
          const content = readFileSync(join(harness.folder, file));
          assert.equal(content.length, fileBytes);
          if (sha256 === undefined) continue;
          assert.equal(bytes, fileBytes);
          assert.equal(
            sha256,
            createHash('sha256').update(content).digest('hex'),
            `write ${failing} ${kind}`,
          );
        }
        assert.equal(fileSystem.openDescriptors.size, 0);
      }
    });
  }
});

describe('the hash that the writer made', { timeout: 30_000 }, () => {
  async function archived(harness: JournalHarness): Promise<{ records: ManifestRecord[]; reads: number }> {
    const records: ManifestRecord[] = [];
    const fileSystem = faultyFileSystem();
    const archiver = await openArchiver(
      {
        filePath: harness.folder,
        compress: 'none',
        retainFiles: 0,
        retainBytes: 0,
        retainAgeMs: 0,
        lowSpaceBytes: 0,
      },
      {
        fileSystem,
        clock: new ManualClock(),
        events: { onArchived: (record) => records.push(record) },
      },
    );
    for (const closed of harness.closed.values()) archiver.closed(closed);
    await archiver.close({ finishHashes: true });
    const reads = fileSystem.calls.filter(
      ({ method, path }) => method === 'read' && path.endsWith('.jsonl'),
    ).length;
    return { records, reads };
  }

  test('goes into the manifest without another look at the file', async () => {
    const harness = new JournalHarness(temporaryFolder().path);
    await fill(harness, [300, 1]);
    const { records, reads } = await archived(harness);
    const content = readFileSync(join(harness.folder, harness.segmentFiles()[0]!));
    assert.equal(records[0]!.sha256, createHash('sha256').update(content).digest('hex'));
    assert.equal(reads, 0);
  });

  test('is not given for a segment whose last sync failed: the archiver reads what is there', async () => {
    const fileSystem = faultyFileSystem(({ method, path }) =>
      method === 'syncData' && path.endsWith('.jsonl') ? { kind: 'error', code: 'EIO' } : undefined,
    );
    const harness = new JournalHarness(temporaryFolder().path, fileSystem);
    await fill(harness, [300, 1]);
    assert.equal(harness.closed.get(1)!.suspect, true);
    assert.equal(harness.closed.get(1)!.sha256, undefined);
    const { records, reads } = await archived(harness);
    assert.ok(reads > 0);
    assert.equal(records.length, 1);
  });

  test('is forgotten when synced acknowledgements are taken back', async () => {
    let syncs = 0;
    const fileSystem = faultyFileSystem(({ method, path }) =>
      method === 'syncData' && path.endsWith('.jsonl') && ++syncs === 2
        ? { kind: 'error', code: 'EIO' }
        : undefined,
    );
    const harness = new JournalHarness(temporaryFolder().path, fileSystem);
    const writer = await harness.open({ ...LARGE, durability: 'synced' });
    harness.append('a', 300, 900);
    writer.flush();
    while (harness.answered < 1) await new Promise(setImmediate);
    harness.append('b', 300, 900);
    writer.flush();
    while (harness.answered < 2) await new Promise(setImmediate);
    await writer.close();
    harness.check();
    assert.deepEqual([...harness.acknowledged.keys()], ['a']);
    assert.equal(harness.closed.get(1)!.sha256, undefined);
  });
});
