/** The codecs of the journal: names, sidecar, manifest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBlock, parseBlocks } from '../../src/journal/blocks.ts';
import type { ManifestRecord } from '../../src/journal/manifest.ts';
import { encodeManifestRecord, highestSegment, parseManifest } from '../../src/journal/manifest.ts';
import {
  COMPRESSIONS,
  formatSegmentBase,
  parseBlocksFile,
  parseSegmentFile,
  segmentFile,
  segmentsAmong,
} from '../../src/journal/segment-name.ts';

const SEED = 20261120;

test('a segment name says start, number and compression, and reads back', () => {
  const base = formatSegmentBase(Date.UTC(2026, 10, 20, 10, 0, 0, 999), 1);
  assert.equal(base, 'telemetry-20261120T100000Z-000001');
  assert.equal(segmentFile(base, 'zstd'), 'telemetry-20261120T100000Z-000001.jsonl.zst');
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 253_402_300_799 }),
      fc.integer({ min: 1, max: 999_999_999 }),
      fc.constantFrom(...COMPRESSIONS),
      (startedAtS, number, compression) => {
        const file = segmentFile(formatSegmentBase(startedAtS * 1000, number), compression);
        const name = parseSegmentFile(file);
        assert.equal(name?.number, number);
        assert.equal(name?.startedAtMs, startedAtS * 1000);
        assert.equal(name?.compression, compression);
        assert.equal(name?.file, file);
      },
    ),
    { seed: SEED },
  );
});

test('what only looks like a segment name is none', () => {
  for (const file of [
    'telemetry-20261120T100000Z-1.jsonl',
    'telemetry-20261120T100000Z-0000001.jsonl',
    'telemetry-20261120T100000Z-000000.jsonl',
    'telemetry-20260231T100000Z-000001.jsonl',
    'telemetry-20261120T100000Z-000001.jsonl.tmp',
    'telemetry-20261120T100000Z-000001.json',
    'x-telemetry-20261120T100000Z-000001.jsonl',
    'telemetry-20261120T100000Z-000001.jsonl.gz.gz',
    'manifest.jsonl',
    '',
  ]) {
    assert.equal(parseSegmentFile(file), undefined, file);
  }
  assert.equal(parseBlocksFile('telemetry-20261120T100000Z-000001.jsonl'), undefined);
  assert.equal(parseBlocksFile('telemetry-20261120T100000Z-000007.blocks')?.number, 7);
});

test('segments are ordered by number, whatever their start says', () => {
  const files = [
    'telemetry-20261120T090000Z-000010.jsonl',
    'telemetry-20261120T110000Z-000009.jsonl.gz',
    'telemetry-20261120T110000Z-000009.jsonl',
    'notes.txt',
  ];
  assert.deepEqual(
    segmentsAmong(files).map(({ number, compression }) => [number, compression]),
    [
      [9, 'none'],
      [9, 'gzip'],
      [10, 'none'],
    ],
  );
});

test('a sidecar reads back, and every cut of it gives the whole lines before the cut', () => {
  const blocks = [
    { offset: 0, bytes: 65_540, lines: 312, crc32: 0x0a1b2c3d },
    { offset: 65_540, bytes: 10, lines: 1, crc32: 0 },
    { offset: 65_550, bytes: 70_000, lines: 2, crc32: 0xffff_ffff },
  ];
  const whole = blocks.map(encodeBlock).join('');
  assert.equal(encodeBlock(blocks[0]!), '{"offset":0,"bytes":65540,"lines":312,"crc32":"0a1b2c3d"}\n');
  for (let cut = 0; cut <= whole.length; cut++) {
    const list = parseBlocks(whole.slice(0, cut));
    const lineCount = whole.slice(0, cut).split('\n').length - 1;
    assert.deepEqual(list.blocks, blocks.slice(0, lineCount));
    const isAtLineEnd = cut === 0 || whole[cut - 1] === '\n';
    assert.equal(list.end, isAtLineEnd ? 'complete' : 'torn', `cut at ${cut}`);
  }
  const list = parseBlocks(whole);
  assert.equal(list.coveredBytes, 135_550);
  assert.equal(list.coveredLines, 315);
  assert.equal(list.sidecarBytes, whole.length);
});

test('a sidecar is believed up to its first wrong line', () => {
  const first = encodeBlock({ offset: 0, bytes: 10, lines: 1, crc32: 1 });
  const second = encodeBlock({ offset: 10, bytes: 10, lines: 1, crc32: 2 });
  const apart = encodeBlock({ offset: 11, bytes: 10, lines: 1, crc32: 2 });
  assert.equal(parseBlocks(first + apart + second).end, 'damaged');
  assert.equal(parseBlocks(`${first}rubbish\n${second}`).coveredBytes, 10);
  assert.equal(parseBlocks(`${first}\0\0\0\0`).end, 'torn');
  assert.equal(parseBlocks(first + apart).end, 'torn');
  // Keys of later versions are ignored.
  assert.equal(parseBlocks(first.replace('}', ',"producers":{}}') + second).coveredBytes, 20);
});

const RECORD: ManifestRecord = {
  segment: 1,
  state: 'closed',
  file: 'telemetry-20261120T100000Z-000001.jsonl',
  startedAtMs: Date.UTC(2026, 10, 20, 10),
  closedAtMs: Date.UTC(2026, 10, 20, 10, 30),
  lines: 10,
  bytes: 1000,
  fileBytes: 1000,
  firstReceivedAtMs: Date.UTC(2026, 10, 20, 10, 0, 0, 130),
  lastReceivedAtMs: Date.UTC(2026, 10, 20, 10, 29, 59, 1),
  sha256: '0123456789abcdef'.repeat(4),
  compression: 'none',
  suspect: false,
};

test('a manifest record is written as specified', () => {
  assert.equal(
    encodeManifestRecord(RECORD),
    '{"segment":1,"state":"closed","file":"telemetry-20261120T100000Z-000001.jsonl",' +
      '"started_at":"2026-11-20T10:00:00.000Z","closed_at":"2026-11-20T10:30:00.000Z","lines":10,"bytes":1000,' +
      '"file_bytes":1000,"first_received_at":"2026-11-20T10:00:00.130Z",' +
      '"last_received_at":"2026-11-20T10:29:59.001Z","sha256":"' +
      '0123456789abcdef'.repeat(4) +
      '","compression":"none","suspect":false}\n',
  );
  assert.match(encodeManifestRecord({ ...RECORD, fileBytes: 1007 }), /"valid_bytes":1000,"file_bytes":1007/);
});

test('the last record of a segment wins, and a torn last line is ignored at every cut', () => {
  const records: ManifestRecord[] = [
    RECORD,
    { ...RECORD, segment: 2, file: 'telemetry-20261120T103000Z-000002.jsonl', firstReceivedAtMs: null },
    { ...RECORD, file: 'telemetry-20261120T100000Z-000001.jsonl.gz', compression: 'gzip', fileBytes: 100 },
    { ...RECORD, file: 'telemetry-20261120T100000Z-000001.jsonl.gz', compression: 'gzip', state: 'deleted' },
  ];
  const lines = records.map(encodeManifestRecord);
  const whole = lines.join('');
  for (let cut = 0; cut <= whole.length; cut++) {
    const manifest = parseManifest(Buffer.from(whole).subarray(0, cut));
    const complete = whole.slice(0, cut).split('\n').length - 1;
    const expected = new Map(records.slice(0, complete).map((record) => [record.segment, record]));
    assert.deepEqual(manifest.records, expected);
    assert.equal(manifest.lineCount, complete);
    assert.equal(manifest.wholeBytes, lines.slice(0, complete).join('').length);
    assert.deepEqual(manifest.damagedLines, []);
  }
  assert.equal(highestSegment(parseManifest(whole)), 2);
});

test('a manifest line with zeroes in it is what a power cut left of a write, and no damage', () => {
  const line = encodeManifestRecord(RECORD);
  const second = encodeManifestRecord({
    ...RECORD,
    segment: 2,
    file: RECORD.file.replace('1.jsonl', '2.jsonl'),
  });
  const lost = `${line}${'\0'.repeat(100)}${line.slice(100)}${second}`;
  const manifest = parseManifest(lost);
  assert.deepEqual([...manifest.records.keys()], [1, 2]);
  assert.deepEqual(manifest.damagedLines, []);
});

test('damaged manifest lines are skipped and named; unknown keys are ignored', () => {
  const line = encodeManifestRecord(RECORD);
  const later = line.replace('{"segment":1', '{"later":[1],"segment":1');
  const escaping = line.replace('"telemetry-20261120T100000Z-000001.jsonl"', '"../../etc/passwd"');
  const otherNumber = line.replace('"segment":1', '"segment":2');
  const manifest = parseManifest(`${line}rubbish\n${escaping}${otherNumber}${later}`);
  assert.deepEqual(manifest.damagedLines, [2, 3, 4]);
  assert.deepEqual([...manifest.records.values()], [RECORD]);
});
