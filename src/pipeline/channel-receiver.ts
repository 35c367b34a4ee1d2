/**
 * The receiving end of the Channels, in the writer's thread: hands batches to a sink, gathers the sink's
 * answers, and sends them home: with its answer a batch's memory is the sender's again.
 *
 * All messages that have already arrived, over all channels, are taken before the sink is told to flush,
 * so that one write covers every batch that is ready (the group in group commit).
 *
 * A channel's far end may die with its thread. What it had sent until then still arrives here and is
 * written; when all of it is answered, `onDrained` says what became of it, so that the books can be closed.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { BatchResult } from './batch.ts';
import type { BatchMessage, ResultMessage } from './channel.ts';

export interface ReceivedBatch {
  /** Only the lines: already cut to length. */
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
}

export interface BatchSink {
  append(batch: ReceivedBatch, onDone: (result: BatchResult) => void): void;
  flush(): void;
}

/** Lines that came over one channel, by what became of them. */
export interface DrainedChannel {
  readonly written: number;
  readonly failed: number;
}

export class ChannelReceivers {
  readonly #sink: BatchSink;
  readonly #receivers = new Set<ChannelReceiver>();
  #flushing = false;

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
    port.on('message', (first: BatchMessage) => this.#receive(receiver, first));
    return () => {
      receiver.appendWaiting();
      this.#flush();
      receiver.close();
    };
  }

  close(): void {
    for (const receiver of this.#receivers) receiver.close();
  }

  #receive(from: ChannelReceiver, first: BatchMessage): void {
    from.append(first);
    for (const receiver of this.#receivers) receiver.appendWaiting();
    this.#flush();
  }

  #flush(): void {
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
  #unanswered = 0;
  #written = 0;
  #failed = 0;
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
    const { id, buffer, memory, length, lines, firstReceivedAtMs, lastReceivedAtMs } = message;
    const bytes = memory === undefined ? this.#shared.get(buffer)! : new Uint8Array(memory);
    if (memory !== undefined && buffer !== 0) this.#shared.set(buffer, bytes);
    this.#unanswered++;
    this.#sink.append(
      { bytes: bytes.subarray(0, length), lines, firstReceivedAtMs, lastReceivedAtMs },
      (result) => {
        this.#unanswered--;
        if (result.ok) this.#written += lines;
        else this.#failed += lines;
        this.#done.push({ id, result });
        // Answers inside flush() travel together; an answer that comes later (a sync) goes at once
        // with whatever else the same turn of the event loop answers.
        if (!this.#receivers.isFlushing && this.#done.length === 1) queueMicrotask(() => this.sendHome());
      },
    );
  }

  sendHome(): void {
    if (this.#done.length > 0) {
      const results = this.#done;
      this.#done = [];
      const message: ResultMessage = { results };
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
    this.#onDrained({ written: this.#written, failed: this.#failed });
  }
}
