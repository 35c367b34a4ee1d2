/**
 * Gathers what an ingest thread did and reports it four times a second, so that the metrics cost its hot
 * path an addition per request and a few numbers per batch, and the main thread a message now and then.
 */

import type { HandshakeFault } from '../../grpc/tls/handshake-fault.ts';
import type { ClientActivity } from '../../ingest/clients.ts';
import type { Metrics } from '../../observe/recorder.ts';
import { FLUSH_CAUSES, type FlushCause } from '../../pipeline/batch.ts';
import type { HandshakeFaults, IngestReport } from './ingest-messages.ts';

/** A report goes out early when it holds so many numbers of one kind. */
const NUMBERS_MAX = 30_000;

/** What the stages of an ingest thread tell; the same methods as Metrics has. */
export type IngestObserver = Pick<
  Metrics,
  'requestBytes' | 'malformed' | 'queueWaited' | 'batchFlushed' | 'batchAcknowledged'
>;

export class IngestActivityLog implements IngestObserver {
  readonly #report: (report: IngestReport) => void;
  readonly #clients: () => readonly ClientActivity[];
  readonly #malformed = new Map<string, number>();
  #requestBytes = 0;
  #queueWaitsMs: number[] = [];
  #flushes: number[] = [];
  #acknowledgementsMs: number[] = [];
  #connectionsRefused = 0;
  readonly #handshakeFaults = new Map<HandshakeFault, HandshakeFaults>();
  #refusedPeer = '';

  /** `clients` tells, and forgets, what each client sent since it was last asked. */
  constructor(report: (report: IngestReport) => void, clients: () => readonly ClientActivity[]) {
    this.#report = report;
    this.#clients = clients;
  }

  requestBytes(bytes: number): void {
    this.#requestBytes += bytes;
  }
  malformed(fault: string): void {
    this.#malformed.set(fault, (this.#malformed.get(fault) ?? 0) + 1);
  }
  queueWaited(waitedMs: number): void {
    if (this.#queueWaitsMs.push(waitedMs) >= NUMBERS_MAX) this.flush();
  }
  batchFlushed(cause: FlushCause, lines: number, bytes: number): void {
    if (this.#flushes.push(FLUSH_CAUSES.indexOf(cause), lines, bytes) >= NUMBERS_MAX) this.flush();
  }
  batchAcknowledged(latencyMs: number): void {
    if (this.#acknowledgementsMs.push(latencyMs) >= NUMBERS_MAX) this.flush();
  }
  connectionRefused(peer: string): void {
    this.#connectionsRefused++;
    this.#refusedPeer = peer;
  }

  handshakeFault(fault: HandshakeFault, peer: string, detail: string): void {
    const count = (this.#handshakeFaults.get(fault)?.count ?? 0) + 1;
    this.#handshakeFaults.set(fault, { fault, count, peer, detail });
  }

  /** Reports what is gathered now, if anything. */
  flush(): void {
    const report: IngestReport = {
      requestBytes: this.#requestBytes,
      malformed: [...this.#malformed],
      queueWaitsMs: this.#queueWaitsMs,
      flushes: this.#flushes,
      acknowledgementsMs: this.#acknowledgementsMs,
      clients: this.#clients(),
      connectionsRefused: this.#connectionsRefused,
      handshakeFaults: [...this.#handshakeFaults.values()],
      refusedPeer: this.#refusedPeer,
    };
    const { requestBytes, malformed, queueWaitsMs, flushes, acknowledgementsMs, clients } = report;
    const { connectionsRefused } = report;
    const events =
      malformed.length + queueWaitsMs.length + flushes.length + acknowledgementsMs.length + clients.length;
    const faults = connectionsRefused + this.#handshakeFaults.size;
    if (requestBytes + events + faults === 0) return;
    this.#requestBytes = 0;
    this.#malformed.clear();
    this.#queueWaitsMs = [];
    this.#flushes = [];
    this.#acknowledgementsMs = [];
    this.#connectionsRefused = 0;
    this.#handshakeFaults.clear();
    this.#report(report);
  }
}

/** In the main thread: a report into the metrics. */
export function recordReport(metrics: Metrics, report: IngestReport): void {
  metrics.requestBytes(report.requestBytes);
  for (const [fault, count] of report.malformed) metrics.malformed(fault, count);
  for (const waitedMs of report.queueWaitsMs) metrics.queueWaited(waitedMs);
  const { flushes } = report;
  for (let i = 0; i < flushes.length; i += 3) {
    metrics.batchFlushed(FLUSH_CAUSES[flushes[i]!]!, flushes[i + 1]!, flushes[i + 2]!);
  }
  for (const [client, admittedBytes, refusedRequests] of report.clients) {
    metrics.clientSent(client, admittedBytes, refusedRequests);
  }
  for (const { fault, count } of report.handshakeFaults) metrics.handshakeFault(fault, count);
  for (const latencyMs of report.acknowledgementsMs) metrics.batchAcknowledged(latencyMs);
}
