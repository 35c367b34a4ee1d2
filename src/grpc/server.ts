/**
 * What every transport looks like from outside: the same interface for `grpc-js/` and for a transport
 * of our own, so that the daemon and the tests need not know which one they hold.
 *
 *   idle ──listen()──▶ serving ──beginDrain()──▶ leaving ──stop()──▶ finishing ──calls ended──▶ stopped
 *                      SERVING                   NOT_SERVING          GOAWAY, new calls refused
 *                                                                         └──time out: calls failed──▶ stopped
 *   destroy() leads to stopped from everywhere, at once.
 *
 * Invariants:
 * 1. Every call of a SensorService method enters the ledger exactly once and leaves it exactly once,
 *    also when the transport answers by itself (size, framing, compression, deadline, cancellation).
 * 2. A connection older than MAX_CONNECTION_AGE is asked to leave (connection-age.ts), so that long-lived
 *    clients spread over threads and pods anew.
 * 3. A handler's `respond` takes effect at most once; after the call has ended it does nothing.
 */
import type { Client } from '../base/client.ts';
import type { Clock } from '../base/clock.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Outcome } from '../base/outcome.ts';
import type { ByteAllowance, SharedBudget } from '../base/shared-budget.ts';
import type { Ledger } from '../observe/ledger.ts';
import type { Door } from './caller.ts';
import type { GrpcConfig } from './config.ts';
import type { ListenOptions } from './listeners.ts';
import type { TlsEntrance } from './tls/tls-entrance.ts';

/** What a handler may know about the call it answers. */
export interface CallContext {
  /** Wall clock milliseconds; undefined when the client set none. */
  readonly deadlineMs: number | undefined;
  /** Who sends: the caller let in by the Door (caller.ts). */
  readonly client: Client;
  /** `127.0.0.1:40312`, for the log. */
  readonly peer: string;
  /** The call ended without the handler: the client left, the deadline passed, or the drain ran out. */
  readonly cancelled: boolean;
  /** Set by a handler that waits; called once when `cancelled` turns true. */
  onCancelled: (() => void) | undefined;
  /** For a handler that waited: it waits no longer, `respond` was called or will be. */
  readonly onTaken?: () => void;
  /** The same request was offered before, and refused for then. */
  readonly isRepeat?: boolean;
  /** It came earlier, and was held back since. */
  readonly isHeldBack?: boolean;
}

/**
 * `request` is the serialized message. Its bytes are the handler's until it returns: a transport may show it a view
 * on what came from the socket, so a handler that keeps it (because it waits for room, say) keeps a copy.
 */
export type SendSensorValuesHandler = (
  request: Uint8Array,
  call: CallContext,
  respond: (outcome: Outcome) => void,
) => void;

export type GrpcLimits = Pick<
  GrpcConfig,
  | 'maxRequestBytes'
  | 'maxConnections'
  | 'maxStreamsPerConnection'
  | 'receiveBufferBytes'
  | 'maxConnectionAgeMs'
  | 'maxConnectionAgeGraceMs'
>;

/** Bounds that several servers, each in its thread, keep together. */
export interface GrpcBudgets {
  readonly connections: SharedBudget;
  readonly receive: ByteAllowance;
}

export interface GrpcServerEvents {
  /** A connection beyond MAX_CONNECTIONS was closed at once. */
  onConnectionRefused(peer: string): void;
  /** The handler threw. The call was answered INTERNAL; whether to go on is the daemon's to decide. */
  onHandlerFault(error: unknown): void;
}

/** The work that an ordinary request makes: how fast the machine is now is told by how long it takes. */
export interface OrdinaryWork {
  readonly requestBytes: number;
  readonly run: () => unknown;
}

export interface GrpcServerDeps {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly sendSensorValues: SendSensorValuesHandler;
  readonly events: GrpcServerEvents;
  /** Left out: plaintext. */
  readonly tls?: TlsEntrance;
  /** Left out: everybody is let in. */
  readonly door?: Door;
  /** Left out: MAX_CONNECTIONS and RECEIVE_BUFFER_BYTES are this server's alone. */
  readonly budgets?: GrpcBudgets;
  /** For a transport that divides its thread's time. Left out: the machine is taken for a fast one. */
  readonly ordinaryWork?: OrdinaryWork;
}

/** Counters only grow; the others are what is true now. */
export interface GrpcServerStats {
  readonly connections: number;
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  readonly connectionsRefused: number;
  /** SensorService calls that are not answered yet. */
  readonly calls: number;
  /** Health and reflection calls, among them open watches. */
  readonly sideCalls: number;
  /** Calls of methods nobody serves; answered UNIMPLEMENTED, outside the ledger. */
  readonly unknownMethodCalls: number;
  /** Request bytes of SensorService as they came over the wire, framing and compression included. */
  readonly requestBytes: number;
  /** Of RECEIVE_BUFFER_BYTES. */
  readonly receiveBufferUsedBytes: number;
}

export interface StopResult {
  /** Every call was answered by its handler or ended by its client. */
  readonly finished: boolean;
  /** Calls that were failed with drain_deadline. */
  readonly left: number;
}

export interface GrpcServer {
  /** Resolves with every address bound, `127.0.0.1:8000`. Throws ADDRESS_IN_USE or ADDRESS_UNAVAILABLE. */
  listen(address: ListenAddress, options?: ListenOptions): Promise<string[]>;
  /** What health says while the server is not leaving; SERVING at first. Calls are served in any case. */
  setServing(isServing: boolean): void;
  /** Health turns NOT_SERVING for good; calls are still served. */
  beginDrain(): void;
  /** Closes the listeners, says GOAWAY, refuses new calls, waits for those in flight up to `timeoutMs`. */
  stop(timeoutMs: number): Promise<StopResult>;
  /** Ends everything now; calls in flight fail with drain_deadline. */
  destroy(): void;
  /** Closes every socket now, without a word to anybody; what the calls come to is nobody's concern any more. */
  cut(): void;
  stats(): GrpcServerStats;
}
