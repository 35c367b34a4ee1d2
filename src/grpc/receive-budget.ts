/**
 * The one budget of memory for requests that arrive or wait for their answer, over all connections
 * of all threads. Without it connections x streams x MAX_REQUEST_BYTES would be the bound, which no machine has.
 *
 * Invariant: 0 <= used <= limit; what was taken is given back exactly once, by the call that took it.
 * Bytes are taken when they have arrived, not when they are announced: an announcement costs a client
 * nothing and could starve the others.
 */
import { invariant } from '../base/assert.ts';
import { ByteAllowance } from '../base/shared-budget.ts';

/**
 * What an open call costs before its first byte: some 8 KiB of stream, timer and objects (measured, see
 * docs/decisions/0052), and a header list of 8 KiB that exists twice. It also bounds how many calls can be open.
 */
export const CALL_COST_BYTES = 24 * 1024;

/**
 * What a connection costs beside its calls: 10 KiB measured idle with native and 21 with grpc-js, which under load also keeps
 * nghttp2's session and node:http2's stream objects: 90 measured with 5,000 connections that are all refused most of the time.
 */
export const CONNECTION_COST_BYTES = { native: 24 * 1024, 'grpc-js': 96 * 1024 } as const;

export class ReceiveBudget {
  readonly limitBytes: number;
  readonly #allowance: ByteAllowance;
  #usedBytes = 0;

  /** With an allowance the limit is one for several servers, each in its thread. */
  constructor(limitBytes: number, allowance = new ByteAllowance(limitBytes)) {
    this.limitBytes = limitBytes;
    this.#allowance = allowance;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** False takes nothing. */
  take(bytes: number): boolean {
    const usedBytes = this.#usedBytes + bytes;
    if (usedBytes > this.#allowance.grantedBytes && !this.#allowance.ensure(usedBytes)) return false;
    this.#usedBytes = usedBytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    invariant(this.#usedBytes >= 0, 'the receive budget was given back more than was taken');
    this.#allowance.trim(this.#usedBytes);
  }
}
