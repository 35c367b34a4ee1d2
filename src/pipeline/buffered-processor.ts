/**
 * BufferedProcessor: gathers lines into a batch and decides when it leaves.
 *
 * A batch is flushed when it holds BUFFER_SIZE readings or BUFFER_BYTES bytes, when the flush timer
 * fires, when the input closes, and on cancel. While acknowledgements wait on it, it leaves as soon
 * as the writer is free (group commit): the load itself then sets the batch size, one request when
 * idle, hundreds when the disk is slower than the callers. Where the disk is slow it is held back a little, see
 * group-hold.ts.
 *
 * Invariants:
 * 1. `buffer` always accepts an encode of up to `roomBytes`; lines + bytes in it are exactly what was committed.
 * 2. A buffer that was sent is never touched again until it comes home (the seed of this design reused it in flight);
 *    one that does not come home (the writer died with it) is never used again.
 * 3. Every committed request's acknowledgement is called exactly once.
 * 4. gathered bytes + channel.usedBytes <= what the channel's `room` has granted.
 *
 *            commit                 size | bytes | timer | writer free | close | cancel
 *   empty ───────────▶ gathering ─────────────────────────────────────────────────────▶ empty
 *                        │  ▲
 *                        └──┘ no room for items in the channel: goes on gathering (bounded by 4)
 */
import { crc32 } from 'node:zlib';
import { ByteBuffer } from '../base/byte-buffer.ts';
import type { Clock, Timer } from '../base/clock.ts';
import {
  type Acknowledge,
  type Batch,
  type BatchPart,
  type BatchResult,
  type FlushCause,
  type Numbering,
  type PartResult,
  SUMMED_BATCH_BYTES,
} from './batch.ts';
import type { Channel } from './channel.ts';
import { GroupHold } from './group-hold.ts';

export interface ProcessorOptions {
  readonly bufferSizeReadings: number;
  readonly bufferBytes: number;
  readonly bufferFlushIntervalMs: number;
  /** For buffers in shared memory. Beyond them memory is made, transferred and left to the collector. */
  readonly sharedBytes: number;
}

/** A batch may exceed BUFFER_BYTES by the request that filled it; a quarter more spares most regrowth. */
function bufferCapacityBytes(bufferBytes: number): number {
  return Math.ceil(bufferBytes * 1.25);
}

const LEAST_SHARED_BUFFERS = 4;

function sharedBuffers(bufferBytes: number, sharedBytes: number): number {
  return Math.max(LEAST_SHARED_BUFFERS, Math.floor(sharedBytes / bufferCapacityBytes(bufferBytes)));
}

/**
 * What one of `threads` processors keeps at most in buffers in shared memory, which come back to be used again: as much as
 * they may have under way together, since a sync that holds up the writer for 50 ms takes 15 MiB, and what is made anew
 * then costs more than it holds. The last one used is used first: what a burst once needed lies untouched afterwards.
 */
export function pooledBytes(
  options: { readonly bufferBytes: number; readonly queueBytes: number },
  threads: number,
): number {
  const capacityBytes = bufferCapacityBytes(options.bufferBytes);
  const sharedBytes = (capacityBytes / options.bufferBytes) * (options.queueBytes / threads);
  return sharedBuffers(options.bufferBytes, sharedBytes) * capacityBytes;
}

export interface ProcessorEvents {
  onFlush(cause: FlushCause, lines: number, bytes: number): void;
  /** A batch's outcome is known: the books, and the acknowledgements that wait on it. */
  onBatchDone(batch: Batch, result: BatchResult): void;
  /** The outcome of a part of a batch is known; what `onBatchDone` does for a batch without parts. */
  onPartDone(part: BatchPart, result: PartResult): void;
  /** The channel has more room than before. */
  onRoom(): void;
}

export class BufferedProcessor {
  readonly #options: ProcessorOptions;
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #events: ProcessorEvents;
  readonly #hold: GroupHold;
  readonly #pool: Uint8Array[] = [];
  /** Shared buffers that may still be made. */
  #unmade: number;
  readonly #bufferCapacityBytes: number;

  /** Where the encoder appends; replaced at each flush, so read it anew for every request. */
  buffer: ByteBuffer;
  /** The memory that `buffer` was made over. */
  #lent: Uint8Array;
  #lines = 0;
  #requests = 0;
  #committedBytes = 0;
  #firstReceivedAtMs = 0;
  #lastReceivedAtMs = 0;
  #acknowledgements: Acknowledge[] = [];
  /** From the first numbered request of the batch on; then they have the acknowledgements. */
  #parts: BatchPart[] | undefined;
  #waiters = 0;
  /** Since something is under way: waiters of batches whose result was good. */
  #answered = 0;
  #timer: Timer | undefined;
  #flushScheduled = false;
  /** The cause that could not be acted on for want of item room; the next result makes up for it. */
  #overdue: FlushCause | undefined;
  #closed = false;

