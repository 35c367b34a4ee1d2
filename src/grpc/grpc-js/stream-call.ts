/**
 * One StreamSensorValues call on grpc-js: the bytes of its HTTP/2 stream go to SensorStream past grpc-js's own reader, which
 * would make an object, a promise and a turn of the loop of each message. While the stream is held, node:http2 gives
 * no window back.
 *
 * Invariant: what grpc-js tries to answer by itself (its deadline) passes through `#answeredByLibrary`.
 */
import { constants } from 'node:http2';
import { Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { Client } from '../../base/client.ts';
import { type Failed, failed, type Refused } from '../../base/outcome.ts';
import type { Caller } from '../caller.ts';
import { draining } from '../own-endings.ts';
import { SensorStream } from '../sensor-stream.ts';
import { DETAILS_HEADER, GRPC_STATUS, PUSHBACK_HEADER, statusTrailers } from '../status.ts';
import type { SensorStreamShared, StreamLink } from '../stream-link.ts';
import { authorizationOf, type BaseCall, encodingOf } from './internals.ts';

export interface StreamCallShared extends SensorStreamShared {
  readonly calls: Set<StreamCall>;
  isStopping(): boolean;
  onRequestBytes(bytes: number): void;
}

export class StreamCall implements StreamLink {
  readonly #base: BaseCall;
  readonly #caller: Caller;
  readonly #shared: StreamCallShared;
  readonly #sendStatus: BaseCall['sendStatus'];
  #conversation: SensorStream | undefined;
  #halfClosed = false;
  #isFinished = false;

  constructor(base: BaseCall, caller: Caller, shared: StreamCallShared) {
    this.#base = base;
    this.#caller = caller;
    this.#shared = shared;
    this.#sendStatus = base.sendStatus;
    base.sendStatus = (status) => this.#answeredByLibrary(status);
  }

  get session(): BaseCall['stream']['session'] {
    return this.#base.stream.session;
  }

  /** Called by grpc-js in place of its own handling. */
  start(): void {
    if (!this.isConnected) return;
    if (this.#shared.isStopping()) {
      this.finish(draining(), undefined);
      return;
    }
    const authorization = authorizationOf(this.#base);
    const identify = () => this.#caller.identify(authorization);
    const client = identify();
    if (!(client instanceof Client)) {
      this.finish(client, undefined);
      return;
    }
    const { stream } = this.#base;
    const deadline = Number(this.#base.getDeadline());
    this.#shared.calls.add(this);
    const conversation = new SensorStream(this, this.#shared, {
      client,
      identify,
      deadlineMs: deadline === Number.POSITIVE_INFINITY ? undefined : deadline,
      encoding: encodingOf(this.#base),
    });
    this.#conversation = conversation;
    conversation.begin();
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => {
      this.#shared.onRequestBytes(chunk.length);
      this.#conversation?.onBytes(chunk, 0, chunk.length);
    });
    stream.once('end', () => {
      // A stream that broke off ends its readable side as well.
      if (!this.isConnected || stream.aborted) return;
      this.#halfClosed = true;
      this.#conversation?.onHalfClose();
    });
    stream.once('close', () => {
      this.#conversation?.onGone('cancelled');
      this.#over();
    });
    stream.resume();
  }

  leave(): void {
    this.#conversation?.leave(this.#shared.isStopping());
  }

  failForDrain(): void {
    this.#conversation?.failForDrain();
  }

  #answeredByLibrary(status: { code?: number | null; details?: string | null }): void {
    const fault = failed('protocol', status.details ?? '');
    const code = status.code ?? GRPC_STATUS.INTERNAL;
    if (this.#conversation === undefined) {
      if (this.isConnected && !this.#isFinished) this.finish(fault, code);
    } else if (code === GRPC_STATUS.DEADLINE_EXCEEDED) {
      this.#conversation.onDeadline();
    } else {
      this.#conversation.onFault(fault, code);
    }
  }

  // --- to the client ----------------------------------------------------------------------------------

  get isConnected(): boolean {
    const { stream } = this.#base;
    return !stream.destroyed && !stream.closed;
  }

  get peer(): string {
    return this.#base.getPeer();
  }

  acknowledge(framed: Buffer): boolean {
    const { stream } = this.#base;
    if (!this.isConnected) return true;
    this.#base.sendMetadata(new Metadata());
    return stream.write(framed, (error) => {
      if (!error) this.#conversation?.onAcknowledgementLeft();
    });
  }

  finish(outcome: Refused | Failed | undefined, code: number | undefined): void {
    this.#over();
    this.#isFinished = true;
    const metadata = new Metadata();
    const { stream } = this.#base;
    let status = { code: GRPC_STATUS.OK as number, message: '' };
    if (outcome !== undefined) {
      const trailers = statusTrailers(outcome, code);
      if (trailers.pushback !== undefined) metadata.set(PUSHBACK_HEADER, trailers.pushback);
      if (trailers.details !== undefined) metadata.set(DETAILS_HEADER, trailers.details);
      status = trailers;
    }
    const isAnswered = stream.headersSent;
    if (outcome === undefined && !isAnswered) this.#base.sendMetadata(metadata);
    this.#sendStatus.call(this.#base, { code: status.code, details: status.message, metadata });
    if (this.#halfClosed) return;
    // The client may still be sending what nobody will read: tell it to stop, once the trailers are out.
    if (!isAnswered) stream.close(constants.NGHTTP2_NO_ERROR);
    else stream.once('wantTrailers', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
  }

  /** node:http2 gives the window back by itself. */
  onAdvanced(): void {}

  pause(): void {
    this.#base.stream.pause();
  }

  resume(): void {
    this.#base.stream.resume();
  }

  #over(): void {
    this.#conversation = undefined;
    this.#shared.calls.delete(this);
  }
}

/** What grpc-js needs to see of it. */
export function asInterceptingCall(call: StreamCall): ServerInterceptingCallInterface {
  return call as unknown as ServerInterceptingCallInterface;
}
