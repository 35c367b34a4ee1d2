/** The archiver on real files: records, compression, retention, space, and dying at every single step. */
import assert from 'node:assert/strict';
import {
  appendFile,
  copyFile,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import type {
  ArchiverEvents,
  ArchiverFault,
  ArchiverOptions,
  SegmentArchiver,
} from '../../src/journal/archiver.ts';
import { openArchiver } from '../../src/journal/archiver.ts';
import type { FileSystem } from '../../src/journal/file-system.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import { loadManifest, viewFolder } from '../../src/journal/folder-view.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import { encodeCheckpoint } from '../../src/journal/producers/checkpoint.ts';
import { JOURNAL_FOLDER, segmentsAmong } from '../../src/journal/segment-name.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import type { FaultRule } from '../support/faulty-file-system.ts';
import { faultyFileSystem } from '../support/faulty-file-system.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { sampleLines, temporaryFolder, writeSegment } from '../support/sample-journal.ts';

function options(filePath: string, changes: Partial<ArchiverOptions> = {}): ArchiverOptions {
  const keepAll = { retainFiles: 0, retainBytes: 0, retainAgeMs: 0, lowSpaceBytes: 0 };
  return { filePath, compress: 'none', ...keepAll, ...changes };
}

interface Harness {
  readonly archiver: SegmentArchiver;
  readonly clock: ManualClock;
  readonly faults: ArchiverFault[];
}

async function begin(
  archiverOptions: ArchiverOptions,
  fileSystem: FileSystem = realFileSystem,
  events: ArchiverEvents = {},
): Promise<Harness> {
  const clock = new ManualClock();
  const faults: ArchiverFault[] = [];
  const archiver = await openArchiver(archiverOptions, {
    fileSystem,
    clock,
    events: { onFault: (fault) => faults.push(fault), ...events },
  });
  return { archiver, clock, faults };
}

async function segmentFiles(folder: string): Promise<string[]> {
  return segmentsAmong(await readdir(folder)).map(({ file }) => file);
}

async function assertClean(folder: string): Promise<void> {
  const report = await verifyFolder(folder, { settleMs: 0 });
  assert.deepEqual(report.faults, []);
}

test('a closed segment gets a record with the hash of its file', async (t) => {
  const folder = await temporaryFolder(t);
  const { archiver, faults } = await begin(options(folder));
  archiver.closed(await writeSegment(folder, 1));
  archiver.closed(await writeSegment(folder, 2, { excess: '{"torn":' }));
  await archiver.close({ finishHashes: true });
  const records = [...(await loadManifest(folder))!.records.values()];
  assert.deepEqual(
    records.map(({ segment, lines, state, compression }) => ({ segment, lines, state, compression })),
    [
      { segment: 1, lines: 100, state: 'closed', compression: 'none' },
      { segment: 2, lines: 100, state: 'closed', compression: 'none' },
    ],
  );
  assert.equal(records[1]!.fileBytes, records[1]!.bytes + 8);
  assert.deepEqual(faults, []);
  await assertClean(folder);
});

test('a segment whose sync failed is written again before its record, until that works', async (t) => {
  const folder = await temporaryFolder(t);
  const fileSystem = faultyFileSystem();
  const settled: number[] = [];
  const { archiver, clock, faults } = await begin(options(folder), fileSystem, {
    onSettled: ({ number }) => settled.push(number),
  });
  const suspect = { ...(await writeSegment(folder, 1)), suspect: true };
  const writes = (file: string): number =>
    fileSystem.calls.filter(({ method, path }) => method === 'write' && basename(path) === file).length;
  fileSystem.rule = ({ method, path }) =>
    method === 'sync' && basename(path) === suspect.file ? { kind: 'error', code: 'EIO' } : undefined;
  archiver.closed(suspect);
  await archiver.idle();
  assert.equal(writes(suspect.file), 1);
  assert.equal((await loadManifest(folder))?.records.size ?? 0, 0);
  assert.deepEqual(settled, []);
  fileSystem.rule = undefined;
  clock.advance(10_000);
  await archiver.idle();
  assert.equal(writes(suspect.file), 2);
  assert.deepEqual(settled, [1]);
  const good = await writeSegment(folder, 2);
  archiver.closed(good);
  await archiver.close({ finishHashes: true });
  assert.equal(writes(good.file), 0, 'what was synced is left alone');
  assert.deepEqual(settled, [1, 2]);
  const records = [...(await loadManifest(folder))!.records.values()];
  assert.deepEqual(
    records.map(({ suspect: isSuspect }) => isSuspect),
    [true, false],
  );
  assert.deepEqual(
    faults.map(({ task, code, willRetry }) => ({ task, code, willRetry })),
    [{ task: 'hash', code: 'EIO', willRetry: true }],
  );
  await assertClean(folder);
});

test('a segment whose sync failed and that is gone is settled, too', async (t) => {
  const folder = await temporaryFolder(t);
  const settled: number[] = [];
  const { archiver } = await begin(options(folder), realFileSystem, {
    onSettled: ({ number }) => settled.push(number),
  });
  const suspect = { ...(await writeSegment(folder, 1)), suspect: true };
  await unlink(join(folder, suspect.file));
  archiver.closed(suspect);
  await archiver.close({ finishHashes: true });
  assert.deepEqual(settled, [1]);
});

test('a sidecar that a fault cut short or kept away is completed before the record', async (t) => {
  const folder = await temporaryFolder(t);
  const segments = await Promise.all([1, 2, 3].map((number) => writeSegment(folder, number)));
  const sidecar = (index: number): string =>
    join(folder, JOURNAL_FOLDER, segments[index]!.file.replace('.jsonl', '.blocks'));
  await truncate(sidecar(0), 100);
  await unlink(sidecar(1));
  const { archiver, faults } = await begin(options(folder));
  for (const segment of segments) archiver.closed(segment);
  await archiver.close({ finishHashes: true });
  assert.deepEqual(faults, []);
  await assertClean(folder);
});

test('an archiver that cannot begin says so in one line; what is left of a rewrite goes', async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(
    begin(
      options(folder),
      faultyFileSystem((call) => (call.method === 'list' ? { kind: 'error', code: 'EMFILE' } : undefined)),
    ),
    /^SinkError: FILE_PATH .*: its manifest or list of files: EMFILE/,
  );
  await writeFile(join(folder, JOURNAL_FOLDER, 'manifest.jsonl.tmp'), 'half');
  const { archiver } = await begin(options(folder));
  await archiver.close({ finishHashes: true });
  assert.ok(!(await readdir(join(folder, JOURNAL_FOLDER))).includes('manifest.jsonl.tmp'));
});

