/** The sending end of a channel: in which order answers are given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { Batch, BatchPart } from '../../src/pipeline/batch.ts';
import { type BatchMessage, Channel, type ResultMessage } from '../../src/pipeline/channel.ts';

test('a batch comes home before its numbered requests are acknowledged: the next one leaves meanwhile', async () => {
  const { port1, port2 } = new MessageChannel();
  const channel = new Channel(port1, { capacityBytes: 1000, capacityItems: 4 });
  assert.ok(channel.room.ensure(100));
  const part: BatchPart = {
    ...{ start: 0, end: 2, lines: 1, acknowledgements: [] },
    numbering: { producerId: 'p', first: 1n },
  };
  const batch: Batch = {
    bytes: new Uint8Array(new SharedArrayBuffer(16)),
    ...{
      length: 2,
      lines: 1,
      requests: 1,
      waiters: 0,
      leftAtMs: 0,
      firstReceivedAtMs: 0,
      lastReceivedAtMs: 0,
    },
    acknowledgements: [],
    parts: [part],
  };
  port2.on('message', ({ id, parts }: BatchMessage) => {
    const home: ResultMessage = {
      results: [{ id, result: { ok: true } }],
      parts: parts!.map(({ ticket }) => ({ ticket, result: { kind: 'ok', written: 1, deduplicated: 0 } })),
    };
    port2.postMessage(home);
  });
  const order: string[] = [];
  channel.onResult = () => order.push('batch');
  channel.onPartResult = () => order.push('part');
  channel.send(batch);
  await channel.close();
  assert.deepEqual(order, ['batch', 'part']);
  port2.close();
});
