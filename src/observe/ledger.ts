/**
 * The books. Two equations must hold at every quiet moment, and the last log line of a drain shows both:
 *
 *   requests: received = ok + refused(reason) + failed(reason) + in flight
 *   readings: decoded  = written + deduplicated + refused(reason) + lost(reason) + in flight
 *
 * Each ingest thread keeps its own, in cells that the main thread reads and sums; the thread's death leaves
 * them as they were, and the main thread then closes them.
 *
 * Invariants:
 * 1. Each entry moves one count up and `in flight` down, so the books by themselves always balance. What
 *    `in flight` should be is counted where calls and batches are held, and whoever shows the books holds the
 *    two against each other (`audit` in commands/serve/balance.ts).
 * 2. Readings are counted once decoded: those of a malformed request never enter the books.
 * 3. One thread writes the cells. A method changes all cells that belong together without a call or a loop
 *    in between, which is where a thread can be ended: no death leaves half an entry.
 */
import type { FailureReason, LossReason, RefusalReason } from '../base/outcome.ts';
import { FAILURE_REASONS, LOSS_REASONS, REFUSAL_REASONS } from '../base/outcome.ts';

export interface LedgerSnapshot {
  readonly requests: {
    readonly received: number;
    readonly ok: number;
    readonly refused: Readonly<Record<RefusalReason, number>>;
    readonly failed: Readonly<Record<FailureReason, number>>;
    readonly inFlight: number;
    /** received - (ok + refused + failed + inFlight); anything but 0 is a fault of ours. */
    readonly difference: number;
  };
  readonly readings: {
    readonly decoded: number;
    readonly written: number;
    readonly deduplicated: number;
    readonly refused: Readonly<Record<RefusalReason, number>>;
    readonly lost: Readonly<Record<LossReason, number>>;
    readonly inFlight: number;
    readonly difference: number;
  };
}

const REQUESTS_RECEIVED = 0;
const REQUESTS_OK = 1;
const REQUESTS_IN_FLIGHT = 2;
const READINGS_DECODED = 3;
const READINGS_WRITTEN = 4;
const READINGS_DEDUPLICATED = 5;
const READINGS_IN_FLIGHT = 6;
const REQUESTS_REFUSED = cellsFrom(7, REFUSAL_REASONS);
const REQUESTS_FAILED = cellsFrom(7 + REFUSAL_REASONS.length, FAILURE_REASONS);
const READINGS_REFUSED = cellsFrom(7 + REFUSAL_REASONS.length + FAILURE_REASONS.length, REFUSAL_REASONS);
const READINGS_LOST = cellsFrom(7 + 2 * REFUSAL_REASONS.length + FAILURE_REASONS.length, LOSS_REASONS);
export const LEDGER_CELLS = 7 + 2 * REFUSAL_REASONS.length + FAILURE_REASONS.length + LOSS_REASONS.length;

/** A reading in the midst of an entry of another thread shows a difference that the next reading does not. */
const READ_ATTEMPTS = 200;

/** The cell of each reason, one after the other. */
function cellsFrom<K extends string>(first: number, reasons: readonly K[]): Readonly<Record<K, number>> {
  return Object.fromEntries(reasons.map((reason, i) => [reason, first + i])) as Record<K, number>;
}

/** What became of the lines that a thread sent to the writer. */
export interface LinesByOutcome {
  readonly written: number;
  readonly deduplicated: number;
  readonly refused: number;
  readonly failed: number;
}

export class Ledger {
  #cells: Float64Array;

  /** In a SharedArrayBuffer, where another thread is to read along. */
  constructor(cells: Float64Array = new Float64Array(LEDGER_CELLS)) {
    this.#cells = cells;
  }

  requestReceived(): void {
    this.#cells[REQUESTS_RECEIVED]!++;
    this.#cells[REQUESTS_IN_FLIGHT]!++;
  }
  requestOk(): void {
    this.#cells[REQUESTS_OK]!++;
    this.#cells[REQUESTS_IN_FLIGHT]!--;
  }
  requestRefused(reason: RefusalReason): void {
    this.#cells[REQUESTS_REFUSED[reason]]!++;
    this.#cells[REQUESTS_IN_FLIGHT]!--;
  }
  requestFailed(reason: FailureReason, count = 1): void {
    this.#cells[REQUESTS_FAILED[reason]]! += count;
    this.#cells[REQUESTS_IN_FLIGHT]! -= count;
  }

