/**
 * Channel: the bounded queue between a processor and the writer, here its sending end. It crosses threads over a
 * MessagePort. The bytes of a batch lie in shared memory that is made known to the far end once: each message that
 * carries memory makes an object of it, and for such garbage outside its heap V8 collects everything, again and again
 * (docs/decisions/0126). Memory that is not shared, that of a huge request, is transferred.
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
 * 4. Every part of a batch is answered exactly once, and not always before its batch: one that waits for its turn
 *    lies with the writer, and holds nothing here but its acknowledgement.
 * 5. Shared memory is known to the far end from its first batch on; whoever sends it uses it again and again.
 *
 *   open ──close()──▶ closing ──last result──▶ closed
 *     └───abandon()──────┴────────────────────▶ closed   (every batch under way is answered as lost)
 */
import type { MessagePort } from 'node:worker_threads';
import { invariant } from '../base/assert.ts';
import { ByteAllowance } from '../base/shared-budget.ts';
import type { Batch, BatchPart, BatchResult, Numbering, PartResult } from './batch.ts';

/** Ingest thread to writer thread. */
export interface BatchMessage {
  readonly id: number;
  /** The number of shared memory; 0 for memory that comes along and is not used again. */
  readonly buffer: number;
  /** With the first batch in it. */
  readonly memory: ArrayBufferLike | undefined;
  readonly length: number;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  readonly crc32: number | undefined;
  /** Then each is answered by its ticket, and the batch's own result says no more than that its memory is free. */
  readonly parts: readonly PartMessage[] | undefined;
}

export interface PartMessage {
  readonly ticket: number;
  readonly start: number;
  readonly end: number;
  readonly lines: number;
  readonly numbering: Numbering | undefined;
}

/** Writer thread to ingest thread: with its result a batch's shared memory is the sender's again. */
export interface ResultMessage {
  readonly results: readonly { readonly id: number; readonly result: BatchResult }[];
  readonly parts?: readonly { readonly ticket: number; readonly result: PartResult }[];
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
  /** By ticket. */
  readonly #parts = new Map<number, BatchPart>();
  readonly #shared = new Map<ArrayBufferLike, number>();
  #nextId = 1;
  #nextTicket = 1;
  #usedBytes = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #onClosed: (() => void)[] = [];

  /** Called once per batch with what became of it; `isHome`: its shared memory may be used again. */
  onResult: (batch: Batch, result: BatchResult, isHome: boolean) => void = () => {};
  onPartResult: (part: BatchPart, result: PartResult) => void = () => {};

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
    for (const batch of this.#underWay.values()) if (batch.parts === undefined) lines += batch.lines;
    for (const part of this.#parts.values()) lines += part.lines;
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
    const memory = batch.bytes.buffer;
    const isShared = memory instanceof SharedArrayBuffer;
    let buffer = this.#shared.get(memory) ?? 0;
    const isKnown = buffer !== 0;
    if (isShared && !isKnown) {
      buffer = this.#shared.size + 1;
      this.#shared.set(memory, buffer);
    }
    const message: BatchMessage = {
      id,
      buffer,
      memory: isKnown ? undefined : memory,
      length: batch.length,
      lines: batch.lines,
      firstReceivedAtMs: batch.firstReceivedAtMs,
      lastReceivedAtMs: batch.lastReceivedAtMs,
      crc32: batch.crc32,
      parts: batch.parts?.map((part) => this.#ticketed(part)),
    };
    this.#port.postMessage(message, isShared ? [] : [memory as ArrayBuffer]);
  }

  #ticketed(part: BatchPart): PartMessage {
    const ticket = this.#nextTicket++;
    this.#parts.set(ticket, part);
    const { start, end, lines, numbering } = part;
    return { ticket, start, end, lines, numbering };
  }

  /** Resolves when every batch sent, and every part, has been answered. */
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
    for (const [id, batch] of this.#underWay) this.#answer(id, batch, result, false);
    invariant(!result.ok, 'a channel is abandoned for a reason');
    const { code, message } = result;
    for (const ticket of [...this.#parts.keys()]) this.#answerPart(ticket, { kind: 'failed', code, message });
    this.#settle();
  }

  #receive(message: ResultMessage): void {
    // Batches first: with their results the next ones leave, before what takes as long as a write, the acknowledgements.
    for (const { id, result } of message.results) {
      const batch = this.#underWay.get(id);
      // After abandon() a late result finds its batch already answered.
      if (batch !== undefined) this.#answer(id, batch, result, true);
    }
    for (const { ticket, result } of message.parts ?? []) this.#answerPart(ticket, result);
    this.#settle();
  }

  #answer(id: number, batch: Batch, result: BatchResult, isHome: boolean): void {
    this.#underWay.delete(id);
    this.#usedBytes -= batch.length;
    this.onResult(batch, result, isHome);
  }

  #answerPart(ticket: number, result: PartResult): void {
    const part = this.#parts.get(ticket);
    if (part === undefined) return;
    this.#parts.delete(ticket);
    this.onPartResult(part, result);
  }

  #settle(): void {
    if (this.#state === 'open' || this.#underWay.size + this.#parts.size > 0) return;
    if (this.#state === 'closing') {
      this.#state = 'closed';
      this.#port.close();
    }
    for (const resolve of this.#onClosed.splice(0)) resolve();
  }
}
