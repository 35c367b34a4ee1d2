/**
 * Follows the uncompressed bytes of one segment block by block, as the sidecar cuts them, and compares.
 * What lies beyond the sidecar is cut into pieces of our own and checked for its lines only.
 *
 * Invariants:
 * 1. `offset` is the uncompressed offset of the block at hand; bytes may come in chunks of any size.
 * 2. A chunk is only read during `feed`; what must stay is copied.
 */
import { crc32 } from 'node:zlib';
import { MiB } from '../base/byte-size.ts';
import type { Block } from './blocks.ts';
import { countLines, findBadLine } from './verify-lines.ts';

const NEWLINE = 0x0a;
/** A sidecar that speaks of bigger blocks is damaged itself; no reason to gather so much. */
const MAX_BLOCK_BYTES = 1024 * MiB;

export interface BlockFault {
  readonly kind: 'crc32' | 'block_lines' | 'line';
  /** Uncompressed offset of the block, and its length. */
  readonly offset: number;
  readonly bytes: number;
  readonly message: string;
}

export class BlockChecker {
  readonly #blocks: readonly Block[];
  readonly #isQuick: boolean;
  readonly #onFault: (fault: BlockFault) => void;
  #next = 0;
  #offset = 0;
  #lines = 0;
  #begun: Buffer[] = [];
  #begunBytes = 0;

  /** Quick: the lines of a block whose checksum is right are counted, not parsed. */
  constructor(blocks: readonly Block[], isQuick: boolean, onFault: (fault: BlockFault) => void) {
    const tooBig = blocks.findIndex((block) => block.bytes > MAX_BLOCK_BYTES);
    this.#blocks = tooBig === -1 ? blocks : blocks.slice(0, tooBig);
    this.#isQuick = isQuick;
    this.#onFault = onFault;
  }

  get bytes(): number {
    return this.#offset + this.#begunBytes;
  }
  /** Newlines seen in everything that was checked. */
  get lines(): number {
    return this.#lines;
  }
  /** Blocks of the sidecar that were found whole, right or wrong. */
  get blocksSeen(): number {
    return this.#next;
  }
  /** Where the block at hand began. */
  get blockOffset(): number {
    return this.#offset;
  }

  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const block = this.#blocks[this.#next];
      const end = block === undefined ? chunk.lastIndexOf(NEWLINE) + 1 : at + block.bytes - this.#begunBytes;
      if (end <= at || end > chunk.length) {
        this.#begun.push(Buffer.from(chunk.subarray(at)));
        this.#begunBytes += chunk.length - at;
        return;
      }
      const piece = chunk.subarray(at, end);
      this.#check(this.#begunBytes === 0 ? piece : Buffer.concat([...this.#begun, piece]), block);
      at = end;
    }
  }

  /** All bytes were fed. Returns what is left over: an unfinished block, or an unfinished last line. */
  end(): Buffer {
    const rest = Buffer.concat(this.#begun);
    const whole = rest.lastIndexOf(NEWLINE) + 1;
    // A block that is cut short has no checksum to compare, but its lines still count.
    if (whole > 0) this.#check(rest.subarray(0, whole), undefined);
    return rest.subarray(whole);
  }

  #check(bytes: Buffer, block: Block | undefined): void {
    const offset = this.#offset;
    const lines = countLines(bytes);
    const fault = (kind: BlockFault['kind'], message: string): void =>
      this.#onFault({ kind, offset, bytes: bytes.length, message });
    let isSound = true;
    if (block !== undefined) {
      const actual = crc32(bytes);
      isSound = actual === block.crc32;
      if (!isSound) fault('crc32', `crc32 is ${hex(actual)}, the sidecar says ${hex(block.crc32)}`);
      else if (lines !== block.lines) fault('block_lines', `${lines} lines, the sidecar says ${block.lines}`);
      this.#next++;
    }
    if (block !== undefined && bytes[bytes.length - 1] !== NEWLINE) {
      if (isSound) fault('line', 'the block does not end with a newline');
    } else if (isSound && !(this.#isQuick && block !== undefined)) {
      const bad = findBadLine(bytes, lines);
      if (bad !== undefined) {
        fault('line', `line ${this.#lines + bad.line + 1} at byte ${offset + bad.offset} is ${bad.why}`);
      }
    }
    this.#lines += lines;
    this.#offset += bytes.length;
    this.#begun = [];
    this.#begunBytes = 0;
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