for (const [compress, suffix, decompress] of [
  ['gzip', '.gz', gunzipSync],
  ['zstd', '.zst', zstdDecompressSync],
] as const) {
  test(`${compress}: the copy holds the valid bytes and replaces the plain file`, async (t) => {
    const folder = await temporaryFolder(t);
    const compressed: number[] = [];
    const { archiver, faults } = await begin(options(folder, { compress }), realFileSystem, {
      onCompressed: (record, plainBytes) => compressed.push(record.segment, plainBytes),
    });
    // More than a chunk, so that several pass through the stream.
    const lines = sampleLines(1, 20_000);
    const segment = await writeSegment(folder, 1, { lines, linesPerBlock: 400, excess: 'beyond' });
    archiver.closed(segment);
    await archiver.idle();
    await archiver.close({ finishHashes: true });
    assert.deepEqual(await segmentFiles(folder), [`${segment.file}${suffix}`]);
    const content = decompress(await readFile(join(folder, `${segment.file}${suffix}`)));
    assert.ok(content.equals(Buffer.from(lines.join(''))));
    assert.deepEqual(compressed, [1, segment.fileBytes]);
    assert.deepEqual(faults, []);
    await assertClean(folder);
  });
}

test('retention removes the oldest by count, size and age, the record first', async (t) => {
  const folder = await temporaryFolder(t);
  const segments: ClosedSegment[] = [];
  for (let number = 1; number <= 6; number++) segments.push(await writeSegment(folder, number));
  const first = await begin(options(folder));
  for (const segment of segments) first.archiver.closed(segment);
  await first.archiver.close({ finishHashes: true });

  const byCount = await begin(options(folder, { retainFiles: 5 }));
  await byCount.archiver.idle();
  assert.equal(byCount.archiver.stats.deletedSegments, 1);
  await byCount.archiver.close({ finishHashes: true });

  const bySize = await begin(options(folder, { retainBytes: segments[0]!.bytes * 4 + 100 }));
  await bySize.archiver.idle();
  await bySize.archiver.close({ finishHashes: true });
  assert.deepEqual(
    (await viewFolder(folder)).segments.map(({ number }) => number),
    [3, 4, 5, 6],
  );

  const byAge = await begin(options(folder, { retainAgeMs: 3_600_000 }));
  await byAge.archiver.idle();
  assert.equal(byAge.archiver.stats.segments, 4);
  // Segment 3 was closed 3 min 59 s after the clock's start, segment 5 5 min 59 s.
  byAge.clock.advance(3_600_000 + 5 * 60_000);
  await byAge.archiver.idle();
  assert.equal(byAge.archiver.stats.segments, 2);
  await byAge.archiver.close({ finishHashes: true });
  assert.deepEqual(await segmentFiles(folder), [segments[4]!.file, segments[5]!.file]);
  const sidecars = (await readdir(join(folder, JOURNAL_FOLDER))).filter((file) => file.endsWith('.blocks'));
  assert.equal(sidecars.length, 2);
  await assertClean(folder);
});

