/**
 * The receiving end of a Channel, in the writer's thread: hands batches to a sink, gathers the sink's
 * answers, and sends them home together with their buffers.
 *
 * All messages that have already arrived are taken before the sink is told to flush, so that one
 * write covers every batch that is ready (the group in group commit).
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { BatchResult } from './batch.ts';
import type { BatchMessage, ResultMessage } from './channel.ts';

export interface ReceivedBatch {
  /** Only the lines: already cut to length. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
}

export interface BatchSink {
  append(batch: ReceivedBatch, onDone: (result: BatchResult) => void): void;
  flush(): void;
}

export class ChannelReceiver {
  readonly #port: MessagePort;
  readonly #sink: BatchSink;
  #done: ResultMessage['results'][number][] = [];
  #flushing = false;

  constructor(port: MessagePort, sink: BatchSink) {
    this.#port = port;
    this.#sink = sink;
    port.on('message', (message: BatchMessage) => this.#receive(message));
  }

  #receive(first: BatchMessage): void {
    this.#append(first);
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; ) {
      this.#append(next.message as BatchMessage);
      next = receiveMessageOnPort(this.#port);
    }
    this.#flushing = true;
    this.#sink.flush();
    this.#flushing = false;
    this.#sendHome();
  }

  #append(message: BatchMessage): void {
    const { id, bytes, length, lines, firstReceivedAtMs, lastReceivedAtMs } = message;
    this.#sink.append(
      { bytes: bytes.subarray(0, length), lines, firstReceivedAtMs, lastReceivedAtMs },
      (result) => {
        this.#done.push({ id, bytes, result });
        // Answers inside flush() travel together; an answer that comes later (a sync) goes at once
        // with whatever else the same turn of the event loop answers.
        if (!this.#flushing && this.#done.length === 1) queueMicrotask(() => this.#sendHome());
      },
    );
  }

  #sendHome(): void {
    if (this.#done.length === 0) return;
    const results = this.#done;
    this.#done = [];
    const message: ResultMessage = { results };
    this.#port.postMessage(
      message,
      results.map(({ bytes }) => bytes.buffer),
    );
  }
}
