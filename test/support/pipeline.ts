/** A processor with a real MessageChannel behind it and a far end that the test answers by hand. */
import { MessageChannel } from 'node:worker_threads';
import type { Batch, BatchResult, FlushCause } from '../../src/pipeline/batch.ts';
import { BufferedProcessor, type ProcessorOptions } from '../../src/pipeline/buffered-processor.ts';
import { Channel, type ChannelOptions } from '../../src/pipeline/channel.ts';
import { ChannelReceivers, type ReceivedBatch } from '../../src/pipeline/channel-receiver.ts';
import { ManualClock } from './manual-clock.ts';

export interface HeldBatch {
  readonly text: string;
  readonly lines: number;
  readonly crc32: number | undefined;
  readonly answer: (result: BatchResult) => void;
}

export function pipelineUnderTest(options: Partial<ProcessorOptions & ChannelOptions> = {}) {
  const { port1, port2 } = new MessageChannel();
  const clock = new ManualClock();
  const flushes: { cause: FlushCause; lines: number; bytes: number }[] = [];
  const done: { batch: Batch; result: BatchResult }[] = [];
  const held: HeldBatch[] = [];
  const arrivals: (() => void)[] = [];
  let rooms = 0;
  let onRoom = (): void => {};

  const receivers = new ChannelReceivers({
    append(batch: ReceivedBatch, onDone) {
      const { bytes, lines, crc32 } = batch;
      held.push({ text: Buffer.from(bytes).toString(), lines, crc32, answer: onDone });
    },
    appendNumbered() {
      throw new Error('nothing here is numbered');
    },
    flush() {
      for (const wake of arrivals.splice(0)) wake();
    },
  });
  receivers.add(port2);
  const channel = new Channel(port1, {
    capacityBytes: options.capacityBytes ?? 1 << 20,
    capacityItems: options.capacityItems ?? 16,
  });
  const processor = new BufferedProcessor(
    {
      bufferSizeReadings: options.bufferSizeReadings ?? 100,
      bufferBytes: options.bufferBytes ?? 4096,
      bufferFlushIntervalMs: options.bufferFlushIntervalMs ?? 1000,
      sharedBytes: options.sharedBytes ?? 1 << 16,
    },
    {
      channel,
      clock,
      events: {
        onFlush: (cause, lines, bytes) => flushes.push({ cause, lines, bytes }),
        onBatchDone: (batch, result) => {
          done.push({ batch, result });
          for (const acknowledge of batch.acknowledgements) {
            acknowledge(
              result.ok
                ? { kind: 'ok' }
                : { kind: 'failed', reason: 'disk', message: result.message, retryAfterMs: 1 },
            );
          }
        },
        onPartDone: () => {
          throw new Error('nothing here is numbered');
        },
        onRoom: () => {
          rooms++;
          onRoom();
        },
      },
    },
  );
  return {
    clock,
    channel,
    processor,
    flushes,
    done,
    held,
    get rooms() {
      return rooms;
    },
    onRoom(call: () => void) {
      onRoom = call;
    },
    /** Resolves once the far end holds `count` batches. */
    async arrived(count: number): Promise<void> {
      while (held.length < count) await new Promise<void>((resolve) => arrivals.push(resolve));
    },
    /** Appends `text` as one request of `lines` lines. */
    commit(text: string, lines: number, acknowledge?: Parameters<BufferedProcessor['commit']>[2]): void {
      const bytes = Buffer.from(text);
      processor.buffer.reserve(bytes.length);
      processor.buffer.bytes.set(bytes, processor.buffer.length);
      processor.buffer.length += bytes.length;
      processor.commit(lines, clock.nowMs(), acknowledge);
    },
    stop(): void {
      port1.close();
      port2.close();
    },
  };
}
