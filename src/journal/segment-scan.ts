/**
 * Reads a segment that nobody closed and tells how far it can be trusted. Streams: memory is bounded by
 * the longest line, whatever the size of the file. Changes nothing.
 *
 * Invariants:
 * 1. Everything up to the last block whose checksum is right is kept, a damaged block in the middle
 *    included: those bytes may have been acknowledged and synced long ago, and `verify` names the damage.
 *    Only what no checksum vouches for is judged line by line. But a damaged block with zeroes in it was never on the
 *    disk, so no sync has covered it, nor anything behind it: there the blocks end, whatever came out of order.
 * 2. There the valid part ends at the first thing that is not a JSON object on a line of its own: a torn
 *    line, zeroes that a power cut left, bytes that are not UTF-8.
 * 3. A read error ends the trust, never the scan: `readError` says so, and then nothing may be cut.
 */
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { KiB, MiB } from '../base/byte-size.ts';
import type { Block, BlockList } from './blocks.ts';
import { BLOCK_TARGET_BYTES } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { readFully } from './file-system.ts';

const CHUNK_BYTES = MiB;
/** Far above what a request of MAX_REQUEST_BYTES can become; a longer line is taken for garbage. */
const MAX_LINE_BYTES = 64 * MiB;
const NEWLINE = 0x0a;
const ZEROES = Buffer.alloc(16);

export interface SegmentScan {
  /** Blocks of the whole valid part: those kept and, after them, those made new. */
  readonly blocks: readonly Block[];
  readonly keptBlocks: number;
  /** Offsets of kept blocks whose checksum is wrong. */
  readonly damagedBlockOffsets: readonly number[];
  readonly validBytes: number;
  readonly lines: number;
  readonly firstReceivedAtMs: number | null;
  readonly lastReceivedAtMs: number | null;
  readonly readError: unknown;
}

export async function scanSegment(
  fileSystem: FileSystem,
  fd: number,
  sizeBytes: number,
  sidecar: BlockList,
): Promise<SegmentScan> {
  const checked = await checkBlocks(fileSystem, fd, sizeBytes, sidecar.blocks);
  const kept = sidecar.blocks.slice(0, checked.lastGood + 1);
  const keptBytes = kept.reduce((sum, block) => sum + block.bytes, 0);
  const tail = await scanTail(fileSystem, fd, keptBytes, sizeBytes);
  const blocks = [...kept, ...tail.blocks];
  const validBytes = tail.validBytes;
  return {
    blocks,
    keptBlocks: kept.length,
    damagedBlockOffsets: checked.damaged.filter((offset) => offset < keptBytes),
    validBytes,
    lines: blocks.reduce((sum, block) => sum + block.lines, 0),
    firstReceivedAtMs: await receivedAtStart(fileSystem, fd, validBytes),
    lastReceivedAtMs: await receivedAtEnd(fileSystem, fd, validBytes),
    readError: checked.readError ?? tail.readError,
  };
}

async function checkBlocks(
  fileSystem: FileSystem,
  fd: number,
  sizeBytes: number,
  blocks: readonly Block[],
): Promise<{ lastGood: number; damaged: number[]; readError: unknown }> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes));
  const damaged: number[] = [];
  let lastGood = -1;
  let readError: unknown;
  for (const [index, block] of blocks.entries()) {
    const end = block.offset + block.bytes;
    if (end > sizeBytes) break;
    let sum = 0;
    try {
      for (let at = block.offset; at < end; at += chunk.length) {
        const part = chunk.subarray(0, Math.min(chunk.length, end - at));
        sum = crc32(part.subarray(0, await readFully(fileSystem, fd, part, at)), sum);
      }
    } catch (error) {
      readError ??= error;
      damaged.push(block.offset);
      continue;
    }
    if (sum === block.crc32) lastGood = index;
    else if (await isLostWrite(fileSystem, fd, block, chunk)) break;
    else damaged.push(block.offset);
  }
  return { lastGood, damaged, readError };
}

/**
 * Whether the block holds what a power cut leaves of pages that were still to be written. Lines have no zeroes, and a
 * flipped byte makes no run of them. Throws nothing: a block that cannot be read again is damaged.
 */
async function isLostWrite(
  fileSystem: FileSystem,
  fd: number,
  block: Block,
  chunk: Uint8Array,
): Promise<boolean> {
  const end = block.offset + block.bytes;
  // Overlapping, so that no run is cut in two.
  const stepBytes = Math.max(1, chunk.length - ZEROES.length);
  try {
    for (let at = block.offset; at < end; at += stepBytes) {
      const part = chunk.subarray(0, Math.min(chunk.length, end - at));
      const length = await readFully(fileSystem, fd, part, at);
      if (Buffer.from(part.buffer, part.byteOffset, length).includes(ZEROES)) return true;
    }
  } catch {
    // As it says above.
  }
  return false;
}

