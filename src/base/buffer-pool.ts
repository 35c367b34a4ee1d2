/**
 * Memory for what cannot stay where it was read, used again and again. V8 counts every buffer that is made, and after
 * some tens of MiB of them it looks through its whole heap: with requests of 60 KB that took 28% of a core
 * (docs/decisions/0137).
 *
 * Invariants:
 * 1. Memory is either lent to exactly one owner or lies here.
 * 2. No more than `keptBytes` lie here. Where there is no room, what lies here makes room for the first of another size.
 */
import { KiB } from './byte-size.ts';

/** Below, memory of its own costs no more than looking for some here. */
const SMALLEST_BYTES = 2 * KiB;
/** What is lent may be so much more than what was asked for. */
export const ROUNDING = 1 / 8;

export class BufferPool {
  readonly #keptBytes: number;
  readonly #free = new Map<number, ArrayBuffer[]>();
  #freeBytes = 0;

  constructor(keptBytes: number) {
    this.#keptBytes = keptBytes;
  }

  /** Exactly so many bytes, of any content; of memory that is an eighth more at most (ROUNDING). */
  take(bytes: number): Buffer<ArrayBuffer> {
    const size = pooledSize(bytes);
    const memory = this.#free.get(size)?.pop();
    if (memory === undefined) return Buffer.allocUnsafeSlow(size).subarray(0, bytes);
    this.#freeBytes -= size;
    return Buffer.from(memory, 0, bytes);
  }

  /** Nobody uses it any more. */
  give(buffer: Buffer<ArrayBuffer>): void {
    const memory = buffer.buffer;
    const size = memory.byteLength;
    if (size < SMALLEST_BYTES || size > this.#keptBytes) return;
    const free = this.#free.get(size);
    if (this.#freeBytes + size <= this.#keptBytes) {
      if (free === undefined) this.#free.set(size, [memory]);
      else free.push(memory);
      this.#freeBytes += size;
    } else if (free === undefined || free.length === 0) {
      this.#free.clear();
      this.#free.set(size, [memory]);
      this.#freeBytes = size;
    }
  }
}

/** What `take` takes for so many bytes: there are eight sizes from each power of two to the next. */
function pooledSize(bytes: number): number {
  if (bytes < SMALLEST_BYTES) return bytes;
  const step = 2 ** (31 - Math.clz32(bytes - 1) - 3);
  return Math.ceil(bytes / step) * step;
}
