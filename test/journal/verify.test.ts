/** Every fault is found, and named by file and block; a healthy journal has none. */
import assert from 'node:assert/strict';
import { appendFile, cp, readdir, readFile, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { crc32, gunzipSync, gzipSync } from 'node:zlib';
import { openArchiver } from '../../src/journal/archiver.ts';
import { encodeBlock } from '../../src/journal/blocks.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import { loadManifest } from '../../src/journal/folder-view.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import { encodeManifestRecord } from '../../src/journal/manifest.ts';
import { blocksFile, JOURNAL_FOLDER, parseSegmentFile } from '../../src/journal/segment-name.ts';
import type { Fault } from '../../src/journal/verify.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { SampleOptions } from '../support/sample-journal.ts';
import { sampleLines, temporaryFolder, writeSegment } from '../support/sample-journal.ts';

const MANIFEST = join(JOURNAL_FOLDER, 'manifest.jsonl');

/** Three closed segments of 100 lines in blocks of 10, and a fourth that is open. */
async function sampleJournal(
  t: TestContext,
  compress: 'none' | 'gzip' | 'zstd' = 'none',
  second: SampleOptions = {},
): Promise<{ folder: string; segments: ClosedSegment[] }> {
  const folder = await temporaryFolder(t);
  const archiver = await openArchiver(
    { filePath: folder, compress, retainFiles: 0, retainBytes: 0, retainAgeMs: 0, lowSpaceBytes: 0 },
    { fileSystem: realFileSystem, clock: new ManualClock(), events: {} },
  );
  const segments: ClosedSegment[] = [];
  for (const number of [1, 2, 3]) {
    const segment = await writeSegment(folder, number, number === 2 ? second : {});
    segments.push(segment);
    archiver.closed(segment);
  }
  await archiver.idle();
  await archiver.close({ finishHashes: true });
  await writeSegment(folder, 4);
  return { folder, segments };
}

async function faultsOf(folder: string): Promise<readonly Fault[]> {
  return (await verifyFolder(folder, { settleMs: 0 })).faults;
}

function brief(faults: readonly Fault[]): (string | number | null)[][] {
  return faults.map(({ segment, kind, offset, fileOffset }) => [segment, kind, offset, fileOffset]);
}

async function flip(path: string, at: number): Promise<void> {
  const content = await readFile(path);
  content[at]! ^= 0x01;
  await writeFile(path, content);
}

for (const compress of ['none', 'gzip', 'zstd'] as const) {
  test(`a healthy journal (${compress}) has no fault, and neither has its copy`, async (t) => {
    const { folder, segments } = await sampleJournal(t, compress);
    const progress: number[] = [];
    const report = await verifyFolder(folder, { onProgress: (done, total) => progress.push(done, total) });
    assert.deepEqual(report.faults, []);
    assert.deepEqual(report.notices, []);
    assert.equal(report.segments, 4);
    assert.equal(report.lines, 400);
    assert.equal(report.bytes, 4 * segments[0]!.bytes);
    assert.match(report.openFile!, /-000004\.jsonl$/);
    assert.equal(progress.at(-2), report.fileBytes);
    assert.equal(progress.at(-1), report.fileBytes);

    const copy = join(folder, 'copy');
    await cp(folder, await temporaryFolder(t), { recursive: true, filter: (path) => path !== copy });
    assert.deepEqual(await faultsOf(folder), []);
  });
}

test('a flipped byte is found to its block, wherever it is', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const { file, bytes } = segments[1]!;
  const blockBytes = bytes / 10;
  assert.ok(Number.isInteger(blockBytes));
  for (const at of [0, blockBytes - 1, blockBytes, 5 * blockBytes + 17, bytes - 1]) {
    const path = join(folder, file);
    await flip(path, at);
    const offset = Math.floor(at / blockBytes) * blockBytes;
    const faults = await faultsOf(folder);
    const crc = faults.filter(({ kind }) => kind === 'crc32');
    assert.deepEqual(brief(crc), [[2, 'crc32', offset, offset]], `byte ${at}`);
    assert.equal(crc[0]!.file, file);
    assert.ok(faults.some(({ kind }) => kind === 'sha256'));
    await flip(path, at);
  }
  assert.deepEqual(await faultsOf(folder), []);
});

test('in a compressed file, too: the block is named by its uncompressed offset', async (t) => {
  const { folder, segments } = await sampleJournal(t, 'gzip');
  const path = join(folder, `${segments[1]!.file}.gz`);
  const content = gunzipSync(await readFile(path));
  const blockBytes = content.length / 10;
  content[3 * blockBytes + 5]! ^= 1;
  await writeFile(path, gzipSync(content));
  const faults = await faultsOf(folder);
  assert.ok(brief(faults).some((fault) => `${fault}` === `2,crc32,${3 * blockBytes},`));
  assert.deepEqual(new Set(faults.map(({ segment }) => segment)), new Set([2]));
});

