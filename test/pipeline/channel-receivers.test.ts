/** The writer's end of several channels: one flush for all, and the account of a channel whose far end is gone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MiB } from '../../src/base/byte-size.ts';
import type { BatchResult } from '../../src/pipeline/batch.ts';
import type { ResultMessage } from '../../src/pipeline/channel.ts';
import {
  ChannelReceivers,
  type DrainedChannel,
  type ReceivedBatch,
} from '../../src/pipeline/channel-receiver.ts';

function post(port: MessagePort, id: number, lines: number, length = 4): void {
  const memory = new SharedArrayBuffer(2 * length);
  port.postMessage({ id, buffer: id, memory, length, lines, firstReceivedAtMs: 0, lastReceivedAtMs: 0 });
}

class Sink {
  readonly flushes: number[][] = [];
  readonly unanswered: ((result: BatchResult) => void)[] = [];
  answersAtOnce = true;
  #lines: number[] = [];
  #onDone: ((result: BatchResult) => void)[] = [];

  append(batch: ReceivedBatch, onDone: (result: BatchResult) => void): void {
    this.#lines.push(batch.lines);
    this.#onDone.push(onDone);
  }
  appendNumbered(): void {
    assert.fail('nothing here is numbered');
  }
  flush(): void {
    this.flushes.push(this.#lines.splice(0));
    const done = this.#onDone.splice(0);
    if (this.answersAtOnce) for (const onDone of done) onDone({ ok: true });
    else this.unanswered.push(...done);
  }
}

test('batches of all channels that are there share one flush, and each result goes home to its own', async () => {
  const sink = new Sink();
  const receivers = new ChannelReceivers(sink);
  const channels = [new MessageChannel(), new MessageChannel()];
  // All of them lie in the ports before anybody looks.
  post(channels[0]!.port1, 1, 10);
  post(channels[0]!.port1, 2, 20);
  post(channels[1]!.port1, 1, 30);
  for (const { port2 } of channels) receivers.add(port2);
  const [[first], [second]] = (await Promise.all(
    channels.map(({ port1 }) => once(port1, 'message')),
  )) as unknown as [[ResultMessage], [ResultMessage]];
  assert.deepEqual(sink.flushes, [[10, 20, 30]]);
  assert.deepEqual(
    [first, second].map(({ results }) => results.map(({ id }) => id)),
    [[1, 2], [1]],
  );
  receivers.close();
});

test('what is answered goes home before all is flushed: its room is what the sender waits for', async () => {
  const sink = new Sink();
  const receivers = new ChannelReceivers(sink);
  const { port1, port2 } = new MessageChannel();
  for (let id = 1; id <= 6; id++) post(port1, id, 1, 2 * MiB);
  const homeward: number[][] = [];
  const isAllHome = new Promise<void>((resolve) => {
    port1.on('message', ({ results }: ResultMessage) => {
      homeward.push(results.map(({ id }) => id));
      if (homeward.flat().length === 6) resolve();
    });
  });
  receivers.add(port2);
  await isAllHome;
  assert.deepEqual(sink.flushes, [[1, 1, 1, 1, 1, 1]]);
  assert.deepEqual(homeward, [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  port1.close();
  receivers.close();
});

test('a far end that is gone: what it had sent is taken, and accounted for when all of it is answered', async () => {
  const sink = new Sink();
  sink.answersAtOnce = false;
  const receivers = new ChannelReceivers(sink);
  const { port1, port2 } = new MessageChannel();
  const drained: DrainedChannel[] = [];
  const isDrained = new Promise<void>((resolve) => {
    receivers.add(port2, (channel) => {
      drained.push(channel);
      resolve();
    });
  });
  post(port1, 1, 10);
  post(port1, 2, 20);
  post(port1, 3, 5);
  port1.close();
  await once(port2, 'close');
  assert.deepEqual(sink.flushes.flat(), [10, 20, 5]);
  assert.deepEqual(drained, [], 'nothing is known yet');
  sink.unanswered[0]!({ ok: true });
  sink.unanswered[1]!({ ok: false, code: 'ENOSPC', message: 'full' });
  sink.unanswered[2]!({ ok: true });
  await isDrained;
  assert.deepEqual(drained, [{ written: 15, deduplicated: 0, refused: 0, failed: 20 }]);
});

test('a channel that is cut off: what had arrived is taken, nothing after it', async () => {
  const sink = new Sink();
  const receivers = new ChannelReceivers(sink);
  const { port1, port2 } = new MessageChannel();
  post(port1, 1, 10);
  const drained = new Promise<DrainedChannel>((resolve) => {
    const cutOff = receivers.add(port2, resolve);
    cutOff();
  });
  post(port1, 2, 20);
  assert.deepEqual(await drained, { written: 10, deduplicated: 0, refused: 0, failed: 0 });
  assert.deepEqual(sink.flushes.flat(), [10]);
});

// A port hands over up to a thousand messages in one go. While each was written in its own handler, a slow disk kept the
// thread from its timers, and so from its sign of life, for a thousand writes.
test('with a batch always waiting, timers come between the writes', async (t) => {
  const sink = new Sink();
  const receivers = new ChannelReceivers(sink);
  const { port1, port2 } = new MessageChannel();
  t.after(() => {
    receivers.close();
    port1.close();
  });
  let id = 1;
  const flush = sink.flush.bind(sink);
  sink.flush = () => {
    flush();
    // The far end has its answer and sends the next, while we are still writing.
    if (id < 500) post(port1, ++id, 1);
  };
  receivers.add(port2);
  post(port1, 1, 1);
  await new Promise<void>((resolve) => {
    const wait = (): void => {
      if (sink.flushes.length > 0) resolve();
      else setTimeout(wait, 0);
    };
    wait();
  });
  assert.ok(sink.flushes.length < 100, `${sink.flushes.length} writes before a timer`);
});
