/**
 * Fair shares of the byte rate: simulated clients that ask at fixed rates and take a refusal as it is, over the
 * admissions of two threads and a clock of their own. Nobody retries, so a refusal is a loss: the hardest case.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Client } from '../../src/base/client.ts';
import { Admission, newAdmissionCells } from '../../src/ingest/admission.ts';
import { fairShareState } from '../../src/ingest/fair-share.ts';
import { maxMinShare } from '../../src/ingest/max-min.ts';
import { bucketEmptyAtMs } from '../../src/ingest/token-bucket.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Sender {
  /** Bytes a second. */
  readonly asks: number;
  readonly requestBytes: number;
  /** First asks then. */
  readonly fromMs?: number;
  readonly quota?: { readonly ratePerSecondBytes: number; readonly burstBytes: number };
}

const RATE = 1_000_000;

/** What each got of what it asked for, from `warmUpMs` on. */
function simulate(
  senders: readonly Sender[],
  options: { seconds?: number; warmUpMs?: number; maxClients?: number; rate?: number; burst?: number } = {},
): { readonly granted: number[]; readonly asked: number[]; readonly total: number } {
  const clock = new ManualClock();
  const cells = newAdmissionCells(options.maxClients ?? 64);
  const limits = {
    maxRequestBytes: 4 * 1024 * 1024,
    ratePerSecondBytes: options.rate ?? RATE,
    rateBurstBytes: options.burst ?? options.rate ?? RATE,
    clientRatePerSecondBytes: 0,
    clientRateBurstBytes: 0,
    queueBytes: 1024 * 1024,
  };
  const threads = [0, 1].map(() => new Admission(limits, clock, cells));
  const clients = senders.map(({ quota }, i) =>
    threads.map(() => new Client('token', `client-${i}`, quota && { ...quota })),
  );
  const due = senders.map(({ fromMs = 0 }, i) => fromMs + i * 0.37);
  const granted = senders.map(() => 0);
  const asked = senders.map(() => 0);
  let total = 0;
  let turn = 0;
  const endMs = (options.seconds ?? 20) * 1000;
  const warmUpMs = options.warmUpMs ?? 0;
  for (let nowMs = 0; nowMs < endMs; nowMs++) {
    senders.forEach(({ asks, requestBytes }, i) => {
      for (; due[i]! <= nowMs; due[i]! += (requestBytes * 1000) / asks) {
        const thread = turn++ % 2;
        const isAdmitted = threads[thread]!.admit(requestBytes, clients[i]![thread]!) === undefined;
        if (isAdmitted) total += requestBytes;
        if (nowMs < warmUpMs) continue;
        asked[i]! += requestBytes;
        if (isAdmitted) granted[i]! += requestBytes;
      }
    });
    clock.advance(1);
  }
  return { granted, asked, total };
}

const modest = (asks: number, requestBytes = 1000): Sender => ({ asks, requestBytes });
const shareOf = ({ granted, asked }: ReturnType<typeof simulate>, i: number): number =>
  granted[i]! / asked[i]!;

test('one at 100 times its share takes nothing from nine that ask for theirs', () => {
  // All that the nine ask for fits; without the tenth they would get everything.
  const senders = [
    modest(100 * (RATE / 10), 2000),
    ...Array.from({ length: 9 }, () => modest(0.95 * (RATE / 10))),
  ];
  const result = simulate(senders);
  for (let i = 1; i < 10; i++) assert.ok(shareOf(result, i) >= 0.98, `client ${i}: ${shareOf(result, i)}`);
  // And what they leave is not wasted.
  assert.ok(result.granted[0]! >= 0.9 * (RATE / 10) * 20, `${result.granted[0]}`);
  assert.ok(result.total >= 0.97 * RATE * 20, `${result.total}`);
});

test('the rate and the burst are never passed, whatever the shares say', () => {
  const { total } = simulate([modest(100 * RATE), modest(100 * RATE), modest(RATE / 10)], { seconds: 10 });
  assert.ok(total <= RATE * 10 + RATE, `${total}`);
});