async function scanTail(
  fileSystem: FileSystem,
  fd: number,
  from: number,
  sizeBytes: number,
): Promise<{ blocks: Block[]; validBytes: number; readError: unknown }> {
  const blocks: Block[] = [];
  let block = { offset: from, bytes: 0, lines: 0, crc32: 0 };
  let buffer = Buffer.alloc(CHUNK_BYTES);
  let filled = 0;
  let bufferAt = from;
  let readError: unknown;
  scan: for (;;) {
    const wanted = Math.min(buffer.length - filled, sizeBytes - bufferAt - filled);
    if (wanted <= 0) break;
    try {
      const got = await readFully(
        fileSystem,
        fd,
        buffer.subarray(filled, filled + wanted),
        bufferAt + filled,
      );
      if (got === 0) break;
      filled += got;
    } catch (error) {
      readError = error;
      break;
    }
    let lineStart = 0;
    for (;;) {
      const newline = buffer.subarray(0, filled).indexOf(NEWLINE, lineStart);
      if (newline === -1) break;
      const line = buffer.subarray(lineStart, newline + 1);
      if (parseLine(line) === undefined) break scan;
      block.bytes += line.length;
      block.lines++;
      block.crc32 = crc32(line, block.crc32);
      if (block.bytes >= BLOCK_TARGET_BYTES) {
        blocks.push(block);
        block = { offset: block.offset + block.bytes, bytes: 0, lines: 0, crc32: 0 };
      }
      lineStart = newline + 1;
    }
    buffer.copyWithin(0, lineStart, filled);
    filled -= lineStart;
    bufferAt += lineStart;
    if (filled === buffer.length) {
      if (buffer.length >= MAX_LINE_BYTES) break;
      buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
    }
  }
  if (block.bytes > 0) blocks.push(block);
  const last = blocks.at(-1);
  return { blocks, validBytes: last === undefined ? from : last.offset + last.bytes, readError };
}

/** The line's object, or undefined when it is none. */
function parseLine(line: Buffer): Record<string, unknown> | undefined {
  if (line[0] !== 0x7b || !isUtf8(line)) return undefined;
  try {
    return JSON.parse(line.toString('utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** `received_at` of a line; null when it has none that can be read. */
export function receivedAtOfLine(line: Buffer): number | null {
  const receivedAt = parseLine(line)?.received_at;
  const timeMs = typeof receivedAt === 'string' ? Date.parse(receivedAt) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

async function receivedAtStart(
  fileSystem: FileSystem,
  fd: number,
  validBytes: number,
): Promise<number | null> {
  return findLine(
    fileSystem,
    fd,
    validBytes,
    (windowBytes) => ({ from: 0, to: windowBytes }),
    (window) => {
      const newline = window.indexOf(NEWLINE);
      return newline === -1 ? undefined : window.subarray(0, newline + 1);
    },
  );
}

async function receivedAtEnd(fileSystem: FileSystem, fd: number, validBytes: number): Promise<number | null> {
  return findLine(
    fileSystem,
    fd,
    validBytes,
    (windowBytes) => ({ from: validBytes - windowBytes, to: validBytes }),
    (window) => {
      const before = window.length < 2 ? -1 : window.lastIndexOf(NEWLINE, window.length - 2);
      return before === -1 && window.length < validBytes ? undefined : window.subarray(before + 1);
    },
  );
}

/** Looks at a window that doubles until `pick` finds its line in it. Null when there is none or it cannot be read. */
async function findLine(
  fileSystem: FileSystem,
  fd: number,
  validBytes: number,
  windowOf: (windowBytes: number) => { from: number; to: number },
  pick: (window: Buffer) => Buffer | undefined,
): Promise<number | null> {
  for (let windowBytes = 64 * KiB; validBytes > 0; windowBytes *= 2) {
    const { from, to } = windowOf(Math.min(windowBytes, validBytes));
    const window = Buffer.alloc(to - from);
    try {
      await readFully(fileSystem, fd, window, from);
    } catch {
      return null;
    }
    const line = pick(window);
    if (line !== undefined) return receivedAtOfLine(line);
    if (windowBytes >= validBytes || windowBytes >= MAX_LINE_BYTES) return null;
  }
  return null;
}
