/**
 * What one stream has in the books and what it holds of the receive budget.
 *
 * Invariant: each request that enters leaves once; what is reserved is given back at the latest by `close`.
 */
import type { Holder } from '../base/client.ts';
import type { Failed, Outcome, RefusalReason, Refused } from '../base/outcome.ts';
import { type SensorStreamShared, UNACKNOWLEDGED_COST_BYTES } from './stream-link.ts';

/** What time mends: the stream waits, and its client is slowed down by flow control instead of a refusal. */
const MENDED_BY_TIME: ReadonlySet<RefusalReason> = new Set(['rate_limited', 'quota', 'queue_full']);

export class StreamAccount {
  readonly #shared: SensorStreamShared;
  readonly #holder: Holder;
  #open = 0;
  #reservedBytes = 0;

  constructor(shared: SensorStreamShared, holder: Holder) {
    this.#shared = shared;
    this.#holder = holder;
  }

  enter(): void {
    this.#open++;
    this.#shared.ledger.requestReceived();
    this.#shared.streamRequests++;
  }

  acknowledged(): void {
    this.#leave(1);
    this.give(UNACKNOWLEDGED_COST_BYTES);
    this.#shared.ledger.requestOk();
  }

  /**
   * The stream is over. `cause`: of the request that ended it, if one is still open; all others that are open nobody is
   * left to acknowledge, for the reason `rest`.
   */
  close(cause: Refused | Failed | undefined, rest: Failed['reason']): void {
    const { ledger } = this.#shared;
    if (cause !== undefined && this.#open > 0) {
      this.#leave(1);
      if (cause.kind === 'refused') ledger.requestRefused(cause.reason);
      else ledger.requestFailed(cause.reason);
    }
    if (this.#open > 0) ledger.requestFailed(rest, this.#open);
    this.#leave(this.#open);
    this.give(this.#reservedBytes);
  }

  #leave(count: number): void {
    this.#open -= count;
    this.#shared.streamRequests -= count;
  }

  // --- of the receive budget --------------------------------------------------------------------------

  take(bytes: number): boolean {
    if (!this.#shared.budget.take(bytes, this.#holder)) return false;
    this.#reservedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#shared.budget.give(bytes, this.#holder);
    this.#reservedBytes -= bytes;
  }
}

export function isMendedByTime(outcome: Outcome): outcome is Refused {
  return outcome.kind === 'refused' && MENDED_BY_TIME.has(outcome.reason);
}
