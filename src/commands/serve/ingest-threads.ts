/**
 * All ingest threads as the main thread sees them: started on one port, their books summed, their beats
 * watched, and stopped together.
 *
 *   serving ──a thread is stuck or dead, or the journal takes no lines──▶ not serving: health says NOT_SERVING
 *      ▲                                                                      │
 *      └──────────────────────────────all is well again───────────────────────┘
 *
 * Health follows all threads, because a client cannot choose its thread: the kernel hands a connection to
 * any that listens, also to one that is stuck.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Clock, Timer } from '../../base/clock.ts';
import type { ListenAddress } from '../../base/listen-address.ts';
import type { TokenEntry } from '../../base/token-file.ts';
import { findPort } from '../../grpc/listeners.ts';
import type { StopResult } from '../../grpc/server.ts';
import { HANDSHAKE_FAULTS } from '../../grpc/tls/handshake-fault.ts';
import type { TlsMaterial } from '../../grpc/tls/material.ts';
import { fairShareState } from '../../ingest/fair-share.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import type { ClientsState, QueueState } from '../../observe/daemon-state.ts';
import type { EventLoopReport } from '../../observe/event-loop-delay.ts';
import type { FaultLog } from '../../observe/fault-log.ts';
import { type LedgerSnapshot, sumLedgers } from '../../observe/ledger.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Metrics } from '../../observe/recorder.ts';
import type { DrainedChannel } from '../../pipeline/channel-receiver.ts';
import { audit } from './balance.ts';
import { recordReport } from './ingest-activity.ts';
import type { IngestOptions } from './ingest-messages.ts';
import {
  type IngestEvent,
  type IngestReport,
  type IngestShares,
  newShares,
  STATE,
} from './ingest-messages.ts';
import { IngestThread } from './ingest-thread.ts';

const WATCH_INTERVAL_MS = 500;

export interface IngestThreadsDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly faultLog: FaultLog;
  connect(id: number): MessagePort;
  disconnect(id: number): void;
  journalHealth(): JournalHealth;
  /** Which threads of the journal are stuck; undefined: none. */
  journalSilence(): string | undefined;
  /** Those that are good now; undefined: none is asked for. */
  tokens(): readonly TokenEntry[] | undefined;
  tls(): TlsMaterial | undefined;
  onStarted(thread: string): void;
  onEventLoop(thread: string, report: EventLoopReport): void;
  onEnded(thread: string): void;
}

export class IngestThreads {
  readonly #deps: IngestThreadsDeps;
  readonly #options: IngestOptions;
  #threads: readonly IngestThread[] = [];
  #shares: IngestShares | undefined;
  #lives = 0;
  #isServing = false;
  #watch: Timer | undefined;
  #hadDeathInDrain = false;
  #isDraining = false;