test('the newest checkpoint of the producers outlives its segment; what it needs outlives retention', async (t) => {
  const folder = await temporaryFolder(t);
  const checkpointOf = ({ file }: ClosedSegment): string =>
    join(folder, JOURNAL_FOLDER, file.replace('.jsonl', '.producers'));
  const known = async (segment: ClosedSegment, scanFrom: number): Promise<void> => {
    const producers = [{ id: 'p', next: 11n, holes: [], seenAtMs: 1 }];
    await writeFile(
      checkpointOf(segment),
      encodeCheckpoint({ segment: segment.number, scanFrom, producers }),
    );
  };
  const left = async (): Promise<[number[], string[]]> => {
    const numbers = (await viewFolder(folder)).segments.map(({ number }) => number);
    const files = await readdir(join(folder, JOURNAL_FOLDER));
    return [numbers, files.filter((file) => file.endsWith('.producers'))];
  };
  const [a, b] = [await writeSegment(folder, 1), await writeSegment(folder, 2)];
  await rm(checkpointOf(a));
  await rm(checkpointOf(b));
  const { archiver, clock } = await begin(options(folder, { retainAgeMs: 1000 }));
  archiver.closed(a);
  archiver.closed(b);
  const pass = async (): Promise<void> => {
    clock.advance(3_600_000);
    await archiver.idle();
  };
  await pass();
  // A restart would read all. Two went once, and what a third had not taken counted as taken.
  assert.deepEqual(await left(), [[1, 2], []]);
  await known(a, 1);
  await known(b, 2);
  await pass();
  assert.deepEqual(await left(), [[2], [basename(checkpointOf(b))]], 'a restart reads from 2 on');
  // Nothing is open any more: it knows all. It once went with its segment, and a restart knew nobody.
  await known(b, 3);
  await pass();
  assert.deepEqual(await left(), [[], [basename(checkpointOf(b))]]);
  const c = await writeSegment(folder, 3);
  await known(c, 4);
  archiver.closed(c);
  await pass();
  assert.deepEqual(await left(), [[], [basename(checkpointOf(c))]]);
  await archiver.close({ finishHashes: true });
  await assertClean(folder);
});

