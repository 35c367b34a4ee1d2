/**
 * The numbers of one producer: which are in the journal or on their way into it, and which are not.
 *
 * Invariants:
 * 1. Taken is every number below `next` that lies in no hole. Holes are sorted, disjoint and below `next`.
 * 2. A number becomes taken when its line is given to the writer, and is given back when that fails, so a line is
 *    never in the journal twice and never dropped for one that is not there.
 */
export interface NumberRange {
  readonly first: bigint;
  readonly last: bigint;
}

export class ProducerNumbers {
  #next: bigint;
  #holes: NumberRange[];

  constructor(next: bigint, holes: readonly NumberRange[] = []) {
    this.#next = next;
    this.#holes = [...holes];
  }

  /** One above the highest number taken. */
  get next(): bigint {
    return this.#next;
  }
  get holes(): readonly NumberRange[] {
    return this.#holes;
  }
  /** The lowest number that is not taken: what the producer has to go on with after a gap. */
  get expected(): bigint {
    return this.#holes[0]?.first ?? this.#next;
  }

  /** Of [first, last] what is not taken, in order. `first` is at most `next`. */
  missing(first: bigint, last: bigint): readonly NumberRange[] {
    const ranges: NumberRange[] = [];
    for (const hole of this.#holes) {
      if (hole.last < first) continue;
      if (hole.first > last) break;
      ranges.push({ first: max(hole.first, first), last: min(hole.last, last) });
    }
    if (last >= this.#next) ranges.push({ first: max(first, this.#next), last });
    return ranges;
  }

  /** A range that `missing` gave, or one ahead of `next`, which leaves a hole (a journal may have one). */
  take({ first, last }: NumberRange): void {
    if (first >= this.#next) {
      if (first > this.#next) this.#holes.push({ first: this.#next, last: first - 1n });
      this.#next = last + 1n;
      return;
    }
    const at = this.#holes.findIndex((hole) => hole.first <= first && hole.last >= last);
    if (at === -1) return;
    const hole = this.#holes[at]!;
    const rest: NumberRange[] = [];
    if (hole.first < first) rest.push({ first: hole.first, last: first - 1n });
    if (hole.last > last) rest.push({ first: last + 1n, last: hole.last });
    this.#holes.splice(at, 1, ...rest);
  }

  /** What was taken did not get into the journal. Nothing grows together with holes below `floor`. */
  giveBack(range: NumberRange, floor: bigint): void {
    let { first, last } = range;
    const holes: NumberRange[] = [];
    for (const hole of this.#holes) {
      if (hole.last < floor || hole.last + 1n < first || hole.first - 1n > last) holes.push(hole);
      else {
        first = min(first, hole.first);
        last = max(last, hole.last);
      }
    }
    if (last === this.#next - 1n) this.#next = first;
    else holes.push({ first, last });
    this.#holes = holes.sort((a, b) => (a.first < b.first ? -1 : 1));
  }

  /** Numbers below this one count as taken from now on. */
  close(below: bigint): void {
    this.#holes = this.#holes.flatMap(({ first, last }) =>
      last < below ? [] : [{ first: max(first, below), last }],
    );
  }

  copy(): ProducerNumbers {
    return new ProducerNumbers(this.#next, this.#holes);
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
