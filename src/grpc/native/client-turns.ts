/**
 * Shares of a turn of the event loop, by client. While several clients have work, each has TURN_SHARE_MS of it, whatever the number
 * of its connections: who brings more waits for the next turn. A client that is alone, and was for ALONE_MS, has all of the thread.
 *
 *   reading ──has had its share, or its client has──▶ waiting ──the turn is over──▶ reading: all, where a client was alone
 *                                                        ▲                             │    else of each as many as its share
 *                                                        └─────────all others──────────┘    may be enough for
 *
 * What is read is worked off first, so a turn may be longer by one chunk of each connection that was not waiting.
 *
 * Invariants:
 * 1. While somebody waits the end of a turn is to come, and each client's line gets shorter then: nobody waits for ever.
 * 2. `#waiting` holds the lines in which somebody waits, and no others.
 */
import type { Client } from '../../base/client.ts';
import type { Clock } from '../../base/clock.ts';
import { TURN_SHARE_MS } from './limits.ts';

/** What a chunk of a client's takes is known by so many. */
const CHUNK_MEMORY = 16;
/**
 * Nobody else had work for so long: longer than turns are, and than an honest client with many calls waits for an answer. For if
 * a thousand connections went on together whenever the others have a breath, that turn alone would be a tenth of a second.
 */
const ALONE_MS = 250;

/** What is not seen of a chunk: system calls that read, stop and start its socket. */
const UNSEEN_MS = 0.05;

export interface TurnConnection {
  /** Undefined until a call says it. */
  readonly client: Client | undefined;
  goOn(): void;
}

/** A client in the turns of its thread. */
class Line {
  readonly waiting = new Set<TurnConnection>();
  /** The turn that `workedMs` is of. */
  turn = -1;
  workedMs = 0;
  /** What a chunk takes, and its answer; not known before the first. */
  chunkMs: number | undefined;
}

export class ClientTurns {
  readonly #clock: Clock;
  readonly #lines = new WeakMap<Client, Line>();
  /** Of those of whom it is not known yet whose they are. */
  readonly #unknown = new Line();
  readonly #waiting = new Set<Line>();
  #turn = 0;
  #isCounting = false;
  /** Who had work last, and when. */
  #worker: Line | undefined;
  #workedAtMs = 0;
  #sharedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A chunk took so long. True when the client has had its share of this turn, and others are to have theirs first. */
  worked(client: Client | undefined, workedMs: number, nowMs: number): boolean {
    const line = this.#lineOf(client);
    const chunkMs = workedMs + UNSEEN_MS;
    this.#add(line, chunkMs);
    line.chunkMs ??= chunkMs;
    line.chunkMs += (chunkMs - line.chunkMs) / CHUNK_MEMORY;
    // Before the first call it is not known whose work it is: that says nothing.
    if (client !== undefined) {
      const isAnother = this.#worker !== undefined && line !== this.#worker;
      if (isAnother && nowMs - this.#workedAtMs < ALONE_MS) this.#sharedUntilMs = nowMs + ALONE_MS;
      this.#worker = line;
      this.#workedAtMs = nowMs;
    }
    this.#count();
    return line.workedMs > TURN_SHARE_MS && this.#isShared(nowMs);
  }

  /** Sending its answers took so long. */
  answered(client: Client | undefined, workedMs: number): void {
    const line = this.#lineOf(client);
    this.#add(line, workedMs);
    line.chunkMs = (line.chunkMs ?? 0) + workedMs / CHUNK_MEMORY;
  }

  /** It is called back (`goOn`) when it is its turn. */
  wait(connection: TurnConnection): void {
    const line = this.#lineOf(connection.client);
    line.waiting.add(connection);
    this.#waiting.add(line);
    this.#count();
  }

  leave(connection: TurnConnection): void {
    for (const line of this.#waiting) {
      if (line.waiting.delete(connection) && line.waiting.size === 0) this.#waiting.delete(line);
    }
  }

  #lineOf(client: Client | undefined): Line {
    if (client === undefined) return this.#unknown;
    let line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, (line = new Line()));
    return line;
  }

  #add(line: Line, workedMs: number): void {
    if (line.turn !== this.#turn) {
      line.turn = this.#turn;
      line.workedMs = 0;
    }
    line.workedMs += workedMs;
  }

  #isShared(nowMs: number): boolean {
    return nowMs < this.#sharedUntilMs || this.#waiting.size > 1;
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(this.#onTurnOver);
  }

  /** Every socket that has something was read. */
  readonly #onTurnOver = (): void => {
    this.#turn++;
    this.#isCounting = false;
    if (this.#waiting.size === 0) return;
    const isShared = this.#isShared(this.#clock.monotonicMs());
    // Who goes on may be done at once, and wait again: behind all others of its client, for the next turn.
    const next: TurnConnection[] = [];
    for (const line of this.#waiting) {
      let left = isShared ? Math.max(1, TURN_SHARE_MS / (line.chunkMs ?? TURN_SHARE_MS)) : line.waiting.size;
      for (const connection of line.waiting) {
        if (--left < 0) break;
        line.waiting.delete(connection);
        next.push(connection);
      }
      if (line.waiting.size === 0) this.#waiting.delete(line);
    }
    if (this.#waiting.size > 0) this.#count();
    for (const connection of next) connection.goOn();
  };
}
