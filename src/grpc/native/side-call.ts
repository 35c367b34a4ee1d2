/**
 * A call of a mounted service (health, reflection): served by its official package, watched over by us.
 *
 *   reading ──request there (or it streams)──▶ served ──finish()──▶ ending ──all has left──▶ closed
 *     └── stop(): UNAVAILABLE; too much asked: RESOURCE_EXHAUSTED; answers unread: reset ──────▶ closed
 *
 * Invariants:
 * 1. After `#ended` nothing of the package's reaches the wire.
 * 2. `#heldBytes` is what this call took from the budget; it is given back when the stream closes.
 * The packages assume friendly clients: what they may ask and leave unread is bounded here.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { StatusThrown } from '../inflate.ts';
import { budgetUsedUp } from '../own-endings.ts';
import { type AddressBudget, CALL_COST_BYTES } from '../receive-budget.ts';
import { GRPC_STATUS, type StatusTrailers } from '../status.ts';
import { type CallCore, type Handler, type Method, type StartedCall, startCall } from './call-objects.ts';
import { MAX_ANSWERS_WAITING, MAX_QUESTION_BYTES } from './limits.ts';
import { fieldsOf, metadataOf } from './metadata-fields.ts';
import { ERROR_CODE } from './protocol.ts';
import { QuestionReader } from './question-reader.ts';
import type { RequestHead } from './request-head.ts';
import { PREFIX_BYTES } from './request-message.ts';
import { ACCEPT_ENCODING, type Fields } from './response-headers.ts';
import { statusFields } from './status-fields.ts';
import type { Http2Stream, StreamConsumer } from './stream.ts';

export interface SideCallShared {
  readonly clock: Clock;
  readonly budget: AddressBudget;
  readonly inflate: (framedMessage: Buffer, encoding: string) => Buffer;
  readonly calls: Set<SideCall>;
}

export class SideCall implements StreamConsumer, CallCore {
  readonly peer: string;
  readonly path: string;
  readonly authority: string;
  readonly deadlineMs: number | undefined;
  readonly metadata;
  readonly #stream: Http2Stream;
  readonly #head: RequestHead;
  readonly #method: Method;
  readonly #handler: Handler;
  readonly #shared: SideCallShared;
  readonly #reader = new QuestionReader();
  #request: Buffer | undefined;
  #receivedBytes = 0;
  #heldBytes = 0;
  #started: StartedCall | undefined;
  #onLeft: (() => void)[] = [];
  #timer: Timer | undefined;
  #ended = false;

  constructor(
    stream: Http2Stream,
    head: RequestHead,
    method: Method,
    handler: Handler,
    shared: SideCallShared,
  ) {
    this.#stream = stream;
    this.#head = head;
    this.#method = method;
    this.#handler = handler;
    this.#shared = shared;
    this.peer = stream.host.peer;
    this.path = head.path;
    this.authority = head.authority;
    this.metadata = metadataOf(head.fields);
    const { timeoutMs } = head;
    this.deadlineMs = Number.isFinite(timeoutMs) ? shared.clock.nowMs() + timeoutMs : undefined;
  }

  begin(): void {
    this.#shared.calls.add(this);
    const { timeoutMs } = this.#head;
    if (Number.isNaN(timeoutMs)) {
      this.end(GRPC_STATUS.INTERNAL, 'grpc-timeout is not a timeout');
    } else if (this.#hold(CALL_COST_BYTES)) {
      if (timeoutMs <= 0x7fff_ffff) this.#timer = this.#shared.clock.setTimer(timeoutMs, this.#onDeadline);
      if (this.#method.requestStream) this.#start(undefined);
    }
  }

  // --- the request ------------------------------------------------------------------------------------

  #hold(bytes: number): boolean {
    if (this.#shared.budget.take(bytes, this.#stream.host.caller.addressName)) {
      this.#heldBytes += bytes;
      return true;
    }
    this.end(GRPC_STATUS.UNAVAILABLE, budgetUsedUp(this.#shared.budget.limitBytes).message);
    return false;
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#ended || !this.#hold(end - start)) return;
    // A window more than is allowed to be asked, so that a client which asks on is told and does not wait.
    if (this.#receivedBytes === 0) this.#stream.grant(MAX_QUESTION_BYTES);
    this.#receivedBytes += end - start;
    const isBounded = this.#reader.add(bytes, start, end, this.#onFramed);
    if (!isBounded || this.#receivedBytes > MAX_QUESTION_BYTES) {
      this.end(GRPC_STATUS.RESOURCE_EXHAUSTED, `a call may ask ${MAX_QUESTION_BYTES} bytes`);
    }
  }

  readonly #onFramed = (framed: Buffer): void => {
    if (this.#ended) return;
    let message: Buffer;
    try {
      message =
        framed[0] === 0 ? framed.subarray(PREFIX_BYTES) : this.#shared.inflate(framed, this.#head.encoding);
    } catch (error) {
      const { code, details } = error as StatusThrown;
      if (typeof code !== 'number') throw error;
      this.end(code, details);
      return;
    }
    if (!this.#method.requestStream) {
      if (this.#request === undefined) this.#request = message;
      else this.end(GRPC_STATUS.UNIMPLEMENTED, 'this method takes one message, two came');
      return;
    }
    const question = this.#deserialize(message);
    if (question !== undefined) this.#started?.stream?.push(question);
  };

  #deserialize(message: Buffer): unknown {
    try {
      return this.#method.requestDeserialize(message);
    } catch {
      this.end(GRPC_STATUS.INTERNAL, 'the request message cannot be decoded');
      return undefined;
    }
  }

  onEnd(): void {
    if (this.#ended) return;
    if (!this.#reader.isAtBoundary) {
      this.end(GRPC_STATUS.INTERNAL, 'the request message is cut off');
    } else if (this.#method.requestStream) {
      this.#started?.stream?.push(null);
    } else if (this.#request === undefined) {
      this.end(GRPC_STATUS.UNIMPLEMENTED, 'this method takes one message, none came');
    } else {
      const request = this.#deserialize(this.#request);
      if (request !== undefined) this.#start(request);
    }
  }

  #start(request: unknown): void {
    this.#started = startCall(this, this.#method, this.#handler, request);
  }

  // --- the answer -------------------------------------------------------------------------------------

  sendMetadata(metadata: Parameters<CallCore['sendMetadata']>[0]): void {
    if (!this.#ended) this.#stream.sendHeaders(fieldsOf(metadata));
  }

  sendMessage(message: unknown, onLeft: () => void): void {
    if (this.#ended) return;
    const content = this.#method.responseSerialize(message);
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + content.length);
    framed[0] = 0;
    framed.writeUInt32BE(content.length, 1);
    content.copy(framed, PREFIX_BYTES);
    this.#stream.sendHeaders();
    if (this.#stream.sendMessage(framed)) {
      onLeft();
      return;
    }
    this.#onLeft.push(onLeft);
  }

  onWaiting(messages: number): void {
    if (!this.#ended && messages > MAX_ANSWERS_WAITING) this.#stream.reset(ERROR_CODE.ENHANCE_YOUR_CALM);
  }

  onDrained(): void {
    const onLeft = this.#onLeft;
    this.#onLeft = [];
    for (const call of onLeft) call();
  }

  finish(code: number, message: string, trailers: Parameters<CallCore['finish']>[2]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#answer(
      { code, message: message.toWellFormed(), pushback: undefined, details: undefined },
      fieldsOf(trailers),
    );
  }

  /** By our decision. A client that leaves answers unread is not owed one more. */
  end(code: number, message: string): void {
    if (this.#ended) return;
    const behind = this.#started?.stream?.writableLength ?? 0;
    if (this.#stream.waitingMessages > 0 && behind > 1) {
      this.#stream.reset(ERROR_CODE.ENHANCE_YOUR_CALM);
      return;
    }
    this.#ended = true;
    const extra: Fields =
      code === GRPC_STATUS.UNIMPLEMENTED ? [['grpc-accept-encoding', ACCEPT_ENCODING]] : [];
    this.#answer({ code, message, pushback: undefined, details: undefined }, extra);
    this.#tellCancelled();
  }

  #answer(status: StatusTrailers, extra: Fields): void {
    this.#stream.sendTrailers([...statusFields(status), ...extra]);
    if (this.#stream.isClosed) this.#release();
  }

  readonly #onDeadline = (): void => {
    this.end(GRPC_STATUS.DEADLINE_EXCEEDED, 'the deadline passed');
  };

  onClosed(): void {
    this.#ended = true;
    this.#release();
    this.#tellCancelled();
  }

  /** A conversation may rest. */
  onStalled(): void {}

  #release(): void {
    this.#timer?.cancel();
    this.#shared.budget.give(this.#heldBytes, this.#stream.host.caller.addressName);
    this.#heldBytes = 0;
    this.#shared.calls.delete(this);
  }

  /** Handlers that hold on to the call (a watch) let go of it. */
  #tellCancelled(): void {
    const started = this.#started;
    if (started === undefined || started.object.cancelled) return;
    started.object.cancelled = true;
    started.object.emit('cancelled', 'cancelled');
    started.stream?.destroy();
  }
}
