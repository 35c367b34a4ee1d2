/**
 * The sidecar of the segment that takes lines: the checksum of the running block, and the lines about those that ended.
 *
 * Invariants:
 * 1. A block goes into the file after its data. Faults never fail a batch, since a sidecar can be rebuilt from the data:
 *    what could not be written waits in memory (at most two short lines per 64 KiB of the segment) and is tried again with
 *    the next block.
 * 2. A block ends where a batch ends; `mark` describes such a place, whatever was summed up behind it.
 */
import { crc32 } from 'node:zlib';
import { BLOCK_TARGET_BYTES, encodeBlock } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { wroteNothing } from './file-system.ts';

/** The end of a batch that the sidecar can be taken back to. */
export interface SidecarMark {
  readonly blockOffset: number;
  readonly blockLines: number;
  readonly blockCrc32: number;
  readonly sidecarBytes: number;
}

export class OpenSidecar {
  readonly #fileSystem: FileSystem;
  readonly #fd: number;
  #blockOffset = 0;
  #blockLines = 0;
  #blockCrc32 = 0;
  /** With what was summed up since the last batch ended. */
  #runningCrc32 = 0;
  /** In the file. */
  #bytes = 0;
  #pending = '';

  constructor(fileSystem: FileSystem, fd: number) {
    this.#fileSystem = fileSystem;
    this.#fd = fd;
  }

  /** The next bytes of the data. */
  add(bytes: Uint8Array): void {
    this.#runningCrc32 = crc32(bytes, this.#runningCrc32);
  }

  /** A batch ended; the data has `segmentBytes` with it. */
  endBatch(segmentBytes: number, lines: number): void {
    this.#blockLines += lines;
    this.#blockCrc32 = this.#runningCrc32;
    if (segmentBytes - this.#blockOffset >= BLOCK_TARGET_BYTES) this.endBlock(segmentBytes);
  }

  /** A batch from `begin` to `segmentBytes` ended that is a block of its own, and was summed up elsewhere. */
  addBlock(begin: number, segmentBytes: number, lines: number, crc32: number): void {
    this.endBlock(begin);
    this.#blockLines = lines;
    this.#blockCrc32 = crc32;
    this.endBlock(segmentBytes);
  }

  endBlock(segmentBytes: number): void {
    const bytes = segmentBytes - this.#blockOffset;
    if (bytes === 0) return;
    const block = { offset: this.#blockOffset, bytes, lines: this.#blockLines, crc32: this.#blockCrc32 };
    this.#pending += encodeBlock(block);
    this.#blockOffset = segmentBytes;
    this.#blockLines = 0;
    this.#blockCrc32 = 0;
    this.#runningCrc32 = 0;
  }

  mark(): SidecarMark {
    return {
      blockOffset: this.#blockOffset,
      blockLines: this.#blockLines,
      blockCrc32: this.#blockCrc32,
      sidecarBytes: this.#bytes + this.#pending.length,
    };
  }

  restore(mark: SidecarMark): void {
    this.#blockOffset = mark.blockOffset;
    this.#blockLines = mark.blockLines;
    this.#blockCrc32 = mark.blockCrc32;
    this.#runningCrc32 = mark.blockCrc32;
    if (mark.sidecarBytes >= this.#bytes) {
      this.#pending = this.#pending.slice(0, mark.sidecarBytes - this.#bytes);
    } else {
      this.#pending = '';
      this.#bytes = mark.sidecarBytes;
    }
  }

  /** Keeps what cannot be written for the next try; `finish` tells if it never works out. */
  write(): void {
    try {
      this.#writeOrThrow();
    } catch {
      // Invariant 1.
    }
  }

  /** The last of it, made durable. Throws the file system's error. */
  async finish(): Promise<void> {
    this.#writeOrThrow();
    // A segment that was taken back, or a write that failed in its middle, may have left more than we vouch for.
    this.#fileSystem.truncateSync(this.#fd, this.#bytes);
    await this.#fileSystem.syncData(this.#fd);
  }

  close(): Promise<void> {
    return this.#fileSystem.close(this.#fd);
  }

  #writeOrThrow(): void {
    while (this.#pending !== '') {
      const text = Buffer.from(this.#pending, 'latin1');
      const count = this.#fileSystem.writevSync(this.#fd, [text], this.#bytes);
      if (count <= 0) throw wroteNothing();
      this.#bytes += count;
      this.#pending = this.#pending.slice(count);
    }
  }
}
