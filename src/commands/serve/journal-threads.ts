/**
 * The journal as the main thread sees it: the writer and archive threads, and the state they last
 * reported. It keeps no state of its own about segments; what it shows is at most a quarter of a second old.
 *
 *   ingest threads ──batches──▶ writer ──closed segments──▶ archiver
 *     ◀──results────────────────┘  └──events──▶ main ◀──events──┘
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { formatByteSize } from '../../base/byte-size.ts';
import type { ArchiverStats } from '../../journal/archiver.ts';
import type { JournalConfig } from '../../journal/config.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import type { ProducersPage, ProducersQuestion } from '../../journal/producers/producers-page.ts';
import type { JournalState, ProducersState } from '../../observe/daemon-state.ts';
import type { EventLoopReport } from '../../observe/event-loop-delay.ts';
import type { FaultLog } from '../../observe/fault-log.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Metrics } from '../../observe/recorder.ts';
import type { DrainedChannel } from '../../pipeline/channel-receiver.ts';
import type {
  ArchiverData,
  ArchiverEvent,
  WriterActivity,
  WriterCommand,
  WriterData,
  WriterEvent,
} from './journal-events.ts';
import { WorkerThread } from './worker-thread.ts';

export const WRITER_THREAD = 'writer';
export const ARCHIVE_THREAD = 'archive';
export const JOURNAL_THREADS: readonly string[] = [WRITER_THREAD, ARCHIVE_THREAD];

export interface JournalThreadsDeps {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly faultLog: FaultLog;
  onStarted(thread: string): void;
  onEventLoop(thread: string, report: EventLoopReport): void;
  onEnded(thread: string): void;
  onDeath(thread: string, message: string): void;
  onHealth(health: JournalHealth): void;
  /** All that came over the channel of that ingest thread's life is answered, and no more will come. */
  onChannelDrained(id: number, channel: DrainedChannel): void;
}

export class JournalThreads {
  readonly #folder: string;
  readonly #deps: JournalThreadsDeps;
  readonly #writer: WorkerThread<undefined, WriterEvent, WriterCommand>;
  #archiver: WorkerThread<undefined, ArchiverEvent> | undefined;
  #health: JournalHealth = { ok: true };
  #activity: WriterActivity | undefined;
  #stats: ArchiverStats | undefined;
  #isLowOnSpace = false;
  readonly #questions = new Map<number, (page: ProducersPage) => void>();
  #nextQuestion = 1;

