/**
 * The open streams of a connection by their id. A Map would do, but for the garbage: it moves to a new table every few
 * hundred calls, each old table keeps the next one alive until the old generation is collected, and with them all
 * streams they held (docs/decisions/0124).
 *
 * Open addressing with linear probing: ids of a client count up by two, so id / 2 spreads without a hash, and streams
 * that are open together mostly lie side by side.
 *
 * Invariants:
 * 1. The number of slots is a power of two, and at least half of them are empty.
 * 2. Between a stream's home slot, (id >> 1) & mask, and the slot it lies in, no slot is empty.
 * 3. `trim` makes an empty table as small as at first: an idle connection holds nothing on behalf of a busy hour.
 */

/** What lies here. */
export interface Identified {
  readonly id: number;
}

const FIRST_SLOTS = 8;

export class StreamTable<Stream extends Identified> {
  #slots: (Stream | undefined)[] = emptySlots(FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (id >> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** No stream of that id is here yet. */
  add(stream: Stream): void {
    if (2 * (this.#size + 1) > this.#slots.length) this.#resize(2 * this.#slots.length);
    this.#place(stream);
    this.#size++;
  }

  /** Nothing happens when there is none of that id. */
  delete(id: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = (id >> 1) & mask;
    for (; ; gap = (gap + 1) & mask) {
      const stream = slots[gap];
      if (stream === undefined) return;
      if (stream.id === id) break;
    }
    this.#size--;
    // Whoever stands behind the gap, and may stand in it, moves up.
    for (let at = (gap + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) break;
      const home = (stream.id >> 1) & mask;
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        slots[gap] = stream;
        gap = at;
      }
    }
    slots[gap] = undefined;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(FIRST_SLOTS, []);
  }

  /** Now and then: not with the last stream, or a table that empties with every batch of answers would grow anew each time. */
  trim(): void {
    if (this.#size === 0 && this.#slots.length > FIRST_SLOTS) this.clear();
  }

  /** As they are now, whatever becomes of the table meanwhile; in no order. */
  all(): readonly Stream[] {
    return this.#size === 0 ? [] : this.#slots.filter((stream) => stream !== undefined);
  }

  #resize(slots: number, streams = this.#slots): void {
    this.#slots = emptySlots(slots);
    this.#mask = slots - 1;
    for (const stream of streams) if (stream !== undefined) this.#place(stream);
  }

  #place(stream: Stream): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let at = (stream.id >> 1) & mask;
    while (slots[at] !== undefined) at = (at + 1) & mask;
    slots[at] = stream;
  }
}

function emptySlots<Stream>(slots: number): (Stream | undefined)[] {
  return new Array<Stream | undefined>(slots).fill(undefined);
}