  constructor(options: IngestOptions, deps: IngestThreadsDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * `wanted` threads where the system lets them share a port, else one; returns the addresses. Throws what
   * kept any of them from starting.
   */
  async start(wanted: number): Promise<readonly string[]> {
    let address: ListenAddress = this.#options.grpc.grpcServerSocket;
    let count = wanted;
    if (wanted > 1) {
      const { port, canShare } = await findPort(address);
      address = { host: address.host, port };
      if (!canShare) {
        count = 1;
        this.#deps.logger.info(
          { wanted },
          'this system does not let threads share a port: one ingest thread',
        );
      }
    }
    const shares = newShares(count, this.#options.ingest.maxClients);
    this.#shares = shares;
    this.#threads = Array.from(
      { length: count },
      (_, index) =>
        new IngestThread(
          address,
          { options: this.#options, index, shares, reusePort: count > 1 },
          {
            clock: this.#deps.clock,
            connect: () => {
              const id = ++this.#lives;
              return { id, batches: this.#deps.connect(id) };
            },
            disconnect: (id) => this.#deps.disconnect(id),
            journalHealth: () => this.#deps.journalHealth(),
            tokens: () => this.#deps.tokens(),
            tls: () => this.#deps.tls(),
            onReady: (thread) => this.#onReady(thread),
            onEvent: (thread, event) => this.#onEvent(thread, event),
            onDeath: (thread, message) => this.#onDeath(thread, message),
          },
        ),
    );
    const [addresses] = await Promise.all(this.#threads.map((thread) => thread.start()));
    this.#look();
    return addresses!;
  }

  get count(): number {
    return this.#threads.length;
  }

  /** True once a thread died while the daemon drained: calls of its were not answered. */
  get hadDeathInDrain(): boolean {
    return this.#hadDeathInDrain;
  }

  /** All books as one, held against what the threads really hold. */
  books(): LedgerSnapshot {
    const books = sumLedgers(this.#threads.flatMap((thread) => thread.ledgers));
    const astray = this.#threads.map((thread) => thread.astray);
    return audit(books, {
      requests: books.requests.inFlight - sumOf(astray.map(({ requests }) => requests)),
      readings: books.readings.inFlight - sumOf(astray.map(({ readings }) => readings)),
    });
  }

  connectionsByThread(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#threads.map(({ name, connections }) => [name, connections]));
  }

  clients(): Omit<ClientsState, 'tokenFiles'> {
    const { maxClients, ratePerSecondBytes } = this.#options.ingest;
    const cells = this.#shares?.admission.fairShare;
    if (cells === undefined) {
      return { clients: 0, maxClients, rateShareBytes: undefined, queueShareBytes: undefined };
    }
    return { maxClients, ...fairShareState(cells, ratePerSecondBytes) };
  }

  /** At most a quarter of a second old. */
  queue(): QueueState {
    const { queueBytes, queueItems } = this.#options.pipeline;
    const shown = (place: number): number[] => this.#threads.map(({ state }) => state?.[place] ?? 0);
    return {
      usedBytes: sumOf(shown(STATE.queueBytes)),
      capacityBytes: queueBytes,
      usedItems: sumOf(shown(STATE.queueItems)),
      capacityItems: queueItems,
      lagMs: Math.max(0, ...shown(STATE.lagMs)),
      waitingRequests: sumOf(shown(STATE.waitingRequests)),
    };
  }

  /** What is wrong with which threads; undefined when all beat. */
  fault(): string | undefined {
    const nowMs = this.#deps.clock.monotonicMs();
    const faults = this.#threads.map((thread) => thread.fault(nowMs)).filter((fault) => fault !== undefined);
    return faults.length === 0 ? undefined : faults.join(', ');
  }

  journalHealth(health: JournalHealth): void {
    for (const thread of this.#threads) thread.post({ kind: 'journalHealth', health });
    // Not during the first start: health says SERVING when all are there.
    if (this.#watch !== undefined) this.#look();
  }

  /** From the next call of every connection on. */
  setTokens(tokens: readonly TokenEntry[]): void {
    for (const thread of this.#threads) thread.post({ kind: 'tokens', tokens });
  }

  /** For handshakes that begin from now on. */
  setTls(material: TlsMaterial): void {
    for (const thread of this.#threads) thread.post({ kind: 'tls', material });
  }

  onChannelDrained(id: number, channel: DrainedChannel): void {
    for (const thread of this.#threads) thread.onChannelDrained(id, channel);
  }

  onWriterDeath(message: string): void {
    for (const thread of this.#threads) thread.onWriterDeath(message);
  }

  beginDrain(): void {
    this.#isDraining = true;
    this.#watch?.cancel();
    for (const thread of this.#threads) thread.beginDrain();
  }

  async stopCalls(timeoutMs: number): Promise<StopResult> {
    const results = await Promise.all(this.#threads.map((thread) => thread.stopCalls(timeoutMs)));
    return {
      finished: results.every(({ finished }) => finished),
      left: sumOf(results.map(({ left }) => left)),
    };
  }

  /** Hands everything gathered to the writer; resolves when it has answered for all of it and the books are closed. */
  async close(): Promise<void> {
    await Promise.all(
      this.#threads.map(async (thread) => {
        await thread.close();
        this.#deps.onEnded(thread.name);
      }),
    );
  }

  /** Ends everything at once. Requests under way fail with drain_deadline; their readings go into the books as lost, or stay in flight where they are handed over. */
  async destroy(options: { readonly handOver: boolean }): Promise<void> {
    this.beginDrain();
    await Promise.all(this.#threads.map((thread) => thread.leaveNow(options.handOver)));
    for (const thread of this.#threads) thread.writeOff(!options.handOver);
  }

  async terminate(): Promise<void> {
    this.#watch?.cancel();
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #onReady(thread: IngestThread): void {
    this.#deps.onStarted(thread.name);
    // They may have changed while it was starting.
    const tokens = this.#deps.tokens();
    if (tokens !== undefined) thread.post({ kind: 'tokens', tokens });
    const material = this.#deps.tls();
    if (material !== undefined) thread.post({ kind: 'tls', material });
    // Not during the first start: health says SERVING when all are there.
    if (this.#watch !== undefined) this.#look();
  }

  #onDeath(thread: IngestThread, message: string): void {
    this.#deps.onEnded(thread.name);
    this.#deps.metrics.threadRestarted(thread.name);
    this.#deps.faultLog.report(
      `death of ${thread.name}`,
      'error',
      `${message}; its connections are reset, its unanswered requests fail, and it is started again`,
    );
    if (this.#isDraining) this.#hadDeathInDrain = true;
    else this.#look();
  }

  #onEvent(thread: IngestThread, event: IngestEvent): void {
    if (event.kind === 'eventLoop') this.#deps.onEventLoop(thread.name, event.report);
    else if (event.kind === 'report') this.#onReport(event.report);
  }

  #onReport(report: IngestReport): void {
    recordReport(this.#deps.metrics, report);
    for (const { fault, peer, detail } of report.handshakeFaults) {
      this.#deps.faultLog.report(
        `TLS ${fault}`,
        'warn',
        `no TLS with ${peer}: ${HANDSHAKE_FAULTS[fault]}${detail === '' ? '' : ` (${detail})`}`,
      );
    }
    for (let i = 0; i < report.connectionsRefused; i++) {
      this.#deps.faultLog.report('connection', 'warn', 'connection refused: MAX_CONNECTIONS reached', {
        peer: report.refusedPeer,
      });
    }
  }

  /** Looks after the beats, now and then again. */
  #look(): void {
    if (this.#isDraining) return;
    this.#watch?.cancel();
    this.#watch = this.#deps.clock.setTimer(WATCH_INTERVAL_MS, () => this.#look());
    const fault = this.fault() ?? this.#deps.journalSilence();
    // A probe over gRPC is to see what /readyz says; the journal's own fault is logged where it is learnt.
    const isServing = fault === undefined && this.#deps.journalHealth().ok;
    if (isServing !== this.#isServing) {
      this.#isServing = isServing;
      if (fault !== undefined) this.#deps.faultLog.report('threads', 'error', `not serving: ${fault}`);
    }
    // Each time: a thread may have been started anew.
    for (const thread of this.#threads) thread.post({ kind: 'serving', isServing });
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