  constructor(
    options: ProcessorOptions,
    deps: { readonly channel: Channel; readonly clock: Clock; readonly events: ProcessorEvents },
  ) {
    this.#options = options;
    this.#channel = deps.channel;
    this.#clock = deps.clock;
    this.#events = deps.events;
    this.#hold = new GroupHold(deps.clock, () => this.#onHoldExpired());
    this.#bufferCapacityBytes = bufferCapacityBytes(options.bufferBytes);
    this.#unmade = sharedBuffers(options.bufferBytes, options.sharedBytes);
    this.#lent = this.#takeBuffer();
    this.buffer = new ByteBuffer(this.#lent);
    this.#channel.onResult = (batch, result, bytes) => this.#onResult(batch, result, bytes);
    this.#channel.onPartResult = (part, result) => deps.events.onPartDone(part, result);
  }

  /** What one more request may append. */
  get roomBytes(): number {
    return this.#channel.roomBytes - this.#committedBytes;
  }
  /** The same, with what no other thread has drawn. */
  get reachableBytes(): number {
    return this.roomBytes + this.#channel.room.freeBytes;
  }
  get isEmpty(): boolean {
    return this.#lines === 0 && this.#channel.isIdle;
  }
  /** Nothing gathered, nothing under way, and nobody else has any: this is all the room there will ever be. */
  get hasAllRoom(): boolean {
    return this.isEmpty && this.#channel.room.holdsAll;
  }

  /**
   * Draws room for about `bytes` where it can be had; a guess that is wrong costs a second encode. What is gathered leaves
   * before the buffer would have to grow: one that grew is not used again.
   */
  prepareRoom(bytes: number): void {
    const isTooFull = this.#committedBytes + bytes > this.#bufferCapacityBytes;
    if (isTooFull && bytes <= this.#bufferCapacityBytes) this.#flush('bytes');
    if (this.roomBytes < bytes) this.#channel.room.ensure(this.#usedBytes + bytes);
  }
  /** Draws more room; false when there is none. */
  growRoom(): boolean {
    return this.#channel.room.grow();
  }
  /** Keeps no room that is not used: somebody else may need it, and two that each hold half would wait for ever. */
  releaseRoom(): void {
    this.#channel.room.release(this.#usedBytes);
  }
  get #usedBytes(): number {
    return this.#channel.usedBytes + this.#committedBytes;
  }
  get gatheredBytes(): number {
    return this.#committedBytes;
  }
  /** Readings committed whose outcome is not known yet, counted from what is really held. */
  get heldReadings(): number {
    return this.#lines + this.#channel.usedLines;
  }
  /** When the oldest reading that is not written yet arrived; undefined when there is none gathered. */
  get oldestGatheredAtMs(): number | undefined {
    return this.#lines > 0 ? this.#firstReceivedAtMs : undefined;
  }

  /**
   * The encoder has appended one request's lines to `buffer`. `acknowledge` is called with the outcome
   * of the batch they travel in, or with `numbering` of its own; leave it out when nobody waits.
   */
  commit(lines: number, receivedAtMs: number, acknowledge?: Acknowledge, numbering?: Numbering): void {
    if (numbering !== undefined || this.#parts !== undefined) this.#addPart(lines, acknowledge, numbering);
    else if (acknowledge !== undefined) this.#acknowledgements.push(acknowledge);
    if (this.#lines === 0) this.#firstReceivedAtMs = receivedAtMs;
    this.#lastReceivedAtMs = receivedAtMs;
    this.#lines += lines;
    this.#requests++;
    this.#committedBytes = this.buffer.length;
    if (acknowledge !== undefined) this.#waiters++;

    if (this.#lines >= this.#options.bufferSizeReadings) this.#flush('size');
    else if (this.#committedBytes >= this.#options.bufferBytes) this.#flush('bytes');
    else if (this.#waiters > 0 && this.#channel.isIdle) {
      if (!this.#hold.keeps(this.#waiters)) this.#scheduleGroupCommit();
    } else
      this.#timer ??= this.#clock.setTimer(this.#options.bufferFlushIntervalMs, () => this.#flush('timer'));
  }

  #addPart(lines: number, acknowledge: Acknowledge | undefined, numbering: Numbering | undefined): void {
    const end = this.buffer.length;
    if (this.#parts === undefined) {
      this.#parts = [];
      if (this.#lines > 0) {
        const acknowledgements = this.#acknowledgements;
        this.#acknowledgements = [];
        const before = { start: 0, end: this.#committedBytes, lines: this.#lines };
        this.#parts.push({ ...before, numbering: undefined, acknowledgements });
      }
    }
    const last = this.#parts.at(-1);
    if (numbering === undefined && last !== undefined && last.numbering === undefined) {
      last.end = end;
      last.lines += lines;
      if (acknowledge !== undefined) last.acknowledgements.push(acknowledge);
    } else {
      const acknowledgements = acknowledge === undefined ? [] : [acknowledge];
      this.#parts.push({ start: this.#committedBytes, end, lines, numbering, acknowledgements });
    }
  }

  /** Somebody waits for more room than there is: what is gathered leaves now, so that its room comes back. */
  makeRoom(): void {
    this.#flush('bytes');
  }

  /** The input has ended: hands over what is gathered; resolves when the writer has answered for everything. */
  close(): Promise<void> {
    this.#closed = true;
    this.#flush('close');
    return this.#lines > 0 ? this.#closeWhenHandedOver() : this.#channel.close();
  }

  /** Stops at once: hands over what is gathered and waits for nothing. */
  cancel(): void {
    this.#closed = true;
    this.#flush('cancel');
  }

  /** The writer is gone for good: everything gathered or under way is answered with `result`. */
  abandon(result: BatchResult): void {
    this.#closed = true;
    const gathered = this.#lines > 0 ? this.#takeBatch() : undefined;
    this.#channel.abandon(result);
    if (gathered !== undefined) this.#answerUnsent(gathered, result);
    this.#onHandedOver?.();
  }

  #answerUnsent(batch: Batch, result: BatchResult): void {
    this.#events.onBatchDone(batch, result);
    if (result.ok) return;
    const { code, message } = result;
    for (const part of batch.parts ?? []) this.#events.onPartDone(part, { kind: 'failed', code, message });
  }

  /** One flush for all requests of this turn of the event loop: they arrived together, they travel together. */
  #scheduleGroupCommit(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      if (this.#waiters > 0 && this.#channel.isIdle) this.#flush('acknowledgement');
    });
  }

  #onHoldExpired(): number {
    const waiters = this.#waiters;
    if (waiters > 0) this.#flush('acknowledgement');
    return waiters;
  }

  async #closeWhenHandedOver(): Promise<void> {
    // Only reached when the channel had no room for another batch; each result hands over the rest.
    await new Promise<void>((resolve) => {
      this.#onHandedOver = resolve;
    });
    await this.#channel.close();
  }
  #onHandedOver: (() => void) | undefined;

