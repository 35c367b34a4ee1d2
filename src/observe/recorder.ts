/**
 * Metrics: what stages tell, one method per event, and the scrape. An event of a request is a plain
 * addition; histograms are touched once per batch, write or sync.
 */
import { Registry } from 'prom-client';
import type { BuildInfo } from './build-info.ts';
import type { DaemonState } from './daemon-state.ts';
import { defineMetrics, type MetricSet } from './metrics.ts';
import { copyState, setTotal } from './scrape.ts';

/** Causes and operations come from other modules' fixed lists; one that grew past this is a mistake. */
const MAX_LABEL_VALUES = 40;
/** All that are not told apart; every client's own label has a colon in it. */
export const OTHER_CLIENTS = 'other';

export interface MetricsSource extends DaemonState {
  readonly build: BuildInfo;
  faultRepeats(): number;
  droppedLogLines(): number;
}

export type JournalOperation = 'write' | 'sync' | 'open' | 'close' | 'archive' | 'recovery';

export class Metrics {
  readonly #registry = new Registry();
  readonly #set: MetricSet = defineMetrics(this.#registry);
  readonly #source: MetricsSource;
  readonly #malformed = new Map<string, number>();
  readonly #clients = new Set<string>();
  readonly #maxClients: number;
  #requestBytes = 0;

  /** `maxClients`: METRICS_CLIENTS. */
  constructor(source: MetricsSource, maxClients = 0) {
    this.#source = source;
    this.#maxClients = maxClients;
    const { version, commit, node } = source.build;
    this.#set.buildInfo.set({ version, commit, node }, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Per request. */
  requestBytes(bytes: number): void {
    this.#requestBytes += bytes;
  }
  malformed(fault: string, count = 1): void {
    const label = this.#malformed.has(fault) || this.#malformed.size < MAX_LABEL_VALUES ? fault : 'other';
    this.#malformed.set(label, (this.#malformed.get(label) ?? 0) + count);
  }
  handshakeFault(fault: string, count: number): void {
    this.#set.handshakeFaults.inc({ fault }, count);
  }
  /** Per request that found no room. */
  queueWaited(waitedMs: number): void {
    this.#set.queueWaitSeconds.observe(seconds(waitedMs));
  }

  /** Per batch. */
  batchFlushed(cause: string, lines: number, bytes: number): void {
    this.#set.batchesFlushed.inc({ cause });
    this.#set.batchReadings.observe(lines);
    this.#set.batchBytes.observe(bytes);
  }
  /** From the batch's first request to its acknowledgement. */
  batchAcknowledged(latencyMs: number): void {
    this.#set.acknowledgementSeconds.observe(seconds(latencyMs));
  }

  /** `client` is bounded and fit to be shown; how many are told apart is bounded here. */
  clientSent(client: string, admittedBytes: number, refusedRequests: number): void {
    let label = client;
    if (!this.#clients.has(client)) {
      if (this.#clients.size < this.#maxClients) this.#clients.add(client);
      else label = OTHER_CLIENTS;
    }
    this.#set.clientAdmittedBytes.inc({ client: label }, admittedBytes);
    this.#set.clientRefused.inc({ client: label }, refusedRequests);
  }

  threadRestarted(thread: string): void {
    this.#set.threadRestarts.inc({ thread });
  }

  journalWritten(bytes: number, lines: number, durationMs: number): void {
    this.#set.journalWrittenBytes.inc(bytes);
    this.#set.journalWrittenLines.inc(lines);
    this.#set.journalWriteSeconds.observe(seconds(durationMs));
  }
  journalSynced(durationMs: number): void {
    this.#set.journalSyncSeconds.observe(seconds(durationMs));
  }
  journalFailed(operation: JournalOperation): void {
    this.#set.journalFailures.inc({ operation });
  }
  tornBytesCut(bytes: number): void {
    this.#set.journalTornBytes.inc(bytes);
  }
  segmentOpened(): void {
    this.#set.segmentsOpened.inc();
  }
  segmentClosed(cause: string): void {
    this.#set.rotations.inc({ cause });
  }
  segmentDeleted(cause: string): void {
    this.#set.segmentsDeleted.inc({ cause });
  }
  segmentCompressed(inputBytes: number, outputBytes: number, durationMs: number): void {
    this.#set.compressionInputBytes.inc(inputBytes);
    this.#set.compressionOutputBytes.inc(outputBytes);
    this.#set.compressionSeconds.observe(seconds(durationMs));
  }

  /**
   * The text of /metrics. All state is copied and all values are read in this turn of the event loop
   * (prom-client reads them before its first await), so the equations of the books hold within one answer.
   */
  scrape(): Promise<string> {
    copyState(this.#set, this.#source);
    setTotal(this.#set.requestBytes, this.#requestBytes);
    setTotal(this.#set.faultRepeats, this.#source.faultRepeats());
    setTotal(this.#set.logDropped, this.#source.droppedLogLines());
    this.#set.malformed.reset();
    for (const [fault, count] of this.#malformed) this.#set.malformed.inc({ fault }, count);
    return this.#registry.metrics();
  }
}

/** A wall clock that was set back must not make an observation negative. */
function seconds(durationMs: number): number {
  return Math.max(0, durationMs) / 1000;
}
