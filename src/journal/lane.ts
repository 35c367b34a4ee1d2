/**
 * Work that runs at most once at a time and never misses a request: asked while it runs, it runs again.
 *
 * Invariant: after `ask()` the work begins at least once more, and nothing of it began before the ask.
 * `work` handles its own faults; a rejection is a fault of ours and ends the process as unhandled.
 */
export class Lane {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #isAsked = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  ask(): void {
    this.#isAsked = true;
    this.#running ??= this.#run();
  }

  /** Settles when the work at hand is done; undefined when there is none. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  async #run(): Promise<void> {
    await undefined; // so that `#running` is set before a pass that finds nothing to do can clear it
    while (this.#isAsked) {
      this.#isAsked = false;
      await this.#work();
    }
    this.#running = undefined;
  }
}
