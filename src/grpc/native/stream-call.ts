/**
 * One StreamSensorValues call on the native transport: DATA frames go to SensorStream as they come, and as much window
 * goes back to the client as was taken.
 *
 *   reading ──held──▶ paused: what comes is kept, no window is given back ──let go──▶ reading
 *
 * Invariants:
 * 1. `#arrivedBytes` is what came and was not given back as window. What is under way is not given back before its outcome:
 *    what a client cannot send need not be held, and a copy of it costs an eighth of the readings per CPU-second.
 * 2. While reading with nothing under way, the client has more than half a window; while paused what it has left of one.
 * 3. The window itself only grows: stream-window.ts.
 */
import { Client } from '../../base/client.ts';
import type { Clock } from '../../base/clock.ts';
import { type Failed, failed, type Refused } from '../../base/outcome.ts';
import { draining } from '../own-endings.ts';
import { SensorStream } from '../sensor-stream.ts';
import { statusTrailers } from '../status.ts';
import type { SensorStreamShared, StreamLink } from '../stream-link.ts';
import type { DeadlineEntry, Deadlines } from './deadlines.ts';
import { STREAM_WINDOW_BYTES } from './limits.ts';
import type { RequestHead } from './request-head.ts';
import { OK_TRAILERS } from './response-headers.ts';
import { statusFields } from './status-fields.ts';
import type { CloseReason, Http2Stream, StreamConsumer } from './stream.ts';
import { StreamWindow } from './stream-window.ts';

/**
 * Windows are given back in steps of it, together with the acknowledgement: an update per 64 KiB and acknowledgements apart
 * were four writes where this is one, and cost 5% of the readings per CPU-second (100 a request; docs/decisions/0138).
 */
const STEP_BYTES = STREAM_WINDOW_BYTES / 2;
/** Timers take 31 bits; a deadline in more than 24 days is none. */
const MAX_TIMER_MS = 0x7fff_ffff;

export interface StreamCallShared extends SensorStreamShared {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  stopping: boolean;
  requestBytes: number;
}

export class StreamCall implements StreamConsumer, StreamLink, DeadlineEntry {
  dueTick = 0;
  position = -1;
  readonly #stream: Http2Stream;
  readonly #shared: StreamCallShared;
  /** Undefined before and after the conversation. */
  #conversation: SensorStream | undefined;
  #arrivedBytes = 0;
  #isPaused = false;
  /** Where the way is long; how long it is may be known only after the first requests. */
  #window: StreamWindow | undefined;

  constructor(stream: Http2Stream, shared: StreamCallShared) {
    this.#stream = stream;
    this.#shared = shared;
  }

  begin(head: RequestHead): void {
    const shared = this.#shared;
    const { timeoutMs } = head;
    if (shared.stopping) {
      this.finish(draining(), undefined);
      return;
    }
    const identify = () => this.#stream.host.caller.identify(head.authorization);
    const client = identify();
    if (!(client instanceof Client)) {
      this.finish(client, undefined);
      return;
    }
    if (Number.isNaN(timeoutMs)) {
      this.finish(failed('protocol', 'grpc-timeout is not a timeout'), undefined);
      return;
    }
    const isTimed = timeoutMs < MAX_TIMER_MS;
    this.#conversation = new SensorStream(this, shared, {
      client,
      identify,
      deadlineMs: isTimed ? shared.clock.nowMs() + timeoutMs : undefined,
      encoding: head.encoding,
    });
    if (isTimed) shared.deadlines.add(this, timeoutMs);
    this.#conversation.begin();
  }

  // --- from the client --------------------------------------------------------------------------------

  onData(bytes: Buffer, start: number, end: number): void {
    this.#shared.requestBytes += end - start;
    this.#arrivedBytes += end - start;
    this.#conversation?.onBytes(bytes, start, end);
    this.#growWindow(end - start);
    if (this.#giveWindow()) this.#conversation?.acknowledgeDue();
  }

  onEnd(): void {
    this.#conversation?.onHalfClose();
  }

  onClosed(reason: CloseReason): void {
    this.#conversation?.onGone(reason);
    this.#over();
  }

  onDrained(): void {
    this.#conversation?.onAcknowledgementLeft();
  }

  /** A stream may rest between two requests; within one it may not. */
  onStalled(): void {
    if (this.#conversation?.isWithinMessage) this.#conversation.onDeadline();
  }

  onDeadline(): void {
    this.#conversation?.onDeadline();
  }

  onLeaving(): void {
    this.#conversation?.leave(this.#shared.stopping);
  }

  failForDrain(): void {
    this.#conversation?.failForDrain();
  }

  // --- to the client ----------------------------------------------------------------------------------

  get isConnected(): boolean {
    return !this.#stream.isClosed;
  }

  get peer(): string {
    return this.#stream.host.peer;
  }

  acknowledge(framed: Buffer): boolean {
    this.#stream.sendHeaders();
    this.#stream.host.onAcknowledged();
    this.#stream.host.caller.fineCalls++;
    const hasLeft = this.#stream.sendMessage(framed);
    this.#giveWindow();
    return hasLeft;
  }

  finish(outcome: Refused | Failed | undefined, code: number | undefined): void {
    this.#over();
    if (outcome === undefined) {
      this.#stream.sendHeaders();
      this.#stream.sendTrailers(OK_TRAILERS);
    } else {
      this.#stream.host.caller.onRefused(outcome);
      this.#stream.sendTrailers(statusFields(statusTrailers(outcome, code)));
    }
  }

  onInflated(grownBytes: number): void {
    this.#stream.host.caller.grownBytes += grownBytes;
  }

  onAdvanced(): void {
    this.#giveWindow();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#giveWindow();
  }

  #growWindow(arrivedBytes: number): void {
    const { roundTripMs } = this.#stream.host;
    // While it is held, the way is not what it waits for.
    if (!StreamWindow.isWorthIt(roundTripMs) || this.#isPaused || this.#conversation === undefined) return;
    const nowMs = this.#shared.clock.monotonicMs();
    this.#window ??= new StreamWindow(roundTripMs, nowMs);
    const grownBytes = this.#window.arrived(arrivedBytes, nowMs);
    if (grownBytes > 0) this.#stream.grant(grownBytes);
  }

  /** False when there is too little to give. */
  #giveWindow(): boolean {
    if (this.#isPaused || this.#conversation === undefined) return false;
    const bytes = this.#arrivedBytes - this.#conversation.underWayBytes;
    if (bytes < STEP_BYTES) return false;
    this.#arrivedBytes -= bytes;
    this.#stream.grant(bytes);
    return true;
  }

  #over(): void {
    this.#conversation = undefined;
    this.#shared.deadlines.remove(this);
  }
}
