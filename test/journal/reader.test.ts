/** Reading and following a journal while it is written, rotated, compressed and deleted. */
import assert from 'node:assert/strict';
import { appendFile, readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openArchiver } from '../../src/journal/archiver.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import { followLines } from '../../src/journal/follow.ts';
import { sensorFilter } from '../../src/journal/line-filter.ts';
import { linkSegments } from '../../src/journal/linked-copy.ts';
import type { Position } from '../../src/journal/reader.ts';
import { allLines, newestLines } from '../../src/journal/reader.ts';
import { JOURNAL_FOLDER } from '../../src/journal/segment-name.ts';
import { linesOf, wholeLines } from '../../src/journal/segment-stream.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import { LiveJournal } from '../support/live-journal.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { sampleLines, temporaryFolder, writeSegment } from '../support/sample-journal.ts';

async function collect(chunks: AsyncIterable<Buffer>): Promise<string[]> {
  const lines: string[] = [];
  for await (const chunk of chunks) for (const line of linesOf(chunk)) lines.push(line.toString());
  return lines;
}

function asText(lines: readonly Buffer[]): string[] {
  return lines.map((line) => line.toString());
}

test('chunks are regrouped into whole lines, whatever their cut', async () => {
  const text = 'a\n\nbb\nccc\ndddd\nunfinished';
  for (let size = 1; size <= text.length; size++) {
    const pieces = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
    };
    assert.deepEqual(await collect(wholeLines(pieces())), ['a\n', '\n', 'bb\n', 'ccc\n', 'dddd\n']);
  }
});

for (const compress of ['none', 'gzip', 'zstd'] as const) {
  test(`all lines, and the newest of them, across segments (${compress})`, async (t) => {
    const journal = new LiveJournal(await temporaryFolder(t));
    await journal.open(8 * 1024, { compress });
    for (let batch = 0; batch < 60; batch++) await journal.write(5);
    await journal.idle();
    const { folder, written } = journal;
    assert.ok((await readdir(folder)).length > 5);
    assert.deepEqual(await collect(allLines(folder)), written);
    for (const count of [0, 1, 7, 60, 299, 300, 1000]) {
      const { lines } = await newestLines(folder, count);
      assert.deepEqual(asText(lines), count === 0 ? [] : written.slice(-count), `${count} lines`);
    }
    const filter = sensorFilter(['boiler-3', 'boiler-5']);
    const wanted = written.filter((line) => /"boiler-[35]"/.test(line)).slice(-50);
    assert.deepEqual(asText((await newestLines(folder, 50, filter)).lines), wanted);
    await journal.close();
    assert.deepEqual(await collect(allLines(folder)), written);
    assert.deepEqual(journal.faults, []);
  });
}

test('long lines and big segments are read backward across chunks', async (t) => {
  const folder = await temporaryFolder(t);
  const lines = Array.from(
    { length: 40 },
    (_, i) => `{"sensor_name":"${i}","pad":"${'x'.repeat(i * 7919)}"}\n`,
  );
  await writeSegment(folder, 1, { lines });
  for (const count of [1, 3, 39, 40]) {
    assert.deepEqual(asText((await newestLines(folder, count)).lines), lines.slice(-count));
  }
});

test('a big compressed segment streams in bounded pieces', async (t) => {
  const folder = await temporaryFolder(t);
  const lines = sampleLines(1, 200_000);
  const segment = await writeSegment(folder, 1, { lines, linesPerBlock: 450 });
  const archiver = await openArchiver(
    { filePath: folder, compress: 'zstd', retainFiles: 0, retainBytes: 0, retainAgeMs: 0, lowSpaceBytes: 0 },
    { fileSystem: realFileSystem, clock: new ManualClock(), events: {} },
  );
  archiver.closed(segment);
  await archiver.idle();
  await archiver.close({ finishHashes: true });
  let bytes = 0;
  let biggest = 0;
  for await (const chunk of allLines(folder)) {
    bytes += chunk.length;
    biggest = Math.max(biggest, chunk.length);
  }
  assert.equal(bytes, segment.bytes);
  assert.ok(bytes > 25_000_000 && biggest <= 1024 * 1024, `${bytes} bytes, pieces of up to ${biggest}`);
  const report = await verifyFolder(folder);
  assert.deepEqual([report.faults, report.lines], [[], 200_000]);
  assert.deepEqual(asText((await newestLines(folder, 3)).lines), lines.slice(-3));
});

test('only valid lines are read: an unfinished one in the open segment is not', async (t) => {
  const folder = await temporaryFolder(t);
  const lines = sampleLines(1, 20);
  const { file, bytes } = await writeSegment(folder, 1, { lines, excess: '{"sensor_name":"half' });
  assert.deepEqual(await collect(allLines(folder)), lines);
  const newest = await newestLines(folder, 5);
  assert.deepEqual(asText(newest.lines), lines.slice(-5));
  assert.deepEqual(newest.end, { segment: 1, offset: bytes });
  assert.ok((await readdir(folder)).includes(file));
});

/** Follows until `isEnough`, and gives what came and what was reported as skipped. */
async function follow(
  folder: string,
  from: Position,
  isEnough: (lines: readonly string[]) => boolean,
  onChunk?: (lines: readonly string[]) => Promise<void>,
): Promise<{ lines: string[]; skipped: [number, number][] }> {
  const stop = new AbortController();
  const lines: string[] = [];
  const skipped: [number, number][] = [];
  const onSkipped = (first: number, last: number): void => void skipped.push([first, last]);
  for await (const chunk of followLines(folder, from, { signal: stop.signal, onSkipped })) {
    for (const line of linesOf(chunk.lines)) lines.push(line.toString());
    await onChunk?.(lines);
    if (isEnough(lines)) break;
  }
  return { lines, skipped };
}

