/** What can wait until this turn of the event loop is over: one timer for all, and what they write leaves together. */
export class TurnEnd<Item> {
  readonly #act: (item: Item) => void;
  #waiting: Item[] = [];

  constructor(act: (item: Item) => void) {
    this.#act = act;
  }

  add(item: Item): void {
    if (this.#waiting.push(item) === 1) setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const item of waiting) this.#act(item);
  };
}
