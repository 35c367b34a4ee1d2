/**
 * One SendSensorValues call: the raw lane, from DATA frames to our handler and from its outcome to the wire.
 *
 *   receiving ──message, END_STREAM──▶ handling ──respond──▶ ended
 *       │                                 │
 *       └── size, framing, compression, deadline, stall, budget, drain, client gone ──▶ ended
 *
 * Invariants:
 * 1. `requestReceived` of the ledger is counted in `begin`, exactly one ending in `#end`.
 * 2. Nothing is sent after the ending.
 * 3. `#heldBytes` is what this call took from the budget; `#end` gives it back.
 *
 * Objects are not pooled: a handler keeps `respond`, and one that used it twice would answer a stranger's call.
 */
import type { BufferPool } from '../../base/buffer-pool.ts';
import { Client } from '../../base/client.ts';
import type { Clock } from '../../base/clock.ts';
import { type Failed, failed, type Outcome, type Refused } from '../../base/outcome.ts';
import type { Ledger } from '../../observe/ledger.ts';
import type { StatusThrown } from '../inflate.ts';
import { budgetUsedUp, draining, drainRanOut, tooLarge } from '../own-endings.ts';
import { CALL_COST_BYTES, type ReceiveBudget } from '../receive-budget.ts';
import type { CallContext, SendSensorValuesHandler } from '../server.ts';
import { GRPC_STATUS, statusTrailers } from '../status.ts';
import type { DeadlineEntry, Deadlines } from './deadlines.ts';
import type { RequestHead } from './request-head.ts';
import { type MessageHost, PREFIX_BYTES, RequestMessage } from './request-message.ts';
import { statusFields } from './status-fields.ts';
import type { CloseReason, Http2Stream, StreamConsumer } from './stream.ts';

/** Timers take 31 bits; a deadline in more than 24 days is none. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** What all calls of one server share. */
export interface SensorCallShared {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly budget: ReceiveBudget;
  readonly memory: BufferPool;
  readonly handler: SendSensorValuesHandler;
  readonly inflate: (framedMessage: Buffer, encoding: string) => Buffer;
  readonly maxRequestBytes: number;
  readonly onHandlerFault: (error: unknown) => void;
  readonly onEnded: () => void;
  openCalls: number;
  stopping: boolean;
  requestBytes: number;
}

export class SensorCall implements StreamConsumer, CallContext, MessageHost, DeadlineEntry {
  readonly deadlineMs: number | undefined;
  cancelled = false;
  dueTick = 0;
  position = -1;
  onCancelled: (() => void) | undefined = undefined;

  readonly #stream: Http2Stream;
  readonly #head: RequestHead;
  readonly #shared: SensorCallShared;
  #client: Client | undefined;
  /** The request, where it came whole with END_STREAM: nearly always. */
  #whole: Buffer | undefined;
  /** Where it did not. */
  #message: RequestMessage | undefined;
  #inflated: Buffer | undefined;
  #heldBytes = 0;
  #grownBytes = 0;
  #ended = false;

  constructor(stream: Http2Stream, head: RequestHead, shared: SensorCallShared) {
    this.#stream = stream;
    this.#head = head;
    this.#shared = shared;
    this.deadlineMs = head.timeoutMs < MAX_TIMER_MS ? shared.clock.nowMs() + head.timeoutMs : undefined;
  }

  /** Known from `begin` on, which comes before any handler. */
  get client(): Client {
    return this.#client!;
  }

  get peer(): string {
    return this.#stream.host.peer;
  }

  begin(): void {
    const shared = this.#shared;
    shared.ledger.requestReceived();
    shared.openCalls++;
    if (shared.stopping) {
      this.#end(draining());
      return;
    }
    const client = this.#stream.host.caller.identify(this.#head.authorization);
    if (!(client instanceof Client)) {
      this.#end(client);
      return;
    }
    this.#client = client;
    if (!this.reserve(CALL_COST_BYTES)) return;
    const { timeoutMs } = this.#head;
    if (timeoutMs === Number.POSITIVE_INFINITY) return;
    if (Number.isNaN(timeoutMs)) {
      this.#end(failed('protocol', 'grpc-timeout is not a timeout'));
    } else if (timeoutMs < MAX_TIMER_MS) {
      shared.deadlines.add(this, timeoutMs);
    }
  }

  // --- the request ------------------------------------------------------------------------------------

