/**
 * The ingest side of one thread, put together: admission, encoder, processor, channel, wait line. It
 * answers requests and keeps the readings' half of the thread's books. Byte rate and queue room are those
 * of all threads together; nothing else is shared.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Clock, Timer } from '../../base/clock.ts';
import {
  failed,
  type LossReason,
  maybeWritten,
  OK,
  type Outcome,
  refused,
  sequenceGap,
} from '../../base/outcome.ts';
import { ByteAllowance } from '../../base/shared-budget.ts';
import type { SendSensorValuesHandler } from '../../grpc/server.ts';
import { Admission } from '../../ingest/admission.ts';
import type { FairShare } from '../../ingest/fair-share.ts';
import { LineEncoder } from '../../ingest/line-encoder.ts';
import { DISK_RETRY_AFTER_MS, SensorService } from '../../ingest/sensor-service.ts';
import { UsualLines } from '../../ingest/usual-lines.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import type { QueueState } from '../../observe/daemon-state.ts';
import type { Ledger } from '../../observe/ledger.ts';
import type { Batch, BatchPart, BatchResult, PartResult } from '../../pipeline/batch.ts';
import { BufferedProcessor, pooledBytes } from '../../pipeline/buffered-processor.ts';
import { Channel } from '../../pipeline/channel.ts';
import { type FullPolicy, WaitLine } from '../../pipeline/wait-line.ts';
import type { IngestObserver } from './ingest-activity.ts';
import { type IngestOptions, type IngestShares, newShares } from './ingest-messages.ts';

/** With less of the queue than this left, the disk does not keep up. */
const CROWDED_ROOM = 0.75;
/** While requests wait here for room that another thread may free: how often to look. */
const ROOM_LOOK_INTERVAL_MS = 5;

/** Codes beside those of the disk, told apart from them in the books. */
const THREAD_DEATH = 'THREAD_DEATH';
const DRAIN_DEADLINE = 'DRAIN_DEADLINE';
/** Suggested wait while the daemon stops for want of its writer: it is started again by then. */
const RESTART_RETRY_AFTER_MS = 1000;

export interface IngestDeps {
  readonly batches: MessagePort;
  readonly ledger: Ledger;
  readonly metrics: IngestObserver;
  readonly clock: Clock;
  /** Left out: the only thread there is. */
  readonly place?: IngestPlace;
  journalHealth(): JournalHealth;
}

/** One thread's place among those that share the budgets. */
export interface IngestPlace {
  readonly index: number;
  readonly shares: IngestShares;
}

export class Ingest {
  readonly #deps: IngestDeps;
  readonly #channel: Channel;
  readonly #processor: BufferedProcessor;
  readonly #waitLine: WaitLine;
  readonly #place: IngestPlace;
  readonly #threads: number;
  readonly #fairShare: FairShare;
  #roomLook: Timer | undefined;
  /** Why nothing reaches the writer any more. */
  #gone: string | undefined;
  readonly handle: SendSensorValuesHandler;

