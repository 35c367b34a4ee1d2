/**
 * The sidecar of a segment: one JSON line per block of the data file, so that a flipped byte is found to
 * its block and a reader knows how far the file can be trusted.
 *
 *   {"offset":0,"bytes":65536,"lines":312,"crc32":"0a1b2c3d"}
 *
 * Invariants of what parseBlocks returns:
 * 1. Blocks are contiguous from 0: each begins where the one before it ended.
 * 2. Whatever comes after the first line that breaks this or cannot be read is left out; `end` says why.
 */

/** A block is closed once it holds this much (or when the segment is closed or synced). */
export const BLOCK_TARGET_BYTES = 64 * 1024;

export interface Block {
  /** Of its first byte, in uncompressed bytes from the start of the segment. */
  readonly offset: number;
  readonly bytes: number;
  /** Whole lines in it; a line never straddles two blocks. */
  readonly lines: number;
  /** zlib's CRC-32 of the uncompressed bytes, unsigned. */
  readonly crc32: number;
}

export interface BlockList {
  readonly blocks: readonly Block[];
  /** Data bytes the blocks cover, from 0. */
  readonly coveredBytes: number;
  /** Lines the blocks cover. */
  readonly coveredLines: number;
  /** Bytes of the sidecar that were understood; whoever goes on writing it cuts it back to this. */
  readonly sidecarBytes: number;
  /** complete: all was read. torn: an unfinished last line was ignored, as a crash leaves it. damaged: a line in the middle is wrong. */
  readonly end: 'complete' | 'torn' | 'damaged';
}

/** One sidecar line with its newline. */
export function encodeBlock(block: Block): string {
  const crc32 = block.crc32.toString(16).padStart(8, '0');
  return `{"offset":${block.offset},"bytes":${block.bytes},"lines":${block.lines},"crc32":"${crc32}"}\n`;
}

export function parseBlocks(sidecar: Uint8Array | string): BlockList {
  const bytes =
    typeof sidecar === 'string'
      ? Buffer.from(sidecar)
      : Buffer.from(sidecar.buffer, sidecar.byteOffset, sidecar.byteLength);
  const blocks: Block[] = [];
  let coveredBytes = 0;
  let coveredLines = 0;
  let at = 0;
  let end: BlockList['end'] = 'complete';
  while (at < bytes.length) {
    const newline = bytes.indexOf(0x0a, at);
    if (newline === -1) {
      end = 'torn';
      break;
    }
    const block = parseBlock(bytes.toString('utf8', at, newline));
    if (block === undefined || block.offset !== coveredBytes) {
      // Bytes of a lost write may read as zeroes, so a bad last line counts as torn even with a newline.
      end = newline === bytes.length - 1 ? 'torn' : 'damaged';
      break;
    }
    blocks.push(block);
    coveredBytes += block.bytes;
    coveredLines += block.lines;
    at = newline + 1;
  }
  return { blocks, coveredBytes, coveredLines, sidecarBytes: at, end };
}

function parseBlock(line: string): Block | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { offset, bytes, lines, crc32 } = value as Record<string, unknown>;
  if (!isCount(offset) || !isCount(bytes) || bytes === 0 || !isCount(lines) || lines === 0) return undefined;
  if (typeof crc32 !== 'string' || !/^[0-9a-f]{8}$/.test(crc32)) return undefined;
  return { offset, bytes, lines, crc32: Number.parseInt(crc32, 16) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