  onData(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    this.#shared.requestBytes += end - start;
    if (this.#ended) return;
    if (isLast && this.#message === undefined && isWholeMessage(bytes, start, end)) {
      if (end - start - PREFIX_BYTES > this.#shared.maxRequestBytes) this.onTooLarge();
      // A view: `onEnd` follows before the bytes are anybody else's.
      else if (this.reserve(end - start)) this.#whole = bytes.subarray(start + PREFIX_BYTES, end);
      return;
    }
    this.#message ??= new RequestMessage(this, this.#shared.maxRequestBytes, this.#shared.memory);
    this.#message.add(bytes, start, end);
  }

  reserve(bytes: number): boolean {
    const { budget } = this.#shared;
    if (budget.take(bytes, this.client.holder)) {
      this.#heldBytes += bytes;
      return true;
    }
    this.#end(budgetUsedUp(budget.limitBytes));
    return false;
  }

  grant(bytes: number): void {
    this.#stream.grant(bytes);
  }

  onTooLarge(): void {
    this.#end(tooLarge(this.#shared.maxRequestBytes));
  }

  onSecond(): void {
    this.#end(failed('protocol', 'a unary call takes one message, two came'), GRPC_STATUS.UNIMPLEMENTED);
  }

  onEnd(): void {
    if (this.#ended) return;
    const whole = this.#whole;
    if (whole !== undefined) {
      // The call keeps no reference: a view on the chunk must not outlive it.
      this.#whole = undefined;
      this.#handle(whole);
      return;
    }
    const message = this.#message;
    this.#message = undefined;
    if (message === undefined || message.isEmpty) {
      this.#end(failed('protocol', 'a unary call takes one message, none came'), GRPC_STATUS.UNIMPLEMENTED);
    } else if (!message.isWhole) {
      this.#end(failed('protocol', 'the request message is cut off'));
    } else {
      this.#handle(this.#inflated ?? message.framed.subarray(PREFIX_BYTES));
    }
    message?.release();
  }

  onFlagged(framed: Buffer): boolean {
    try {
      this.#inflated = this.#shared.inflate(framed, this.#head.encoding);
      // The budget holds what came over the wire; the rest is what it grew by.
      const grownBytes = this.#inflated.length + PREFIX_BYTES - framed.length;
      // Packed bytes count as what they unpack to, which is what they will cost; or nothing, where that is nothing.
      this.#grownBytes = grownBytes;
      this.#stream.host.caller.grownBytes += grownBytes;
      return grownBytes <= 0 || this.reserve(grownBytes);
    } catch (error) {
      const { code, details } = error as StatusThrown;
      if (typeof code !== 'number') throw error;
      if (code === GRPC_STATUS.RESOURCE_EXHAUSTED) this.onTooLarge();
      else this.#end(failed('protocol', details), code);
      return false;
    }
  }

  #handle(request: Buffer): void {
    try {
      this.#shared.handler(request, this, this.#respond);
    } catch (error) {
      if (!this.#ended) this.#end(failed('internal', 'a fault of the server'));
      this.#shared.onHandlerFault(error);
    }
  }

  // --- the ending -------------------------------------------------------------------------------------

  readonly #respond = (outcome: Outcome): void => {
    if (!this.#ended) this.#end(outcome);
  };

  onDeadline(): void {
    if (!this.#ended) this.#abandon(failed('deadline', 'the deadline passed before the request was done'));
  }

  onClosed(reason: CloseReason): void {
    if (this.#ended) return;
    this.#abandon(
      reason === 'cancelled'
        ? failed('cancelled', 'the client went away')
        : failed('protocol', 'the client broke the rules of HTTP/2'),
    );
  }

  onStalled(): void {
    if (!this.#ended) this.#abandon(failed('deadline', 'nothing more of the request came for too long'));
  }

  onDrained(): void {}

  /** The drain ran out: the call fails, and is told so if the client still listens. */
  failForDrain(): void {
    if (this.#ended) return;
    this.#abandon(drainRanOut());
  }

  /** Ends the call without its handler, which is told. */
  #abandon(outcome: Failed): void {
    this.cancelled = true;
    this.#end(outcome);
    const { onCancelled } = this;
    this.onCancelled = undefined;
    onCancelled?.();
  }

  #end(outcome: Outcome, code?: number): void {
    this.#ended = true;
    this.#message?.release();
    this.#message = undefined;
    this.#whole = undefined;
    this.#inflated = undefined;
    this.#shared.deadlines.remove(this);
    const stream = this.#stream;
    const { ledger, budget } = this.#shared;
    const connected = !stream.isClosed;
    // An answer that cannot be delivered is a cancelled call, whatever the handler said.
    if (!connected && outcome.kind === 'ok') ledger.requestFailed('cancelled');
    else if (outcome.kind === 'ok') ledger.requestOk();
    else if (outcome.kind === 'refused') ledger.requestRefused(outcome.reason);
    else ledger.requestFailed(outcome.reason);
    if (outcome.kind === 'ok') stream.host.caller.fineCalls++;
    if (this.#client !== undefined) budget.give(this.#heldBytes, this.#client.holder);
    this.#shared.openCalls--;
    if (connected) {
      if (outcome.kind === 'ok') stream.answerEmpty();
      else this.#answer(outcome, code);
    }
    this.#shared.onEnded();
  }

  #answer(outcome: Refused | Failed, code: number | undefined): void {
    this.#stream.host.caller.onRefused(outcome, this.#grownBytes);
    this.#stream.sendTrailers(statusFields(statusTrailers(outcome, code)));
  }
}

/** One message with flag 0 and nothing else. */
function isWholeMessage(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start >= PREFIX_BYTES &&
    bytes[start] === 0 &&
    bytes.readUInt32BE(start + 1) === end - start - PREFIX_BYTES
  );
}