  constructor(options: IngestOptions, deps: IngestDeps) {
    const { grpc, ingest, pipeline } = options;
    this.#deps = deps;
    this.#place = deps.place ?? { index: 0, shares: newShares(1, ingest.maxClients) };
    const { index, shares } = this.#place;
    this.#threads = shares.queue.length;
    // When full: nothing more is encoded; requests stand in the WaitLine or are refused, by QUEUE_FULL.
    this.#channel = new Channel(deps.batches, {
      capacityBytes: pipeline.queueBytes,
      // Divided, not shared: without an item a thread goes on gathering, and nobody is refused for it.
      capacityItems: Math.max(1, Math.floor(pipeline.queueItems / this.#threads)),
      room: new ByteAllowance(pipeline.queueBytes, shares.queue, index),
    });
    this.#waitLine = new WaitLine(
      {
        whenFull: ingest.queueFull as FullPolicy,
        waitMaxMs: ingest.queueWaitMaxMs,
        capacityBytes: waitLineBytes(pipeline.queueBytes, this.#threads, grpc.maxRequestBytes),
      },
      deps.clock,
    );
    const sharedBytes = pooledBytes(pipeline, this.#threads);
    this.#processor = new BufferedProcessor(
      { ...pipeline, sharedBytes },
      {
        channel: this.#channel,
        clock: deps.clock,
        events: {
          onFlush: (cause, lines, bytes) => {
            // Before it is full: then shares are known, and a reserve is kept, when the first request finds no room.
            if (this.#processor.reachableBytes < CROWDED_ROOM * pipeline.queueBytes) {
              this.#fairShare.crowded(deps.clock.monotonicMs());
            }
            deps.metrics.batchFlushed(cause, lines, bytes);
          },
          onBatchDone: (batch, result) => this.#onBatchDone(batch, result),
          onPartDone: (part, result) => this.#onPartDone(part, result),
          onRoom: () => {
            if (!this.#waitLine.isEmpty) this.#waitLine.admit();
          },
        },
      },
    );
    const admission = new Admission(
      {
        maxRequestBytes: grpc.maxRequestBytes,
        ratePerSecondBytes: ingest.ratePerSecondBytes,
        rateBurstBytes: ingest.rateBurstBytes,
        clientRatePerSecondBytes: ingest.clientRatePerSecondBytes,
        clientRateBurstBytes: ingest.clientRateBurstBytes,
        queueBytes: pipeline.queueBytes,
      },
      deps.clock,
      shares.admission,
    );
    this.#fairShare = admission.fairShare;
    const service = new SensorService(
      { ack: ingest.ack, queueBytes: pipeline.queueBytes },
      {
        admit: (sizeBytes, client, isRepeat) => {
          if (isRepeat !== true) deps.metrics.requestBytes(sizeBytes);
          return this.#refuseForWriter() ?? admission.admit(sizeBytes, client);
        },
        encoder: new LineEncoder(UsualLines.open()),
        processor: this.#processor,
        waitLine: this.#waitLine,
        ledger: deps.ledger,
        clock: deps.clock,
        fairShare: this.#fairShare,
        onMalformed: (fault) => deps.metrics.malformed(fault.reason),
        onQueueWait: (waitedMs) => deps.metrics.queueWaited(waitedMs),
        onWaiting: () => this.#lookForRoom(),
      },
    );
    this.handle = service.handle;
  }

  /** Of this thread alone, as are its capacities. */
  queue(): QueueState {
    const oldestAtMs = this.#channel.oldestReceivedAtMs ?? this.#processor.oldestGatheredAtMs;
    return {
      usedBytes: this.#channel.usedBytes + this.#processor.gatheredBytes,
      capacityBytes: this.#channel.capacityBytes,
      usedItems: this.#channel.usedItems,
      capacityItems: this.#channel.capacityItems,
      lagMs: oldestAtMs === undefined ? 0 : Math.max(0, this.#deps.clock.nowMs() - oldestAtMs),
      waitingRequests: this.#waitLine.waiting,
    };
  }

  /** Hands everything gathered to the writer; resolves when it has answered for all of it. */
  close(): Promise<void> {
    return this.#processor.close();
  }

  /** Stops at once: whoever waits is turned away, what is gathered is handed over, nothing is waited for. */
  cancel(): void {
    this.#waitLine.giveUpAll();
    this.#processor.cancel();
  }

  /** The writer thread died: whatever it had is lost, and said to be. */
  abandon(message: string): void {
    this.#giveUp({ ok: false, code: THREAD_DEATH, message });
  }

  /** What is in the pipeline when the drain's time is up goes into the books as lost. */
  writeOff(): void {
    this.#giveUp({ ok: false, code: DRAIN_DEADLINE, message: 'the stop took longer than DRAIN_TIMEOUT' });
  }

  /**
   * Requests wait here. A result of our own lets them in at once; of room that another thread frees nobody
   * tells us, so we look; and the others see by the mark that what they gather is in the way.
   */
  #lookForRoom(): void {
    if (this.#threads === 1) return;
    const { shares, index } = this.#place;
    Atomics.store(shares.waiting, index, 1);
    this.#roomLook ??= this.#deps.clock.setTimer(ROOM_LOOK_INTERVAL_MS, () => {
      this.#roomLook = undefined;
      this.#waitLine.admit();
      if (this.#waitLine.isEmpty) Atomics.store(shares.waiting, index, 0);
      else this.#lookForRoom();
    });
  }

  /** Now and then: lets go of what is gathered where requests of another thread wait for its room. */
  considerOthers(): void {
    this.#fairShare.roll(this.#deps.clock.monotonicMs());
    const { waiting } = this.#place.shares;
    if (waiting.some((isWaiting) => isWaiting !== 0)) this.#processor.makeRoom();
  }

  /** Readings whose outcome is not known yet, counted from what is really held. */
  get heldReadings(): number {
    return this.#processor.heldReadings;
  }

  #giveUp(result: BatchResult & { readonly ok: false }): void {
    // First of all: calls that are being received now still come to the door.
    this.#gone = result.message;
    this.#waitLine.giveUpAll();
    this.#processor.abandon(result);
  }

