/**
 * The daemon: puts the stages together, in the order in which they need each other, and takes them apart
 * in the opposite one.
 *
 *   start: admin HTTP (not ready) ─▶ writer (lock, recovery) ─▶ archiver ─▶ ingest threads ─▶ serving
 *   stop:  NOT_SERVING ─▶ delay ─▶ calls end ─▶ processors and channels empty ─▶ writer ─▶ archiver ─▶ balance
 *
 *   starting ─▶ serving ─stop()─▶ draining ─▶ stopped
 *                  └─ fault of the main thread, dead writer or archiver ─▶ draining, exit status 1
 *
 * An ingest thread that dies is started again (ingest-thread.ts); the daemon goes on.
 */

import { availableParallelism } from 'node:os';
import { type AdminServer, openAdminServer } from '../../admin/http-server.ts';
import { shownConfig } from '../../admin/shown-config.ts';
import type { Phase, StatusSource } from '../../admin/status-source.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDurationMs } from '../../base/duration.ts';
import { errorMessage } from '../../base/errors.ts';
import { ingestThreadCount } from '../../ingest/config.ts';
import { UsualLines } from '../../ingest/usual-lines.ts';
import { type BuildInfo, readBuildInfo } from '../../observe/build-info.ts';
import type { Check } from '../../observe/daemon-state.ts';
import { EventLoopMonitor } from '../../observe/event-loop-delay.ts';
import { FaultLog } from '../../observe/fault-log.ts';
import { type LedgerSnapshot, sumLedgers } from '../../observe/ledger.ts';
import type { DaemonLog, Logger } from '../../observe/logger.ts';
import { Metrics } from '../../observe/recorder.ts';
import { ThreadWatch } from '../../observe/thread-watch.ts';
import { type DaemonConfig, daemonGroups } from '../option-groups.ts';
import { balanceOf } from './balance.ts';
import { connectionsWithin, openFilesLimit } from './descriptor-limit.ts';
import { type DrainResult, type DrainStep, drain } from './drain.ts';
import { IngestThreads } from './ingest-threads.ts';
import { JOURNAL_THREADS, JournalThreads, WRITER_THREAD } from './journal-threads.ts';
import { memoryLimits } from './memory-limits.ts';
import { TlsSource } from './tls-source.ts';
import { TokenFiles } from './token-files.ts';

const MAIN_THREAD = 'main';
/** Threads report every 5 s; one that missed three reports is stuck, most likely in a call to the disk. */
const SILENT_AFTER_MS = 20_000;

export class Daemon {
  /** As given, but for the connections that the open-files limit has no room for. */
  readonly #config: DaemonConfig;
  readonly #openFiles: number | undefined;
  readonly #lacksDescriptors: boolean;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #faultLog: FaultLog;
  readonly #threads: ThreadWatch;
  readonly #monitor = new EventLoopMonitor();
  readonly #build: BuildInfo = readBuildInfo();
  readonly #startedAtMs: number;
  readonly #metrics: Metrics;
  readonly #source: StatusSource;
  readonly #ingestThreads: number;
  readonly #tokens = new TokenFiles();
  #tls: TlsSource | undefined;

  #phase: Phase = 'starting';
  #admin: AdminServer | undefined;
  #journal: JournalThreads | undefined;
  #ingest: IngestThreads | undefined;
  #grpcAddresses: readonly string[] = [];
  /** A broken invariant or a dead thread: why the daemon stops by itself. */
  #fatal: string | undefined;
  #started: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #onStopped!: (exitStatus: number) => void;

  /** Resolves with the exit status when the daemon has stopped, for whatever reason. */
  readonly stopped: Promise<number>;

