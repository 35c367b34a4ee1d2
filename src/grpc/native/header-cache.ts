/**
 * The fast lane for header blocks. After its first call a client sends the same few bytes for every
 * further one: references into its table. As long as the table has not changed, equal bytes mean an equal
 * head, so it is looked up instead of decoded.
 *
 * Invariant: what is remembered was decoded at `#version` of the table, by a block that left it unchanged.
 */
import { CACHED_HEADER_BLOCKS, MAX_CACHED_BLOCK_BYTES } from './limits.ts';
import type { RequestHead } from './request-head.ts';

interface Remembered {
  readonly block: Buffer;
  readonly head: RequestHead;
}

export class HeaderCache {
  #version = -1;
  readonly #remembered: Remembered[] = [];
  #oldest = 0;

  find(tableVersion: number, bytes: Buffer, start: number, end: number): RequestHead | undefined {
    if (tableVersion !== this.#version) return undefined;
    for (const { block, head } of this.#remembered) {
      if (isSame(block, bytes, start, end)) return head;
    }
    return undefined;
  }

  /** Only for a block that was decoded without changing the table. */
  remember(tableVersion: number, bytes: Buffer, start: number, end: number, head: RequestHead): void {
    if (end - start > MAX_CACHED_BLOCK_BYTES || head.isOversize || head.malformed !== undefined) return;
    if (tableVersion !== this.#version) {
      this.#version = tableVersion;
      this.#remembered.length = 0;
      this.#oldest = 0;
    }
    const entry = { block: Buffer.from(bytes.subarray(start, end)), head };
    if (this.#remembered.length < CACHED_HEADER_BLOCKS) {
      this.#remembered.push(entry);
    } else {
      this.#remembered[this.#oldest] = entry;
      this.#oldest = (this.#oldest + 1) % CACHED_HEADER_BLOCKS;
    }
  }
}

function isSame(block: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (block.length !== length) return false;
  for (let i = 0; i < length; i++) if (block[i] !== bytes[start + i]) return false;
  return true;
}
