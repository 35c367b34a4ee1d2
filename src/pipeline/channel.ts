/**
 * Channel: the bounded queue between a processor and the writer, here its sending end. It crosses
 * threads over a MessagePort; a batch's bytes are transferred and return with the result.
 *
 * Bounds: the bytes of lines that `room` grants (QUEUE_BYTES is one budget for all ingest threads) and
 * `capacityItems` batches, counted from `send` until the result is back, so what the writer holds counts
 * too. When full: `roomBytes` is what is left and `hasItemRoom` is false; the sender keeps what it has, and
 * the WaitLine in front says who waits and for how long.
 *
 * Invariants:
 * 1. usedBytes = sum of `length` over batches sent and not yet answered; usedItems is their number.
 * 2. Every batch sent is answered exactly once: by the far end, or by `abandon`.
 * 3. After `close` nothing is sent; what is under way is still answered.
 *
 *   open ──close()──▶ closing ──last result──▶ closed
 *     └───abandon()──────┴────────────────────▶ closed   (every batch under way is answered as lost)
 */
import type { MessagePort } from 'node:worker_threads';
import { invariant } from '../base/assert.ts';
import { ByteAllowance } from '../base/shared-budget.ts';
import type { Batch, BatchResult } from './batch.ts';

/** Ingest thread to writer thread. */
export interface BatchMessage {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly length: number;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
}

/** Writer thread to ingest thread: the buffers come home with their results. */
export interface ResultMessage {
  readonly results: readonly {
    readonly id: number;
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly result: BatchResult;
  }[];
}

export interface ChannelOptions {
  readonly capacityBytes: number;
  readonly capacityItems: number;
  /** Where several channels share `capacityBytes`: this one's part of it. */
  readonly room?: ByteAllowance;
}

export class Channel {
  readonly capacityBytes: number;
  readonly capacityItems: number;
  /** The owner of the processor in front draws on it and gives back. */
  readonly room: ByteAllowance;
  readonly #port: MessagePort;
  readonly #underWay = new Map<number, Batch>();
  #nextId = 1;
  #usedBytes = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #onClosed: (() => void)[] = [];

  /** Called once per batch with what became of it; `bytes` may be reused from then on (undefined if lost with its thread). */
  onResult: (batch: Batch, result: BatchResult, bytes: Uint8Array<ArrayBuffer> | undefined) => void =
    () => {};

  constructor(port: MessagePort, options: ChannelOptions) {
    this.#port = port;
    this.capacityBytes = options.capacityBytes;
    this.capacityItems = options.capacityItems;
    this.room = options.room ?? new ByteAllowance(options.capacityBytes);
    port.on('message', (message: ResultMessage) => this.#receive(message));
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }
  get usedItems(): number {
    return this.#underWay.size;
  }
  get usedLines(): number {
    let lines = 0;
    for (const batch of this.#underWay.values()) lines += batch.lines;
    return lines;
  }
  get roomBytes(): number {
    return this.room.grantedBytes - this.#usedBytes;
  }
  get hasItemRoom(): boolean {
    return this.#underWay.size < this.capacityItems;
  }
  /** The writer has nothing of ours: whatever is sent now is written next. */
  get isIdle(): boolean {
    return this.#underWay.size === 0;
  }

  /** When the oldest reading under way arrived; a Map keeps the order of sending. */
  get oldestReceivedAtMs(): number | undefined {
    for (const batch of this.#underWay.values()) return batch.firstReceivedAtMs;
    return undefined;
  }

  send(batch: Batch): void {
    invariant(this.#state === 'open', 'a batch was sent on a closed channel');
    invariant(batch.length <= this.roomBytes, 'a batch was sent without room for it');
    const id = this.#nextId++;
    this.#underWay.set(id, batch);
    this.#usedBytes += batch.length;
    const message: BatchMessage = {
      id,
      bytes: batch.bytes,
      length: batch.length,
      lines: batch.lines,
      firstReceivedAtMs: batch.firstReceivedAtMs,
      lastReceivedAtMs: batch.lastReceivedAtMs,
    };
    this.#port.postMessage(message, [batch.bytes.buffer]);
  }

  /** Resolves when every batch sent has been answered. */
  close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    return new Promise((resolve) => {
      this.#onClosed.push(resolve);
      this.#settle();
    });
  }

  /** The far end is gone: answers everything under way with `result` and closes. */
  abandon(result: BatchResult): void {
    this.#state = 'closing';
    for (const [id, batch] of this.#underWay) this.#answer(id, batch, result, undefined);
    this.#settle();
  }

  #receive(message: ResultMessage): void {
    for (const { id, result, bytes } of message.results) {
      const batch = this.#underWay.get(id);
      // After abandon() a late result finds its batch already answered.
      if (batch !== undefined) this.#answer(id, batch, result, bytes);
    }
    this.#settle();
  }

  #answer(id: number, batch: Batch, result: BatchResult, bytes: Uint8Array<ArrayBuffer> | undefined): void {
    this.#underWay.delete(id);
    this.#usedBytes -= batch.length;
    this.onResult(batch, result, bytes);
  }

  #settle(): void {
    if (this.#state === 'open' || this.#underWay.size > 0) return;
    if (this.#state === 'closing') {
      this.#state = 'closed';
      this.#port.close();
    }
    for (const resolve of this.#onClosed.splice(0)) resolve();
  }
}
