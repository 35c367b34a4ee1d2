/**
 * One StreamSensorValues call, whatever carries it: cuts the bytes of the client into messages, hands each to the handler
 * of unary requests, acknowledges in order. Every transport gives it a StreamLink and tells it what arrives.
 *
 *   reading ──message──▶ handler ──taken──▶ reading             ──END_STREAM, all acknowledged──▶ ended OK
 *      ▲                   │ no room, no rate, too many unacknowledged
 *      └── room, time ── held: nothing more is read, no window given back
 *   reading, held ──refusal that no waiting mends, drain──▶ closing ──all before it acknowledged──▶ ended with its status
 *   any ──client gone, deadline──▶ ended
 *
 * Invariants:
 * 1. Each message enters the books once, when it is whole and first offered, and leaves them once; a stream as such is
 *    in no books. `shared.openCalls` counts the messages that are in them, `shared.openStreams` the streams.
 * 2. Messages are offered one after the other, in order: none before the one before it was taken.
 * 3. `#acknowledgements.requests` only grows, by one, in order; the client hears of it before it hears of an ending.
 * 4. What has arrived and is not taken is at most the stream's window and one message. It is taken from the receive budget,
 *    and so is what each request costs that is not acknowledged.
 */
import { Client } from '../base/client.ts';
import type { Timer } from '../base/clock.ts';
import { type Failed, failed, NEVER_RETRY, type Outcome, type Refused } from '../base/outcome.ts';
import { ArrivedBytes } from './arrived-bytes.ts';
import type { StatusThrown } from './inflate.ts';
import { budgetUsedUp, drainRanOut, leaving, tooLarge } from './own-endings.ts';
import { CALL_COST_BYTES } from './receive-budget.ts';
import type { CallContext } from './server.ts';
import { GRPC_STATUS } from './status.ts';
import { isMendedByTime, StreamAccount } from './stream-account.ts';
import { StreamAcknowledgements } from './stream-acknowledgement.ts';
import {
  MAX_STREAM_UNACKNOWLEDGED,
  MAX_STREAM_UNDER_WAY_BYTES,
  PREFIX_BYTES,
  type SensorStreamShared,
  type StreamLink,
  type StreamOpening,
  UNACKNOWLEDGED_COST_BYTES,
} from './stream-link.ts';

export class SensorStream implements CallContext {
  client: Client;
  readonly deadlineMs: number | undefined;
  isRepeat = false;
  isHeldBack = false;
  cancelled = false;
  /** Framed, of the requests whose outcome is not known yet. */
  underWayBytes = 0;
  onCancelled: (() => void) | undefined = undefined;

  readonly #link: StreamLink;
  readonly #shared: SensorStreamShared;
  readonly #encoding: string;
  readonly #identify: () => Client | Refused;
  readonly #account: StreamAccount;
  readonly #held: ArrivedBytes;
  /** Requests taken; the number of the next one. */
  #taken = 0;
  readonly #acknowledgements: StreamAcknowledgements;
  /** Acknowledged before an earlier one. */
  readonly #early = new Set<number>();
  /** The next request is in the books, but not taken. */
  #isOffered = false;
  /** And has its outcome: OK. Nearly always, with ACK=accepted. */
  #isAnswered = false;
  #isHeld = false;
  #isHalfClosed = false;
  /** Takes no more requests. */
  #isClosing = false;
  /** Why, and the request whose fault it is. */
  #ending: Refused | Failed | undefined;
  #endingCode: number | undefined;
  #endingAt = Number.POSITIVE_INFINITY;
  #retry: Timer | undefined;
  #isGoingOn = false;
  #isEnded = false;

  constructor(link: StreamLink, shared: SensorStreamShared, call: StreamOpening) {
    this.#link = link;
    this.#shared = shared;
    this.client = call.client;
    this.#identify = call.identify;
    this.deadlineMs = call.deadlineMs;
    this.#encoding = call.encoding;
    this.#account = new StreamAccount(shared, call.client.holder);
    this.#acknowledgements = new StreamAcknowledgements(link, shared.turnEnd, () => this.#settle());
    this.#held = new ArrivedBytes(this.#account, shared.maxRequestBytes);
    shared.openStreams++;
  }

  get peer(): string {
    return this.#link.peer;
  }
  /** A message has begun and is not whole. */
  get isWithinMessage(): boolean {
    return !this.#isHeld && !this.#held.isEmpty;
  }

