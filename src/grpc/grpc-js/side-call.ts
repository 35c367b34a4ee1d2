/**
 * A health or reflection call: served by its official package, watched over by us.
 *
 *   open ──package or client ends it──▶ closed
 *     └── stop(): UNAVAILABLE ──▶ closed
 *     └── too many bytes or answers unread: RESOURCE_EXHAUSTED ──▶ closed
 *
 * The packages assume friendly clients; two bounds keep the others from filling memory.
 */
import { constants } from 'node:http2';
import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { ServerInterceptingCall } from '@grpc/grpc-js';
import { budgetUsedUp } from '../own-endings.ts';
import { type AddressBudget, CALL_COST_BYTES } from '../receive-budget.ts';
import { GRPC_STATUS } from '../status.ts';
import type { BaseCall } from './internals.ts';

/** Questions are names: a conversation of the fullest reflection client stays far below. */
const MAX_QUESTION_BYTES = 256 * 1024;
/** Answers not yet taken by the client; each may hold a file's descriptors. */
const MAX_ANSWERS_WAITING = 64;

export class SideCall {
  readonly #base: BaseCall;
  readonly #budget: AddressBudget;
  readonly #address: string;
  #heldBytes = 0;
  #answersWaiting = 0;
  #ended = false;

  constructor(base: BaseCall, address: string, budget: AddressBudget, onClosed: (call: SideCall) => void) {
    this.#base = base;
    this.#budget = budget;
    this.#address = address;
    base.stream.once('close', () => {
      this.#ended = true;
      budget.give(this.#heldBytes, address);
      this.#heldBytes = 0;
      onClosed(this);
    });
    base.stream.on('data', (chunk: Buffer) => this.#hold(chunk.length));
    this.#hold(CALL_COST_BYTES);
  }

  #hold(bytes: number): void {
    if (this.#ended) return;
    if (this.#heldBytes + bytes > CALL_COST_BYTES + MAX_QUESTION_BYTES) {
      this.end(GRPC_STATUS.RESOURCE_EXHAUSTED, `a call may ask ${MAX_QUESTION_BYTES} bytes`);
    } else if (this.#budget.take(bytes, this.#address)) {
      this.#heldBytes += bytes;
    } else {
      this.end(GRPC_STATUS.UNAVAILABLE, budgetUsedUp(this.#budget.limitBytes).message);
    }
  }

  /** What grpc-js goes on with in place of the innermost call. */
  intercepted(): ServerInterceptingCallInterface {
    return new ServerInterceptingCall(this.#base, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, forward) => forward(metadata),
          onReceiveMessage: (message, forward) => {
            if (++this.#answersWaiting > MAX_ANSWERS_WAITING) {
              this.end(GRPC_STATUS.RESOURCE_EXHAUSTED, 'too many answers wait to be read');
            } else if (!this.#ended) {
              forward(message);
            }
          },
          onReceiveHalfClose: (forward) => forward(),
          onCancel: () => {},
        });
      },
      sendMessage: (message, forward) => {
        if (this.#answersWaiting > 0) this.#answersWaiting--;
        if (!this.#ended) forward(message);
      },
      sendStatus: (status, forward) => {
        if (!this.#ended) forward(status);
      },
    });
  }

  /** By status; a client that does not read its answers is not owed one more. */
  end(code: number, message: string, metadata?: Metadata): void {
    if (this.#ended) return;
    this.#ended = true;
    const { stream } = this.#base;
    if (this.#answersWaiting > 1) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      stream.destroy();
      return;
    }
    const { headersSent } = stream;
    this.#base.sendStatus({ code, details: message, ...(metadata && { metadata }) });
    // Tells the client to stop sending. Not after headers: there the status still waits to be written and a
    // reset would drop it; the client ends its side when it has read it, or the connection is cut at the stop.
    if (!headersSent) stream.close(constants.NGHTTP2_NO_ERROR);
  }
}
