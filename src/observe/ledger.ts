/**
 * The books. Two equations must hold at every quiet moment, and the last log line of a drain shows both:
 *
 *   requests: received = ok + refused(reason) + failed(reason) + in flight
 *   readings: decoded  = written + deduplicated + refused(reason) + lost(reason) + in flight
 *
 * Invariant: each entry moves one count up and `in flight` down, so the books by themselves always balance.
 * What `in flight` should be is therefore counted where calls and batches are held, and whoever shows the
 * books holds the two against each other (`audit` in commands/serve/balance.ts): only so does a difference
 * show that a request was answered twice or forgotten.
 * Readings are counted once decoded: those of a malformed request never enter the books.
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

function zeroes<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

function sum(counts: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const key in counts) total += counts[key]!;
  return total;
}

export class Ledger {
  #requestsReceived = 0;
  #requestsOk = 0;
  readonly #requestsRefused = zeroes(REFUSAL_REASONS);
  readonly #requestsFailed = zeroes(FAILURE_REASONS);
  #requestsInFlight = 0;

  #readingsDecoded = 0;
  #readingsWritten = 0;
  #readingsDeduplicated = 0;
  readonly #readingsRefused = zeroes(REFUSAL_REASONS);
  readonly #readingsLost = zeroes(LOSS_REASONS);
  #readingsInFlight = 0;

  requestReceived(): void {
    this.#requestsReceived++;
    this.#requestsInFlight++;
  }
  requestOk(): void {
    this.#requestsOk++;
    this.#requestsInFlight--;
  }
  requestRefused(reason: RefusalReason): void {
    this.#requestsRefused[reason]++;
    this.#requestsInFlight--;
  }
  requestFailed(reason: FailureReason): void {
    this.#requestsFailed[reason]++;
    this.#requestsInFlight--;
  }

  readingsDecoded(count: number): void {
    this.#readingsDecoded += count;
    this.#readingsInFlight += count;
  }
  readingsWritten(count: number): void {
    this.#readingsWritten += count;
    this.#readingsInFlight -= count;
  }
  readingsDeduplicated(count: number): void {
    this.#readingsDeduplicated += count;
    this.#readingsInFlight -= count;
  }
  readingsRefused(reason: RefusalReason, count: number): void {
    this.#readingsRefused[reason] += count;
    this.#readingsInFlight -= count;
  }
  readingsLost(reason: LossReason, count: number): void {
    this.#readingsLost[reason] += count;
    this.#readingsInFlight -= count;
  }

  get requestsInFlight(): number {
    return this.#requestsInFlight;
  }
  get readingsInFlight(): number {
    return this.#readingsInFlight;
  }

  snapshot(): LedgerSnapshot {
    const requestsEnded = this.#requestsOk + sum(this.#requestsRefused) + sum(this.#requestsFailed);
    const readingsEnded =
      this.#readingsWritten +
      this.#readingsDeduplicated +
      sum(this.#readingsRefused) +
      sum(this.#readingsLost);
    return {
      requests: {
        received: this.#requestsReceived,
        ok: this.#requestsOk,
        refused: { ...this.#requestsRefused },
        failed: { ...this.#requestsFailed },
        inFlight: this.#requestsInFlight,
        difference: this.#requestsReceived - requestsEnded - this.#requestsInFlight,
      },
      readings: {
        decoded: this.#readingsDecoded,
        written: this.#readingsWritten,
        deduplicated: this.#readingsDeduplicated,
        refused: { ...this.#readingsRefused },
        lost: { ...this.#readingsLost },
        inFlight: this.#readingsInFlight,
        difference: this.#readingsDecoded - readingsEnded - this.#readingsInFlight,
      },
    };
  }
}
