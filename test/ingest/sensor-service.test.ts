import assert from 'node:assert/strict';
import { test } from 'node:test';
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
    return 1;
  }
}

test('a large request that waits is not encoded anew for every batch that comes home', async (t) => {
  const pipeline = pipelineUnderTest({
    capacityBytes: 4096 * KiB,
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
    { ack: 'written', queueBytes: 4096 * KiB },
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
  const send = (kibs: number) =>
    service.handle(new Uint8Array(kibs), { ...call }, (outcome) => outcomes.push(outcome));
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
