/**
 * A line whose members know their neighbours: whoever stands in it may leave from anywhere without being looked for, and joining
 * makes nothing. Each member stands in one such line at most.
 */
export interface Linked<T> {
  before: T | undefined;
  behind: T | undefined;
}

export class LinkedLine<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;

  get first(): T | undefined {
    return this.#first;
  }

  /** At the end. */
  add(member: T): void {
    member.before = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.behind = member;
    this.#last = member;
  }

  /** It stands in this line. */
  remove(member: T): void {
    const { before, behind } = member;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    member.before = member.behind = undefined;
  }
}
