/**
 * The one budget of memory for requests that arrive or wait for their answer, over all connections
 * of all threads. Without it connections x streams x MAX_REQUEST_BYTES would be the bound, which no machine has.
 *
 * Bytes are taken when they have arrived, not when they are announced: an announcement costs a client
 * nothing and could starve the others.
 *
 * Invariants:
 * 1. 0 <= used <= limit; what was taken is given back exactly once, by the call that took it, to whom it was taken for.
 * 2. A taking stands only if its holder then holds at most twice what is free behind it (MOST_HELD_PER_FREE). So one client
 *    has two thirds, and leaves a third to whoever comes, the next a third of that; and no window or rate has to be
 *    known. Threads hold to it each for itself, against what is free in all: spread over n of them, a client leaves one part in
 *    2n + 1. (Switches share their memory among ports like this: dynamic thresholds, Choudhury and Hahne 1998.)
 */
import { invariant } from '../base/assert.ts';
import type { Holder } from '../base/client.ts';
import { ByteAllowance } from '../base/shared-budget.ts';

/**
 * What an open call costs before its first byte: some 8 KiB of stream, timer and objects (measured, see
 * docs/decisions/0052), and a header list of 8 KiB that exists twice. It also bounds how many calls can be open.
 */
export const CALL_COST_BYTES = 24 * 1024;

/**
 * What a connection costs beside its calls: 10 KiB measured idle with native and 21 with grpc-js, which under load also keeps
 * nghttp2's session and node:http2's stream objects: 90 measured with 5,000 connections that are all refused most of the time.
 */
export const CONNECTION_COST_BYTES = { native: 24 * 1024, 'grpc-js': 96 * 1024 } as const;

/**
 * Larger, and one client leaves little; smaller, and the largest request no longer fits the smallest budget (./config.ts).
 */
const MOST_HELD_PER_FREE = 2;

export class ReceiveBudget {
  readonly limitBytes: number;
  readonly #allowance: ByteAllowance;
  #usedBytes = 0;

  /** With an allowance the limit is one for several servers, each in its thread. */
  constructor(limitBytes: number, allowance = new ByteAllowance(limitBytes)) {
    this.limitBytes = limitBytes;
    this.#allowance = allowance;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** False takes nothing. */
  take(bytes: number, holder: Holder): boolean {
    const usedBytes = this.#usedBytes + bytes;
    const allowance = this.#allowance;
    if (usedBytes > allowance.grantedBytes && !allowance.ensure(usedBytes)) return false;
    const heldBytes = holder.heldBytes + bytes;
    const neededBytes = heldBytes / MOST_HELD_PER_FREE;
    // What this thread has drawn and does not use is nearly always enough; then nobody else's memory is looked at.
    const drawnBytes = allowance.grantedBytes - usedBytes;
    if (neededBytes > drawnBytes && neededBytes > drawnBytes + allowance.freeBytes) {
      allowance.trim(this.#usedBytes);
      return false;
    }
    this.#usedBytes = usedBytes;
    holder.heldBytes = heldBytes;
    return true;
  }

  give(bytes: number, holder: Holder): void {
    this.#usedBytes -= bytes;
    holder.heldBytes -= bytes;
    invariant(
      this.#usedBytes >= 0 && holder.heldBytes >= 0,
      'the receive budget was given back more than was taken',
    );
    this.#allowance.trim(this.#usedBytes);
  }
}

/** The same budget for calls that nobody is asked a name for (health, reflection): by address. */
export class AddressBudget {
  readonly #budget: ReceiveBudget;
  /** Of those that hold anything. */
  readonly #holders = new Map<string, Holder>();

  constructor(budget: ReceiveBudget) {
    this.#budget = budget;
  }

  get limitBytes(): number {
    return this.#budget.limitBytes;
  }

  /** How many hold anything. */
  get addresses(): number {
    return this.#holders.size;
  }

  /** False takes nothing. */
  take(bytes: number, address: string): boolean {
    const holder = this.#holders.get(address) ?? { heldBytes: 0 };
    if (!this.#budget.take(bytes, holder)) return false;
    this.#holders.set(address, holder);
    return true;
  }

  give(bytes: number, address: string): void {
    const holder = this.#holders.get(address);
    // A call that was refused holds nothing.
    if (bytes === 0) return;
    invariant(holder !== undefined, 'an address gives back what it does not hold');
    this.#budget.give(bytes, holder);
    if (holder.heldBytes === 0) this.#holders.delete(address);
  }
}
