/**
 * One SendSensorValues call on grpc-js: between the library's innermost call and our handler.
 *
 *   receiving ──message, half close──▶ handling ──respond──▶ ended
 *       │                                 │
 *       └── size, framing, compression, deadline (grpc-js), budget, drain (us), client gone ──▶ ended
 *
 * Invariants:
 * 1. `requestReceived` of the ledger is counted in `start`, exactly one ending in `#end`.
 * 2. Nothing is sent after the ending; what grpc-js tries to send by itself passes through
 *    `#answeredByLibrary`, so that it is counted and carries our hints.
 * 3. `#heldBytes` is what this call took from the budget; `#end` gives it back.
 *
 * It takes the place of the library's own unary handling (an EventEmitter and six closures per call).
 */
import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { Client } from '../../base/client.ts';
import { type Failed, failed, type Outcome, type Refused } from '../../base/outcome.ts';
import type { Ledger } from '../../observe/ledger.ts';
import type { Caller } from '../caller.ts';
import { FRAME_HEADER_BYTES } from '../inflate.ts';
import { budgetUsedUp, draining, drainRanOut, tooLarge } from '../own-endings.ts';
import { CALL_COST_BYTES, type ReceiveBudget } from '../receive-budget.ts';
import type { CallContext, SendSensorValuesHandler } from '../server.ts';
import { DETAILS_HEADER, GRPC_STATUS, PUSHBACK_HEADER, statusTrailers } from '../status.ts';
import { authorizationOf, type BaseCall } from './internals.ts';

const EMPTY_MESSAGE = Buffer.alloc(FRAME_HEADER_BYTES);
const RESPONSE_HEADERS = {
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': 'identity,deflate,gzip',
};
const RESPONSE_OPTIONS = { waitForTrailers: true };
const OK_TRAILERS = { 'grpc-status': '0' };

/** What all calls of one server share. */
export interface SensorCallShared {
  readonly ledger: Ledger;
  readonly budget: ReceiveBudget;
  readonly handler: SendSensorValuesHandler;
  readonly inflate: BaseCall['decompressMessage'];
  readonly maxRequestBytes: number;
  readonly onHandlerFault: (error: unknown) => void;
  readonly onEnded: (call: SensorCall) => void;
  readonly calls: Set<SensorCall>;
  stopping: boolean;
  requestBytes: number;
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

export class SensorCall implements Listener, CallContext {
  cancelled = false;
  onCancelled: (() => void) | undefined = undefined;

  readonly #base: BaseCall;
  readonly #caller: Caller;
  #client: Client | undefined;
  readonly #shared: SensorCallShared;
  readonly #sendStatus: BaseCall['sendStatus'];
  #message: Buffer | undefined;
  #receivedBytes = 0;
  /** Of the bytes received, those that made up whole messages. */
  #framedBytes = 0;
  #heldBytes = 0;
  #halfClosed = false;
  #ended = false;

  constructor(base: BaseCall, caller: Caller, shared: SensorCallShared) {
    this.#base = base;
    this.#caller = caller;
    this.#shared = shared;
    this.#sendStatus = base.sendStatus;
    base.decompressMessage = (framedMessage, encoding) => {
      this.#framedBytes += framedMessage.length;
      return shared.inflate(framedMessage, encoding);
    };
    base.sendStatus = (status) => this.#answeredByLibrary(status);
  }

