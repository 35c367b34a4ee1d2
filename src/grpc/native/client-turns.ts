/**
 * When connections go on that have had their share of a turn of the event loop. While several clients have work, each client has
 * one such share a turn, whatever the number of its connections: its connections take it one after the other. A client
 * that is alone has all of the thread, and turns that are as long as it likes.
 *
 *   reading ──has had its share──▶ waiting ──the turn is over──▶ reading: all, where one client alone had work in it
 *                                     ▲                              │    else of each client that who waited longest
 *                                     └──────────all others──────────┘
 *
 * Who does not use up a share is never stopped: thousands of quiet connections behind one address cost nothing here.
 *
 * Invariants:
 * 1. While somebody waits the end of a turn is to come, and a client that waits loses one from its line there: nobody waits for ever.
 * 2. A client without a line has no entry.
 */
import type { Client } from '../../base/client.ts';

export interface TurnConnection {
  /** Undefined until a call says it. */
  readonly client: Client | undefined;
  goOn(): void;
}

export class ClientTurns {
  /** Those of whom it is not known yet whose they are stand in one line. */
  readonly #lines = new Map<Client | undefined, Set<TurnConnection>>();
  /** Who had work since a turn was over, and whether that were several. */
  #worker: Client | undefined;
  #hasSeveral = false;
  #isCounting = false;

  /** A chunk is about to be worked off. Whose it is is not known before the first call: that says nothing. */
  onWork(client: Client | undefined): void {
    if (client === undefined || client === this.#worker) return;
    if (this.#worker === undefined) this.#worker = client;
    else this.#hasSeveral = true;
  }

  /** It is called back (`goOn`) when it is its turn. */
  wait(connection: TurnConnection): void {
    const { client } = connection;
    const line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, new Set([connection]));
    else line.add(connection);
    this.#count();
  }

  leave(connection: TurnConnection): void {
    for (const [client, line] of this.#lines) {
      if (line.delete(connection) && line.size === 0) this.#lines.delete(client);
    }
  }

  /** Somebody else than the one who waits had work, or waits as well. */
  get #isThreadShared(): boolean {
    if (this.#hasSeveral || this.#lines.size > 1) return true;
    return this.#worker !== undefined && !this.#lines.has(this.#worker);
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(this.#onTurnOver);
  }

  /** Every socket that has something was read. */
  readonly #onTurnOver = (): void => {
    const isShared = this.#isThreadShared;
    this.#isCounting = false;
    this.#hasSeveral = false;
    this.#worker = undefined;
    // Who goes on may be done at once, and wait again: behind all others of its client, for the next turn.
    const next: TurnConnection[] = [];
    for (const [client, line] of this.#lines) {
      for (const connection of line) {
        next.push(connection);
        line.delete(connection);
        if (isShared) break;
      }
      if (line.size === 0) this.#lines.delete(client);
    }
    if (this.#lines.size > 0) this.#count();
    for (const connection of next) connection.goOn();
  };
}