test('a broken compressed stream says where the readable part ends', async (t) => {
  for (const compress of ['gzip', 'zstd'] as const) {
    const { folder, segments } = await sampleJournal(t, compress);
    const path = join(folder, segments[1]!.file + (compress === 'gzip' ? '.gz' : '.zst'));
    const { length } = await readFile(path);
    await truncate(path, length - 20);
    const kinds = (await faultsOf(folder)).map(({ kind }) => kind);
    assert.ok(kinds.includes('size') && kinds.includes('sha256'), `${kinds}`);
    // Node.js 22 takes a Zstandard stream that breaks off for one that ends; then the bytes are missing.
    assert.ok(kinds.includes('decompress') || kinds.includes('bytes'), `${kinds}`);
    assert.ok((await faultsOf(folder)).every(({ segment }) => segment === 2));
  }
});

test('a truncated file is named with the block it breaks off in', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const { file, bytes } = segments[1]!;
  const blockBytes = bytes / 10;
  await truncate(join(folder, file), 7 * blockBytes + 10);
  const faults = await faultsOf(folder);
  assert.deepEqual(faults.map(({ kind }) => kind).sort(), ['bytes', 'line', 'lines', 'sha256', 'size']);
  const bytesFault = faults.find(({ kind }) => kind === 'bytes')!;
  assert.equal(bytesFault.offset, 7 * blockBytes);
});

test('a missing file is found', async (t) => {
  const { folder, segments } = await sampleJournal(t, 'gzip');
  await unlink(join(folder, `${segments[0]!.file}.gz`));
  assert.deepEqual(brief(await faultsOf(folder)), [[1, 'missing', null, null]]);
});

test('a segment file that nobody knows is found, and so is a second copy of one', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const plain = join(folder, segments[1]!.file);
  await writeFile(`${plain}.gz`, gzipSync(await readFile(plain)));
  await writeFile(join(folder, 'notes.txt'), 'mine');
  await writeSegment(folder, 7);
  const report = await verifyFolder(folder, { settleMs: 0 });
  assert.deepEqual(brief(report.faults), [
    [2, 'superfluous', null, null],
    [4, 'unlisted', null, null], // with a later one there, it cannot be the open one
  ]);
  assert.deepEqual(report.notices, [
    'notes.txt: not a file of the journal',
    'segments 5 to 6 are neither here nor recorded as deleted',
  ]);
});

test('a lost manifest is found', async (t) => {
  const { folder } = await sampleJournal(t);
  await unlink(join(folder, MANIFEST));
  assert.deepEqual(brief(await faultsOf(folder)), [
    [1, 'unlisted', null, null],
    [2, 'unlisted', null, null],
    [3, 'unlisted', null, null],
  ]);
});

test('a damaged manifest line is found, and the segment it hides', async (t) => {
  const { folder } = await sampleJournal(t);
  const lines = (await readFile(join(folder, MANIFEST), 'utf8')).split('\n');
  lines[1] = lines[1]!.replace('"sha256"', 'sha256"');
  await writeFile(join(folder, MANIFEST), lines.join('\n'));
  assert.deepEqual(brief(await faultsOf(folder)), [
    [null, 'manifest', null, null],
    [2, 'unlisted', null, null],
  ]);
});

test('wrong line counts are found, in the manifest and in the sidecar', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const record = (await loadManifest(folder))!.records.get(2)!;
  await appendFile(join(folder, MANIFEST), encodeManifestRecord({ ...record, lines: 99 }));
  const sidecar = join(folder, JOURNAL_FOLDER, blocksFile(parseSegmentFile(segments[2]!.file)!.base));
  await writeFile(sidecar, (await readFile(sidecar, 'utf8')).replace('"lines":10', '"lines":11'));
  assert.deepEqual(brief(await faultsOf(folder)), [
    [2, 'lines', null, null],
    [3, 'block_lines', 0, 0],
  ]);
});

test('sidecars that are missing, damaged or too short are found', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const [first, second, third] = segments.map(({ file }) =>
    join(folder, JOURNAL_FOLDER, blocksFile(parseSegmentFile(file)!.base)),
  );
  const blockBytes = segments[0]!.bytes / 10;
  await unlink(first!);
  const lines = (await readFile(second!, 'utf8')).split('\n');
  await writeFile(second!, [...lines.slice(0, 3), 'rubbish', ...lines.slice(4)].join('\n'));
  await writeFile(third!, `${(await readFile(third!, 'utf8')).split('\n').slice(0, 8).join('\n')}\n`);
  assert.deepEqual(brief(await faultsOf(folder)), [
    [1, 'sidecar', null, null],
    [2, 'sidecar', 3 * blockBytes, 3 * blockBytes],
    [3, 'sidecar', 8 * blockBytes, 8 * blockBytes],
  ]);
});