  #flush(cause: FlushCause): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#hold.cancel();
    if (this.#lines === 0) return;
    if (!this.#channel.hasItemRoom) {
      this.#overdue = cause;
      return;
    }
    this.#overdue = undefined;
    const batch = this.#takeBatch();
    this.#events.onFlush(cause, batch.lines, batch.length);
    this.#channel.send(batch);
  }

  #takeBatch(): Batch {
    const { bytes } = this.buffer;
    const length = this.#committedBytes;
    const isSummed = length >= SUMMED_BATCH_BYTES && this.#parts === undefined;
    const batch: Batch = {
      bytes,
      length,
      lines: this.#lines,
      requests: this.#requests,
      waiters: this.#waiters,
      leftAtMs: this.#clock.monotonicMs(),
      firstReceivedAtMs: this.#firstReceivedAtMs,
      lastReceivedAtMs: this.#lastReceivedAtMs,
      acknowledgements: this.#acknowledgements,
      ...(this.#parts === undefined ? {} : { parts: this.#parts }),
      ...(isSummed ? { crc32: crc32(bytes.subarray(0, length)) } : {}),
    };
    this.#parts = undefined;
    this.#waiters = 0;
    this.#lines = 0;
    this.#requests = 0;
    this.#committedBytes = 0;
    this.#acknowledgements = [];
    // It grew: what it was made over is free at once.
    if (batch.bytes !== this.#lent) this.#giveBack(this.#lent);
    this.#lent = this.#takeBuffer();
    this.buffer = new ByteBuffer(this.#lent);
    return batch;
  }

  #takeBuffer(): Uint8Array {
    const used = this.#pool.pop();
    if (used !== undefined) return used;
    if (this.#unmade === 0) return new Uint8Array(this.#bufferCapacityBytes);
    this.#unmade--;
    return new Uint8Array(new SharedArrayBuffer(this.#bufferCapacityBytes));
  }

  #giveBack(bytes: Uint8Array): void {
    if (bytes.buffer instanceof SharedArrayBuffer) this.#pool.push(bytes);
  }

  #onResult(batch: Batch, result: BatchResult, isHome: boolean): void {
    if (isHome) this.#giveBack(batch.bytes);
    this.#answered = result.ok ? this.#answered + batch.waiters : 0;
    if (this.#channel.isIdle) this.#considerHold(batch);
    // Before the acknowledgements, which take as long as a write: the writer works meanwhile (docs/decisions/0002).
    this.#sendNext();
    this.#events.onBatchDone(batch, result);
    this.#channel.room.trim(this.#usedBytes);
    this.#events.onRoom();
  }

  /** The last of those under way is answered. */
  #considerHold(batch: Batch): void {
    const answered = this.#answered;
    this.#answered = 0;
    if (answered === 0 || this.#closed || this.#overdue !== undefined) return;
    this.#hold.begin(answered, this.#waiters, this.#clock.monotonicMs() - batch.leftAtMs);
  }

  #sendNext(): void {
    if (this.#lines === 0) return;
    if (this.#closed) {
      this.#flush('close');
      if (this.#lines === 0) this.#onHandedOver?.();
    } else if (this.#waiters > 0 && this.#channel.isIdle) {
      if (!this.#hold.isHolding) this.#flush('acknowledgement');
    } else if (this.#overdue !== undefined) {
      this.#flush(this.#overdue);
    }
  }
}
