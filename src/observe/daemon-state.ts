/**
 * What a running daemon can say about itself at any moment. `commands/serve/` fills it from the stages;
 * the metrics and the admin server both read it, so they never disagree.
 *
 * All functions are cheap, synchronous and touch no disk: a scrape must answer while the disk hangs.
 */
import type { EventLoopReport } from './event-loop-delay.ts';
import type { LedgerSnapshot } from './ledger.ts';

/** One condition of liveness or readiness. */
export interface Check {
  readonly check: string;
  readonly ok: boolean;
  /** What is wrong and, where known, what to do; only when not ok. */
  readonly reason?: string;
}

export interface QueueState {
  /** Bytes of lines between encoder and disk: gathered, queued and being written. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly usedItems: number;
  readonly capacityItems: number;
  /** Age of the oldest reading that is not written yet; 0 when there is none. */
  readonly lagMs: number;
  /** Requests waiting for room. */
  readonly waitingRequests: number;
}

export interface OpenSegmentState {
  readonly number: number;
  readonly file: string;
  readonly startedAtMs: number;
  readonly lines: number;
  readonly bytes: number;
}

export interface JournalState {
  readonly folder: string;
  readonly isHealthy: boolean;
  /** Why not, when not. */
  readonly reason: string | undefined;
  readonly openSegment: OpenSegmentState | undefined;
  readonly closedSegments: number;
  /** All segments as they lie on the disk. */
  readonly diskBytes: number;
  /** Undefined until first measured. */
  readonly freeBytes: number | undefined;
  readonly isLowOnSpace: boolean;
  /** Written, not yet synced: what a power cut could take. */
  readonly unsyncedBytes: number;
  /** Closed segments waiting for hash, compression or retention. */
  readonly archiveBacklog: number;
}

export interface ThreadState {
  readonly name: string;
  readonly isAlive: boolean;
  /** Since its last report. */
  readonly silentMs: number;
  readonly eventLoop: EventLoopReport | undefined;
}

/** One bounded buffer and the most it can hold. */
export interface MemoryLimit {
  readonly name: string;
  readonly bytes: number;
}

/** One file of tokens, by the option that names it. */
export interface TokensState {
  readonly option: string;
  readonly tokens: number;
  readonly loadedAtMs: number;
  /** Why the file as it is now is not in force; undefined when it is. */
  readonly fault: string | undefined;
}

/** Clients that number their readings. */
export interface ProducersState {
  readonly known: number;
  readonly evicted: number;
  readonly deduplicatedReadings: number;
  readonly gaps: number;
  readonly waitingRequests: number;
  readonly waitingBytes: number;
}

/** The certificate that is served. */
export interface TlsState {
  readonly subject: string;
  readonly expiresAtMs: number;
  readonly loadedAtMs: number;
  /** Why the files as they are now are not in force; undefined when they are. */
  readonly fault: string | undefined;
}

/** Who is told apart, and what each may have. */
export interface ClientsState {
  /** That have a row of their own in the shared table. */
  readonly clients: number;
  readonly maxClients: number;
  /** The most that one may take a second of what there is too little of; undefined while there is enough. */
  readonly rateShareBytes: number | undefined;
  readonly queueShareBytes: number | undefined;
  readonly tokenFiles: readonly TokensState[];
}

export interface DaemonState {
  /** The process works: a restart is called for when a check fails. */
  liveness(): readonly Check[];
  /** It can take requests now. */
  readiness(): readonly Check[];
  ledger(): LedgerSnapshot;
  /** Open connections by the ingest thread that has them. */
  connectionsByThread(): Readonly<Record<string, number>>;
  clients(): ClientsState;
  /** Undefined: plaintext. */
  tls(): TlsState | undefined;
  /** Undefined: not known yet. */
  producers(): ProducersState | undefined;
  queue(): QueueState;
  journal(): JournalState;
  threads(): readonly ThreadState[];
  memoryLimits(): readonly MemoryLimit[];
}