test('what some leave goes to those who want more, each alike', () => {
  // Five want little, four want half as much again as a tenth, one wants everything: max-min gives the four theirs.
  const senders = [
    modest(10 * RATE),
    ...Array.from({ length: 5 }, () => modest(0.02 * RATE)),
    ...Array.from({ length: 4 }, () => modest(0.15 * RATE)),
  ];
  const result = simulate(senders, { seconds: 30, warmUpMs: 1000 });
  for (let i = 1; i < 10; i++) assert.ok(shareOf(result, i) >= 0.95, `client ${i}: ${shareOf(result, i)}`);
});

test('two that want everything get the same', () => {
  const { granted } = simulate([modest(20 * RATE, 5000), modest(5 * RATE, 1000)], {
    seconds: 30,
    warmUpMs: 1000,
  });
  assert.ok(Math.abs(granted[0]! - granted[1]!) < 0.25 * granted[1]!, `${granted}`);
});

test('a newcomer has its share within a second, also beside one that had everything', () => {
  const result = simulate([modest(10 * RATE), { ...modest(0.4 * RATE), fromMs: 5000 }], {
    seconds: 15,
    warmUpMs: 6000,
  });
  assert.ok(shareOf(result, 1) >= 0.95, `${shareOf(result, 1)}`);
});

test('large requests of a modest client pass beside small ones of an aggressive one', () => {
  const result = simulate([modest(10 * RATE, 1000), modest(0.3 * RATE, 300_000)], {
    seconds: 40,
    warmUpMs: 2000,
  });
  assert.ok(shareOf(result, 1) >= 0.95, `${shareOf(result, 1)}`);
});

test('an only client has the whole rate and the whole burst', () => {
  const { granted } = simulate([modest(3 * RATE)], { seconds: 10 });
  assert.ok(granted[0]! >= 0.999 * 11 * RATE, `${granted[0]}`);
});

test('more clients than the table tells apart: those with a row lose nothing to the others', () => {
  const crowd = Array.from({ length: 200 }, () => ({ ...modest(0.1 * RATE), fromMs: 1000 }));
  // For 4 clients there are 8 rows, and all of them are tried: 8 are told apart.
  const result = simulate([modest(0.05 * RATE), modest(0.05 * RATE), ...crowd], {
    maxClients: 4,
    seconds: 10,
    warmUpMs: 2000,
  });
  for (const i of [0, 1]) assert.ok(shareOf(result, i) >= 0.95, `client ${i}: ${shareOf(result, i)}`);
});

test('max-min: everybody gets what he asks up to the share, and together exactly what there is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 10_000_000 }),
      (asked, capacity) => {
        const share = maxMinShare(Float64Array.from(asked), capacity);
        const sum = asked.reduce((total, amount) => total + amount, 0);
        const given = asked.reduce((total, amount) => total + Math.min(amount, share), 0);
        if (sum <= capacity) assert.equal(share, capacity);
        else assert.ok(Math.abs(given - capacity) <= 1e-6 * capacity, `${given} of ${capacity}`);
        assert.ok(share >= capacity / asked.length - 1e-6);
      },
    ),
    { seed: 20261121, numRuns: 500 },
  );
});

test('a quota holds a client to its own rate, whatever thread its calls come to', () => {
  const quota = { ratePerSecondBytes: 50_000, burstBytes: 100_000 };
  const { granted } = simulate([{ ...modest(RATE), quota }, modest(0.5 * RATE)], { seconds: 10 });
  assert.ok(
    granted[0]! <= 50_000 * 10 + 100_000 && granted[0]! >= 0.98 * (50_000 * 10 + 100_000),
    `${granted}`,
  );
});

