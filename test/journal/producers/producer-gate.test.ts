/**
 * The gate against the plainest model there is: a list of lines. Requests of two producers come in any order and any
 * overlap, writes fail, answers come late, the daemon restarts; no number is ever there twice, and what was
 * acknowledged is there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AppendBatch } from '../../../src/journal/open-segment.ts';
import { encodeCheckpoint, parseCheckpoint } from '../../../src/journal/producers/checkpoint.ts';
import { numbersIn } from '../../../src/journal/producers/line-numbers.ts';
import { type NumberedResult, ProducerGate } from '../../../src/journal/producers/producer-gate.ts';
import { ProducerNumbers } from '../../../src/journal/producers/producer-numbers.ts';
import type { ProducerRecord } from '../../../src/journal/producers/producer-table.ts';
import { producersPage } from '../../../src/journal/producers/producers-page.ts';
import type { AppendDone } from '../../../src/journal/write-fault.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const OPTIONS = { reorderBytes: 16_384, reorderWaitMs: 1000, maxProducers: 100, producerMaxAgeMs: 0 };
const line = (producer: string, n: number) =>
  `{"sensor_name":"s","sensor_value":${n},"producer_id":${JSON.stringify(producer)},"sequence":${n}}\n`;

/** Takes lines as the JsonWriter does, and answers when it is told to. */
class Journal {
  readonly lines: string[] = [];
  readonly pending: { text: string; onDone: AppendDone }[] = [];

  append({ bytes, lines }: AppendBatch, onDone: AppendDone): void {
    const text = Buffer.from(bytes).toString();
    assert.equal(text.split('\n').length - 1, lines);
    this.pending.push({ text, onDone });
  }
  flush(): void {}

  /** The first `count` of what is pending. */
  settle(count: number, isGood: boolean): void {
    for (const { text, onDone } of this.pending.splice(0, count)) {
      if (isGood) this.lines.push(...text.trimEnd().split('\n'));
      onDone(isGood ? { ok: true } : { ok: false, code: 'ENOSPC', message: 'the disk is full' });
    }
  }

  numbers(): Record<string, bigint[]> {
    const found: Record<string, bigint[]> = {};
    numbersIn(Buffer.from(this.lines.map((text) => `${text}\n`).join('')), (id, first, last) => {
      for (let n = first; n <= last; n++) (found[id] ??= []).push(n);
    });
    return found;
  }
}

class Life {
  readonly clock = new ManualClock();
  readonly journal: Journal;
  gate: ProducerGate;
  /** Not released yet. */
  held = 0;

  constructor(known: readonly ProducerRecord[] = [], journal = new Journal(), options = OPTIONS) {
    this.journal = journal;
    this.gate = new ProducerGate(options, { writer: journal, clock: this.clock, known, onCounted: () => {} });
  }

  send(producer: string, first: number, last: number): NumberedResult[] {
    const texts = Array.from({ length: last - first + 1 }, (_, i) => line(producer, first + i));
    const results: NumberedResult[] = [];
    this.held++;
    this.gate.appendNumbered(
      {
        bytes: Buffer.from(texts.join('')),
        lines: texts.length,
        firstReceivedAtMs: 0,
        lastReceivedAtMs: 0,
        numbering: { producerId: producer, first: BigInt(first) },
      },
      (result) => results.push(result),
      () => this.held--,
    );
    return results;
  }
}

type Step =
  | { readonly kind: 'send'; readonly producer: string; readonly first: number; readonly count: number }
  | { readonly kind: 'settle'; readonly count: number; readonly isGood: boolean }
  | { readonly kind: 'wait' }
  | { readonly kind: 'restart' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('send' as const),
        producer: fc.constantFrom('a', 'b'),
        first: fc.integer({ min: 1, max: 25 }),
        count: fc.integer({ min: 1, max: 8 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        count: fc.integer({ min: 1, max: 4 }),
        isGood: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
      }),
    },
    fc.constant({ kind: 'wait' as const }),
    fc.constant({ kind: 'restart' as const }),
  ),
  { maxLength: 40 },
);