test('lines that are no JSON objects are found although every checksum is right', async (t) => {
  for (const [bad, why] of [
    ['{"sensor_name":"x"\n', 'not JSON'],
    ['[1]\n', 'not a JSON object'],
    ['null\n', 'not a JSON object'],
    ['\n', 'an empty line'],
    ['{"a":"x\ny"}\n', 'not JSON'],
    ['{"a":[{}\n{}]},{}\n', 'not JSON'],
    ['{}{}\n', 'not JSON'],
  ] as const) {
    const lines = [...sampleLines(2, 15), bad, ...sampleLines(2, 15)];
    const { folder } = await sampleJournal(t, 'zstd', { lines });
    const faults = (await faultsOf(folder)).filter(({ kind }) => kind === 'line');
    assert.equal(faults.length, 1, JSON.stringify(bad));
    assert.match(faults[0]!.message, new RegExp(`line 16 at byte \\d+ is ${why}$`), JSON.stringify(bad));
    assert.deepEqual(
      (await verifyFolder(folder, { isQuick: true })).faults.filter((f) => f.kind === 'line'),
      [],
    );
  }
  const invalidUtf8 = Buffer.from('{"sensor_name":"\xff"}\n', 'latin1').toString('latin1');
  const { folder, segments } = await sampleJournal(t);
  const content = Buffer.from(invalidUtf8, 'latin1');
  const { file } = segments[1]!;
  const record = (await loadManifest(folder))!.records.get(2)!;
  await writeFile(join(folder, file), content);
  const block = encodeBlock({ offset: 0, bytes: content.length, lines: 1, crc32: crc32(content) });
  await writeFile(join(folder, JOURNAL_FOLDER, blocksFile(parseSegmentFile(file)!.base)), block);
  const size = { bytes: content.length, fileBytes: content.length, lines: 1 };
  await appendFile(join(folder, MANIFEST), encodeManifestRecord({ ...record, ...size }));
  const faults = await faultsOf(folder);
  assert.match(faults.find(({ kind }) => kind === 'line')!.message, /line 1 at byte 0 is not valid UTF-8/);
});

test('bytes behind the valid ones are ignored, the hash covers them', async (t) => {
  const { folder, segments } = await sampleJournal(t, 'none', { excess: '{"half":' });
  assert.deepEqual(await faultsOf(folder), []);
  await flip(join(folder, segments[1]!.file), segments[1]!.bytes + 2);
  assert.deepEqual(brief(await faultsOf(folder)), [[2, 'sha256', null, null]]);
});

test('the open segment is checked as far as its sidecar goes, and by whole lines beyond', async (t) => {
  const { folder } = await sampleJournal(t);
  const open = (await readdir(folder)).find((file) => file.includes('-000004'))!;
  const path = join(folder, open);
  const { length } = await readFile(path);
  await appendFile(path, `${sampleLines(4, 3).join('')}{"sensor_na`);
  const report = await verifyFolder(folder);
  assert.deepEqual(report.faults, []);
  assert.equal(report.lines, 403);
  await flip(path, length - 5);
  assert.deepEqual(brief(await faultsOf(folder)), [[4, 'crc32', (length / 10) * 9, (length / 10) * 9]]);
  await flip(path, length - 5);
  await truncate(path, length - 5); // less than its sidecar vouches for
  assert.ok((await faultsOf(folder)).some(({ kind }) => kind === 'bytes'));
});

test('deleted segments explain their numbers; a deleted file that is still there is found', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  const record = (await loadManifest(folder))!.records.get(2)!;
  await appendFile(join(folder, MANIFEST), encodeManifestRecord({ ...record, state: 'deleted' }));
  const path = join(folder, segments[1]!.file);
  assert.deepEqual(brief(await faultsOf(folder)), [[2, 'superfluous', null, null]]);
  await unlink(path);
  const report = await verifyFolder(folder);
  assert.deepEqual([report.faults, report.notices, report.deletedSegments], [[], [], 1]);
});

test('a daemon at work gets the time to finish its step', async (t) => {
  const { folder, segments } = await sampleJournal(t);
  await writeFile(join(folder, JOURNAL_FOLDER, 'owner.json'), '{}');
  const path = join(folder, segments[1]!.file);
  const elsewhere = join(folder, JOURNAL_FOLDER, 'aside');
  await rename(path, elsewhere);
  await rename(elsewhere, path);
  // A segment that was closed and whose record comes while we look.
  await writeSegment(folder, 5);
  const records = (await readFile(join(folder, MANIFEST), 'utf8')).split('\n');
  assert.equal(records.length, 4);
  let isRecorded = false;
  const report = await verifyFolder(folder, {
    onProgress: (done, total) => {
      if (isRecorded || done < total) return;
      isRecorded = true;
      void recordFourth(folder);
    },
  });
  assert.deepEqual(report.faults, []);
});

async function recordFourth(folder: string): Promise<void> {
  const archiver = await openArchiver(
    { filePath: folder, compress: 'none', retainFiles: 0, retainBytes: 0, retainAgeMs: 0, lowSpaceBytes: 0 },
    { fileSystem: realFileSystem, clock: new ManualClock(), events: {} },
  );
  archiver.closed(await writeSegment(folder, 4));
  await archiver.close({ finishHashes: true });
}

test('a missing folder is one clear error', async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(verifyFolder(join(folder, 'nowhere')), { code: 'FOLDER_MISSING' });
  assert.equal((await verifyFolder(folder)).segments, 0);
});