  #refuseForWriter(): Outcome | undefined {
    if (this.#gone !== undefined) {
      return refused(
        'draining',
        `the server is stopping: ${this.#gone}; retry later`,
        RESTART_RETRY_AFTER_MS,
      );
    }
    const health = this.#deps.journalHealth();
    if (health.ok) return undefined;
    return refused('disk', `the journal takes no lines for now: ${health.reason}`, DISK_RETRY_AFTER_MS);
  }

  #onBatchDone(batch: Batch, result: BatchResult): void {
    const { ledger, metrics, clock } = this.#deps;
    if (result.ok) this.#fairShare.written(batch.length);
    if (batch.parts !== undefined) {
      metrics.batchAcknowledged(clock.nowMs() - batch.firstReceivedAtMs);
      return;
    }
    let outcome: Outcome = OK;
    if (result.ok) ledger.readingsWritten(batch.lines);
    else outcome = this.#lose(batch.lines, result);
    if (batch.acknowledgements.length > 0) metrics.batchAcknowledged(clock.nowMs() - batch.firstReceivedAtMs);
    for (const acknowledge of batch.acknowledgements) acknowledge(outcome);
  }

  #onPartDone(part: BatchPart, result: PartResult): void {
    const { ledger } = this.#deps;
    let outcome: Outcome = OK;
    if (result.kind === 'ok') {
      ledger.readingsWritten(result.written);
      ledger.readingsDeduplicated(result.deduplicated);
    } else if (result.kind === 'gap') {
      ledger.readingsRefused('sequence_gap', part.lines);
      outcome = sequenceGap(result.expected);
    } else outcome = this.#lose(part.lines, result);
    for (const acknowledge of part.acknowledgements) acknowledge(outcome);
  }

  #lose(lines: number, { code, message }: { readonly code: string; readonly message: string }): Outcome {
    const reason = lossReason(code);
    this.#deps.ledger.readingsLost(reason, lines);
    return reason === 'disk'
      ? failed('disk', `not written: ${message}`, DISK_RETRY_AFTER_MS)
      : maybeWritten(reason, `not acknowledged: ${message}`);
  }
}

function lossReason(code: string): LossReason {
  if (code === THREAD_DEATH) return 'thread_death';
  return code === DRAIN_DEADLINE ? 'drain_deadline' : 'disk';
}

/** A thread's part of a quarter of the queue, and always room for one of the largest requests. */
export function waitLineBytes(queueBytes: number, threads: number, maxRequestBytes: number): number {
  return Math.max(maxRequestBytes, Math.floor(queueBytes / (4 * threads)));
}