  readingsDecoded(count: number): void {
    this.#cells[READINGS_DECODED]! += count;
    this.#cells[READINGS_IN_FLIGHT]! += count;
  }
  readingsWritten(count: number): void {
    this.#cells[READINGS_WRITTEN]! += count;
    this.#cells[READINGS_IN_FLIGHT]! -= count;
  }
  readingsDeduplicated(count: number): void {
    this.#cells[READINGS_DEDUPLICATED]! += count;
    this.#cells[READINGS_IN_FLIGHT]! -= count;
  }
  readingsRefused(reason: RefusalReason, count: number): void {
    this.#cells[READINGS_REFUSED[reason]]! += count;
    this.#cells[READINGS_IN_FLIGHT]! -= count;
  }
  readingsLost(reason: LossReason, count: number): void {
    this.#cells[READINGS_LOST[reason]]! += count;
    this.#cells[READINGS_IN_FLIGHT]! -= count;
  }

  get requestsReceived(): number {
    return this.#cells[REQUESTS_RECEIVED]!;
  }
  get requestsInFlight(): number {
    return this.#cells[REQUESTS_IN_FLIGHT]!;
  }
  get readingsInFlight(): number {
    return this.#cells[READINGS_IN_FLIGHT]!;
  }

  /**
   * The thread that kept these books is gone. The writer says what it really wrote and failed to write of
   * what came from it (nothing, if it is gone too); whatever else was under way is lost with the thread.
   */
  closeAfterDeath(lines?: LinesByOutcome): void {
    if (lines !== undefined) {
      this.readingsWritten(lines.written - this.#cells[READINGS_WRITTEN]!);
      this.readingsDeduplicated(lines.deduplicated - this.#cells[READINGS_DEDUPLICATED]!);
      const gap = READINGS_REFUSED.sequence_gap;
      this.readingsRefused('sequence_gap', lines.refused - this.#cells[gap]!);
      this.readingsLost('disk', lines.failed - this.#cells[READINGS_LOST.disk]!);
    }
    this.readingsLost('thread_death', this.readingsInFlight);
    this.requestFailed('thread_death', this.requestsInFlight);
  }

  snapshot(): LedgerSnapshot {
    return snapshotOf(this.#read());
  }

  /** As they are now, for whoever goes on with them where their thread cannot. */
  copy(): Ledger {
    return new Ledger(new Float64Array(this.#read()));
  }

  /** Whatever is still entered here stays between us: the cells given are left as they are. */
  detach(): void {
    this.#cells = this.#cells.slice();
  }

  /** Adds another's closed books to these. */
  absorb(other: Ledger): void {
    const cells = other.#read();
    for (let i = 0; i < LEDGER_CELLS; i++) this.#cells[i]! += cells[i]!;
  }

  #read(): Float64Array {
    let cells = this.#cells.slice();
    for (let attempt = 1; attempt < READ_ATTEMPTS && !isBalanced(cells); attempt++)
      cells = this.#cells.slice();
    return cells;
  }
}

/** All books as one. */
export function sumLedgers(ledgers: readonly Ledger[]): LedgerSnapshot {
  const total = new Ledger();
  for (const ledger of ledgers) total.absorb(ledger);
  return total.snapshot();
}

function requestsDifference(cells: Float64Array): number {
  const ended = cells[REQUESTS_OK]! + sumOf(cells, REQUESTS_REFUSED) + sumOf(cells, REQUESTS_FAILED);
  return cells[REQUESTS_RECEIVED]! - ended - cells[REQUESTS_IN_FLIGHT]!;
}

function readingsDifference(cells: Float64Array): number {
  const ended =
    cells[READINGS_WRITTEN]! +
    cells[READINGS_DEDUPLICATED]! +
    sumOf(cells, READINGS_REFUSED) +
    sumOf(cells, READINGS_LOST);
  return cells[READINGS_DECODED]! - ended - cells[READINGS_IN_FLIGHT]!;
}

function isBalanced(cells: Float64Array): boolean {
  return requestsDifference(cells) === 0 && readingsDifference(cells) === 0;
}

function snapshotOf(cells: Float64Array): LedgerSnapshot {
  return {
    requests: {
      received: cells[REQUESTS_RECEIVED]!,
      ok: cells[REQUESTS_OK]!,
      refused: countsOf(cells, REQUESTS_REFUSED),
      failed: countsOf(cells, REQUESTS_FAILED),
      inFlight: cells[REQUESTS_IN_FLIGHT]!,
      difference: requestsDifference(cells),
    },
    readings: {
      decoded: cells[READINGS_DECODED]!,
      written: cells[READINGS_WRITTEN]!,
      deduplicated: cells[READINGS_DEDUPLICATED]!,
      refused: countsOf(cells, READINGS_REFUSED),
      lost: countsOf(cells, READINGS_LOST),
      inFlight: cells[READINGS_IN_FLIGHT]!,
      difference: readingsDifference(cells),
    },
  };
}

function sumOf(cells: Float64Array, places: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const reason in places) total += cells[places[reason]!]!;
  return total;
}

function countsOf<K extends string>(
  cells: Float64Array,
  places: Readonly<Record<K, number>>,
): Record<K, number> {
  return Object.fromEntries(
    Object.entries<number>(places).map(([reason, place]) => [reason, cells[place]!]),
  ) as Record<K, number>;
}
