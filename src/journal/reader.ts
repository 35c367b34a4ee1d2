/**
 * Reads the lines of a journal in order: all of them, or the newest few. Works on a copied folder and
 * beside a running daemon; see follow.ts for going on from there.
 *
 * Invariant: what is read of a segment is its valid whole lines. A closed one is read up to the bytes its
 * record gives, one without record up to its last newline.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../base/byte-size.ts';
import { systemErrorCode } from '../base/errors.ts';
import type { SegmentView } from './folder-view.ts';
import { viewFolder } from './folder-view.ts';
import { linesOf, segmentLines } from './segment-stream.ts';

const BACKWARD_BYTES = 1 * MiB;
const NEWLINE = 0x0a;
/** Compression or retention may win the race for a file so often before we give up. */
const ATTEMPTS = 20;

/** Where a reader stands: so many uncompressed bytes of that segment, and all before it, are done. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** True for lines that are wanted; the line has its newline. */
export type LineFilter = (line: Buffer) => boolean;

export interface NewestLines {
  /** Oldest first, each with its newline. */
  readonly lines: readonly Buffer[];
  /** Directly after the newest line of the journal, wanted or not. */
  readonly end: Position;
}

/** Undefined when the file is gone: compressed or deleted since it was looked up. */
export async function openSegmentFile(folder: string, file: string): Promise<FileHandle | undefined> {
  try {
    return await open(join(folder, file));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Every line of the journal as it is now, as chunks of whole lines. A segment deleted meanwhile is left out. */
export async function* allLines(folder: string): AsyncGenerator<Buffer> {
  let done = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const view = await viewFolder(folder);
    let isStale = false;
    for (const segment of view.segments) {
      if (segment.number <= done) continue;
      const handle = await openSegmentFile(folder, segment.file);
      if (handle === undefined) {
        isStale = true; // a fresh view says where it is now
        break;
      }
      try {
        yield* segmentLines(handle, segment.compression, validRange(segment));
      } finally {
        await handle.close();
      }
      done = segment.number;
      attempt = 0;
    }
    if (!isStale) return;
  }
  throw gone(folder);
}

/** The newest `count` lines that pass the filter, across as many segments as it takes. */
export async function newestLines(folder: string, count: number, filter?: LineFilter): Promise<NewestLines> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const view = await viewFolder(folder);
    const found = await newestLinesOf(folder, view.segments, count, filter);
    if (found !== undefined) return found;
  }
  throw gone(folder);
}

/** Undefined when a file of the view is gone; the whole must be begun anew then. */
async function newestLinesOf(
  folder: string,
  segments: readonly SegmentView[],
  count: number,
  filter: LineFilter | undefined,
): Promise<NewestLines | undefined> {
  const groups: Buffer[][] = [];
  let missing = count;
  let end: Position = { segment: 0, offset: 0 };
  for (const [age, segment] of [...segments].reverse().entries()) {
    if (age > 0 && missing === 0) break;
    const handle = await openSegmentFile(folder, segment.file);
    if (handle === undefined) return undefined;
    try {
      const to = await validEnd(handle, segment);
      if (age === 0) end = { segment: segment.number, offset: to };
      if (missing === 0) break;
      const lines =
        segment.compression === 'none'
          ? await lastLinesBackward(handle, to, missing, filter)
          : await lastLinesForward(segmentLines(handle, segment.compression, { to }), missing, filter);
      groups.push(lines);
      missing -= lines.length;
    } finally {
      await handle.close();
    }
  }
  return { lines: groups.reverse().flat(), end };
}

function validRange(segment: SegmentView): { to?: number } {
  return segment.record === undefined ? {} : { to: segment.record.bytes };
}

/** Uncompressed bytes of whole, valid lines. */
async function validEnd(handle: FileHandle, segment: SegmentView): Promise<number> {
  if (segment.record !== undefined) return segment.record.bytes;
  if (segment.compression !== 'none') {
    let bytes = 0;
    for await (const chunk of segmentLines(handle, segment.compression)) bytes += chunk.length;
    return bytes;
  }
  const { size } = await handle.stat();
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BACKWARD_BYTES);
    const chunk = await readExactly(handle, start, end);
    const newline = chunk.lastIndexOf(NEWLINE);
    if (newline !== -1) return start + newline + 1;
    end = start;
  }
  return 0;
}

async function readExactly(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(to - from);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, from + length);
    if (bytesRead === 0) break; // cut back by the writer since
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

async function lastLinesBackward(
  handle: FileHandle,
  end: number,
  count: number,
  filter: LineFilter | undefined,
): Promise<Buffer[]> {
  const newestFirst: Buffer[] = [];
  let rest: Buffer = Buffer.alloc(0); // the end of a line whose beginning is further back
  for (let to = end; to > 0 && newestFirst.length < count; ) {
    const from = Math.max(0, to - BACKWARD_BYTES);
    const chunk = Buffer.concat([await readExactly(handle, from, to), rest]);
    // The first line of the chunk may begin before it: it waits, unless the file begins here.
    const begin = from === 0 ? 0 : chunk.indexOf(NEWLINE) + 1;
    for (let lineEnd = chunk.length; lineEnd > begin && newestFirst.length < count; ) {
      const lineStart = lineEnd < 2 ? 0 : chunk.lastIndexOf(NEWLINE, lineEnd - 2) + 1;
      const line = chunk.subarray(lineStart, lineEnd);
      if (filter === undefined || filter(line)) newestFirst.push(line);
      lineEnd = lineStart;
    }
    rest = chunk.subarray(0, begin);
    to = from;
  }
  return newestFirst.reverse();
}

async function lastLinesForward(
  chunks: AsyncIterable<Buffer>,
  count: number,
  filter: LineFilter | undefined,
): Promise<Buffer[]> {
  let lines: Buffer[] = [];
  for await (const chunk of chunks) {
    for (const line of linesOf(chunk)) {
      if (filter === undefined || filter(line)) lines.push(line);
    }
    // Copies, so that a few lines do not keep every chunk they came from.
    if (lines.length > count) lines = lines.slice(-count);
    lines = lines.map((line) => (line.buffer === chunk.buffer ? Buffer.from(line) : line));
  }
  return lines;
}

function gone(folder: string): Error {
  return Object.assign(new Error(`${folder}: files named by the manifest are missing`), { code: 'ENOENT' });
}