  constructor(config: DaemonConfig, log: DaemonLog, clock: Clock) {
    this.#ingestThreads = ingestThreadCount(config.ingest.ingestThreads, availableParallelism());
    this.#openFiles = openFilesLimit();
    const maxConnections = connectionsWithin(
      config.grpc.maxConnections,
      this.#openFiles,
      this.#ingestThreads,
    );
    this.#lacksDescriptors = maxConnections < config.grpc.maxConnections;
    this.#config = { ...config, grpc: { ...config.grpc, maxConnections } };
    this.#clock = clock;
    this.#logger = log.logger;
    this.#startedAtMs = clock.nowMs();
    this.#faultLog = new FaultLog(log.logger, clock);
    this.#threads = new ThreadWatch(clock);
    this.#source = this.#statusSource();
    this.#metrics = new Metrics(
      {
        ...this.#source,
        faultRepeats: () => this.#faultLog.repeatsTotal,
        droppedLogLines: () => log.droppedLines(),
      },
      config.ingest.metricsClients,
    );
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
  }

  /** Throws the SinkError of whichever part could not start, after taking down those that had. */
  start(): Promise<void> {
    this.#started = this.#startOrUndo();
    return this.#started;
  }

  async #startOrUndo(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      this.#phase = 'stopped';
      await this.#ingest?.terminate();
      await this.#journal?.terminate();
      await this.#admin?.close();
      this.#tokens.close();
      this.#tls?.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { grpc, ingest, pipeline, journal, admin } = this.#config;
    const { version, node } = this.#build;
    this.#logger.info({ version, node, pid: process.pid }, 'starting');
    if (this.#lacksDescriptors) {
      this.#logger.warn(
        { openFiles: this.#openFiles, maxConnections: grpc.maxConnections },
        `only ${grpc.maxConnections} connections are let in: the process may open ${this.#openFiles} files; raise the limit (ulimit -n, LimitNOFILE) or lower MAX_CONNECTIONS`,
      );
    }
    if (UsualLines.open() === undefined) {
      this.#logger.warn('readings are encoded the slower way: this Node.js runs no WebAssembly with SIMD');
    }
    this.#threads.expect(MAIN_THREAD);
    this.#monitor.start(this.#clock, (report) => this.#threads.report(MAIN_THREAD, report));
    await this.#tokens.open(this.#config, {
      clock: this.#clock,
      logger: this.#logger,
      onTokens: (tokens) => this.#ingest?.setTokens(tokens),
    });
    this.#tls = await TlsSource.open(grpc, {
      clock: this.#clock,
      logger: this.#logger,
      onMaterial: (material) => this.#ingest?.setTls(material),
    });
    this.#admin = await openAdminServer(admin.adminSocket, {
      status: this.#source,
      metrics: this.#metrics,
      tokens: () => this.#tokens.admin,
      onFault: (path, error) =>
        this.#faultLog.report(`admin ${path}`, 'error', `${path} failed: ${errorMessage(error)}`),
    });
    this.#journal = await JournalThreads.start(journal, ingest.ack === 'synced' ? 'synced' : 'written', {
      metrics: this.#metrics,
      logger: this.#logger,
      faultLog: this.#faultLog,
      onStarted: (thread) => this.#threads.expect(thread),
      onEventLoop: (thread, report) => this.#threads.report(thread, report),
      onEnded: (thread) => this.#threads.ended(thread),
      onDeath: (thread, message) => this.#onThreadDeath(thread, message),
      onHealth: (health) => this.#ingest?.journalHealth(health),
      onChannelDrained: (id, channel) => this.#ingest?.onChannelDrained(id, channel),
    });
    const theJournal = this.#journal;
    this.#ingest = new IngestThreads(
      { grpc, ingest, pipeline },
      {
        clock: this.#clock,
        metrics: this.#metrics,
        logger: this.#logger,
        faultLog: this.#faultLog,
        connect: (id) => theJournal.connectIngest(id),
        disconnect: (id) => theJournal.disconnectIngest(id),
        journalHealth: () => theJournal.health,
        journalSilence: () => this.#journalSilence(),
        tokens: () => this.#tokens.senders,
        tls: () => this.#tls?.material,
        onStarted: (thread) => this.#threads.expect(thread),
        onEventLoop: (thread, report) => this.#threads.report(thread, report),
        onEnded: (thread) => this.#threads.ended(thread),
      },
    );
    this.#grpcAddresses = await this.#ingest.start(this.#ingestThreads);
    this.#phase = 'serving';
    this.#logServing();
  }

  #logServing(): void {
    const { ingest, journal } = this.#config;
    const limits = this.#source.memoryLimits();
    const bound = formatByteSize(limits.reduce((sum, { bytes }) => sum + bytes, 0));
    for (const missing of this.#admin!.missing) this.#logger.info(`no ${missing} on this machine`);
    this.#logger.info(
      {
        grpc: this.#grpcAddresses,
        admin: this.#admin!.addresses,
        folder: journal.filePath,
        ingestThreads: this.#ingest!.count,
        ack: ingest.ack,
        bufferBound: bound,
      },
      `serving gRPC on ${this.#grpcAddresses.join(' and ')}, admin on http://${this.#admin!.addresses[0]}`,
    );
  }

  /** The ordered stop. Calling it again changes nothing. */
  stop(reason: string): void {
    this.#stopping ??= this.#drain(reason).then(this.#onStopped, (error) => {
      this.#logger.fatal({ err: error }, 'the drain failed');
      this.#onStopped(1);
    });
  }

  /** Stops now: what is in the pipeline is handed over but not waited for. */
  async abort(reason: string): Promise<number> {
    this.#logger.error(`stopping at once: ${reason}`);
    await this.#ingest?.destroy({ handOver: true });
    void this.#admin?.close();
    return this.#finish(1);
  }

  /** A fault of ours: stops intake, drains what can be drained, exits with 1. */
  fault(error: unknown): void {
    this.#breakDown(`unexpected fault: ${errorMessage(error)}`, error);
  }

  #breakDown(message: string, error?: unknown): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = message;
    this.#logger.fatal({ err: error }, `${message}; draining`);
    this.stop(message);
  }

  #onThreadDeath(thread: string, message: string): void {
    this.#threads.ended(thread);
    if (thread === WRITER_THREAD) this.#ingest?.onWriterDeath(message);
    this.#breakDown(message);
  }

  async #drain(reason: string): Promise<number> {
    const { drainDelayMs, drainTimeoutMs } = this.#config.serve;
    // A signal may come while a long recovery is under way; a start that fails reports itself.
    await this.#started.catch(() => {});
    if (this.#phase === 'stopped') return 1;
    this.#phase = 'draining';
    this.#ingest?.beginDrain();
    this.#logger.info(
      { reason, delay: formatDurationMs(drainDelayMs), timeout: formatDurationMs(drainTimeoutMs) },
      `draining: ${reason}`,
    );
    if (this.#fatal === undefined && drainDelayMs > 0) {
      await new Promise<void>((resolve) => this.#clock.setTimer(drainDelayMs, resolve));
    }
    const result = await drain(this.#drainSteps(), drainTimeoutMs, this.#clock);
    if (!result.complete) await this.#reportLeft(result);
    this.#monitor.stop();
    await this.#admin?.close();
    const isClean = result.complete && this.#fatal === undefined && this.#ingest?.hadDeathInDrain !== true;
    return this.#finish(isClean ? 0 : 1);
  }

  #drainSteps(): readonly DrainStep[] {
    const journal = this.#journal!;
    return [
      {
        name: 'calls in flight',
        waitsForOthers: true,
        run: async (leftMs) => {
          const { finished, left } = await this.#ingest!.stopCalls(leftMs);
          if (!finished) throw new Error(`${left} calls were not done within their share of DRAIN_TIMEOUT`);
        },
      },
      { name: 'batches on their way to the writer', run: () => this.#ingest!.close() },
      { name: 'sync and close of the journal', run: () => journal.closeWriter() },
      { name: 'record of the last segment', run: () => journal.closeArchiver() },
    ];
  }

  async #reportLeft({ left }: DrainResult): Promise<void> {
    const { requests, readings } = this.#books();
    const fields = {
      steps: left.map(({ step }) => step),
      requestsInFlight: requests.inFlight,
      readingsInFlight: readings.inFlight,
      queuedBytes: this.#ingest?.queue().usedBytes ?? 0,
    };
    await this.#ingest?.destroy({ handOver: false });
    const reasons = left.map(({ step, reason }) => `${step}: ${reason}`);
    this.#logger.error(fields, `the drain is incomplete: ${reasons.join('; ')}`);
  }

  /** The last line of the log, once: a second signal may overtake a drain that is about to end. */
  #finish(exitStatus: number): number {
    if (this.#phase === 'stopped') return exitStatus;
    this.#phase = 'stopped';
    this.#tokens.close();
    this.#tls?.close();
    this.#faultLog.close();
    const balance = balanceOf(this.#books());
    const status = balance.isBalanced ? exitStatus : 1;
    const level = status === 0 ? 'info' : 'error';
    this.#logger[level]({ ...balance.fields, exitStatus: status }, balance.text);
    return status;
  }

  #books(): LedgerSnapshot {
    return this.#ingest?.books() ?? sumLedgers([]);
  }

  #statusSource(): StatusSource {
    const { ingest, pipeline, journal } = this.#config;
    const limits = memoryLimits(this.#config, journal, this.#ingestThreads);
    const shown = shownConfig(
      Object.entries(daemonGroups).map(([name, group]) => [group, this.#config[name as keyof DaemonConfig]]),
    );
    return {
      build: this.#build,
      startedAtMs: this.#startedAtMs,
      phase: () => this.#phase,
      grpcAddresses: () => this.#grpcAddresses,
      config: () => shown,
      liveness: () => this.#liveness(),
      readiness: () => this.#readiness(),
      ledger: () => this.#books(),
      connectionsByThread: () => this.#ingest?.connectionsByThread() ?? {},
      tls: () => this.#tls?.state,
      producers: () => this.#journal?.producers(),
      producersPage: (question) =>
        this.#journal?.producersPage(question) ?? Promise.resolve({ producers: [], hasMore: false }),
      clients: () => ({
        ...(this.#ingest?.clients() ?? {
          clients: 0,
          maxClients: ingest.maxClients,
          rateShareBytes: undefined,
          queueShareBytes: undefined,
        }),
        tokenFiles: this.#tokens.states,
      }),
      queue: () =>
        this.#ingest?.queue() ?? {
          usedBytes: 0,
          capacityBytes: pipeline.queueBytes,
          usedItems: 0,
          capacityItems: pipeline.queueItems,
          lagMs: 0,
          waitingRequests: 0,
        },
      journal: () =>
        this.#journal?.state() ?? {
          folder: journal.filePath,
          isHealthy: false,
          reason: 'not opened yet',
          openSegment: undefined,
          closedSegments: 0,
          diskBytes: 0,
          freeBytes: undefined,
          isLowOnSpace: false,
          unsyncedBytes: 0,
          archiveBacklog: 0,
        },
      threads: () => this.#threads.states(),
      memoryLimits: () => limits,
    };
  }

  #liveness(): readonly Check[] {
    return [check('daemon', this.#fatal)];
  }

  #readiness(): readonly Check[] {
    const journal = this.#source.journal();
    return [
      check('phase', this.#phase === 'serving' ? undefined : `the daemon is ${this.#phase}`),
      check('ingest', this.#ingest?.fault()),
      check('journal', journal.isHealthy ? undefined : journal.reason),
      check('threads', this.#journalSilence()),
    ];
  }

  /** Of the ingest threads the check of that name knows more: they may be too busy for a report, and at work. */
  #journalSilence(): string | undefined {
    const silent = this.#threads.silent(SILENT_AFTER_MS).filter((name) => JOURNAL_THREADS.includes(name));
    return silent.length === 0 ? undefined : `no sign of life from ${silent.join(', ')}: the disk may hang`;
  }
}

function check(name: string, reason: string | undefined): Check {
  return reason === undefined ? { check: name, ok: true } : { check: name, ok: false, reason };
}