  private constructor(folder: string, deps: JournalThreadsDeps, data: WriterData) {
    this.#folder = folder;
    this.#deps = deps;
    this.#writer = new WorkerThread<undefined, WriterEvent, WriterCommand>({
      name: WRITER_THREAD,
      entry: 'writer-worker',
      data,
      transfer: [data.segments],
      onEvent: (event) => this.#onWriterEvent(event),
      onDeath: (message) => deps.onDeath(WRITER_THREAD, message),
    });
  }

  /** Locks and recovers the folder, then starts the archiver on it. Throws the SinkError of whichever failed. */
  static async start(
    config: JournalConfig,
    durability: 'written' | 'synced',
    deps: JournalThreadsDeps,
  ): Promise<JournalThreads> {
    const segments = new MessageChannel();
    const { filePath, rotateBytes, rotateIntervalMs, syncIntervalMs, directWrites } = config;
    const { reorderBytes, reorderWaitMs, maxProducers, producerMaxAgeMs } = config;
    const threads = new JournalThreads(filePath, deps, {
      options: { filePath, rotateBytes, rotateIntervalMs, syncIntervalMs, directWrites, durability },
      producers: { reorderBytes, reorderWaitMs, maxProducers, producerMaxAgeMs },
      segments: segments.port1,
    });
    try {
      await threads.#writer.ready;
      deps.onStarted(WRITER_THREAD);
      await threads.#startArchiver(config, segments.port2);
    } catch (error) {
      await threads.terminate();
      throw error;
    }
    return threads;
  }

  async #startArchiver(config: JournalConfig, segments: MessagePort): Promise<void> {
    const { filePath, compress, retainFiles, retainBytes, retainAgeMs, lowSpaceBytes } = config;
    const data: ArchiverData = {
      options: { filePath, compress, retainFiles, retainBytes, retainAgeMs, lowSpaceBytes },
      segments,
    };
    this.#archiver = new WorkerThread<undefined, ArchiverEvent>({
      name: ARCHIVE_THREAD,
      entry: 'archive-worker',
      data,
      transfer: [segments],
      onEvent: (event) => this.#onArchiverEvent(event),
      onDeath: (message) => this.#deps.onDeath(ARCHIVE_THREAD, message),
    });
    await this.#archiver.ready;
    this.#deps.onStarted(ARCHIVE_THREAD);
  }

  /** A channel to the writer for one life of an ingest thread: the thread's end of it. */
  connectIngest(id: number): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#writer.post({ kind: 'connect', id, batches: port2 }, [port2]);
    return port1;
  }

  /** The thread of that life is not to be trusted to come to an end: nothing more is taken from it. */
  disconnectIngest(id: number): void {
    this.#writer.post({ kind: 'disconnect', id });
  }

  producersPage(question: ProducersQuestion): Promise<ProducersPage> {
    const id = this.#nextQuestion++;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      this.#writer.post({ kind: 'producers', id, question });
    });
  }

  producers(): ProducersState | undefined {
    return this.#activity?.producers;
  }

  get health(): JournalHealth {
    return this.#health;
  }

  state(): JournalState {
    const stats = this.#stats;
    const open = this.#activity?.openSegment;
    return {
      folder: this.#folder,
      isHealthy: this.#health.ok,
      reason: this.#health.ok ? undefined : this.#health.reason,
      openSegment: open,
      closedSegments: stats?.segments ?? 0,
      diskBytes: (stats?.fileBytes ?? 0) + (open?.bytes ?? 0),
      freeBytes: stats?.freeBytes,
      isLowOnSpace: this.#isLowOnSpace,
      unsyncedBytes: this.#activity?.unsyncedBytes ?? 0,
      archiveBacklog: (stats?.hashQueue ?? 0) + (stats?.compressQueue ?? 0),
    };
  }

  /** Everything received is on the disk, the last segment closed and the folder unlocked. */
  async closeWriter(): Promise<void> {
    await this.#writer.close();
    this.#deps.onEnded(WRITER_THREAD);
  }

  /** Every closed segment is in the manifest. After closeWriter. */
  async closeArchiver(): Promise<void> {
    await this.#archiver?.close();
    this.#deps.onEnded(ARCHIVE_THREAD);
  }

  async terminate(): Promise<void> {
    await Promise.all([this.#writer.terminate(), this.#archiver?.terminate()]);
  }

  #onWriterEvent(event: WriterEvent): void {
    const { metrics, logger, faultLog } = this.#deps;
    switch (event.kind) {
      case 'activity':
        this.#onActivity(event.activity);
        break;
      case 'producers':
        this.#questions.get(event.id)?.(event.page);
        this.#questions.delete(event.id);
        break;
      case 'producersFault':
        faultLog.report('producers', 'warn', event.message);
        break;
      case 'runsGone':
        logger.warn(event.message);
        break;
      case 'channelDrained':
        this.#deps.onChannelDrained(event.id, event.channel);
        break;
      case 'health':
        this.#onHealth(event.health);
        break;
      case 'recovered':
        for (const torn of event.recovery.torn) logger.warn(torn);
        metrics.tornBytesCut(event.recovery.tornBytes);
        if (event.recovery.segments > 0) {
          const { segments, lines, tornBytes } = event.recovery;
          logger.info({ segments, lines, tornBytes }, 'recovered what the last run left open');
        }
        break;
      case 'segmentOpened':
        metrics.segmentOpened();
        break;
      case 'segmentClosed':
        metrics.segmentClosed(event.cause);
        if (event.suspect) {
          faultLog.report(
            'suspect',
            'error',
            'a sync failed: the segment was closed as suspect and a new one begun',
          );
        }
        break;
      case 'segmentLost': {
        const { file, lines, bytes } = event.segment;
        faultLog.report(
          'segment lost',
          'error',
          `${file} was removed while it was open: its lines are gone`,
          {
            lines,
            bytes,
          },
        );
        break;
      }
      case 'eventLoop':
        this.#deps.onEventLoop(WRITER_THREAD, event.report);
        break;
    }
  }

  #onActivity(activity: WriterActivity): void {
    this.#activity = activity;
    const { writes, syncsMs } = activity;
    for (let i = 0; i < writes.length; i += 3) {
      this.#deps.metrics.journalWritten(writes[i]!, writes[i + 1]!, writes[i + 2]!);
    }
    for (const durationMs of syncsMs) this.#deps.metrics.journalSynced(durationMs);
  }

  #onHealth(health: JournalHealth): void {
    this.#health = health;
    this.#deps.onHealth(health);
    if (health.ok) {
      this.#deps.logger.info({ folder: this.#folder }, 'the journal takes lines again');
    } else {
      const { code, reason } = health;
      this.#deps.metrics.journalFailed('write');
      this.#deps.faultLog.report(`journal ${code}`, 'error', `the journal takes no lines: ${reason}`, {
        code,
        folder: this.#folder,
      });
    }
  }

  #onArchiverEvent(event: ArchiverEvent): void {
    const { metrics, logger, faultLog } = this.#deps;
    switch (event.kind) {
      case 'stats':
        this.#stats = event.stats;
        break;
      case 'compressed':
        metrics.segmentCompressed(event.plainBytes, event.fileBytes, event.durationMs);
        break;
      case 'deleted':
        for (let i = 0; i < event.count; i++) metrics.segmentDeleted('retention');
        break;
      case 'space':
        this.#isLowOnSpace = event.isLow;
        if (event.isLow) {
          logger.warn(
            { folder: this.#folder, freeBytes: event.freeBytes },
            `the disk of the journal has only ${formatByteSize(event.freeBytes)} left (LOW_SPACE_BYTES)`,
          );
        } else {
          logger.info({ freeBytes: event.freeBytes }, 'the disk of the journal has space again');
        }
        break;
      case 'fault': {
        const { task, file, code, message, willRetry } = event.fault;
        metrics.journalFailed('archive');
        faultLog.report(
          `archive ${task} ${code}`,
          willRetry ? 'warn' : 'error',
          `${task} ${file}: ${message}`,
          {
            code,
            willRetry,
          },
        );
        break;
      }
      case 'eventLoop':
        this.#deps.onEventLoop(ARCHIVE_THREAD, event.report);
        break;
    }
  }
}
