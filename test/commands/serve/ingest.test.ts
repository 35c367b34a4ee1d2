/** The ingest side put together, with a writer's end that the test answers, or not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Client } from '../../../src/base/client.ts';
import type { Outcome } from '../../../src/base/outcome.ts';
import { audit, balanceOf } from '../../../src/commands/serve/balance.ts';
import { Ingest, type IngestDeps } from '../../../src/commands/serve/ingest.ts';
import type { IngestOptions } from '../../../src/commands/serve/ingest-messages.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import type { BatchMessage } from '../../../src/pipeline/channel.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { item } from '../../support/reading-bytes.ts';

const MiB = 1024 * 1024;
const KiB = 1024;

function ingestUnderTest(
  options: { ack?: string; bufferBytes?: number; queueBytes?: number; queueItems?: number } = {},
) {
  const { port1, port2 } = new MessageChannel();
  const ledger = new Ledger();
  const clock = new ManualClock();
  const metrics = {
    requestBytes() {},
    batchFlushed() {},
    batchAcknowledged() {},
    malformed() {},
    queueWaited() {},
  };
  const ingest = new Ingest(
    {
      grpc: { maxRequestBytes: 4 * MiB },
      ingest: {
        ack: options.ack ?? 'written',
        queueFull: 'wait',
        queueWaitMaxMs: 5000,
        ratePerSecondBytes: 0,
        rateBurstBytes: 0,
        clientRatePerSecondBytes: 0,
        clientRateBurstBytes: 0,
        maxClients: 16,
      },
      pipeline: {
        bufferSizeReadings: 1_000_000,
        bufferBytes: options.bufferBytes ?? 64 * KiB,
        bufferFlushIntervalMs: 60_000,
        queueBytes: options.queueBytes ?? MiB,
        queueItems: options.queueItems ?? 1024,
      },
    } as IngestOptions,
    {
      batches: port1,
      ledger,
      clock,
      metrics: metrics as unknown as IngestDeps['metrics'],
      journalHealth: () => ({ ok: true }),
    },
  );
  const outcomes: Outcome[] = [];
  const client = new Client('address', '127.0.0.1');
  return {
    ingest,
    clock,
    outcomes,
    writer: port2,
    send(request: Uint8Array) {
      const call = { deadlineMs: undefined, peer: 'test', client, cancelled: false, onCancelled: undefined };
      ingest.handle(request, call, (outcome) => {
        ledger.requestOk();
        outcomes.push(outcome);
      });
      ledger.requestReceived();
    },
    balance() {
      const { requestsInFlight } = ledger;
      const held = { requests: requestsInFlight, readings: ingest.heldReadings };
      return balanceOf(audit(ledger.snapshot(), held));
    },
  };
}

/** A request whose lines take about `bytes`. */
function requestOf(bytes: number): Uint8Array {
  const reading = Buffer.from(item('x'.repeat(900)));
  return Buffer.concat(Array(Math.max(1, Math.floor(bytes / 1000))).fill(reading));
}

async function nextBatch(writer: MessagePort): Promise<BatchMessage> {
  const [message] = (await once(writer, 'message')) as [BatchMessage];
  return message;
}

const summary = (outcomes: readonly Outcome[]) =>
  outcomes.map((outcome) => (outcome.kind === 'ok' ? 'ok' : `${outcome.kind} ${outcome.reason}`));

test('the writer dies: what is under way, gathered and waiting is answered once, and nobody else gets in', async (t) => {
  const { ingest, send, outcomes, balance, writer } = ingestUnderTest({ queueItems: 1 });
  t.after(() => writer.close());
  send(requestOf(100 * KiB)); // under way
  send(requestOf(800 * KiB)); // gathered: the channel takes one batch
  send(requestOf(500 * KiB)); // waits for room
  send(requestOf(KiB)); // waits behind it
  assert.equal(ingest.queue().waitingRequests, 2);
  const closed = ingest.close();

  ingest.abandon('writer thread: exited with status 1');
  assert.deepEqual(summary(outcomes).sort(), [
    'failed thread_death',
    'failed thread_death',
    'refused queue_full',
    'refused queue_full',
  ]);
  send(requestOf(KiB)); // was being received when the writer died
  assert.equal(summary(outcomes).at(-1), 'refused draining');
  assert.equal(balance().isBalanced, true, balance().text);
  assert.equal(ingest.heldReadings, 0);
  await closed;
});

test('what is written off at the end of the drain is not counted again when the writer answers late', async (t) => {
  const { ingest, send, outcomes, balance, writer } = ingestUnderTest();
  t.after(() => writer.close());
  send(requestOf(100 * KiB));
  const batch = await nextBatch(writer);
  ingest.writeOff();
  writer.postMessage({ results: [{ id: batch.id, result: { ok: true } }] });
  await once(writer, 'close');
  assert.deepEqual(summary(outcomes), ['failed drain_deadline']);
  assert.match(balance().text, /written 0 .* in flight 0 \(difference 0\)$/);
});

test('a request that finds no room makes what is gathered leave, however far off its timer', async (t) => {
  const { ingest, send, outcomes, writer } = ingestUnderTest({ ack: 'accepted', bufferBytes: MiB });
  t.after(() => ingest.close().then(() => writer.close()));
  send(requestOf(900 * KiB));
  send(requestOf(300 * KiB));
  assert.equal(ingest.queue().waitingRequests, 1);
  const { id } = await nextBatch(writer);
  writer.postMessage({ results: [{ id, result: { ok: true } }] });
  writer.on('message', (next: BatchMessage) =>
    writer.postMessage({ results: [{ id: next.id, result: { ok: true } }] }),
  );
  while (ingest.queue().waitingRequests > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(summary(outcomes), ['ok', 'ok']);
});
