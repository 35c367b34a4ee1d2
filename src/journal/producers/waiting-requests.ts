/**
 * Requests that came before their turn, in the two orders in which they leave: by number, when what was missing has come
 * (`WaitingRequests`, one for each producer), and by time, when it has not (`GiveUpLine`, one for all).
 *
 * REORDER_BYTES allows tens of thousands at once, of one producer, and all may give up in one moment. So nobody is
 * looked for, nothing is moved along, there is one timer, and a turn of the event loop lets no more than
 * GIVE_UPS_PER_TURN go: with a sorted array and a timer for each, a client that left gaps on purpose held up the writer for
 * the better part of each second.
 *
 * Invariants:
 * 1. A request is in both or in neither, and knows its place in both.
 * 2. No number in the heap is below that of its parent, the entry at half the index before its own; of equal ones who came first is first.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { type Linked, LinkedLine } from '../../base/linked-line.ts';

const GIVE_UPS_PER_TURN = 1000;

export class WaitingRequest implements Linked<WaitingRequest> {
  readonly first: bigint;
  /** Its turn has come, or a later request made it needless. */
  readonly submit: () => void;
  readonly giveUp: () => void;
  // --- its places ---
  arrival = 0;
  index = -1;
  untilMs = 0;
  before: WaitingRequest | undefined;
  behind: WaitingRequest | undefined;

  constructor(first: bigint, submit: () => void, giveUp: () => void) {
    this.first = first;
    this.submit = submit;
    this.giveUp = giveUp;
  }
}

function precedes(a: WaitingRequest, b: WaitingRequest): boolean {
  return a.first < b.first || (a.first === b.first && a.arrival < b.arrival);
}

/** A binary heap. */
export class WaitingRequests {
  readonly #heap: WaitingRequest[] = [];
  #arrivals = 0;

  get size(): number {
    return this.#heap.length;
  }
  /** The one with the lowest number. */
  get lowest(): WaitingRequest | undefined {
    return this.#heap[0];
  }

  add(request: WaitingRequest): void {
    request.arrival = this.#arrivals++;
    this.#heap.push(request);
    this.#up(request, this.#heap.length - 1);
  }

  remove(request: WaitingRequest): void {
    const { index } = request;
    const last = this.#heap.pop()!;
    request.index = -1;
    if (last === request) return;
    this.#up(last, index);
    this.#down(last, last.index);
  }

  #up(request: WaitingRequest, from: number): void {
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#heap[parentAt]!;
      if (!precedes(request, parent)) break;
      this.#put(parent, at);
      at = parentAt;
    }
    this.#put(request, at);
  }

  #down(request: WaitingRequest, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (let childAt = 2 * at + 1; childAt < heap.length; childAt = 2 * at + 1) {
      if (childAt + 1 < heap.length && precedes(heap[childAt + 1]!, heap[childAt]!)) childAt++;
      const child = heap[childAt]!;
      if (!precedes(child, request)) break;
      this.#put(child, at);
      at = childAt;
    }
    this.#put(request, at);
  }

  #put(request: WaitingRequest, at: number): void {
    this.#heap[at] = request;
    request.index = at;
  }
}

/** All wait equally long, so whoever came first gives up first. */
export class GiveUpLine {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #line = new LinkedLine<WaitingRequest>();
  /** For the first, or one that was first. */
  #timer: Timer | undefined;

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  add(request: WaitingRequest): void {
    request.untilMs = this.#clock.monotonicMs() + this.#waitMs;
    this.#line.add(request);
    this.#timer ??= this.#clock.setTimer(this.#waitMs, this.#onTime);
  }

  remove(request: WaitingRequest): void {
    this.#line.remove(request);
    if (this.#line.first !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Who gives up is out of the line by then. */
  readonly #onTime = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (let left = GIVE_UPS_PER_TURN; left > 0; left--) {
      const { first } = this.#line;
      if (first === undefined || first.untilMs > nowMs) break;
      this.remove(first);
      first.giveUp();
    }
    const { first } = this.#line;
    if (first !== undefined) {
      this.#timer ??= this.#clock.setTimer(Math.max(0, first.untilMs - nowMs), this.#onTime);
    }
  };
}
