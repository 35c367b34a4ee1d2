/**
 * The receiving end of the Channels, in the writer's thread: hands batches to a sink, gathers the sink's
 * answers, and sends them home: with its answer a batch's memory is the sender's again.
 *
 * All messages that have already arrived, over all channels, are taken before the sink is told to flush,
 * so that one write covers every batch that is ready (the group in group commit). It is told so once in a turn of the
 * event loop, and for what comes after that when the turn ends: a port hands over up to a thousand messages in one go,
 * and with a disk that takes a second for each write the thread came to its timers, its sign of life among them,
 * minutes later.
 *
 * A channel's far end may die with its thread. What it had sent until then still arrives here and is
 * written; when all of it is answered, `onDrained` says what became of it, so that the books can be closed.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { MiB } from '../base/byte-size.ts';
import type { BatchResult, Numbering, PartResult } from './batch.ts';
import type { BatchMessage, PartMessage, ResultMessage } from './channel.ts';

/** So many bytes of answered batches go home at once, however much is still to be written: their room is what the sender waits for. */
const HOMEWARD_BYTES = 4 * MiB;

export interface ReceivedBatch {
  /** Only the lines: already cut to length. */
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  /** Of the bytes, if the sender has taken it. */
  readonly crc32?: number | undefined;
}

export interface ReceivedPart extends ReceivedBatch {
  readonly numbering: Numbering;
}

export interface BatchSink {
  append(batch: ReceivedBatch, onDone: (result: BatchResult) => void): void;
  /** `onReleased`: its bytes are the sender's again, which may be before or after `onDone`; each is called once. */
  appendNumbered(part: ReceivedPart, onDone: (result: PartResult) => void, onReleased: () => void): void;
  flush(): void;
}

/** Lines that came over one channel, by what became of them. */
export interface DrainedChannel {
  readonly written: number;
  readonly deduplicated: number;
  /** For a gap before them. */
  readonly refused: number;
  readonly failed: number;
}

export class ChannelReceivers {
  readonly #sink: BatchSink;
  readonly #receivers = new Set<ChannelReceiver>();
  #flushing = false;
  #hasFlushedInTurn = false;
  #isFlushDue = false;

  constructor(sink: BatchSink) {
    this.#sink = sink;
  }

  get isFlushing(): boolean {
    return this.#flushing;
  }

  /**
   * `onDrained` is called once, when the far end has closed its port or died, and all it sent is answered.
   * The function returned takes what has arrived and then hears no more of it.
   */
  add(port: MessagePort, onDrained: (channel: DrainedChannel) => void = () => {}): () => void {
    const receiver = new ChannelReceiver(port, this.#sink, this, (channel) => {
      this.#receivers.delete(receiver);
      onDrained(channel);
    });
    this.#receivers.add(receiver);
    port.on('message', (message: BatchMessage) => {
      receiver.append(message);
      if (this.#hasFlushedInTurn) this.#isFlushDue = true;
      else this.#flushInTurn();
    });
    return () => {
      this.#flush();
      receiver.close();
    };
  }