/** Dies at the n-th call: that one and all after it fail, a write after half of its bytes. */
function dyingFileSystem(dieAtCall: number): { fileSystem: FileSystem; calls: () => number } {
  let calls = 0;
  const crash = (): never => {
    throw Object.assign(new Error('the process is gone'), { code: 'CRASH' });
  };
  const fileSystem: FileSystem = {
    ...realFileSystem,
    ...Object.fromEntries(
      Object.entries(realFileSystem)
        .filter(([name]) => name !== 'close') // the kernel closes what a dead process had open
        .map(([name, method]) => [
          name,
          (...parameters: unknown[]) => {
            calls++;
            if (calls === dieAtCall && name === 'write') {
              const [fd, bytes, position] = parameters as [number, Uint8Array, number];
              return realFileSystem.write(fd, bytes.subarray(0, bytes.length >> 1), position).then(crash);
            }
            if (calls >= dieAtCall) return name.endsWith('Sync') ? crash() : Promise.reject(asError(crash));
            return (method as (...p: unknown[]) => unknown)(...parameters);
          },
        ]),
    ),
  };
  return { fileSystem, calls: () => calls };
}

function asError(thrower: () => never): unknown {
  try {
    return thrower();
  } catch (error) {
    return error;
  }
}

test('death at every step: no segment is counted twice, none is lost, and the next start finishes', async (t) => {
  const archiverOptions = { compress: 'zstd', retainFiles: 1 } as const;
  let dieAtCall = 0;
  for (let isAlive = false; !isAlive; ) {
    dieAtCall++;
    const folder = await temporaryFolder(t);
    const segments: ClosedSegment[] = [];
    for (const number of [1, 2]) segments.push(await writeSegment(folder, number));
    const { fileSystem, calls } = dyingFileSystem(dieAtCall);
    try {
      const { archiver } = await begin(options(folder, archiverOptions), fileSystem);
      for (const segment of segments) archiver.closed(segment);
      await archiver.idle();
      await archiver.close({ finishHashes: false });
    } catch (error) {
      const { cause } = error as Error;
      assert.equal(((cause ?? error) as NodeJS.ErrnoException).code, 'CRASH');
    }
    isAlive = calls() < dieAtCall;

    // As it lies after the crash: every segment is one whole file for whoever goes by the manifest.
    const view = await viewFolder(folder);
    const deleted = [...view.manifest.records.values()].filter(({ state }) => state === 'deleted');
    assert.ok(deleted.every(({ segment }) => segment === 1));
    assert.deepEqual(
      [...view.segments.map(({ number }) => number), ...deleted.map(({ segment }) => segment)].sort(),
      [1, 2],
      `death at call ${dieAtCall}`,
    );
    for (const segment of view.segments) await stat(join(folder, segment.file));

    const again = await begin(options(folder, archiverOptions));
    for (const segment of segments) {
      const record = view.manifest.records.get(segment.number);
      if (record === undefined) again.archiver.closed(segment); // what recovery does with unrecorded files
    }
    await again.archiver.idle();
    await again.archiver.close({ finishHashes: true });
    assert.deepEqual(again.faults, [], `death at call ${dieAtCall}`);
    assert.deepEqual(await segmentFiles(folder), [`${segments[1]!.file}.zst`], `death at call ${dieAtCall}`);
    // An old checkpoint that is left goes with the next segment that goes.
    const journalFiles = (await readdir(join(folder, JOURNAL_FOLDER))).filter(
      (file) => !file.endsWith('.producers'),
    );
    assert.equal(journalFiles.length, 2, `death at call ${dieAtCall}: ${journalFiles}`);
    await assertClean(folder);
    await rm(folder, { recursive: true });
  }
  assert.ok(dieAtCall > 50, `only ${dieAtCall} steps`);
});

