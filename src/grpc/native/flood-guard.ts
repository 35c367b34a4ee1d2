/**
 * Counts what is cheap for a client to send and dear for us to take, per connection and kind.
 *
 * A bucket of tokens per kind: each event takes one, time gives some back, and for kinds that honest
 * clients send in step with their calls (PING, WINDOW_UPDATE) so does every call that was answered.
 */
import type { FloodLimit } from './limits.ts';
import { ConnectionFault, ERROR_CODE } from './protocol.ts';

export class FloodGuard {
  readonly #name: string;
  readonly #limit: FloodLimit;
  #tokens: number;

  constructor(name: string, limit: FloodLimit) {
    this.#name = name;
    this.#limit = limit;
    this.#tokens = limit.burst;
  }

  /** Throws when the client went too far. */
  take(): void {
    if (--this.#tokens < 0) throw new ConnectionFault(ERROR_CODE.ENHANCE_YOUR_CALM, `too many ${this.#name}`);
  }

  give(tokens: number): void {
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + tokens);
  }

  refill(elapsedMs: number): void {
    if (this.#tokens < this.#limit.burst) this.give((this.#limit.perSecond * elapsedMs) / 1000);
  }
}