test('of the queue clients beyond their share have what a fast disk takes in a moment, 4 MiB at least, half at most', () => {
  const MiB = 1 << 20;
  const lentAt = (linesPerSecond: number): number => {
    const clock = new ManualClock();
    const limits = {
      ...{ maxRequestBytes: 4 * MiB, ratePerSecondBytes: 0, rateBurstBytes: 0, queueBytes: 64 * MiB },
      ...{ clientRatePerSecondBytes: 0, clientRateBurstBytes: 0 },
    };
    const { fairShare } = new Admission(limits, clock, newAdmissionCells(64));
    fairShare.crowded(clock.monotonicMs());
    for (let i = 0; i < 100; i++) {
      clock.advance(100);
      const bytes = linesPerSecond / 10;
      fairShare.written(bytes);
      fairShare.crowded(clock.monotonicMs());
      fairShare.roll(clock.monotonicMs());
    }
    return fairShare.lentBytes(clock.monotonicMs()) / MiB;
  };
  assert.equal(lentAt(MiB), 4);
  assert.ok(Math.abs(lentAt(400 * MiB) - 10) < 0.5, `${lentAt(400 * MiB)}`);
  assert.equal(lentAt(8000 * MiB), 32);
});

test('what was asked for in calm does not count when the queue becomes crowded', () => {
  const MB = 1_000_000;
  const clock = new ManualClock();
  const limits = {
    ...{ maxRequestBytes: 4 * MB, ratePerSecondBytes: 0, rateBurstBytes: 0, queueBytes: 2 * MB },
    ...{ clientRatePerSecondBytes: 100 * MB, clientRateBurstBytes: 100 * MB },
  };
  const cells = newAdmissionCells(64);
  const admission = new Admission(limits, clock, cells);
  const [modest, eager] = ['modest', 'eager'].map((name) => new Client('token', name));
  // A byte of a request makes a byte of lines.
  for (const client of [modest, eager]) admission.fairShare.taken(client!, MB, MB);
  const windows = (count: number, isCrowded: boolean): void => {
    for (let i = 0; i < count; i++) {
      clock.advance(100);
      if (isCrowded) admission.fairShare.crowded(clock.monotonicMs());
      admission.fairShare.written(MB / 10);
      admission.admit(MB / 100, modest!);
      admission.admit(MB, eager!);
    }
  };
  windows(600, false);
  windows(3, true);
  const before = fairShareState(cells.fairShare, 0).queueShareBytes!;
  windows(600, false);
  windows(3, true);
  const after = fairShareState(cells.fairShare, 0).queueShareBytes!;
  // The modest one asks for 0.1 MB a second, the disk takes 1: the eager one may have what is left.
  assert.ok(before > 0.7 * MB && after > 0.7 * MB, `${before} ${after}`);
});

const MB = 1_000_000;

/** A modest and an eager client before a disk that takes 100 MB of lines a second, and a queue of 64 MB. */
function crowdedFor(seconds: number, queuedBytes: number) {
  const clock = new ManualClock();
  const limits = {
    ...{ maxRequestBytes: 4 * MB, ratePerSecondBytes: 0, rateBurstBytes: 0, queueBytes: 64 * MB },
    ...{ clientRatePerSecondBytes: 0, clientRateBurstBytes: 0 },
  };
  const cells = newAdmissionCells(64);
  const { fairShare, ...admission } = new Admission(limits, clock, cells);
  const clients = ['modest', 'eager'].map((name) => new Client('token', name));
  const [modest, eager] = clients as [Client, Client];
  for (const client of clients) fairShare.taken(client, MB, MB);
  for (let i = 0; i < 10 * seconds; i++) {
    clock.advance(100);
    fairShare.crowded(clock.monotonicMs());
    fairShare.found(queuedBytes);
    fairShare.written(10 * MB);
    admission.admit(3 * MB, modest);
    for (let n = 0; n < 50; n++) admission.admit(2 * MB, eager);
  }
  return { fairShare, clock, eager, shareBytes: fairShareState(cells.fairShare, 0).queueShareBytes! };
}

test('the more stands in the queue, the less of the disk is shared out', () => {
  // The modest one has its 33 MB a second, with what demand is thought to be more than was seen.
  const near = (actual: number, expected: number): void =>
    assert.ok(Math.abs(actual - expected * MB) < 2 * MB, `${actual}`);
  near(crowdedFor(10, 0).shareBytes, 90 - 33);
  near(crowdedFor(10, 8 * MB).shareBytes, 90 - 33);
  // Of a half each has a half.
  near(crowdedFor(10, 64 * MB).shareBytes, 25);
});