test('a failing call is tried again at the next tick, wherever it fails', async (t) => {
  let failAtCall = 0;
  for (let isThrough = false; !isThrough; ) {
    failAtCall++;
    const folder = await temporaryFolder(t);
    const segments = [await writeSegment(folder, 1), await writeSegment(folder, 2)];
    let calls = 0;
    let isArmed = false;
    const fileSystem = Object.fromEntries(
      Object.entries(realFileSystem).map(([name, method]) => [
        name,
        (...parameters: unknown[]) => {
          if (isArmed && name !== 'close' && ++calls === failAtCall) {
            return Promise.reject(Object.assign(new Error('EIO: made to fail'), { code: 'EIO' }));
          }
          return (method as (...p: unknown[]) => unknown)(...parameters);
        },
      ]),
    ) as unknown as FileSystem;
    const { archiver, clock, faults } = await begin(
      options(folder, { compress: 'gzip', retainFiles: 1 }),
      fileSystem,
    );
    await archiver.idle();
    isArmed = true;
    for (const segment of segments) archiver.closed(segment);
    await archiver.idle();
    isThrough = calls < failAtCall;
    for (let tick = 0; tick < 3; tick++) {
      clock.advance(10_000);
      await archiver.idle();
    }
    assert.deepEqual(
      faults.filter(({ willRetry }) => !willRetry),
      [],
    );
    await archiver.close({ finishHashes: true });
    assert.deepEqual(
      await segmentFiles(folder),
      [`${segments[1]!.file}.gz`],
      `failure at call ${failAtCall}`,
    );
    await assertClean(folder);
    await rm(folder, { recursive: true });
  }
  assert.ok(failAtCall > 20, `only ${failAtCall} calls`);
});

test('a full disk does not keep retention from making room', async (t) => {
  const folder = await temporaryFolder(t);
  const segments = [
    await writeSegment(folder, 1),
    await writeSegment(folder, 2),
    await writeSegment(folder, 3),
  ];
  const first = await begin(options(folder));
  for (const segment of segments) first.archiver.closed(segment);
  await first.archiver.close({ finishHashes: true });

  // Writes fail until a whole block was given back by an unlink, as on a disk without a free block.
  let isFull = true;
  const fileSystem: FileSystem = {
    ...realFileSystem,
    unlink: async (path) => {
      await realFileSystem.unlink(path);
      isFull = false;
    },
    write: (fd, bytes, position) =>
      isFull
        ? Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }))
        : realFileSystem.write(fd, bytes, position),
  };
  const { archiver, faults, clock } = await begin(options(folder, { retainFiles: 1 }), fileSystem);
  await archiver.idle();
  clock.advance(10_000);
  await archiver.idle();
  assert.deepEqual(faults, []);
  assert.deepEqual(await segmentFiles(folder), [segments[2]!.file]);
  await archiver.close({ finishHashes: true });
  await assertClean(folder);
});

test('low space is said once, and once when it is over', async (t) => {
  const folder = await temporaryFolder(t);
  let availableBytes = 500;
  const said: [string, number][] = [];
  const fileSystem: FileSystem = {
    ...realFileSystem,
    space: async () => ({ availableBytes, totalBytes: 10_000 }),
  };
  const { archiver, clock } = await begin(options(folder, { lowSpaceBytes: 1000 }), fileSystem, {
    onLowSpace: (free) => said.push(['low', free]),
    onSpace: (free) => said.push(['enough', free]),
  });
  await archiver.idle();
  for (const bytes of [400, 1000, 2000, 999]) {
    availableBytes = bytes;
    clock.advance(10_000);
    await archiver.idle();
  }
  assert.deepEqual(said, [
    ['low', 500],
    ['enough', 1000],
    ['low', 999],
  ]);
  assert.equal(archiver.stats.freeBytes, 999);
  await archiver.close({ finishHashes: true });
});

test('compression waits when its copy might not fit', async (t) => {
  const folder = await temporaryFolder(t);
  let availableBytes = 10;
  const fileSystem: FileSystem = {
    ...realFileSystem,
    space: async () => ({ availableBytes, totalBytes: 10_000_000 }),
  };
  const { archiver, clock, faults } = await begin(options(folder, { compress: 'gzip' }), fileSystem);
  const segment = await writeSegment(folder, 1);
  archiver.closed(segment);
  await archiver.idle();
  assert.deepEqual(await segmentFiles(folder), [segment.file]);
  assert.equal(faults[0]?.code, 'ENOSPC');
  availableBytes = 1_000_000;
  clock.advance(10_000);
  await archiver.idle();
  assert.deepEqual(await segmentFiles(folder), [`${segment.file}.gz`]);
  await archiver.close({ finishHashes: true });
});

