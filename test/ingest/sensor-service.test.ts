import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteBuffer } from '../../src/base/byte-buffer.ts';
import { Client } from '../../src/base/client.ts';
import type { Outcome } from '../../src/base/outcome.ts';
import type { EncodeFault } from '../../src/ingest/line-encoder.ts';
import { SensorService } from '../../src/ingest/sensor-service.ts';
import { Ledger } from '../../src/observe/ledger.ts';
import { WaitLine } from '../../src/pipeline/wait-line.ts';
import { pipelineUnderTest } from '../support/pipeline.ts';

const KiB = 1024;

/** Each byte of a request stands for a KiB of lines; counts what encoding costs. */
class CountingEncoder {
  numbering(): undefined {
    return undefined;
  }
  fault: EncodeFault | undefined;
  encodedBytes = 0;
  tries = 0;
  /** First bytes of what was encoded, in that order. */
  readonly order: number[] = [];
  onEncode = (): void => {};
  encode(request: Uint8Array, _receivedAtMs: number, out: ByteBuffer, maxOutputBytes: number): number {
    const bytes = request.length * KiB;
    this.tries++;
    this.encodedBytes += Math.min(bytes, maxOutputBytes);
    if (bytes > maxOutputBytes) {
      this.fault = { kind: 'too_large', itemIndex: 0, field: '', message: 'no room', reason: 'no_room' };
      return -1;
    }
    out.reserve(bytes);
    out.length += bytes;
    this.order.push(request[0]!);
    this.onEncode();
    return 1;
  }
}

function serviceUnderTest(t: TestContext, queueBytes: number) {
  const pipeline = pipelineUnderTest({
    capacityBytes: queueBytes,
    capacityItems: 4096,
    bufferBytes: 4 * KiB,
  });
  t.after(() => pipeline.stop());
  const encoder = new CountingEncoder();
  const waitLine = new WaitLine(
    { whenFull: 'wait', waitMaxMs: 5000, capacityBytes: 1024 * KiB },
    pipeline.clock,
  );
  const service = new SensorService(
    { ack: 'written', queueBytes },
    {
      admit: () => undefined,
      encoder,
      processor: pipeline.processor,
      waitLine,
      ledger: new Ledger(),
      clock: pipeline.clock,
      onMalformed: () => {},
      onQueueWait: () => {},
    },
  );
  pipeline.onRoom(() => waitLine.admit());
  const outcomes: Outcome[] = [];
  const client = new Client('address', '127.0.0.1');
  const call = { client, deadlineMs: undefined, peer: 'test', cancelled: false, onCancelled: undefined };
  return {
    pipeline,
    encoder,
    waitLine,
    outcomes,
    send: (kibs: number, first = 0, isHeldBack = false) =>
      service.handle(new Uint8Array(kibs).fill(first, 0, 1), { ...call, isHeldBack }, (outcome) =>
        outcomes.push(outcome),
      ),
  };
}

test('a large request that waits is not encoded anew for every batch that comes home', async (t) => {
  const { pipeline, encoder, waitLine, outcomes, send } = serviceUnderTest(t, 4096 * KiB);
  for (let i = 0; i < 1024; i++) send(4);
  send(3000);
  assert.equal(waitLine.waiting, 1);
  encoder.encodedBytes = 0;
  encoder.tries = 0;
  await pipeline.arrived(1024);
  for (const batch of pipeline.held.splice(0)) batch.answer({ ok: true });
  await pipeline.arrived(1);
  assert.equal(waitLine.waiting, 0);
  assert.ok(encoder.tries <= 12, `${encoder.tries} tries`);
  assert.ok(encoder.encodedBytes <= 3 * 4096 * KiB, `${encoder.encodedBytes} bytes encoded`);
  pipeline.held[0]!.answer({ ok: true });
  await pipeline.processor.close();
  assert.equal(outcomes.filter(({ kind }) => kind === 'ok').length, 1025);
});

test('what finds room but no time stands in the order it came, and the line does not grow by who comes meanwhile', async (t) => {
  const { pipeline, encoder, waitLine, outcomes, send } = serviceUnderTest(t, 40 * KiB);
  for (let i = 0; i < 16; i++) send(4, i);
  assert.equal(waitLine.waiting, 6);
  await pipeline.arrived(10);
  const waiting: number[] = [];
  // The first takes as long as a part of the line may; before the next part others come.
  encoder.onEncode = () => {
    pipeline.clock.standStill(2);
    encoder.onEncode = () => {};
    queueMicrotask(() => {
      for (let i = 16; i < 20; i++) {
        // The last one does not come now, but goes on.
        send(4, i, i === 19);
        waiting.push(waitLine.waiting);
      }
    });
  };
  for (const batch of pipeline.held.splice(0)) batch.answer({ ok: true });
  while (waiting.length === 0) await nextTurn();
  assert.deepEqual(waiting, [5, 5, 5, 6]);
  const all = Array.from({ length: 20 }, (_, i) => i);
  assert.deepEqual(encoder.order, all.slice(0, encoder.order.length));
  while (outcomes.length < 20) {
    for (const batch of pipeline.held.splice(0)) batch.answer({ ok: true });
    await nextTurn();
  }
  assert.deepEqual(encoder.order, all);
});