test('following gives every line once, across rotation and compression', async (t) => {
  const journal = new LiveJournal(await temporaryFolder(t));
  await journal.open(4 * 1024, { compress: 'zstd' });
  await journal.write(1);
  const following = follow(journal.folder, { segment: 0, offset: 0 }, (lines) => lines.length >= 1500);
  for (let batch = 0; journal.written.length < 1500; batch++) {
    await journal.write(Math.min(3, 1500 - journal.written.length));
    if (batch % 5 === 0) await nextTurn();
    if (batch % 50 === 0) await journal.idle();
  }
  const { lines, skipped } = await following;
  assert.deepEqual(lines, journal.written);
  assert.deepEqual(skipped, []);
  await journal.close();
});

test('following goes on from any position, and through a restart of the daemon', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new LiveJournal(folder);
  await journal.open(4 * 1024, { compress: 'gzip' });
  for (let batch = 0; batch < 20; batch++) await journal.write(4);
  const { end } = await newestLines(folder, 0);
  const before = journal.written.length;
  const following = follow(folder, end, (lines) => lines.length >= 80);
  for (let batch = 0; batch < 10; batch++) await journal.write(4);
  await journal.close();
  await journal.open(4 * 1024, { compress: 'gzip' });
  for (let batch = 0; batch < 10; batch++) await journal.write(4);
  assert.deepEqual((await following).lines, journal.written.slice(before));
  await journal.close();
});

test('a segment being read stays readable when it is compressed and deleted; what was never begun is reported', async (t) => {
  const journal = new LiveJournal(await temporaryFolder(t));
  await journal.open(4 * 1024, { compress: 'zstd', retainFiles: 2 });
  await journal.write(2);
  let isAhead = false;
  const { lines, skipped } = await follow(
    journal.folder,
    { segment: 0, offset: 0 },
    (got) => got.at(-1) === journal.written.at(-1),
    async () => {
      if (isAhead) return;
      isAhead = true; // while the reader rests at its first lines, the daemon goes far ahead
      for (let batch = 0; batch < 100; batch++) await journal.write(3);
      await journal.idle();
    },
  );
  await journal.close();
  assert.equal(skipped.length, 1);
  const [first, last] = skipped[0]!;
  assert.equal(first, 2);
  assert.ok(last > 5);
  // No line twice, in order, and the whole of the first segment although it is long gone.
  const places = lines.map((line) => journal.written.indexOf(line));
  assert.deepEqual(
    places,
    [...new Set(places)].sort((a, b) => a - b),
  );
  const jumps = places.filter((place, index) => index > 0 && place !== places[index - 1]! + 1);
  assert.equal(jumps.length, 1);
  assert.ok(places.indexOf(jumps[0]!) > 10, 'all of the first segment was read');
});

test('after the writer cut a failed batch off, following goes on at a whole line', async (t) => {
  const folder = await temporaryFolder(t);
  const { file, bytes } = await writeSegment(folder, 1, { lines: sampleLines(1, 3) });
  const path = join(folder, file);
  await appendFile(path, 'X'.repeat(30));
  await appendFile(path, '\n');
  const good = sampleLines(2, 2);
  let isCut = false;
  const { lines } = await follow(
    folder,
    { segment: 1, offset: bytes },
    (got) => got.at(-1) === good[1],
    async () => {
      if (isCut) return;
      isCut = true;
      await truncate(path, bytes);
      await appendFile(path, good.join(''));
    },
  );
  // Its place was in the middle of the first new line by then: half lines are not handed out.
  assert.deepEqual(lines, [`${'X'.repeat(30)}\n`, good[1]]);
});

test('following ends when it is told to, also while it waits', async (t) => {
  const folder = await temporaryFolder(t);
  for (const hasSegment of [false, true]) {
    if (hasSegment) await writeSegment(folder, 1);
    const stop = new AbortController();
    const lines: string[] = [];
    const following = (async () => {
      for await (const chunk of followLines(folder, { segment: 0, offset: 0 }, { signal: stop.signal })) {
        lines.push(chunk.lines.toString());
      }
    })();
    await nextTurn();
    stop.abort();
    await following;
  }
});

test('a frozen copy holds while rotation, compression and retention go on', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new LiveJournal(folder);
  await journal.open(4 * 1024, { compress: 'gzip', retainFiles: 5 });
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      await journal.write(5);
      await nextTurn();
    }
  })();
  while (journal.written.length < 500) await nextTurn();
  for (let round = 0; round < 5; round++) {
    const copy = await linkSegments(folder);
    const before = journal.written.length;
    while (journal.written.length < before + 300) await nextTurn();
    const report = await verifyFolder(copy.folder);
    assert.deepEqual(report.faults, []);
    assert.equal(report.segments, copy.segments.length);
    assert.ok(copy.segments.length >= 4, `${copy.segments.length} segments`);
    const lines = await collect(allLines(copy.folder));
    const first = journal.written.indexOf(lines[0]!);
    assert.deepEqual(lines, journal.written.slice(first, first + lines.length));
    await copy.release();
  }
  isOver = true;
  await writing;
  await journal.close();
  assert.deepEqual(journal.faults, []);
  assert.deepEqual(
    (await readdir(join(folder, JOURNAL_FOLDER))).filter((name) => name.startsWith('copy-')),
    [],
  );
});