  close(): void {
    for (const receiver of this.#receivers) receiver.close();
  }

  #flushInTurn(): void {
    this.#hasFlushedInTurn = true;
    this.#flush();
    setImmediate(() => {
      this.#hasFlushedInTurn = false;
      if (this.#isFlushDue) this.#flush();
    });
  }

  #flush(): void {
    this.#isFlushDue = false;
    for (const receiver of this.#receivers) receiver.appendWaiting();
    this.#flushing = true;
    this.#sink.flush();
    this.#flushing = false;
    for (const receiver of this.#receivers) receiver.sendHome();
  }
}

class ChannelReceiver {
  readonly #port: MessagePort;
  readonly #sink: BatchSink;
  readonly #receivers: ChannelReceivers;
  readonly #onDrained: (channel: DrainedChannel) => void;
  /** Shared memory by its number. */
  readonly #shared = new Map<number, Uint8Array>();
  #done: ResultMessage['results'][number][] = [];
  #doneBytes = 0;
  #partsDone: NonNullable<ResultMessage['parts']>[number][] = [];
  /** Batches and parts. */
  #unanswered = 0;
  readonly #counts = { written: 0, deduplicated: 0, refused: 0, failed: 0 };
  #isClosed = false;
  #isDrained = false;

  constructor(
    port: MessagePort,
    sink: BatchSink,
    receivers: ChannelReceivers,
    onDrained: (channel: DrainedChannel) => void,
  ) {
    this.#port = port;
    this.#sink = sink;
    this.#receivers = receivers;
    this.#onDrained = onDrained;
    port.on('close', () => {
      this.#isClosed = true;
      this.#settle();
    });
  }

  appendWaiting(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; ) {
      this.append(next.message as BatchMessage);
      next = receiveMessageOnPort(this.#port);
    }
  }

  append(message: BatchMessage): void {
    const { id, buffer, memory, length, lines, firstReceivedAtMs, lastReceivedAtMs, crc32 } = message;
    const bytes = memory === undefined ? this.#shared.get(buffer)! : new Uint8Array(memory);
    if (memory !== undefined && buffer !== 0) this.#shared.set(buffer, bytes);
    this.#unanswered++;
    if (message.parts !== undefined) {
      this.#appendParts(message, message.parts, bytes);
      return;
    }
    this.#sink.append(
      { bytes: bytes.subarray(0, length), lines, firstReceivedAtMs, lastReceivedAtMs, crc32 },
      (result) => {
        if (result.ok) this.#counts.written += lines;
        else this.#counts.failed += lines;
        this.#answered();
        this.#goHome(id, result, length);
      },
    );
  }

  #appendParts(message: BatchMessage, parts: readonly PartMessage[], bytes: Uint8Array): void {
    const { id, length, firstReceivedAtMs, lastReceivedAtMs } = message;
    let held = parts.length;
    const onReleased = (): void => {
      if (--held > 0) return;
      this.#answered();
      this.#goHome(id, { ok: true }, length);
    };
    for (const { ticket, start, end, lines, numbering } of parts) {
      this.#unanswered++;
      const part = { bytes: bytes.subarray(start, end), lines, firstReceivedAtMs, lastReceivedAtMs };
      const onDone = (result: PartResult): void => {
        this.#count(result, lines);
        this.#answered();
        this.#partsDone.push({ ticket, result });
      };
      if (numbering !== undefined) this.#sink.appendNumbered({ ...part, numbering }, onDone, onReleased);
      else {
        this.#sink.append(part, (result) => {
          onDone(result.ok ? { kind: 'ok', written: lines, deduplicated: 0 } : { kind: 'failed', ...result });
          onReleased();
        });
      }
    }
  }

  #count(result: PartResult, lines: number): void {
    if (result.kind === 'ok') {
      this.#counts.written += result.written;
      this.#counts.deduplicated += result.deduplicated;
    } else if (result.kind === 'gap') this.#counts.refused += lines;
    else this.#counts.failed += lines;
  }

  /** Before the answer is put with the others. */
  #answered(): void {
    this.#unanswered--;
    // Answers inside flush() travel together, as far as HOMEWARD_BYTES; an answer that comes later (a sync) goes at once
    // with whatever else the same turn of the event loop answers.
    if (!this.#receivers.isFlushing && this.#done.length + this.#partsDone.length === 0) {
      queueMicrotask(() => this.sendHome());
    }
  }

  #goHome(id: number, result: BatchResult, bytes: number): void {
    this.#done.push({ id, result });
    this.#doneBytes += bytes;
    if (this.#doneBytes >= HOMEWARD_BYTES) this.sendHome();
  }

  sendHome(): void {
    if (this.#done.length + this.#partsDone.length > 0) {
      const parts = this.#partsDone.length > 0 ? { parts: this.#partsDone } : {};
      const message: ResultMessage = { results: this.#done, ...parts };
      this.#done = [];
      this.#doneBytes = 0;
      this.#partsDone = [];
      this.#port.postMessage(message);
    }
    this.#settle();
  }

  close(): void {
    this.#port.close();
  }

  #settle(): void {
    if (!this.#isClosed || this.#unanswered > 0 || this.#isDrained) return;
    this.#isDrained = true;
    this.#onDrained(this.#counts);
  }
}
