/**
 * Shares of a turn of the event loop, by client. While several clients have work, each has TURN_SHARE_MS of a turn, whatever the
 * number of its connections: once it has had more, those that bring more wait until it owes less than a share. A client
 * that is alone, and was for a while, has all of the thread.
 *
 *   reading ──has had its share, or its client has──▶ waiting ──the turn is over──▶ reading: all, where a client was alone
 *                                                        ▲                             │    else of each that owes less than a
 *                                                        └─────────all others──────────┘    share as many as it may be enough for
 *
 * What is read is worked off first: one chunk of each connection that was not waiting may come in one turn. It is owed, and
 * paid with the shares of later turns; turns without work are short, so nobody waits while the thread has nothing to do.
 *
 * Before its first call it is not known whose a connection is. Those wait for the end of the turn, and no longer.
 *
 * Invariants:
 * 1. While somebody waits the end of a turn is to come, and with each its client owes less, or one goes on: nobody waits for ever.
 * 2. `#waiting` holds the lines in which somebody waits, and no others.
 */
import type { Client } from '../../base/client.ts';
import type { Clock } from '../../base/clock.ts';
import { DEAR_LEAST_MS, TURN_SHARE_MS } from './limits.ts';

/** What a chunk of a client's takes is known by so many. */
const CHUNK_MEMORY = 16;
/** What is not seen of a chunk: system calls that read, stop and start its socket. */
const UNSEEN_MS = 0.05;
/**
 * What a chunk counts at most. They are timed by the clock on the wall, and what another thread took of the core meanwhile is
 * nobody's debt; who makes more work than this is dear, and has no share here.
 */
const MOST_CHUNK_MS = DEAR_LEAST_MS;
/** What a client owes at most: a turn is ended when it is so long (turn-limit.ts). */
const MOST_OWED_MS = 100;
/**
 * A client is alone when nobody else had work for so long and for so many turns. An honest client whose calls all wait for the disk
 * has none for a while, and in a round of long turns each is read only once; if a thousand connections went on together
 * then, that turn alone would take a tenth of a second.
 */
const ALONE_MS = 250;
const ALONE_TURNS = 16;

export interface TurnConnection {
  /** Undefined until a call says it. */
  readonly client: Client | undefined;
  goOn(): void;
}

/** A client in the turns of its thread. */
class Line {
  readonly waiting = new Set<TurnConnection>();
  /** Work of this turn, and what was left of those before beyond their shares. */
  owedMs = 0;
  /** The turn that `owedMs` is of. */
  turn = 0;
  /** What a chunk takes, and its answer; not known before the first. */
  chunkMs: number | undefined;
}

export class ClientTurns {
  readonly #clock: Clock;
  readonly #lines = new WeakMap<Client, Line>();
  readonly #waiting = new Set<Line>();
  readonly #strangers = new Set<TurnConnection>();
  #turn = 0;
  #isCounting = false;
  /** Who had work last, and when. */
  #worker: Line | undefined;
  #workedAtMs = 0;
  #isShared = false;
  #sharedUntilMs = 0;
  #sharedUntilTurn = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A chunk took so long. True when the client has had its share of this turn, and others are to have theirs first. */
  worked(client: Client | undefined, workedMs: number, nowMs: number): boolean {
    if (client === undefined) return false;
    const line = this.#lineOf(client);
    // One that was forgotten may be the same as another that is known.
    if (!client.isForgotten) this.#see(line, nowMs);
    const chunkMs = Math.min(workedMs, MOST_CHUNK_MS) + UNSEEN_MS;
    this.#owe(line, chunkMs);
    line.chunkMs ??= chunkMs;
    line.chunkMs += (chunkMs - line.chunkMs) / CHUNK_MEMORY;
    return this.#isShared && line.owedMs > TURN_SHARE_MS;
  }

  /**
   * A connection was accepted. Others may stand behind it, whosever they are, and each turn accepts one (libuv): while they come
   * turns are to be short, even for a client that is alone.
   */
  arrived(): void {
    this.#share(this.#clock.monotonicMs());
    this.#count();
  }

  /** Sending its answers took so long. */
  answered(client: Client | undefined, workedMs: number): void {
    if (client === undefined) return;
    const line = this.#lineOf(client);
    const answerMs = Math.min(workedMs, MOST_CHUNK_MS);
    this.#owe(line, answerMs);
    line.chunkMs = (line.chunkMs ?? 0) + answerMs / CHUNK_MEMORY;
  }

  /** It is called back (`goOn`) when it is its turn. */
  wait(connection: TurnConnection): void {
    const { client } = connection;
    if (client === undefined) {
      this.#strangers.add(connection);
    } else {
      const line = this.#lineOf(client);
      line.waiting.add(connection);
      this.#waiting.add(line);
    }
    this.#count();
  }

  leave(connection: TurnConnection): void {
    this.#strangers.delete(connection);
    // It may be another client's by now.
    for (const line of this.#waiting) {
      if (line.waiting.delete(connection) && line.waiting.size === 0) this.#waiting.delete(line);
    }
  }

  #lineOf(client: Client): Line {
    let line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, (line = new Line()));
    return line;
  }

  #see(line: Line, nowMs: number): void {
    const isAnother = this.#worker !== undefined && line !== this.#worker;
    if (isAnother && nowMs - this.#workedAtMs < ALONE_MS) this.#share(nowMs);
    this.#worker = line;
    this.#workedAtMs = nowMs;
  }

  #share(nowMs: number): void {
    this.#isShared = true;
    this.#sharedUntilMs = nowMs + ALONE_MS;
    this.#sharedUntilTurn = this.#turn + ALONE_TURNS;
  }

  #owe(line: Line, workedMs: number): void {
    this.#pay(line);
    // Who is alone owes nobody anything.
    line.owedMs = Math.min(line.owedMs + workedMs, this.#isShared ? MOST_OWED_MS : TURN_SHARE_MS);
    this.#count();
  }

  #pay(line: Line): void {
    line.owedMs = Math.max(0, line.owedMs - (this.#turn - line.turn) * TURN_SHARE_MS);
    line.turn = this.#turn;
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
    if (this.#isShared && this.#turn > this.#sharedUntilTurn) {
      this.#isShared = this.#clock.monotonicMs() < this.#sharedUntilMs;
    }
    // Who goes on may be done at once, and wait again: behind all others of its client, for the next turn.
    const next: TurnConnection[] = [...this.#strangers];
    this.#strangers.clear();
    for (const line of this.#waiting) {
      for (let left = this.#placesOf(line); left >= 1; left--) {
        const [first] = line.waiting;
        if (first === undefined) break;
        line.waiting.delete(first);
        next.push(first);
      }
      if (line.waiting.size === 0) this.#waiting.delete(line);
    }
    if (this.#waiting.size > 0) this.#count();
    for (const connection of next) connection.goOn();
  };

  /** How many of the line may go on in the turn that begins. */
  #placesOf(line: Line): number {
    if (!this.#isShared) return line.waiting.size;
    this.#pay(line);
    const leftMs = TURN_SHARE_MS - line.owedMs;
    return leftMs <= 0 ? 0 : Math.max(1, leftMs / (line.chunkMs ?? TURN_SHARE_MS));
  }
}
