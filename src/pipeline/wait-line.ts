/**
 * WaitLine: where requests stand that found no queue room: in the order they came, of each client, and the clients
 * take turns. A client that has a thousand requests here waits for itself, not the others for it; and one whose requests
 * are large has no more for it (deficit round robin: Shreedhar and Varghese 1995).
 *
 * Full policy: `wait` lets a request stand until its call's deadline or `waitMaxMs`, whichever is
 * first; `refuse` turns it away at once. What may stand here is bounded too (`capacityBytes` of raw
 * requests); beyond it the client that has most standing here makes room with its newest, as long as it has more than
 * the newcomer would have; else the newcomer is turned away at once.
 *
 * Invariants:
 * 1. Of one client: first come, first served. Of several: each in turn, as many bytes as the largest of those that stood first
 *    when the round began. Only while a part of the line is still to be let in may somebody come before his turn: in
 *    place of bytes that his client brings meanwhile; and so many bytes are taken off its next turn.
 * 2. While somebody whose turn it is lacks room, nobody else gets any, even if he would fit where that one does not.
 *    One that is held back for his client's sake only (`held`) is passed over.
 * 3. Every request that enters leaves exactly once: taken, given up, or withdrawn by its caller.
 * 4. `admit` ends when nobody more can be let in, or its next part is to come.
 * 5. `#lines` is in the order of turns: whoever had one, or was passed over, stands last.
 */
import type { Clock, Timer } from '../base/clock.ts';

/**
 * To let one in is the work of any request. A thousand that found room together kept the thread for half a second, beyond all
 * shares of its turns (docs/decisions/0057). So after this long the others of the event loop go first; and where that
 * took long, the next part has a quarter of it, so that the line has its part of a busy thread.
 */
const ADMIT_MS = 2;
const ADMIT_PART_OF_TURN = 1 / 4;
/** A quarter of what sockets may bring in a turn (grpc/turn-limit.ts). */
const ADMIT_MOST_MS = 25;

export type FullPolicy = 'wait' | 'refuse';

export interface WaitLineOptions {
  readonly whenFull: FullPolicy;
  readonly waitMaxMs: number;
  readonly capacityBytes: number;
}

/** What came of a try: taken; no room; or room that this client has to leave to others. */
export type Take = 'taken' | 'short' | 'held';

export interface Waiter {
  /** Whose request it is: one and the same object for all requests of a client. */
  readonly client: object;
  readonly sizeBytes: number;
  /** Wall clock; undefined when the call has none. */
  readonly deadlineMs: number | undefined;
  /** Tries to take the room; anything but `taken` leaves the waiter where it is. Nobody enters the line on the way. */
  tryTake(): Take;
  onGiveUp(waitedMs: number): void;
  /** It stands here no more, whatever the reason; after the last `tryTake`, before `onGiveUp`. */
  onLeft?(): void;
}

interface Place {
  readonly waiter: Waiter;
  readonly sinceMs: number;
  timer: Timer | undefined;
  left: boolean;
}

interface ClientLine {
  readonly places: Place[];
  bytes: number;
  /** What it may still take in its turn; before it less than nothing, where some went in already. */
  creditBytes: number;
  isInTurn: boolean;
  /** What it brought while some were still to be let in, and nobody went in for yet. */
  broughtBytes: number;
}

export class WaitLine {
  readonly #options: WaitLineOptions;
  readonly #clock: Clock;
  readonly #lines = new Map<object, ClientLine>();
  #waiting = 0;
  #waitingBytes = 0;
  #admitting = false;
  /** When this part of `admit` is to be over; behind it, when it was. */
  #admitUntilMs = 0;
  #isNextPartToCome = false;
  /** In this part: a part that was late before its first try would let in nobody, and not know who lacks room. */
  #hasTried = false;
  #roundTurns = 0;
  #turnBytes = 0;
  /** Turns one after the other that ended with somebody held back. */
  #vainTurns = 0;
  /** Somebody who was to go in lacks room. */
  #isShort = false;

  constructor(options: WaitLineOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#waiting === 0;
  }
  get waiting(): number {
    return this.#waiting;
  }
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** A newcomer of this client would overtake nobody who lacks room, nor anybody of his own. */
  mayPass(client: object): boolean {
    return this.#waiting === 0 || (!this.#isShort && !this.#lines.has(client));
  }

