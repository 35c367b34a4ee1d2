/**
 * Judges the bytes of one segment, piece by piece: what a checksum vouches for, what merely looks right, and what
 * is damaged. Changes nothing; memory is bounded by a block and a chunk.
 *
 * Invariants:
 * 1. The pieces follow each other without a gap from offset 0, and hold every byte that could be read.
 * 2. A piece that is not damaged is whole lines, each a JSON object.
 * 3. A block whose checksum is wrong is damaged as a whole, also where its lines parse: which of them was changed
 *    cannot be known, and a changed digit is as good JSON as the right one.
 * 4. Where a block is cut short by the end of the file, its whole lines are kept, but nobody vouches for them.
 *    Where a decompressor gave up they are not: what it gave last may be garbage that looks like a reading.
 */
import { crc32 } from 'node:zlib';
import { errorMessage } from '../base/errors.ts';
import type { Block } from './blocks.ts';
import { linesOf } from './segment-stream.ts';
import { countLines, findBadLine } from './verify-lines.ts';

export interface Piece {
  /** In the uncompressed bytes as they lie now. */
  readonly offset: number;
  readonly bytes: Buffer;
  readonly lines: number;
  readonly verdict: 'vouched' | 'unvouched' | 'damaged';
  /** Of a damaged one. */
  readonly why: string;
}

/** Runs of lines beyond the sidecar come in pieces of about this much. */
const RUN_BYTES = 64 * 1024;
/** Far above what one reading can become; what is longer is no reading. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface JudgeOptions {
  readonly blocks: readonly Block[];
  /** The bytes come out of a decompressor. */
  readonly isDecompressed: boolean;
  /** The hash of the file is the recorded one: what no block speaks of is vouched for by that. */
  readonly isVouched: boolean;
  /** The decompressor gave up; also told when everything had come out of it by then. */
  readonly onBroken: () => void;
}

/** Throws what the chunks throw, except that a decompressor's giving up is the end of the bytes. */
export async function* judge(chunks: AsyncIterable<Buffer>, options: JudgeOptions): AsyncGenerator<Piece> {
  const { blocks, isDecompressed, isVouched } = options;
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  let next = 0;
  let gaveUp: string | undefined;
  const take = (bytes: number): Buffer => {
    const taken = rest.subarray(0, bytes);
    rest = rest.subarray(bytes);
    offset += bytes;
    return taken;
  };
  try {
    for await (const chunk of chunks) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let block = blocks[next]; block !== undefined; block = blocks[++next]) {
        if (rest.length < block.bytes) break;
        const at = offset;
        yield* judgeBlock(take(block.bytes), at, block);
      }
      if (next < blocks.length) continue;
      const whole = rest.lastIndexOf(NEWLINE) + 1;
      if (whole === 0 && rest.length > MAX_LINE_BYTES) {
        const at = offset;
        yield {
          offset: at,
          bytes: take(rest.length),
          lines: 0,
          verdict: 'damaged',
          why: 'no line, however long',
        };
      }
      if (whole < RUN_BYTES) continue;
      const at = offset;
      yield* judgeLines(take(whole), at, isVouched ? 'vouched' : 'unvouched');
    }
  } catch (error) {
    if (!isDecompressed) throw error;
    gaveUp = errorMessage(error);
    options.onBroken();
  }
  const whole = gaveUp !== undefined && next < blocks.length ? 0 : rest.lastIndexOf(NEWLINE) + 1;
  if (whole > 0) {
    const at = offset;
    yield* judgeLines(take(whole), at, isVouched ? 'vouched' : 'unvouched');
  }
  if (rest.length > 0) {
    const why = gaveUp === undefined ? 'an unfinished line' : `the compressed stream is broken: ${gaveUp}`;
    yield { offset, bytes: rest, lines: countLines(rest), verdict: 'damaged', why };
  }
}

function* judgeBlock(bytes: Buffer, offset: number, block: Block): Generator<Piece> {
  const lines = countLines(bytes);
  const sum = crc32(bytes);
  if (sum !== block.crc32) {
    const why = `the crc32 of the block is ${hex(sum)} where its sidecar says ${hex(block.crc32)}`;
    yield { offset, bytes, lines, verdict: 'damaged', why };
  } else if (bytes.at(-1) !== NEWLINE) {
    yield { offset, bytes, lines, verdict: 'damaged', why: 'the block does not end with a line' };
  } else {
    yield* judgeLines(bytes, offset, 'vouched');
  }
}

/** `bytes` are whole lines. */
function* judgeLines(bytes: Buffer, offset: number, verdict: 'vouched' | 'unvouched'): Generator<Piece> {
  const lines = countLines(bytes);
  if (findBadLine(bytes, lines) === undefined) {
    yield { offset, bytes, lines, verdict, why: '' };
    return;
  }
  let runStart = 0;
  let runLines = 0;
  let runWhy: string | undefined;
  let at = 0;
  const run = (): Piece => ({
    offset: offset + runStart,
    bytes: bytes.subarray(runStart, at),
    lines: runLines,
    verdict: runWhy === undefined ? verdict : 'damaged',
    why: runWhy ?? '',
  });
  for (const line of linesOf(bytes)) {
    const bad = findBadLine(line, 1);
    const why = bad === undefined ? undefined : `a line that is ${bad.why}`;
    if (at > runStart && (why === undefined) !== (runWhy === undefined)) {
      yield run();
      runStart = at;
      runLines = 0;
    }
    if (at === runStart) runWhy = why;
    at += line.length;
    runLines++;
  }
  yield run();
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