  /** Before any byte. */
  begin(): void {
    if (!this.#account.take(CALL_COST_BYTES)) this.#close(budgetUsedUp(this.#shared.budget.limitBytes));
  }

  // --- what arrives -----------------------------------------------------------------------------------

  /** The bytes are the caller's again when this returns. */
  onBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#isClosing) return;
    let at = start;
    while (!this.#held.isEmpty && !this.#isHeld && !this.#isClosing && at < end) {
      const missing = this.#held.missingBytes;
      const count = Math.min(missing, end - at);
      this.#hold(bytes, at, at + count);
      at += count;
      if (count === missing) this.#takeHeld();
    }
    if (this.#isClosing) return;
    if (!this.#isHeld) at = this.#take(bytes, at, end);
    if (at < end && !this.#isClosing) this.#hold(bytes, at, end);
  }

  onHalfClose(): void {
    this.#isHalfClosed = true;
    if (!this.#isHeld) this.#settle();
  }

  /** Something leaves for the client, so that this costs no write. */
  acknowledgeDue(): void {
    this.#acknowledgements.tellDue();
  }

  onAcknowledgementLeft(): void {
    if (!this.#isEnded) this.#acknowledgements.onLeft();
  }

  /** The client or the connection is gone, or reset the stream. */
  onGone(reason: 'cancelled' | 'protocol'): void {
    this.#end(failed(reason, 'the client went away'), undefined, false);
  }

  onDeadline(): void {
    this.#end(failed('deadline', 'the deadline passed before the stream was done'), undefined, true);
  }

  /** The transport found a fault that concerns the whole call. */
  onFault(outcome: Failed, code: number): void {
    this.#end(outcome, code, true);
  }

  /** The drain ran out. */
  failForDrain(): void {
    this.#end(drainRanOut(), undefined, true);
  }

  /** Takes nothing more, acknowledges what it took, then ends. */
  leave(isStopping: boolean): void {
    if (!this.#isClosing) this.#close(leaving(isStopping));
  }

  // --- messages ---------------------------------------------------------------------------------------

  /** Takes whole messages; returns where the first one begins that is not whole or not taken. */
  #take(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= PREFIX_BYTES && !this.#isClosing && !this.#isHeld) {
      const next = at + PREFIX_BYTES + bytes.readUInt32BE(at + 1);
      if (next - at - PREFIX_BYTES > this.#shared.maxRequestBytes)
        this.#fault(tooLarge(this.#shared.maxRequestBytes));
      else if (next > end || !this.#offer(bytes, at, next)) break;
      else at = next;
    }
    return at;
  }

  #takeHeld(): void {
    const held = this.#held;
    const at = this.#take(held.bytes, held.from, held.to);
    if (this.#isClosing) return;
    held.from = at;
    if (held.isEmpty) held.drop();
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    if (!this.#held.add(bytes, start, end)) this.#close(budgetUsedUp(this.#shared.budget.limitBytes));
  }

  /** True when the handler took it. Else it stays where it is: the stream is held, or closes. */
  #offer(bytes: Buffer, start: number, end: number): boolean {
    const unacknowledged = this.#taken - this.#acknowledgements.requests;
    if (unacknowledged >= MAX_STREAM_UNACKNOWLEDGED || this.underWayBytes >= MAX_STREAM_UNDER_WAY_BYTES) {
      this.#holdOn();
      return false;
    }
    if (!this.#isOffered && !this.#mayOffer(unacknowledged)) return false;
    const content = this.#contentOf(bytes, start, end);
    if (content === undefined) return false;
    this.isRepeat = this.#isOffered;
    if (!this.#isOffered) this.#account.enter();
    this.#isOffered = true;
    const number = this.#taken;
    const underWayBytes = end - start;
    this.underWayBytes += underWayBytes;
    try {
      this.#shared.handler(content, this, (outcome) => {
        this.underWayBytes -= underWayBytes;
        this.#onOutcome(number, outcome);
      });
    } catch (error) {
      this.#fault(failed('internal', 'a fault of the server'));
      this.#shared.onHandlerFault(error);
    }
    if (this.#isClosing) return false;
    // It waits for queue room (and has told how to be withdrawn), or for time to pass.
    if (this.#isWaiting) {
      this.#holdOn();
      return false;
    }
    this.#onOffered();
    return true;
  }

  /** Reserves what it costs until it is acknowledged, and asks again who sends where that may have changed. */
  #mayOffer(unacknowledged: number): boolean {
    if (!this.#account.take(UNACKNOWLEDGED_COST_BYTES)) {
      if (unacknowledged > 0) this.#holdOn();
      else this.#close(budgetUsedUp(this.#shared.budget.limitBytes));
      return false;
    }
    if (!this.client.isForgotten) return true;
    const client = this.#identify();
    if (client instanceof Client) this.client = client;
    else this.#fault(client);
    return !this.#isClosing;
  }

  #contentOf(bytes: Buffer, start: number, end: number): Buffer | undefined {
    if (bytes[start] === 0) return bytes.subarray(start + PREFIX_BYTES, end);
    try {
      const content = this.#shared.inflate(bytes.subarray(start, end), this.#encoding) as Buffer;
      this.#link.onInflated?.(content.length - (end - start));
      return content;
    } catch (error) {
      const { code, details } = error as StatusThrown;
      if (typeof code !== 'number') throw error;
      if (code === GRPC_STATUS.RESOURCE_EXHAUSTED) this.#fault(tooLarge(this.#shared.maxRequestBytes));
      else this.#fault(failed('protocol', details), code);
      return undefined;
    }
  }

  // --- held and let go --------------------------------------------------------------------------------

  #holdOn(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#link.pause();
  }

  /** The request that waited for queue room has got it. */
  readonly onTaken = (): void => {
    this.onCancelled = undefined;
    if (this.#isClosing) return;
    this.#held.from += this.#held.firstMessageBytes;
    this.#onOffered();
    this.#goOnSoon();
  };

  /** The handler has taken it. */
  #onOffered(): void {
    const number = this.#taken++;
    this.#isOffered = false;
    if (this.#isAnswered) this.#acknowledge(number);
    this.#isAnswered = false;
  }

  /** Whoever let it go is in the midst of letting others go. */
  #goOnSoon(): void {
    if (this.#isGoingOn || this.#isWaiting) return;
    this.#isGoingOn = true;
    queueMicrotask(this.#goOn);
  }

  /** For room or for time; whoever it waits for lets it go. */
  get #isWaiting(): boolean {
    return this.onCancelled !== undefined || this.#retry !== undefined;
  }

  readonly #goOn = (): void => {
    this.#isGoingOn = false;
    if (!this.#isHeld || this.#isClosing || this.#isWaiting) return;
    this.#isHeld = false;
    this.isHeldBack = true;
    this.#takeHeld();
    this.isHeldBack = false;
    if (this.#isHeld || this.#isClosing) return;
    this.#link.resume();
    this.#settle();
  };

  #onOutcome(number: number, outcome: Outcome): void {
    if (this.#isEnded || number < this.#acknowledgements.requests) return;
    if (outcome.kind === 'ok') {
      if (number === this.#taken) this.#isAnswered = true;
      else this.#acknowledge(number);
    } else if (number === this.#taken && isMendedByTime(outcome)) {
      if (outcome.retryAfterMs === NEVER_RETRY) this.#fault(outcome);
      else this.#tryAgain(outcome.retryAfterMs ?? 1);
    } else if (number < this.#endingAt) {
      if (number === this.#taken && this.#isOffered) this.#fault(outcome);
      else this.#close(outcome, undefined, number);
    }
  }

  #tryAgain(delayMs: number): void {
    this.onCancelled = undefined;
    if (this.#isClosing) return;
    this.#retry = this.#shared.clock.setTimer(Math.max(1, delayMs), () => {
      this.#retry = undefined;
      this.#goOn();
    });
  }

  // --- acknowledgements and the end -------------------------------------------------------------------

  #acknowledge(number: number): void {
    const acknowledgements = this.#acknowledgements;
    if (number !== acknowledgements.requests) {
      this.#early.add(number);
      return;
    }
    do {
      acknowledgements.requests++;
      this.#account.acknowledged();
    } while (this.#early.size > 0 && this.#early.delete(acknowledgements.requests));
    acknowledgements.tellSoon();
    if (this.#isHeld) this.#goOnSoon();
  }

  /** The next request is what ends the stream. */
  #fault(outcome: Refused | Failed, code?: number): void {
    if (this.#isClosing) return;
    if (!this.#isOffered) this.#account.enter();
    this.#isOffered = true;
    this.#close(outcome, code, this.#taken);
  }

  /** `at`: the request whose fault it is; none: all that was taken is acknowledged first. */
  #close(outcome: Refused | Failed, code?: number, at?: number): void {
    if (this.#isEnded) return;
    this.#isClosing = true;
    this.#endingAt = at ?? this.#taken;
    this.#ending =
      at === undefined
        ? outcome
        : { ...outcome, message: `request ${at} of this stream: ${outcome.message}` };
    this.#endingCode = code;
    this.#withdraw();
    this.#held.drop();
    this.#settle();
  }

  /** Ends the stream once everything before its end is acknowledged. */
  #settle(): void {
    if (this.#isEnded) return;
    if (this.#acknowledgements.requests === this.#taken) this.#held.rest();
    if (this.#ending !== undefined) {
      if (this.#acknowledgements.requests === this.#endingAt && !this.#acknowledgements.isDue)
        this.#end(this.#ending, this.#endingCode, true);
    } else if (this.#isHalfClosed && !this.#isHeld) {
      if (!this.#held.isEmpty) this.#fault(failed('protocol', 'the message is cut off'));
      else if (this.#acknowledgements.requests === this.#taken && !this.#acknowledgements.isDue)
        this.#end(undefined, undefined, true);
    }
  }

  #end(outcome: Refused | Failed | undefined, code: number | undefined, isAnswered: boolean): void {
    if (this.#isEnded) return;
    this.#acknowledgements.tell();
    this.#isEnded = true;
    this.#isClosing = true;
    this.cancelled = true;
    this.#withdraw();
    this.#held.drop();
    this.#early.clear();
    const isOwn = outcome !== this.#ending && outcome?.kind === 'failed';
    this.#account.close(isOwn ? undefined : outcome, isOwn ? outcome.reason : 'cancelled');
    if (isAnswered && this.#link.isConnected) this.#link.finish(outcome, code);
    this.#shared.openStreams--;
    this.#shared.onStreamEnded();
  }

  #withdraw(): void {
    this.#retry?.cancel();
    const { onCancelled } = this;
    this.onCancelled = undefined;
    this.cancelled ||= onCancelled !== undefined;
    onCancelled?.();
  }
}
