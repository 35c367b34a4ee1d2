/**
 * A budget that several threads draw on without asking each other: every sharer counts what it has taken
 * in a cell of its own, and a taking stands when the sum of all cells is still within the limit.
 *
 * Invariants:
 * 1. Takings that stand never add up to more than `limit`: each is counted before the sum is looked at,
 *    so of two that race at the end of the room at least one sees the other (and both may, and then both fail).
 * 2. Cell i is written by sharer i alone while it lives. What a dead one had is given back by clearing its
 *    cell, so that nothing leaks, wherever it died.
 */

export class SharedBudget {
  readonly limit: number;
  readonly #cells: Int32Array;
  readonly #own: number;

  /** Without cells the budget has one sharer. The limit and what is taken at once must stay below 2^30. */
  constructor(limit: number, cells: Int32Array = new Int32Array(1), own = 0) {
    this.limit = limit;
    this.#cells = cells;
    this.#own = own;
  }

  get sharers(): number {
    return this.#cells.length;
  }
  /** By all sharers. */
  get taken(): number {
    let taken = 0;
    for (let i = 0; i < this.#cells.length; i++) taken += Atomics.load(this.#cells, i);
    return taken;
  }
  /** As it looks from here: a hint, and asked for at nearly every request. A taking counts again, in order with its own. */
  get free(): number {
    const cells = this.#cells;
    let taken = 0;
    for (let i = 0; i < cells.length; i++) taken += cells[i]!;
    return Math.max(0, this.limit - taken);
  }

  /** False takes nothing. */
  take(amount: number): boolean {
    Atomics.add(this.#cells, this.#own, amount);
    if (this.taken <= this.limit) return true;
    Atomics.sub(this.#cells, this.#own, amount);
    return false;
  }

  give(amount: number): void {
    Atomics.sub(this.#cells, this.#own, amount);
  }
}

/** Budgets beyond this are counted in KiB: the cells have 32 bits. */
const COUNTED_IN_BYTES_MAX = 2 ** 30;

/** A step is at most this; small enough that what idles in steps does not matter, large enough to be rare. */
const STEP_BYTES_MAX = 1024 * 1024;

/**
 * One sharer's part of a budget of bytes. It is drawn in steps, so that most requests touch no shared
 * memory, and given back as it falls idle.
 *
 * Invariant: grantedBytes is what this sharer has drawn; the owner keeps what it uses at or below it.
 * An only sharer draws everything at once and keeps it.
 */
export class ByteAllowance {
  readonly limitBytes: number;
  readonly #budget: SharedBudget;
  readonly #unitBytes: number;
  readonly #stepUnits: number;
  readonly #isAlone: boolean;
  #grantedUnits = 0;

  constructor(limitBytes: number, cells?: Int32Array, own?: number) {
    this.limitBytes = limitBytes;
    this.#unitBytes = limitBytes <= COUNTED_IN_BYTES_MAX ? 1 : 1024;
    this.#budget = new SharedBudget(Math.floor(limitBytes / this.#unitBytes), cells, own);
    const { sharers, limit } = this.#budget;
    this.#isAlone = sharers === 1;
    // At most an eighth of the budget idles in steps, however many share it (`trim` keeps up to two each).
    this.#stepUnits = Math.max(
      1,
      Math.min(Math.floor(limit / (16 * sharers)), STEP_BYTES_MAX / this.#unitBytes),
    );
    if (this.#isAlone) {
      this.#budget.take(limit);
      this.#grantedUnits = limit;
    }
  }

  get grantedBytes(): number {
    return this.#isAlone ? this.limitBytes : this.#grantedUnits * this.#unitBytes;
  }
  /** What nobody has drawn. */
  get freeBytes(): number {
    return this.#isAlone ? 0 : this.#budget.free * this.#unitBytes;
  }
  get holdsAll(): boolean {
    return this.#grantedUnits === this.#budget.limit;
  }

  /** Draws what `bytes` needs, and a step more where there is one; false draws nothing. */
  ensure(bytes: number): boolean {
    const missing = Math.ceil(bytes / this.#unitBytes) - this.#grantedUnits;
    if (missing <= 0) return true;
    if (this.#isAlone) return false;
    return this.#draw(missing + this.#stepUnits) || this.#draw(missing);
  }

  /** Draws more: twice what it has, or a step, or whatever is left; false when nothing is. */
  grow(): boolean {
    if (this.#isAlone) return false;
    if (this.#draw(Math.max(this.#grantedUnits, this.#stepUnits)) || this.#draw(this.#stepUnits)) return true;
    const free = this.#budget.free;
    return free > 0 && this.#draw(free);
  }

  /** `usedBytes` is all that is needed now: gives back the rest, but for a step or two while it is not idle. */
  trim(usedBytes: number): void {
    if (this.#isAlone) return;
    const surplus = this.#grantedUnits - Math.ceil(usedBytes / this.#unitBytes);
    if (usedBytes === 0) this.#give(surplus);
    else if (surplus > 2 * this.#stepUnits) this.#give(surplus - this.#stepUnits);
  }

  /** Gives back all but `usedBytes`. */
  release(usedBytes: number): void {
    if (!this.#isAlone) this.#give(this.#grantedUnits - Math.ceil(usedBytes / this.#unitBytes));
  }

  #draw(units: number): boolean {
    if (!this.#budget.take(units)) return false;
    this.#grantedUnits += units;
    return true;
  }

  #give(units: number): void {
    if (units <= 0) return;
    this.#grantedUnits -= units;
    this.#budget.give(units);
  }
}
