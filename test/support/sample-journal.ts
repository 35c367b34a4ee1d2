/** Journal folders for tests: segments as the writer leaves them, without needing the writer. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { encodeBlock } from '../../src/journal/blocks.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import { encodeCheckpoint } from '../../src/journal/producers/checkpoint.ts';
import {
  blocksFile,
  formatSegmentBase,
  JOURNAL_FOLDER,
  producersFile,
  segmentFile,
} from '../../src/journal/segment-name.ts';

export const START_MS = Date.UTC(2026, 10, 20, 10);

/** Removed again when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sink-journal-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, JOURNAL_FOLDER));
  return folder;
}

export function sampleLine(segment: number, line: number): string {
  const receivedAt = new Date(START_MS + segment * 60_000 + line).toISOString();
  return `{"sensor_name":"boiler-${line % 7}","sensor_value":${segment * 1_000_000 + line},"created_at":"2026-11-20T10:00:00.${String(line).padStart(9, '0')}Z","received_at":"${receivedAt}"}\n`;
}

export function sampleLines(segment: number, count: number): string[] {
  return Array.from({ length: count }, (_, line) => sampleLine(segment, line));
}

export interface SampleOptions {
  readonly lines?: readonly string[];
  readonly linesPerBlock?: number;
  /** Bytes behind the valid ones, as a failed write leaves them that could not be cut off. */
  readonly excess?: string;
}

/** Writes data file and sidecar of a segment that was just closed, and the checkpoint of producers behind it. */
export async function writeSegment(
  folder: string,
  number: number,
  options: SampleOptions = {},
): Promise<ClosedSegment> {
  const lines = options.lines ?? sampleLines(number, 100);
  const linesPerBlock = options.linesPerBlock ?? 10;
  const startedAtMs = START_MS + number * 60_000;
  const base = formatSegmentBase(startedAtMs, number);
  const file = segmentFile(base);
  const content = Buffer.from(lines.join(''));
  const excess = Buffer.from(options.excess ?? '');
  let sidecar = '';
  let offset = 0;
  for (let first = 0; first < lines.length; first += linesPerBlock) {
    const block = Buffer.from(lines.slice(first, first + linesPerBlock).join(''));
    const count = Math.min(linesPerBlock, lines.length - first);
    sidecar += encodeBlock({ offset, bytes: block.length, lines: count, crc32: crc32(block) });
    offset += block.length;
  }
  await writeFile(join(folder, file), Buffer.concat([content, excess]));
  await writeFile(join(folder, JOURNAL_FOLDER, blocksFile(base)), sidecar);
  const checkpoint = encodeCheckpoint({ segment: number, scanFrom: number + 1, producers: [] });
  await writeFile(join(folder, JOURNAL_FOLDER, producersFile(base)), checkpoint);
  return {
    number,
    file,
    startedAtMs,
    closedAtMs: startedAtMs + 59_000,
    lines: lines.length,
    bytes: content.length,
    fileBytes: content.length + excess.length,
    firstReceivedAtMs: startedAtMs,
    lastReceivedAtMs: startedAtMs + lines.length - 1,
    suspect: false,
  };
}