test('a file that changed since its close is not compressed: the damage keeps its wrong hash', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const first = await begin(options(folder));
  first.archiver.closed(segment);
  await first.archiver.close({ finishHashes: true });
  const path = join(folder, segment.file);
  const content = await readFile(path);
  content[50]! ^= 1;
  await writeFile(path, content);
  const second = await begin(options(folder, { compress: 'zstd' }));
  await second.archiver.idle();
  assert.deepEqual(
    second.faults.map(({ task, code, willRetry }) => ({ task, code, willRetry })),
    [{ task: 'compress', code: 'DAMAGED', willRetry: false }],
  );
  assert.deepEqual(await segmentFiles(folder), [segment.file]);
  await second.archiver.close({ finishHashes: true });
});

test('closing gives up a compression cleanly, and the next start does it', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1, { lines: sampleLines(1, 60_000), linesPerBlock: 400 });
  let reads = 0;
  let onSecondRead = (): void => {};
  const isCompressing = new Promise<void>((resolve) => {
    onSecondRead = resolve;
  });
  let isArmed = false;
  const fileSystem: FileSystem = {
    ...realFileSystem,
    read: (fd, target, position) => {
      if (isArmed && ++reads === 2) onSecondRead();
      return realFileSystem.read(fd, target, position);
    },
  };
  const { archiver, faults } = await begin(options(folder, { compress: 'gzip' }), fileSystem, {
    onArchived: () => {
      isArmed = true;
    },
  });
  archiver.closed(segment);
  await isCompressing;
  await archiver.close({ finishHashes: true });
  assert.deepEqual(faults, []);
  assert.deepEqual(await segmentFiles(folder), [segment.file]);
  assert.deepEqual(
    (await readdir(join(folder, JOURNAL_FOLDER))).filter((file) => file.endsWith('.tmp')),
    [],
  );
  const again = await begin(options(folder, { compress: 'gzip' }));
  await again.archiver.idle();
  assert.deepEqual(await segmentFiles(folder), [`${segment.file}.gz`]);
  await again.archiver.close({ finishHashes: true });
  await assertClean(folder);
});

test('compressed files whose records were lost are adopted', async (t) => {
  const folder = await temporaryFolder(t);
  const segments = [await writeSegment(folder, 1), await writeSegment(folder, 2)];
  const first = await begin(options(folder, { compress: 'zstd' }));
  for (const segment of segments) first.archiver.closed(segment);
  await first.archiver.idle();
  await first.archiver.close({ finishHashes: true });
  const before = (await loadManifest(folder))!.records;
  await unlink(join(folder, JOURNAL_FOLDER, 'manifest.jsonl'));

  const second = await begin(options(folder));
  await second.archiver.idle();
  await second.archiver.close({ finishHashes: true });
  const after = (await loadManifest(folder))!.records;
  for (const [number, record] of before) {
    assert.deepEqual({ ...after.get(number), closedAtMs: 0 }, { ...record, closedAtMs: 0 });
  }
  await assertClean(folder);
});

test('a truncated file is not adopted as if it were whole', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const first = await begin(options(folder, { compress: 'zstd' }));
  first.archiver.closed(segment);
  await first.archiver.idle();
  await first.archiver.close({ finishHashes: true });
  await unlink(join(folder, JOURNAL_FOLDER, 'manifest.jsonl'));
  const path = join(folder, `${segment.file}.zst`);
  await truncate(path, (await stat(path)).size - 10);
  const { archiver, faults } = await begin(options(folder));
  await archiver.idle();
  await archiver.close({ finishHashes: true });
  assert.equal(faults[0]?.file, `${segment.file}.zst`);
  assert.equal((await loadManifest(folder))!.records.size, 0);
});

test('retention waits for adopted segments, which may be the oldest', async (t) => {
  const folder = await temporaryFolder(t);
  const segments: ClosedSegment[] = [];
  for (const number of [1, 2, 3]) segments.push(await writeSegment(folder, number));
  const first = await begin(options(folder, { compress: 'zstd' }));
  for (const segment of segments) first.archiver.closed(segment);
  await first.archiver.idle();
  await first.archiver.close({ finishHashes: true });
  const path = join(folder, JOURNAL_FOLDER, 'manifest.jsonl');
  const lines = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, lines.filter((line) => !line.startsWith('{"segment":1,')).join('\n'));

  const second = await begin(options(folder, { retainFiles: 2 }));
  await second.archiver.idle();
  await second.archiver.close({ finishHashes: true });
  assert.deepEqual(await segmentFiles(folder), [`${segments[1]!.file}.zst`, `${segments[2]!.file}.zst`]);
  await assertClean(folder);
});