test('whatever comes in whatever order: no number twice, everything acknowledged is there, everything is answered', () => {
  fc.assert(
    fc.property(steps, (plan) => {
      let life = new Life();
      let asked: {
        producer: string;
        start: number;
        first: number;
        last: number;
        results: NumberedResult[];
      }[] = [];
      /** Where each producer began when it was not known: it is taken at its word that what comes before is done. */
      const starts = new Map<string, number>();
      const acknowledged: typeof asked = [];
      const harvest = (): void => {
        for (const request of asked) {
          assert.ok(request.results.length <= 1, 'answered twice');
          if (request.results[0]?.kind === 'ok') acknowledged.push(request);
        }
        asked = asked.filter(({ results }) => results.length === 0);
      };
      for (const step of plan) {
        if (step.kind === 'send') {
          const { producer, first, count } = step;
          const last = first + count - 1;
          if (![...life.gate.producers()].some(({ id }) => id === producer)) starts.set(producer, first);
          const start = starts.get(producer)!;
          asked.push({ producer, start, first, last, results: life.send(producer, first, last) });
        } else if (step.kind === 'settle') life.journal.settle(step.count, step.isGood);
        else if (step.kind === 'wait') life.clock.advance(OPTIONS.reorderWaitMs);
        else {
          // What was with the writer is lost, and so is whoever waited for it.
          harvest();
          asked = [];
          const records = life.gate.records();
          const checkpoint = parseCheckpoint(
            encodeCheckpoint({ segment: 1, scanFrom: 1, producers: records }),
          );
          assert.deepEqual(checkpoint?.producers, records);
          life.journal.pending.length = 0;
          life = new Life(records, life.journal);
        }
        harvest();
      }
      // Each answer may set something free that then is with the writer.
      life.clock.advance(OPTIONS.reorderWaitMs);
      while (life.journal.pending.length > 0) life.journal.settle(1, true);
      harvest();
      assert.deepEqual(asked, [], 'never answered');
      assert.equal(life.held, 0, 'memory that never went home');
      assert.deepEqual([life.gate.counts.waitingBytes, life.gate.counts.waitingRequests], [0, 0]);
      const numbers = life.journal.numbers();
      for (const [producer, found] of Object.entries(numbers)) {
        assert.equal(new Set(found).size, found.length, `${producer}: a number twice`);
      }
      for (const { producer, start, first, last } of acknowledged) {
        for (let n = Math.max(start, first); n <= last; n++) {
          assert.ok(
            numbers[producer]?.includes(BigInt(n)) ?? false,
            `${producer} ${n} acknowledged and not there`,
          );
        }
      }
    }),
    { seed: 20_261_121, numRuns: Number(process.env.RUNS ?? 2000) },
  );
});

test('a repeat of what is under way has the outcome of that', () => {
  const life = new Life();
  const first = life.send('a', 1, 5);
  const repeat = life.send('a', 1, 5);
  assert.deepEqual([first, repeat], [[], []]);
  life.journal.settle(1, false);
  assert.equal(first[0]!.kind, 'failed');
  assert.equal(repeat[0]!.kind, 'failed');
  const again = life.send('a', 1, 5);
  life.journal.settle(1, true);
  assert.deepEqual(again, [{ kind: 'ok', written: 5, deduplicated: 0 }]);
});

test('what failed before something that did not is filled in by its retry', () => {
  const life = new Life();
  life.send('a', 1, 5);
  life.journal.settle(1, true);
  const lost = life.send('a', 6, 10);
  const kept = life.send('a', 11, 15);
  life.journal.settle(1, false);
  life.journal.settle(1, true);
  assert.deepEqual([lost[0]!.kind, kept[0]!.kind], ['failed', 'ok']);
  assert.deepEqual(producersPage(life.gate.producers(), { limit: 1, after: '' }).producers[0]!.missing, [
    ['6', '10'],
  ]);
  const both = life.send('a', 6, 15);
  life.journal.settle(1, true);
  assert.deepEqual(both, [{ kind: 'ok', written: 5, deduplicated: 5 }]);
});

test('REORDER_BYTES bounds what waits: beyond it a request is refused at once', () => {
  const life = new Life([], new Journal(), { ...OPTIONS, reorderBytes: 1400 });
  life.send('a', 1, 1);
  assert.deepEqual(life.send('a', 10, 11), []);
  assert.deepEqual(life.send('a', 20, 29), [{ kind: 'gap', expected: 2n }]);
  life.clock.advance(1000);
  assert.equal(life.gate.counts.waitingBytes, 0);
  assert.equal(life.gate.counts.gaps, 2);
});

// Each new one once looked at all others that were busy: the writer stood still for minutes. And the newest was forgotten.
test('however many producers are busy, none of them is forgotten, and all the sooner when they rest', () => {
  const life = new Life([], new Journal(), { ...OPTIONS, maxProducers: 10 });
  for (let i = 0; i < 100_000; i++) life.send(`p${i}`, 1, 1);
  assert.equal(life.gate.counts.known, 100_000);
  life.journal.settle(100_000, true);
  assert.deepEqual(life.send('p7', 1, 1), [{ kind: 'ok', written: 0, deduplicated: 1 }]);
  assert.equal(life.gate.counts.known, 10);
  assert.equal(life.gate.counts.evicted, 99_990);
  // In the order in which they came first: one that is heard of again is not moved, since each move would leave a dead
  // entry in the Map, and the next look for him would pass all of them.
  assert.deepEqual(
    [...life.gate.producers()].map(({ id }) => id),
    ['p7', 'p99991', 'p99992', 'p99993', 'p99994', 'p99995', 'p99996', 'p99997', 'p99998', 'p99999'],
  );
});

