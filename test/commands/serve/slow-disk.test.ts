/**
 * Fair shares of a slow disk: two ingest threads put together as the daemon has them, sharing what threads share, in
 * front of a writer that takes so many bytes a second and no more. The clock is the test's; SECONDS= makes it longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Client } from '../../../src/base/client.ts';
import { Ingest, type IngestDeps } from '../../../src/commands/serve/ingest.ts';
import { type IngestOptions, newShares } from '../../../src/commands/serve/ingest-messages.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import type { BatchMessage } from '../../../src/pipeline/channel.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { item } from '../../support/reading-bytes.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const SECONDS = Number(process.env.SECONDS ?? 12);
/** Bytes of lines a second. */
const DISK = MiB;
const STEP_MS = 10;

/** First come, first written, at the speed of the disk. */
class SlowWriter {
  readonly #queue: { readonly port: MessagePort; readonly batch: BatchMessage; leftBytes: number }[] = [];
  writtenBytes = 0;

  add(port: MessagePort): void {
    port.on('message', (batch: BatchMessage) => this.#queue.push({ port, batch, leftBytes: batch.length }));
  }

  write(bytes: number): void {
    let left = bytes;
    for (let head = this.#queue[0]; head !== undefined && left > 0; head = this.#queue[0]) {
      const part = Math.min(left, head.leftBytes);
      head.leftBytes -= part;
      left -= part;
      this.writtenBytes += part;
      if (head.leftBytes > 0) return;
      this.#queue.shift();
      const { port, batch } = head;
      port.postMessage({ results: [{ id: batch.id, result: { ok: true } }] });
    }
  }
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** A request of so many lines of about 1000 bytes. */
const reading = Buffer.from(item('x'.repeat(900)));
const requestOf = (lines: number): Uint8Array => Buffer.concat(Array(lines).fill(reading));
/** The same of control characters, each of which makes six bytes of the line. */
const denseReading = Buffer.from(item('\u0001'.repeat(150)));
const denseRequestOf = (lines: number): Uint8Array => Buffer.concat(Array(lines).fill(denseReading));

interface Sender {
  readonly linesPerSecond: number;
  readonly linesPerRequest: number;
  readonly isDense?: boolean;
  /** The threads that its connections are on. */
  readonly threads: readonly number[];
}

interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
  /** What was asked for before does not count. */
  readonly countFromMs: number;
  readonly endMs: number;
}

async function simulate(senders: readonly Sender[], ack: string, queueFull: string, stall?: Stall) {
  const clock = new ManualClock();
  const writer = new SlowWriter();
  const shares = newShares(2, 64);
  const ports: MessagePort[] = [];
  const threads = [0, 1].map((index) => {
    const { port1, port2 } = new MessageChannel();
    writer.add(port2);
    ports.push(port2);
    return new Ingest(
      {
        grpc: { maxRequestBytes: 256 * KiB },
        ingest: {
          ack,
          queueFull,
          queueWaitMaxMs: 5000,
          ratePerSecondBytes: 0,
          rateBurstBytes: 0,
          clientRatePerSecondBytes: 0,
          clientRateBurstBytes: 0,
          maxClients: 64,
        },
        pipeline: {
          bufferSizeReadings: 1_000_000,
          bufferBytes: 32 * KiB,
          bufferFlushIntervalMs: 100,
          queueBytes: MiB,
          queueItems: 1024,
        },
      } as IngestOptions,
      {
        batches: port1,
        ledger: new Ledger(),
        clock,
        place: { index, shares },
        metrics: {
          requestBytes() {},
          batchFlushed() {},
          batchAcknowledged() {},
          malformed() {},
          queueWaited() {},
        } as unknown as IngestDeps['metrics'],
        journalHealth: () => ({ ok: true }),
      },
    );
  });
  const clients = senders.map((_, i) => threads.map(() => new Client('token', `client-${i}`)));
  const requests = senders.map(({ linesPerRequest, isDense }) =>
    isDense === true ? denseRequestOf(linesPerRequest) : requestOf(linesPerRequest),
  );
  const asked = senders.map(() => 0);
  const granted = senders.map(() => 0);
  /** Refused and told that it has had its share. */
  const overShare = senders.map(() => 0);
  const refused = senders.map(() => 0);
  const due = senders.map((_, i) => i);
  let turn = 0;
  let peakBytes = 0;
  // What is asked for at the end is given 6 seconds to be answered.
  const endMs = stall?.endMs ?? SECONDS * 1000;
  for (let nowMs = 0; nowMs < endMs + 6000; nowMs += STEP_MS) {
    senders.forEach(({ linesPerSecond, linesPerRequest, threads: on }, i) => {
      if (nowMs >= endMs) return;
      for (; due[i]! <= nowMs; due[i]! += (linesPerRequest * 1000) / linesPerSecond) {
        const counts = stall === undefined || nowMs >= stall.countFromMs ? 1 : 0;
        asked[i]! += counts;
        const thread = on[turn++ % on.length]!;
        const client = clients[i]![thread]!;
        const call = {
          client,
          deadlineMs: undefined,
          peer: 'test',
          cancelled: false,
          onCancelled: undefined,
        };
        threads[thread]!.handle(requests[i]!, call, (outcome) => {
          if (outcome.kind === 'ok') granted[i]! += counts;
          if (outcome.kind !== 'refused') return;
          refused[i]!++;
          if (outcome.isOverShare === true) overShare[i]!++;
        });
      }
    });
    const usedBytes = threads.reduce((sum, thread) => sum + thread.queue().usedBytes, 0);
    // Not of the first seconds, in which nobody knows yet who wants how much.
    if (nowMs > SECONDS * 500) peakBytes = Math.max(peakBytes, usedBytes);
    const isStill = stall !== undefined && nowMs >= stall.fromMs && nowMs < stall.toMs;
    if (!isStill) writer.write((DISK * STEP_MS) / 1000);
    await settled();
    clock.advance(STEP_MS);
    if (nowMs % 250 === 0) for (const thread of threads) thread.considerOthers();
  }
  for (const thread of threads) thread.cancel();
  for (const port of ports) port.close();
  return {
    asked,
    granted,
    overShare,
    refused,
    shares: granted.map((count, i) => count / asked[i]!),
    writtenBytes: writer.writtenBytes,
    peakBytes,
  };
}

for (const ack of ['written', 'accepted']) {
  for (const queueFull of ['wait', 'refuse']) {
    test(`ACK=${ack}, QUEUE_FULL=${queueFull}: one at 100 times its share takes nothing from nine that ask for less than theirs`, async () => {
      // A tenth of the disk is 105 lines a second.
      const modest = (i: number): Sender => ({ linesPerSecond: 90, linesPerRequest: 3, threads: [i % 2] });
      const { shares, overShare, refused, writtenBytes } = await simulate(
        [
          { linesPerSecond: 10_500, linesPerRequest: 20, threads: [0, 1] },
          ...Array.from({ length: 9 }, (_, i) => modest(i)),
        ],
        ack,
        queueFull,
      );
      for (let i = 1; i < 10; i++) assert.ok(shares[i]! >= 0.95, `client ${i}: ${shares.join(' ')}`);
      assert.ok(overShare[0]! >= 0.99 * refused[0]!, `${overShare[0]} of ${refused[0]} refusals say why`);
      // The disk was kept busy: what the nine leave is the other's.
      assert.ok(writtenBytes >= 0.9 * DISK * SECONDS, `${writtenBytes}`);
    });
  }
}

for (const ack of ['written', 'accepted']) {
  for (const queueFull of ['wait', 'refuse']) {
    test(`ACK=${ack}, QUEUE_FULL=${queueFull}: a disk that stood still for a while leaves no debts that last`, async () => {
      const modest = (i: number): Sender => ({ linesPerSecond: 90, linesPerRequest: 3, threads: [i % 2] });
      const { shares } = await simulate(
        [
          { linesPerSecond: 10_500, linesPerRequest: 20, threads: [0, 1] },
          ...Array.from({ length: 9 }, (_, i) => modest(i)),
        ],
        ack,
        queueFull,
        // Late enough that nothing is presumed of the disk any more.
        { fromMs: 15_000, toMs: 20_000, countFromMs: 22_000, endMs: 26_000 },
      );
      for (let i = 1; i < 10; i++) assert.ok(shares[i]! >= 0.95, `client ${i}: ${shares.join(' ')}`);
    });
  }
}

test('a client whose requests make six times as much of lines has its share of the disk and no more', async () => {
  const modest = (i: number): Sender => ({ linesPerSecond: 90, linesPerRequest: 3, threads: [i % 2] });
  const { shares, granted, writtenBytes } = await simulate(
    [
      { linesPerSecond: 10_500, linesPerRequest: 20, threads: [0, 1], isDense: true },
      ...Array.from({ length: 9 }, (_, i) => modest(i)),
    ],
    'written',
    'refuse',
  );
  for (let i = 1; i < 10; i++) assert.ok(shares[i]! >= 0.95, `client ${i}: ${shares.join(' ')}`);
  assert.ok(granted[0]! > 0 && writtenBytes >= 0.9 * DISK * SECONDS, `${granted[0]} ${writtenBytes}`);
});

test('who fills the line of those that wait by himself is told so, also where others leave him nearly all there is', async () => {
  const modest = (i: number): Sender => ({ linesPerSecond: 10, linesPerRequest: 1, threads: [i % 2] });
  const { shares, overShare, refused } = await simulate(
    [
      { linesPerSecond: 10_500, linesPerRequest: 20, threads: [0, 1] },
      ...Array.from({ length: 2 }, (_, i) => modest(i)),
    ],
    'written',
    'wait',
  );
  for (let i = 1; i < 3; i++) assert.ok(shares[i]! >= 0.95, `client ${i}: ${shares.join(' ')}`);
  // Without this he is now and then within his share, and told nothing.
  assert.ok(overShare[0]! >= 0.998 * refused[0]!, `${overShare[0]} of ${refused[0]}`);
});

test('an only client has the whole queue, however much it asks for', async () => {
  for (const queueFull of ['wait', 'refuse']) {
    const only: Sender = { linesPerSecond: 10_500, linesPerRequest: 20, threads: [0] };
    const { overShare, peakBytes, writtenBytes } = await simulate([only], 'accepted', queueFull);
    assert.equal(overShare[0], 0);
    assert.ok(peakBytes >= 0.9 * MiB, `${peakBytes}`);
    assert.ok(writtenBytes >= 0.9 * DISK * SECONDS, `${writtenBytes}`);
  }
});