test('a file that shares only the number of a segment is never removed', async (t) => {
  const folder = await temporaryFolder(t);
  const kept = await writeSegment(folder, 1);
  const gone = await writeSegment(folder, 2);
  const first = await begin(options(folder));
  first.archiver.closed(kept);
  first.archiver.closed(gone);
  await first.archiver.close({ finishHashes: true });
  const deleting = await begin(options(folder, { retainFiles: 1 }));
  await deleting.archiver.idle();
  await deleting.archiver.close({ finishHashes: true });
  const alien = ['telemetry-20200101T000000Z-000001.jsonl', 'telemetry-20200101T000000Z-000002.jsonl'];
  for (const file of alien) await writeFile(join(folder, file), '{}\n');

  const { archiver, faults } = await begin(options(folder));
  await archiver.close({ finishHashes: true });
  assert.deepEqual(
    faults.map(({ file }) => file),
    alien,
  );
  assert.deepEqual((await segmentFiles(folder)).sort(), [...alien, gone.file].sort());
});

test('a plain file beside its lost record stays, and its unrecorded copy goes', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const plain = join(folder, segment.file);
  await writeFile(`${plain}.gz`, gzipSync(await readFile(plain)));
  await copyFile(`${plain}.gz`, join(folder, JOURNAL_FOLDER, `${segment.file}.gz.tmp`));
  const { archiver } = await begin(options(folder));
  archiver.closed(segment);
  await archiver.close({ finishHashes: true });
  assert.deepEqual(await segmentFiles(folder), [segment.file]);
  await assertClean(folder);
});

test('a manifest that is mostly garbage is rewritten, and goes on growing right after', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const first = await begin(options(folder));
  first.archiver.closed(segment);
  await first.archiver.close({ finishHashes: true });
  const path = join(folder, JOURNAL_FOLDER, 'manifest.jsonl');
  const line = await readFile(path, 'utf8');
  await appendFile(path, line.repeat(400));
  await appendFile(path, line.slice(0, 50)); // and a torn end
  const second = await begin(options(folder));
  assert.equal(await readFile(path, 'utf8'), line);
  second.archiver.closed(await writeSegment(folder, 2));
  await second.archiver.close({ finishHashes: true });
  assert.equal((await loadManifest(folder))!.lineCount, 2);
  await assertClean(folder);
});

/** A record says that it is compressed, and the plain file is still there: as a crash may leave it. */
async function halfCompressed(
  t: Parameters<typeof temporaryFolder>[0],
): Promise<{ folder: string; plain: string }> {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const plain = join(folder, segment.file);
  const content = await readFile(plain);
  const first = await begin(options(folder, { compress: 'gzip' }));
  first.archiver.closed(segment);
  await first.archiver.idle();
  await first.archiver.close({ finishHashes: true });
  await writeFile(plain, content);
  return { folder, plain: segment.file };
}

test('what relies on a record found at the start waits until that record is surely on the disk', async (t) => {
  const { folder, plain } = await halfCompressed(t);
  const fileSystem = faultyFileSystem();
  const { archiver, faults } = await begin(options(folder), fileSystem);
  await archiver.close({ finishHashes: true });
  const names = fileSystem.calls.map(({ method, path }) => `${method} ${path.slice(folder.length + 1)}`);
  const synced = names.indexOf(`syncFolder ${JOURNAL_FOLDER}`);
  assert.ok(names.indexOf(`rename ${JOURNAL_FOLDER}/manifest.jsonl.tmp`) < synced);
  assert.ok(synced < names.indexOf(`unlink ${plain}`));
  assert.deepEqual(faults, []);
  await assertClean(folder);
});