test('those that wait are called in the order of their numbers, in whatever order they came', () => {
  const life = new Life([], new Journal(), { ...OPTIONS, reorderBytes: 1 << 22 });
  const numbers = Array.from({ length: 2000 }, (_, i) => 3 + ((i * 7) % 2000));
  life.send('a', 1, 1);
  for (const n of numbers) assert.deepEqual(life.send('a', n, n), []);
  assert.equal(life.gate.counts.waitingRequests, 2000);
  life.send('a', 2, 2);
  life.journal.settle(2002, true);
  assert.deepEqual(
    life.journal.numbers().a,
    Array.from({ length: 2002 }, (_, i) => BigInt(i + 1)),
  );
  assert.equal(life.gate.counts.waitingBytes, 0);
});

test('the first requests of a new producer may overtake one another', () => {
  const life = new Life();
  const later = life.send('a', 101, 110);
  const sooner = life.send('a', 91, 100);
  life.journal.settle(9, true);
  assert.deepEqual([later[0]!.kind, sooner[0]!.kind], ['ok', 'ok']);
  assert.equal(life.journal.numbers().a!.length, 20);
  life.clock.advance(1000);
  assert.deepEqual(life.send('a', 81, 90), [{ kind: 'ok', written: 0, deduplicated: 10 }]);
});

test('MAX_PRODUCERS: the one not heard of for longest is forgotten, never one that waits', () => {
  const life = new Life([], new Journal(), { ...OPTIONS, maxProducers: 2 });
  life.send('busy', 1, 1);
  for (const producer of ['b', 'c', 'd']) {
    life.send(producer, 1, 1);
    life.journal.settle(producer === 'b' ? 0 : 2, true);
  }
  const ids = [...life.gate.producers()].map(({ id }) => id);
  assert.ok(ids.length <= 3);
  assert.ok(ids.includes('d'));
  assert.ok(life.gate.counts.evicted >= 1);
});

test('a checkpoint that is torn or flipped is void', () => {
  const producers = [
    { id: 'a "quoted" \n one', next: 2n ** 64n - 1n, holes: [{ first: 3n, last: 4n }], seenAtMs: 5 },
  ];
  const whole = encodeCheckpoint({ segment: 7, scanFrom: 6, producers });
  assert.deepEqual(parseCheckpoint(whole), { segment: 7, scanFrom: 6, producers });
  for (let cut = 0; cut < whole.length - 1; cut++)
    assert.equal(parseCheckpoint(whole.subarray(0, cut)), undefined);
  for (let at = 0; at < whole.length - 14; at++) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1;
    assert.equal(parseCheckpoint(flipped), undefined, `a flip at ${at}`);
  }
});

test('only the last two keys of a line are numbers', () => {
  const found: string[] = [];
  const see = (text: string) =>
    numbersIn(Buffer.from(text), (id, first, last) => found.push(`${id} ${first}-${last}`));
  see('{"labels":{"a":"x","producer_id":"p","sequence":"5"}}\n');
  see('{"string_value":",\\"producer_id\\":\\"p\\",\\"sequence\\":5}"}\n');
  assert.deepEqual(found, []);
  see(line('p', 1) + line('p', 2) + line('q', 9) + line('p', 3));
  assert.deepEqual(found, ['p 1-2', 'q 9-9', 'p 3-3']);
});

test('numbers: what is given back is missing again', () => {
  const numbers = new ProducerNumbers(1n);
  for (const first of [1n, 11n, 21n]) numbers.take({ first, last: first + 9n });
  numbers.giveBack({ first: 11n, last: 20n }, 0n);
  assert.deepEqual(numbers.missing(5n, 40n), [
    { first: 11n, last: 20n },
    { first: 31n, last: 40n },
  ]);
  assert.equal(numbers.expected, 11n);
  numbers.take({ first: 13n, last: 15n });
  assert.deepEqual(numbers.holes, [
    { first: 11n, last: 12n },
    { first: 16n, last: 20n },
  ]);
  numbers.giveBack({ first: 13n, last: 30n }, 0n);
  assert.equal(numbers.next, 11n);
});
