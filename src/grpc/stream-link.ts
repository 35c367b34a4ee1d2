/** What a StreamSensorValues call needs of its transport, and what is bounded alike on all of them. */

import type { Client } from '../base/client.ts';
import type { Clock } from '../base/clock.ts';
import type { Failed, Refused } from '../base/outcome.ts';
import type { Ledger } from '../observe/ledger.ts';
import type { ReceiveBudget } from './receive-budget.ts';
import type { SendSensorValuesHandler } from './server.ts';
import type { TurnEnd } from './turn-end.ts';

/** gRPC frames a message as one flag byte and a length of four. */
export const PREFIX_BYTES = 5;
/**
 * What may arrive beyond what is taken: both transports announce it as the window of a stream. Taken from the receive budget
 * when it arrives, so that a stream at rest costs little more than a call.
 */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/**
 * Requests of one stream that are taken and not acknowledged; beyond it nothing more is read. At 5 ms from the request to
 * the disk it allows 1.6 million requests a second.
 */
export const MAX_STREAM_UNACKNOWLEDGED = 8192;
/**
 * The same in bytes. Without it fast clients fill all of QUEUE_BYTES, and memory that falls out of the processor's caches
 * costs a fifth of the readings per CPU-second (measured with 100 readings a request: 60 of them under way on each of 8
 * streams cost nothing, 120 cost 7%, thousands 21%). A request larger than that goes alone.
 */
export const MAX_STREAM_UNDER_WAY_BYTES = 256 * 1024;
/** Of the receive budget, for its closure and its places in arrays, until it is acknowledged. */
export const UNACKNOWLEDGED_COST_BYTES = 160;

export interface StreamLink {
  readonly isConnected: boolean;
  readonly peer: string;
  /** False when it has to wait for the client's window; `onAcknowledgementLeft` follows. */
  acknowledge(framed: Buffer): boolean;
  /** More requests are acknowledged than `acknowledge` was told, since the last one waits. */
  onAdvanced(): void;
  /** Undefined: OK. Comes after all acknowledgements. */
  finish(outcome: Refused | Failed | undefined, code: number | undefined): void;
  /** A request was compressed, and grew by so much, or shrank. */
  onInflated?(grownBytes: number): void;
  /** Nothing more is to be read until `resume`. */
  pause(): void;
  resume(): void;
}

/** What all streams of one server share. */
export interface SensorStreamShared {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly budget: ReceiveBudget;
  readonly handler: SendSensorValuesHandler;
  readonly inflate: (framedMessage: Buffer, encoding: string) => Buffer | Promise<Buffer>;
  readonly maxRequestBytes: number;
  readonly turnEnd: TurnEnd<() => void>;
  readonly onHandlerFault: (error: unknown) => void;
  /** Requests of streams that are in the books and not out of them. */
  streamRequests: number;
  openStreams: number;
  onStreamEnded(): void;
}

export interface StreamOpening {
  readonly client: Client;
  /** Asked again when the client is forgotten: when tokens have changed, say. */
  identify(): Client | Refused;
  readonly deadlineMs: number | undefined;
  readonly encoding: string;
}