test('a manifest that cannot be written anew is synced as it is; one that cannot be synced is not relied on', async (t) => {
  const { folder, plain } = await halfCompressed(t);
  const noNewFile: FaultRule = ({ path }) =>
    path.endsWith('manifest.jsonl.tmp') ? { kind: 'error', code: 'ENOSPC' } : undefined;
  const noSync: FaultRule = (call) =>
    call.method === 'sync' ? { kind: 'error', code: 'EIO' } : noNewFile(call);
  const doubtful = await begin(options(folder), faultyFileSystem(noSync));
  await doubtful.archiver.close({ finishHashes: true });
  assert.deepEqual(
    doubtful.faults.map(({ task, file, code }) => ({ task, file, code })),
    [{ task: 'recover', file: 'manifest.jsonl', code: 'EIO' }],
  );
  assert.ok((await readdir(folder)).includes(plain));
  const next = await begin(options(folder), faultyFileSystem(noNewFile));
  await next.archiver.close({ finishHashes: true });
  assert.deepEqual(next.faults, []);
  assert.ok(!(await readdir(folder)).includes(plain));
  await assertClean(folder);
});

test('records go on after the manifest was removed or cut behind our back', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, JOURNAL_FOLDER, 'manifest.jsonl');
  const { archiver } = await begin(options(folder));
  archiver.closed(await writeSegment(folder, 1));
  await archiver.idle();
  await unlink(path);
  archiver.closed(await writeSegment(folder, 2));
  await archiver.idle();
  assert.equal((await loadManifest(folder))!.records.size, 2);
  await archiver.close({ finishHashes: true });
  await truncate(path, (await stat(path)).size - 10);
  assert.equal((await loadManifest(folder))!.records.size, 1);
});

test('a record that may not be on the disk is not acted on: retention would remove what is recorded again', async (t) => {
  const folder = await temporaryFolder(t);
  const fileSystem = faultyFileSystem();
  const { archiver, clock, faults } = await begin(options(folder, { retainAgeMs: 3_600_000 }), fileSystem);
  const journalFolder = join(folder, JOURNAL_FOLDER);
  await unlink(join(journalFolder, 'manifest.jsonl'));
  fileSystem.rule = ({ method, path }) =>
    method === 'syncFolder' && path === journalFolder ? { kind: 'error', code: 'EIO' } : undefined;
  archiver.closed(await writeSegment(folder, 1));
  await archiver.idle();
  assert.deepEqual([archiver.stats.segments, archiver.stats.hashQueue], [0, 1]);
  fileSystem.rule = undefined;
  for (let tick = 0; tick < 2; tick++) {
    clock.advance(2 * 3_600_000);
    await archiver.idle();
  }
  await archiver.close({ finishHashes: true });
  assert.equal(faults.length, 1);
  assert.deepEqual(await segmentFiles(folder), []);
  assert.deepEqual(
    [...(await loadManifest(folder))!.records.values()].map(({ state }) => state),
    ['deleted'],
  );
  await assertClean(folder);
});

test('a segment handed over twice, or already known, is recorded once', async (t) => {
  const folder = await temporaryFolder(t);
  const segment = await writeSegment(folder, 1);
  const { archiver } = await begin(options(folder));
  archiver.closed(segment);
  archiver.closed(segment);
  await archiver.idle();
  archiver.closed(segment);
  await archiver.close({ finishHashes: true });
  assert.equal((await loadManifest(folder))!.lineCount, 1);
});

test('a segment whose file is gone does not hold up those behind it', async (t) => {
  const folder = await temporaryFolder(t);
  const gone = await writeSegment(folder, 1);
  await unlink(join(folder, gone.file));
  const { archiver, faults } = await begin(options(folder));
  archiver.closed(gone);
  archiver.closed(await writeSegment(folder, 2));
  await archiver.idle();
  assert.deepEqual(
    faults.map(({ task, file, willRetry }) => ({ task, file, willRetry })),
    [{ task: 'hash', file: gone.file, willRetry: false }],
  );
  assert.equal(archiver.stats.segments, 1);
  await archiver.close({ finishHashes: true });
});
