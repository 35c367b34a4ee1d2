/**
 * The seeded scheduler: virtual time, one queue of events, and whose turn it is.
 *
 * An event is one turn of somebody's event loop: it runs, then everything it made ready (promises, ticks)
 * runs to the end, and only then comes the next event. Everything else (I/O, timers, messages, the network)
 * is an event at a later time, and the seed decides when.
 *
 * Invariants:
 * 1. Events run in the order of (time, order of asking); nothing but the seed decides either.
 * 2. `current` is the thread whose turn it is. What is asked for during a turn belongs to that thread, and
 *    is dropped when the thread is dead by the time it is due.
 * 3. Real time does not exist: the globals that tell it, or wait for it, are ours while a run lasts
 *    (virtual-globals.ts).
 */
import type { Random } from '../../src/base/random.ts';

/** A thread of a simulated process: what its code asked for dies with it. */
export interface Owner {
  readonly name: string;
  isAlive: boolean;
  /** The thread does nothing before this time: a stuck event loop. */
  stalledUntilMs: number;
}

/** Somebody whose owner may change before the event is due: a port on its way to another thread. */
export interface Holder {
  readonly owner: Owner | undefined;
}

/** The world outside the daemon: clients, the network, the hand that pulls the plug. */
export const NOBODY: Holder = { owner: undefined };

export interface Scheduled {
  cancel(): void;
}

interface Entry extends Scheduled {
  readonly order: number;
  readonly holder: Holder;
  readonly label: string;
  atMs: number;
  run: (() => void) | undefined;
}

/** Saved before anything is replaced. */
const realSetImmediate = globalThis.setImmediate;
/** Node.js runs promises and ticks dry between two immediates of one batch, which is what a turn is. */
const TURNS_PER_BATCH = 64;

export class Scheduler {
  readonly random: Random;
  readonly #heap: Entry[] = [];
  #order = 0;
  #isRunning = false;
  #inspection: Promise<void> | undefined;
  #onDone: ((error?: Error) => void) | undefined;
  #hash = 0x811c9dc5;
  readonly #labelHashes = new Map<string, number>();
  nowMs = 0;
  current: Owner | undefined;
  turns = 0;
  /** More than any run that ends needs: beyond it something goes in circles. */
  maxTurns = 400_000;
  /** Runs before the next event, once: a crash in the midst of a turn. */
  interrupt: (() => void) | undefined;
  /** A turn threw. */
  onUncaught: (error: unknown, owner: Owner | undefined) => void = (error) => this.stop(error as Error);
  /** Hears every turn and note; only while a single seed is looked at. */
  onTrace: ((line: string) => void) | undefined;

  constructor(random: Random) {
    this.random = random;
  }

  /** Of everything that happened, in order. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  after(delayMs: number, holder: Holder, label: string, run: () => void): Scheduled {
    const entry: Entry = {
      atMs: this.nowMs + delayMs,
      order: ++this.#order,
      holder,
      label,
      run,
      cancel() {
        this.run = undefined;
      },
    };
    this.#push(entry);
    return entry;
  }

  /** For the thread whose turn it is. */
  afterMine(delayMs: number, label: string, run: () => void): Scheduled {
    return this.after(delayMs, { owner: this.current }, label, run);
  }

  /** Something worth a line in the trace, and part of its hash. */
  note(text: string): void {
    this.#mix(this.#hashOf(text));
    this.onTrace?.(`${this.nowMs.toFixed(3).padStart(12)}   ${text}`);
  }

  /** A number that belongs to the trace: a checksum of what the disk holds, say. */
  mix(value: number): void {
    this.#mix(value | 0);
  }

  /** Resolves when `stop` was called, rejects with what it was given or when no event is left. */
  run(): Promise<void> {
    this.#isRunning = true;
    return new Promise((resolve, reject) => {
      this.#onDone = (error) => (error === undefined ? resolve() : reject(error));
      this.#pump();
    });
  }

  stop(error?: Error): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    // In a turn of its own, so that what the last one made ready is over.
    realSetImmediate(() => this.#onDone?.(error));
  }

  /** Time stands still while `look` looks. */
  inspect(look: () => Promise<void>): void {
    const owner = this.current;
    this.#inspection = look()
      .catch((error) => this.stop(error as Error))
      .then(() => {
        this.#inspection = undefined;
        this.current = owner;
      });
  }

  #pump(): void {
    for (let i = 0; i < TURNS_PER_BATCH; i++) realSetImmediate(this.#step);
    realSetImmediate(() => {
      if (this.#isRunning) this.#pump();
    });
  }

  readonly #step = (): void => {
    if (!this.#isRunning || this.#inspection !== undefined) return;
    if (this.interrupt !== undefined) {
      const interrupt = this.interrupt;
      this.interrupt = undefined;
      this.current = undefined;
      interrupt();
      return;
    }
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) {
        this.stop(new Error('nothing is left to happen, and the run is not over: something hangs'));
        return;
      }
      if (entry.run === undefined) continue;
      const { owner } = entry.holder;
      if (owner !== undefined) {
        if (!owner.isAlive) continue;
        if (owner.stalledUntilMs > entry.atMs) {
          entry.atMs = owner.stalledUntilMs;
          this.#push(entry);
          continue;
        }
      }
      this.#runTurn(entry, owner);
      return;
    }
  };

  #runTurn(entry: Entry, owner: Owner | undefined): void {
    if (++this.turns > this.maxTurns) {
      this.stop(new Error(`not over after ${this.maxTurns} turns: something goes in circles`));
      return;
    }
    this.nowMs = Math.max(this.nowMs, entry.atMs);
    this.current = owner;
    this.#mix(Math.round(this.nowMs * 1000));
    this.#mix(this.#hashOf(entry.label));
    if (this.onTrace !== undefined) {
      this.onTrace(`${this.nowMs.toFixed(3).padStart(12)} ${owner?.name ?? 'world'}: ${entry.label}`);
    }
    const run = entry.run!;
    entry.run = undefined;
    try {
      run();
    } catch (error) {
      this.onUncaught(error, owner);
    }
  }

  #hashOf(text: string): number {
    let hash = this.#labelHashes.get(text);
    if (hash === undefined) {
      hash = 0x811c9dc5;
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
      this.#labelHashes.set(text, hash);
    }
    return hash;
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, entry)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
