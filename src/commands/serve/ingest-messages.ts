/**
 * What an ingest thread is started with, what it is told and what it tells. Plain data: it is cloned; the
 * arrays of `shares` and `cells` lie in SharedArrayBuffers, so that both sides see the same numbers.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ListenAddress } from '../../base/listen-address.ts';
import type { TokenEntry } from '../../base/token-file.ts';
import type { GrpcConfig } from '../../grpc/config.ts';
import type { HandshakeFault } from '../../grpc/tls/handshake-fault.ts';
import type { TlsMaterial } from '../../grpc/tls/material.ts';
import { type AdmissionCells, newAdmissionCells } from '../../ingest/admission.ts';
import type { ClientActivity } from '../../ingest/clients.ts';
import type { IngestConfig } from '../../ingest/config.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import type { EventLoopReport } from '../../observe/event-loop-delay.ts';
import { LEDGER_CELLS } from '../../observe/ledger.ts';
import type { PipelineConfig } from '../../pipeline/config.ts';

/** Each group as a whole: every stage reads its own. */
export interface IngestOptions {
  readonly grpc: GrpcConfig;
  readonly ingest: IngestConfig;
  readonly pipeline: PipelineConfig;
}

/** Budgets that all ingest threads draw on; cell i is the i-th thread's. */
export interface IngestShares {
  readonly connections: Int32Array<SharedArrayBuffer>;
  readonly receive: Int32Array<SharedArrayBuffer>;
  readonly queue: Int32Array<SharedArrayBuffer>;
  /** Not 0 while requests of that thread wait for queue room. */
  readonly waiting: Int32Array<SharedArrayBuffer>;
  /** The byte rate, and what is known of clients. */
  readonly admission: AdmissionCells;
}

/** What one life of one thread shows of itself. */
export interface IngestCells {
  readonly ledger: Float64Array<SharedArrayBuffer>;
  /** See STATE. */
  readonly state: Float64Array<SharedArrayBuffer>;
}

/** Places in `IngestCells.state`. The thread writes them four times a second; that is its beat. */
export const STATE = {
  beatAtMs: 0,
  queueBytes: 1,
  queueItems: 2,
  waitingRequests: 3,
  /** Age of the oldest reading that is not written yet. */
  lagMs: 4,
  /** What the books have in flight beyond what is really held; anything but 0 is a fault of ours. */
  requestsAstray: 5,
  readingsAstray: 6,
} as const;
export const BEAT_INTERVAL_MS = 250;

export function newShares(threads: number, maxClients: number): IngestShares {
  const cells = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4 * threads));
  return {
    connections: cells(),
    receive: cells(),
    queue: cells(),
    waiting: cells(),
    admission: newAdmissionCells(maxClients),
  };
}

export function newCells(): IngestCells {
  const cells = (count: number): Float64Array<SharedArrayBuffer> =>
    new Float64Array(new SharedArrayBuffer(8 * count));
  return { ledger: cells(LEDGER_CELLS), state: cells(Object.keys(STATE).length) };
}

export interface IngestData {
  readonly options: IngestOptions;
  readonly address: ListenAddress;
  readonly reusePort: boolean;
  /** Its place in the shares. */
  readonly index: number;
  readonly shares: IngestShares;
  readonly cells: IngestCells;
  /** Batches go out here, results come in. */
  readonly batches: MessagePort;
  readonly journalHealth: JournalHealth;
  /** Undefined: none is asked for. */
  readonly tokens: readonly TokenEntry[] | undefined;
  /** Undefined: plaintext. */
  readonly tls: TlsMaterial | undefined;
}

export interface IngestReady {
  readonly addresses: readonly string[];
}

export type IngestCommand =
  | { readonly kind: 'serving'; readonly isServing: boolean }
  | { readonly kind: 'journalHealth'; readonly health: JournalHealth }
  | { readonly kind: 'tokens'; readonly tokens: readonly TokenEntry[] }
  | { readonly kind: 'tls'; readonly material: TlsMaterial }
  | { readonly kind: 'beginDrain' }
  | { readonly kind: 'stopCalls'; readonly timeoutMs: number }
  /** The writer died: whatever it had is lost. */
  | { readonly kind: 'abandon'; readonly message: string }
  /** Ends all calls now; with `handOver` what is gathered goes to the writer, and nothing is waited for. */
  | { readonly kind: 'leave'; readonly handOver: boolean };

export type IngestEvent =
  | { readonly kind: 'report'; readonly report: IngestReport }
  | { readonly kind: 'eventLoop'; readonly report: EventLoopReport }
  | { readonly kind: 'callsStopped'; readonly finished: boolean; readonly left: number }
  | { readonly kind: 'left' };

export interface HandshakeFaults {
  readonly fault: HandshakeFault;
  readonly count: number;
  readonly peer: string;
  readonly detail: string;
}

/** What happened since the last report; flat arrays, because there may be thousands of batches in one. */
export interface IngestReport {
  readonly requestBytes: number;
  /** Fault, count. */
  readonly malformed: readonly (readonly [string, number])[];
  readonly queueWaitsMs: readonly number[];
  /** Index in FLUSH_CAUSES, lines, bytes of each batch, one after the other. */
  readonly flushes: readonly number[];
  readonly acknowledgementsMs: readonly number[];
  readonly clients: readonly ClientActivity[];
  readonly connectionsRefused: number;
  /** Fault, how often, and who and what it was the last time. */
  readonly handshakeFaults: readonly HandshakeFaults[];
  /** The last one refused. */
  readonly refusedPeer: string;
}