  /** There is no place for so many bytes more, and half of what stands here or more is this client's. */
  isFilledBy(client: object, sizeBytes: number): boolean {
    const ownBytes = this.#lines.get(client)?.bytes ?? 0;
    return !this.#hasPlaceFor(sizeBytes) && 2 * ownBytes >= this.#options.capacityBytes;
  }

  /**
   * `why` it does not go on at once. False when the waiter may not stand here: the caller refuses it. Else a
   * function that withdraws it.
   */
  enter(waiter: Waiter, why: 'short' | 'held' = 'short'): false | (() => void) {
    if (this.#options.whenFull === 'refuse') return false;
    const untilDeadlineMs =
      waiter.deadlineMs === undefined ? Number.POSITIVE_INFINITY : waiter.deadlineMs - this.#clock.nowMs();
    const waitMs = Math.min(this.#options.waitMaxMs, untilDeadlineMs);
    if (waitMs <= 0 || !this.#makePlace(waiter)) return false;
    const place: Place = { waiter, sinceMs: this.#clock.monotonicMs(), timer: undefined, left: false };
    place.timer = this.#clock.setTimer(waitMs, () => this.#giveUp(place));
    let line = this.#lines.get(waiter.client);
    if (line === undefined) {
      line = { places: [], bytes: 0, creditBytes: 0, isInTurn: false, broughtBytes: 0 };
      this.#lines.set(waiter.client, line);
    }
    line.places.push(place);
    line.bytes += waiter.sizeBytes;
    this.#waiting++;
    this.#waitingBytes += waiter.sizeBytes;
    if (why === 'short') this.#isShort = true;
    return () => this.#leave(place);
  }

  /**
   * A request of so many bytes comes from this client, while there is room and some are still to be let in. The first of its own
   * go in its place, so that the line does not grow for want of time.
   */
  letInFor(client: object, sizeBytes: number): void {
    const line = this.#lines.get(client);
    if (line === undefined || !this.#isNextPartToCome || this.#isShort || this.#admitting) return;
    // What was kept was kept for the one that stands first, which may be another now.
    line.broughtBytes = Math.min(line.broughtBytes, line.places[0]!.waiter.sizeBytes) + sizeBytes;
    const untilMs = this.#clock.monotonicMs() + ADMIT_MS;
    this.#admitting = true;
    try {
      for (let first = line.places[0]; first !== undefined; first = line.places[0]) {
        if (first.waiter.sizeBytes > line.broughtBytes) return;
        const take = first.waiter.tryTake();
        if (take !== 'taken') {
          this.#isShort = take === 'short';
          if (this.#isShort) this.#vainTurns = 0;
          line.broughtBytes = 0;
          return;
        }
        line.broughtBytes -= first.waiter.sizeBytes;
        line.creditBytes -= first.waiter.sizeBytes;
        this.#vainTurns = 0;
        this.#leave(first);
        if (this.#clock.monotonicMs() >= untilMs) {
          line.broughtBytes = 0;
          return;
        }
      }
    } finally {
      this.#admitting = false;
    }
  }

  /** There is more room: lets in as many as fit, each client in turn, and some of them in later turns of the event loop. */
  admit(): void {
    this.#vainTurns = 0;
    // A taker may cause the next flush, whose result calls back here; the outer loop goes on anyway.
    if (this.#admitting || this.#isNextPartToCome) return;
    this.#admitPart(ADMIT_MS);
  }

  #admitSoon(): void {
    if (this.#isNextPartToCome) return;
    this.#isNextPartToCome = true;
    this.#admitUntilMs = this.#clock.monotonicMs();
    setImmediate(this.#admitNextPart);
  }

  readonly #admitNextPart = (): void => {
    this.#isNextPartToCome = false;
    const awayMs = this.#clock.monotonicMs() - this.#admitUntilMs;
    this.#admitPart(Math.min(ADMIT_MOST_MS, Math.max(ADMIT_MS, awayMs * ADMIT_PART_OF_TURN)));
  };

  #admitPart(partMs: number): void {
    this.#admitting = true;
    this.#isShort = false;
    this.#hasTried = false;
    this.#admitUntilMs = this.#clock.monotonicMs() + partMs;
    try {
      while (this.#vainTurns < this.#lines.size) {
        // Lines may have left without a turn.
        this.#roundTurns = Math.min(this.#roundTurns, this.#lines.size);
        if (this.#roundTurns === 0) this.#beginRound();
        const [client, line] = this.#lines.entries().next().value!;
        const end = this.#takeTurn(line);
        if (end === 'short') {
          this.#isShort = true;
          return;
        }
        if (end === 'late') {
          this.#admitSoon();
          return;
        }
        this.#vainTurns = end === 'held' ? this.#vainTurns + 1 : 0;
        this.#endTurn(client, line);
        this.#roundTurns--;
      }
    } finally {
      this.#admitting = false;
    }
  }

  #beginRound(): void {
    this.#roundTurns = this.#lines.size;
    this.#turnBytes = 0;
    for (const { places } of this.#lines.values()) {
      this.#turnBytes = Math.max(this.#turnBytes, places[0]!.waiter.sizeBytes);
    }
  }

  #endTurn(client: object, line: ClientLine): void {
    line.isInTurn = false;
    if (line.places.length === 0) return;
    this.#lines.delete(client);
    this.#lines.set(client, line);
  }

  /**
   * `over` when it had what was due to it, which may be nothing yet: the next round is one of turns as large as its first.
   * `held` when it was held back. One that is cut short goes on where it stopped.
   */
  #takeTurn(line: ClientLine): 'over' | 'held' | 'short' | 'late' {
    if (!line.isInTurn) line.creditBytes = Math.max(0, line.creditBytes + this.#turnBytes);
    line.isInTurn = true;
    for (let head = line.places[0]; head !== undefined; head = line.places[0]) {
      if (head.waiter.sizeBytes > line.creditBytes) break;
      if (this.#hasTried && this.#clock.monotonicMs() >= this.#admitUntilMs) return 'late';
      this.#hasTried = true;
      const take = head.waiter.tryTake();
      if (take === 'short') return 'short';
      if (take === 'held') {
        line.creditBytes = 0;
        return 'held';
      }
      line.creditBytes -= head.waiter.sizeBytes;
      this.#leave(head);
    }
    return 'over';
  }

  /** Everybody who stands here is turned away now; nobody is let in on the way. */
  giveUpAll(): void {
    this.#admitting = true;
    try {
      for (const { places } of [...this.#lines.values()])
        for (const place of [...places]) this.#giveUp(place);
    } finally {
      this.#admitting = false;
    }
  }

  #hasPlaceFor(sizeBytes: number): boolean {
    return this.#waitingBytes + sizeBytes <= this.#options.capacityBytes;
  }

  /** True when there is a place for it, if need be that of the newest of whoever has most standing here. */
  #makePlace({ client, sizeBytes }: Waiter): boolean {
    if (sizeBytes > this.#options.capacityBytes) return false;
    const own = this.#lines.get(client);
    while (!this.#hasPlaceFor(sizeBytes)) {
      let largest: ClientLine | undefined;
      for (const line of this.#lines.values()) if (line.bytes > (largest?.bytes ?? 0)) largest = line;
      if (largest === undefined || largest === own || largest.bytes <= (own?.bytes ?? 0) + sizeBytes)
        return false;
      this.#giveUp(largest.places.at(-1)!, false);
      // It may have been what others waited for.
      if (largest.places.length === 0) this.#admitSoon();
    }
    return true;
  }

  #giveUp(place: Place, admitsOthers = true): void {
    if (place.left) return;
    this.#leave(place, admitsOthers);
    place.waiter.onGiveUp(this.#clock.monotonicMs() - place.sinceMs);
  }

  #leave(place: Place, admitsOthers = true): void {
    if (place.left) return;
    place.left = true;
    place.timer?.cancel();
    place.waiter.onLeft?.();
    const { client, sizeBytes } = place.waiter;
    const line = this.#lines.get(client)!;
    line.places.splice(line.places.indexOf(place), 1);
    line.bytes -= sizeBytes;
    if (line.places.length === 0) {
      this.#lines.delete(client);
      // It may have been one of those whose turns are counted.
      this.#vainTurns = 0;
    }
    this.#waiting--;
    this.#waitingBytes -= sizeBytes;
    if (this.#waiting === 0) this.#isShort = false;
    // Whoever left may have been the one too big for the room there is.
    if (admitsOthers && !this.#admitting) this.admit();
  }
}
