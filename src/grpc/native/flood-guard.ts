/**
 * Counts what is cheap for a client to send and dear for us to take, per connection and kind.
 *
 * A bucket of tokens per kind: each event takes one, time gives some back, and for kinds that honest
 * clients send in step with their calls (PING, WINDOW_UPDATE) so does every call that was answered.
 */
import type { FloodLimit } from './limits.ts';
import * as limits from './limits.ts';
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

/** One of each kind for a connection. */
export class ConnectionFloods {
  readonly reset = new FloodGuard('RST_STREAM frames', limits.RESET_FLOOD);
  readonly fault = new FloodGuard('faulty streams', limits.FAULT_FLOOD);
  readonly ping = new FloodGuard('PING frames', limits.PING_FLOOD);
  readonly settings = new FloodGuard('SETTINGS frames', limits.SETTINGS_FLOOD);
  readonly emptyData = new FloodGuard('empty DATA frames', limits.EMPTY_DATA_FLOOD);
  readonly windowUpdate = new FloodGuard('WINDOW_UPDATE frames', limits.WINDOW_UPDATE_FLOOD);
  readonly idle = new FloodGuard('frames without effect', limits.IDLE_FRAME_FLOOD);

  refill(elapsedMs: number): void {
    this.reset.refill(elapsedMs);
    this.fault.refill(elapsedMs);
    this.ping.refill(elapsedMs);
    this.settings.refill(elapsedMs);
    this.emptyData.refill(elapsedMs);
    this.windowUpdate.refill(elapsedMs);
    this.idle.refill(elapsedMs);
  }
}