test('within its share a client has an eighth of the queue at once, and no more', () => {
  const { fairShare, clock, eager } = crowdedFor(10, 0);
  let bytes = 0;
  while (fairShare.isWithinQueueShare(eager, clock.monotonicMs())) {
    fairShare.chargeQueue(eager, MB, clock.monotonicMs());
    bytes += MB;
  }
  assert.ok(bytes >= 8 * MB && bytes <= 9 * MB, `${bytes}`);
});

test('requests that came to nothing say nothing of what the next will make', () => {
  const { fairShare, eager } = crowdedFor(1, 0);
  const before = { ...eager };
  fairShare.taken(eager, MB, 0);
  assert.deepEqual({ ...eager }, before);
});

/** Everything that the threads share, as it stands now. */
function bytesOf(cells: ReturnType<typeof newAdmissionCells>): Buffer {
  const { clients, state, counts } = cells.fairShare;
  const { rateDemand, queueDemand, ...rows } = clients;
  const arrays = [rows, rateDemand, queueDemand].flatMap((group) => Object.values(group));
  return Buffer.concat([cells.rate, state, counts, ...arrays].map((a) => Buffer.from(a.buffer.slice(0))));
}

function crowdedAlone() {
  const clock = new ManualClock();
  const limits = {
    ...{ maxRequestBytes: 4 * MB, ratePerSecondBytes: 0, rateBurstBytes: 0, queueBytes: 64 * MB },
    ...{ clientRatePerSecondBytes: 0, clientRateBurstBytes: 0 },
  };
  const cells = newAdmissionCells(64);
  const admission = new Admission(limits, clock, cells);
  const client = new Client('token', 'only');
  admission.fairShare.crowded(clock.monotonicMs());
  admission.admit(1000, client);
  const { asked } = cells.fairShare.clients.queueDemand;
  return { admission, clock, cells, client, asked: () => asked.reduce((sum, bytes) => sum + bytes, 0) };
}

test('crowded: within 10 ms a client writes once to what threads share, and then all that it asked for', () => {
  const { admission, clock, cells, client, asked } = crowdedAlone();
  const first = asked();
  assert.ok(first > 0, 'a newcomer is seen at once');
  const before = bytesOf(cells);
  for (let i = 0; i < 99; i++) {
    clock.advance(0.1);
    admission.admit(1000, client);
    admission.fairShare.crowded(clock.monotonicMs());
  }
  // Cells written by each request of two threads cost them half of what they could take.
  assert.ok(bytesOf(cells).equals(before));
  clock.advance(0.2);
  admission.admit(1000, client);
  assert.equal(asked(), 101 * first);
});

test('what a client owes of its share is charged in steps of a millisecond, and none of it is forgotten', () => {
  const { fairShare, clock, eager, shareBytes } = crowdedFor(10, 0);
  const owesMs = (): number => {
    const row = fairShare.table.rowOf(eager, clock.monotonicMs());
    return bucketEmptyAtMs(fairShare.table.cells.queueShare, row) - clock.monotonicMs();
  };
  // A full bucket takes no debt yet: charge until it is empty.
  while (owesMs() < 0) fairShare.chargeQueue(eager, MB, clock.monotonicMs());
  const before = owesMs();
  const lineBytes = 1000;
  const requests = Math.ceil(shareBytes / 1000 / lineBytes) * 10;
  let steps = 0;
  for (let i = 0, last = before; i < requests; i++) {
    fairShare.chargeQueue(eager, lineBytes, clock.monotonicMs());
    if (owesMs() !== last) steps++;
    last = owesMs();
  }
  const charged = owesMs() - before;
  const expected = (requests * lineBytes * 1000) / shareBytes;
  assert.ok(steps >= 9 && steps <= 11, `${steps}`);
  assert.ok(charged > expected - 1.1 && charged <= expected + 1e-6, `${charged} of ${expected}`);
});
