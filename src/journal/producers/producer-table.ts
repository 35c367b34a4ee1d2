/**
 * The producers that are known. Bounded in number and age: one that is forgotten may start anywhere when it comes again,
 * as if it were new. The one that has rested longest is forgotten first.
 *
 *   seen() ──▶ busy ──rested(): nothing under way, nothing waiting──▶ resting ──seen()──▶ busy
 *                                                                       └── too many, too old ──▶ forgotten
 *
 * Invariants:
 * 1. A producer that has something under way or waiting is never forgotten, so the table may hold more than
 *    `maxProducers` while more than that are busy at once.
 * 2. Exactly the producers that rest are in the list of those that rest. Whoever is forgotten is its first, so
 *    forgetting costs the same however many are known or busy.
 */
import { type Linked, LinkedLine } from '../../base/linked-line.ts';
import type { NumberRange } from './producer-numbers.ts';
import { ProducerNumbers } from './producer-numbers.ts';
import { WaitingRequests } from './waiting-requests.ts';

/** What is with the writer just now, and who else waits for its outcome. */
export interface UnderWay extends NumberRange {
  readonly onSettled: ((fault: Fault | undefined) => void)[];
}

export interface Fault {
  readonly code: string;
  readonly message: string;
}

export class Producer implements Linked<Producer> {
  /** Of those that rest. */
  before: Producer | undefined;
  behind: Producer | undefined;
  isResting = false;
  readonly id: string;
  readonly numbers: ProducerNumbers;
  readonly underWay = new Set<UnderWay>();
  readonly waiting = new WaitingRequests();
  seenAtMs: number;
  deduplicated = 0;
  gaps = 0;
  /** Until then numbers below its first may still come: its first requests may overtake one another. */
  settlesAtMs = 0;
  firstNumber = 0n;

  constructor(id: string, numbers: ProducerNumbers, seenAtMs: number) {
    this.id = id;
    this.numbers = numbers;
    this.seenAtMs = seenAtMs;
  }

  get isIdle(): boolean {
    return this.underWay.size === 0 && this.waiting.size === 0;
  }
}

/** As it is written down. */
export interface ProducerRecord {
  readonly id: string;
  readonly next: bigint;
  readonly holes: readonly NumberRange[];
  readonly seenAtMs: number;
}

/** What one costs beside its name: two objects, two collections, an entry of the table; 640 bytes measured. */
export const PRODUCER_COST_BYTES = 1024;

export class ProducerTable {
  readonly #maxProducers: number;
  readonly #maxAgeMs: number;
  /**
   * Not in the order of their last request: who is taken out of a Map and put back leaves a dead entry each time, and the next
   * who looks for him passes all of them (with 65,000 others known, one busy producer took 40% of a core so).
   */
  readonly #producers = new Map<string, Producer>();
  readonly #resting = new LinkedLine<Producer>();
  evicted = 0;

  constructor(maxProducers: number, maxAgeMs: number, known: readonly ProducerRecord[], nowMs: number) {
    this.#maxProducers = maxProducers;
    this.#maxAgeMs = maxAgeMs;
    for (const { id, next, holes, seenAtMs } of [...known].sort((a, b) => a.seenAtMs - b.seenAtMs)) {
      // A wall clock that went back must not keep a producer for ever.
      const seen = Math.min(seenAtMs, nowMs);
      const producer = new Producer(id, new ProducerNumbers(next, holes), seen);
      this.#producers.set(id, producer);
      this.rested(producer);
    }
    this.#evict(nowMs);
  }

  get size(): number {
    return this.#producers.size;
  }

  get(id: string): Producer | undefined {
    return this.#producers.get(id);
  }

  /** All, in the order in which they came first. */
  values(): Iterable<Producer> {
    return this.#producers.values();
  }

  /** A request of it has come; `rested` is to be called when it is done with. */
  seen(producer: Producer, nowMs: number): void {
    producer.seenAtMs = nowMs;
    this.#producers.set(producer.id, producer);
    if (producer.isResting) this.#takeOut(producer);
    if (this.#producers.size > this.#maxProducers) this.#evict(nowMs);
  }

  /** Perhaps nothing of it is under way or waiting any more. */
  rested(producer: Producer): void {
    if (producer.isResting || !producer.isIdle) return;
    producer.isResting = true;
    this.#resting.add(producer);
  }

  #takeOut(producer: Producer): void {
    this.#resting.remove(producer);
    producer.isResting = false;
  }

  #evict(nowMs: number): void {
    for (let oldest = this.#resting.first; oldest !== undefined; oldest = this.#resting.first) {
      const isOld = this.#maxAgeMs > 0 && nowMs - oldest.seenAtMs > this.#maxAgeMs;
      if (this.#producers.size <= this.#maxProducers && !isOld) return;
      this.#takeOut(oldest);
      this.#producers.delete(oldest.id);
      this.evicted++;
    }
  }

  /** What the journal has for sure: numbers under way are not counted as taken. Those too old are left out. */
  records(nowMs: number): readonly ProducerRecord[] {
    this.#evict(nowMs);
    return [...this.#producers.values()].map(
      ({ id, numbers, underWay, seenAtMs, settlesAtMs, firstNumber }) => {
        const sure = numbers.copy();
        for (const range of underWay) sure.giveBack(range, firstNumber);
        // Before the first number nothing is missing from the journal's point of view.
        if (settlesAtMs !== 0) sure.close(firstNumber);
        return { id, next: sure.next, holes: sure.holes, seenAtMs };
      },
    );
  }
}