  get deadlineMs(): number | undefined {
    const deadline = Number(this.#base.getDeadline());
    return deadline === Number.POSITIVE_INFINITY ? undefined : deadline;
  }

  /** Known from `start` on, which comes before any handler. */
  get client(): Client {
    return this.#client!;
  }

  get peer(): string {
    return this.#base.getPeer();
  }

  /** Called by grpc-js in place of its own unary handling. */
  start(): void {
    const { ledger, calls } = this.#shared;
    ledger.requestReceived();
    calls.add(this);
    if (!this.#connected) {
      this.#end(failed('cancelled', 'the client went away'));
      return;
    }
    if (this.#shared.stopping) {
      this.#end(draining());
      return;
    }
    const client = this.#caller.identify(authorizationOf(this.#base));
    if (!(client instanceof Client)) {
      this.#end(client);
      return;
    }
    this.#client = client;
    if (!this.#hold(CALL_COST_BYTES)) return;
    this.#base.stream.on('data', this.#onData);
    this.#base.start(this);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#receivedBytes += chunk.length;
    this.#shared.requestBytes += chunk.length;
    if (!this.#ended) this.#hold(chunk.length);
  };

  #hold(bytes: number): boolean {
    if (this.#shared.budget.take(bytes, this.client.holder)) {
      this.#heldBytes += bytes;
      return true;
    }
    this.#end(budgetUsedUp(this.#shared.budget.limitBytes));
    return false;
  }

  onReceiveMetadata(): void {
    this.#base.startRead();
  }

  onReceiveMessage(message: Buffer): void {
    if (this.#ended) return;
    if (this.#message !== undefined) {
      this.#end(failed('protocol', 'a unary call takes one message, two came'), GRPC_STATUS.UNIMPLEMENTED);
      return;
    }
    this.#message = message;
    // Of a compressed message the budget holds what came over the wire; the rest is what it grew by.
    const grownBytes = message.length + FRAME_HEADER_BYTES - this.#framedBytes;
    if (grownBytes > 0 && !this.#hold(grownBytes)) return;
    this.#base.startRead();
  }

  onReceiveHalfClose(): void {
    this.#halfClosed = true;
    if (this.#ended) return;
    const message = this.#message;
    // A stream that broke off ends its readable side as well.
    if (!this.#connected || this.#base.stream.aborted) {
      this.#end(failed('cancelled', 'the client went away'));
    } else if (this.#receivedBytes !== this.#framedBytes) {
      this.#end(failed('protocol', 'the request message is cut off'));
    } else if (message === undefined) {
      this.#end(failed('protocol', 'a unary call takes one message, none came'), GRPC_STATUS.UNIMPLEMENTED);
    } else {
      this.#handle(message);
    }
  }

  #handle(message: Buffer): void {
    // The call keeps no reference: the request belongs to the handler.
    this.#message = undefined;
    try {
      this.#shared.handler(message, this, this.#respond);
    } catch (error) {
      if (!this.#ended) this.#end(failed('internal', 'a fault of the server'));
      this.#shared.onHandlerFault(error);
    }
  }

  /** grpc-js calls it for a lost client, and also some time after every ordinary ending. */
  onCancel(): void {
    if (this.#ended) return;
    this.#abandon(failed('cancelled', 'the client went away'));
  }

  /** The drain ran out: the call fails, and is told so if the client still listens. */
  failForDrain(): void {
    if (this.#ended) return;
    this.#abandon(drainRanOut());
  }

  readonly #respond = (outcome: Outcome): void => {
    if (!this.#ended) this.#end(outcome);
  };

  /** Size, deadline, compression: grpc-js answers on its innermost call, past every interceptor. */
  #answeredByLibrary(status: { code?: number | null; details?: string | null }): void {
    if (this.#ended) return;
    if (status.code === GRPC_STATUS.DEADLINE_EXCEEDED) {
      this.#abandon(failed('deadline', 'the deadline passed before the request was done'));
    } else if (status.code === GRPC_STATUS.RESOURCE_EXHAUSTED) {
      this.#end(tooLarge(this.#shared.maxRequestBytes));
    } else {
      this.#end(failed('protocol', status.details ?? ''), status.code ?? GRPC_STATUS.INTERNAL);
    }
  }

  /** Ends the call without its handler, which is told. */
  #abandon(outcome: Failed): void {
    this.cancelled = true;
    this.#end(outcome);
    const onCancelled = this.onCancelled;
    this.onCancelled = undefined;
    onCancelled?.();
  }

  get #connected(): boolean {
    const { stream } = this.#base;
    return !stream.destroyed && !stream.closed;
  }

  #end(outcome: Outcome, code?: number): void {
    this.#ended = true;
    this.#message = undefined;
    const { ledger, budget, calls } = this.#shared;
    const connected = this.#connected;
    // An answer that cannot be delivered is a cancelled call, whatever the handler said.
    if (!connected && outcome.kind === 'ok') ledger.requestFailed('cancelled');
    else if (outcome.kind === 'ok') ledger.requestOk();
    else if (outcome.kind === 'refused') ledger.requestRefused(outcome.reason);
    else ledger.requestFailed(outcome.reason);
    if (this.#client !== undefined) budget.give(this.#heldBytes, this.#client.holder);
    calls.delete(this);
    if (connected) {
      if (outcome.kind === 'ok') answerOk(this.#base.stream);
      else this.#answer(outcome, code);
    }
    this.#shared.onEnded(this);
  }

  #answer(outcome: Refused | Failed, code: number | undefined): void {
    const trailers = statusTrailers(outcome, code);
    const metadata = new Metadata();
    if (trailers.pushback !== undefined) metadata.set(PUSHBACK_HEADER, trailers.pushback);
    if (trailers.details !== undefined) metadata.set(DETAILS_HEADER, trailers.details);
    if (trailers.code === GRPC_STATUS.UNIMPLEMENTED)
      metadata.set('grpc-accept-encoding', 'identity,deflate,gzip');
    this.#sendStatus.call(this.#base, { code: trailers.code, details: trailers.message, metadata });
    // The client may still be sending what nobody will read: tell it to stop.
    if (!this.#halfClosed) this.#base.stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Straight to HTTP/2: the same three frames as through grpc-js, without its Metadata objects and write callback. */
function answerOk(stream: ServerHttp2Stream): void {
  stream.respond(RESPONSE_HEADERS, RESPONSE_OPTIONS);
  stream.once('wantTrailers', sendOkTrailers);
  stream.end(EMPTY_MESSAGE);
}

function sendOkTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(OK_TRAILERS);
}
