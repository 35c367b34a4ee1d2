/**
 * The producers that are known, least recently seen first. Bounded in number and age: one that is forgotten may start
 * anywhere when it comes again, as if it were new.
 *
 * Invariant: a producer that has something under way or waiting is never forgotten, so the table may hold more than
 * `maxProducers` while more than that are busy at once.
 */
import type { NumberRange } from './producer-numbers.ts';
import { ProducerNumbers } from './producer-numbers.ts';

/** What is with the writer just now, and who else waits for its outcome. */
export interface UnderWay extends NumberRange {
  readonly onSettled: ((fault: Fault | undefined) => void)[];
}

export interface Fault {
  readonly code: string;
  readonly message: string;
}

/** Lines that came before their turn. */
export interface Waiting extends NumberRange {
  readonly sizeBytes: number;
  /** Its turn has come, or a later request made it needless. */
  submit(): void;
}

export class Producer {
  readonly id: string;
  readonly numbers: ProducerNumbers;
  readonly underWay = new Set<UnderWay>();
  /** In the order of their first number. */
  waiting: Waiting[] = [];
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
    return this.underWay.size === 0 && this.waiting.length === 0;
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
  readonly #producers = new Map<string, Producer>();
  evicted = 0;

  constructor(maxProducers: number, maxAgeMs: number, known: readonly ProducerRecord[], nowMs: number) {
    this.#maxProducers = maxProducers;
    this.#maxAgeMs = maxAgeMs;
    for (const { id, next, holes, seenAtMs } of [...known].sort((a, b) => a.seenAtMs - b.seenAtMs)) {
      // A wall clock that went back must not keep a producer for ever.
      const seen = Math.min(seenAtMs, nowMs);
      this.#producers.set(id, new Producer(id, new ProducerNumbers(next, holes), seen));
    }
    this.#evict(nowMs);
  }

  get size(): number {
    return this.#producers.size;
  }

  get(id: string): Producer | undefined {
    return this.#producers.get(id);
  }

  /** All, least recently seen first. */
  values(): Iterable<Producer> {
    return this.#producers.values();
  }

  seen(producer: Producer, nowMs: number): void {
    producer.seenAtMs = nowMs;
    this.#producers.delete(producer.id);
    this.#producers.set(producer.id, producer);
    if (this.#producers.size > this.#maxProducers) this.#evict(nowMs);
  }

  #evict(nowMs: number): void {
    let beyond = this.#producers.size - this.#maxProducers;
    for (const [id, producer] of this.#producers) {
      const isOld = this.#maxAgeMs > 0 && nowMs - producer.seenAtMs > this.#maxAgeMs;
      if (beyond <= 0 && !isOld) return;
      if (!producer.isIdle) continue;
      this.#producers.delete(id);
      this.evicted++;
      beyond--;
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
