/**
 * SensorService: takes one request from door to batch.
 *
 *   admission ──refused──▶ respond
 *       │ admitted
 *       ▼
 *   encode into the processor's buffer ──malformed──▶ respond INVALID_ARGUMENT, nothing kept
 *       │ fits              │ no room
 *       ▼                   ▼
 *   commit             WaitLine (or refuse) ──room──▶ encode again
 *       │
 *       ▼
 *   ACK=accepted: respond now      ACK=written|synced: the batch's outcome responds
 *
 * Invariant: each call of `handle` leads to exactly one call of `respond`, but for a call that is
 * cancelled while it waits: nobody is left to hear the answer, and the transport has counted it.
 */
import { BufferPool } from '../base/buffer-pool.ts';
import type { ByteBuffer } from '../base/byte-buffer.ts';
import { KiB, MiB } from '../base/byte-size.ts';
import type { Client } from '../base/client.ts';
import type { Clock } from '../base/clock.ts';
import { NEVER_RETRY, OK, type Outcome, queueFull, refused } from '../base/outcome.ts';
import type { CallContext } from '../grpc/server.ts';
import type { Ledger } from '../observe/ledger.ts';
import type { Numbering } from '../pipeline/batch.ts';
import type { BufferedProcessor } from '../pipeline/buffered-processor.ts';
import type { Take, Waiter, WaitLine } from '../pipeline/wait-line.ts';
import type { FairShare } from './fair-share.ts';
import type { EncodeFault } from './line-encoder.ts';

/** Suggested wait after "no room": about what a stalled disk needs to take a few batches. */
const QUEUE_FULL_RETRY_AFTER_MS = 250;
/** Bytes of lines to a byte of request, as readings without labels have them: a guess at the room to draw. */
const LINES_PER_REQUEST_BYTE = 5;
/** Suggested wait while the journal is known to be faulty; the writer probes the disk once a second. */
export const DISK_RETRY_AFTER_MS = 1000;
/** Who waits for room is not tried again for less than this more. */
const MIN_MORE_ROOM_BYTES = 64 * KiB;
/** Instead of the bytes of its lines: the request is not taken. */
const NO_ROOM = -1;
/** Memory of requests that waited, kept for those that will. */
export const WAIT_POOL_BYTES = 4 * MiB;

export interface Encoder {
  readonly fault: EncodeFault | undefined;
  encode(request: Uint8Array, receivedAtMs: number, out: ByteBuffer, maxOutputBytes: number): number;
  /** Of the request that was encoded last. */
  numbering(request: Uint8Array): Numbering | undefined;
}

/** Decides over a request before it costs anything; undefined admits it. */
export type Admit = (sizeBytes: number, client: Client, isRepeat?: boolean) => Outcome | undefined;

export interface SensorServiceDeps {
  readonly admit: Admit;
  readonly encoder: Encoder;
  readonly processor: BufferedProcessor;
  readonly waitLine: WaitLine;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Left out: whoever comes first has the room. */
  readonly fairShare?: FairShare;
  readonly onMalformed: (fault: EncodeFault) => void;
  readonly onQueueWait: (waitedMs: number) => void;
  /** A request stands in the wait line. */
  readonly onWaiting?: () => void;
}

export class SensorService {
  readonly #deps: SensorServiceDeps;
  readonly #acknowledgeAtOnce: boolean;
  readonly #queueBytes: number;
  /** For requests that wait. */
  readonly #memory = new BufferPool(WAIT_POOL_BYTES);

  constructor(options: { readonly ack: string; readonly queueBytes: number }, deps: SensorServiceDeps) {
    this.#deps = deps;
    this.#acknowledgeAtOnce = options.ack === 'accepted';
    this.#queueBytes = options.queueBytes;
  }

  readonly handle = (request: Uint8Array, call: CallContext, respond: (outcome: Outcome) => void): void => {
    const refusal = this.#deps.admit(request.length, call.client, call.isRepeat);
    if (refusal !== undefined) {
      respond(refusal);
      return;
    }
    const receivedAtMs = this.#deps.clock.nowMs();
    const { waitLine } = this.#deps;
    // What was held back comes because others were let in; it would let in others, and they bring the next.
    if (!waitLine.isEmpty && call.isHeldBack !== true) waitLine.letInFor(call.client, request.length);
    // Nobody overtakes those of his own who wait, nor anybody who lacks room.
    const take = waitLine.mayPass(call.client)
      ? this.#takeShare(request, receivedAtMs, call.client, respond)
      : 'held';
    if (take !== 'taken') this.#wait(request, receivedAtMs, call, take, respond);
  };

  /** While the disk is the bottleneck: a client beyond its share leaves the last of the room to the others. */
  #takeShare(
    request: Uint8Array,
    receivedAtMs: number,
    client: Client,
    respond: (outcome: Outcome) => void,
  ): Take {
    const { fairShare, processor, clock } = this.#deps;
    if (fairShare?.hasQueueShares !== true) {
      const lineBytes = this.#take(request, receivedAtMs, respond);
      if (lineBytes !== NO_ROOM) fairShare?.taken(client, request.length, lineBytes);
      else fairShare?.crowded(clock.monotonicMs());
      return lineBytes === NO_ROOM ? 'short' : 'taken';
    }
    const nowMs = clock.monotonicMs();
    const isWithin = fairShare.isWithinQueueShare(client, nowMs);
    const queuedBytes = this.#queueBytes - processor.reachableBytes;
    fairShare.found(queuedBytes);
    if (!isWithin && queuedBytes > fairShare.lentBytes(nowMs)) {
      fairShare.crowded(nowMs);
      return 'held';
    }
    const lineBytes = this.#take(request, receivedAtMs, respond);
    if (lineBytes === NO_ROOM) {
      fairShare.crowded(nowMs);
      return 'short';
    }
    fairShare.taken(client, request.length, lineBytes);
    if (isWithin) fairShare.chargeQueue(client, lineBytes, nowMs);
    return 'taken';
  }

  /** The bytes of its lines, when the request has been answered or will be by its batch; or NO_ROOM now. */
  #take(request: Uint8Array, receivedAtMs: number, respond: (outcome: Outcome) => void): number {
    const { encoder, processor, ledger } = this.#deps;
    processor.prepareRoom(LINES_PER_REQUEST_BYTE * request.length);
    const before = processor.buffer.length;
    let lines = encoder.encode(request, receivedAtMs, processor.buffer, processor.roomBytes);
    while (lines < 0 && encoder.fault!.kind === 'too_large' && processor.growRoom()) {
      lines = encoder.encode(request, receivedAtMs, processor.buffer, processor.roomBytes);
    }
    if (lines < 0) {
      const fault = encoder.fault!;
      if (fault.kind === 'malformed') {
        this.#deps.onMalformed(fault);
        this.#leaveRoom();
        respond(refused('malformed', fault.message));
        return 0;
      }
      if (!processor.hasAllRoom) {
        // What is gathered may be the very thing in the way, and its timer far off.
        if (!processor.isEmpty) processor.makeRoom();
        processor.releaseRoom();
        return NO_ROOM;
      }
      respond(
        refused(
          'too_large',
          `the lines of this request need more than QUEUE_BYTES (${this.#queueBytes}); do not retry, send fewer readings per request`,
          NEVER_RETRY,
        ),
      );
      return 0;
    }
    if (lines === 0) {
      this.#leaveRoom();
      respond(OK);
      return 0;
    }
    const lineBytes = processor.buffer.length - before;
    ledger.readingsDecoded(lines);
    const numbering = encoder.numbering(request);
    if (numbering !== undefined) {
      // Never acknowledged before it is written: what was promised to be there once must be there.
      processor.commit(lines, receivedAtMs, respond, numbering);
    } else if (this.#acknowledgeAtOnce) {
      processor.commit(lines, receivedAtMs);
      respond(OK);
    } else {
      processor.commit(lines, receivedAtMs, respond);
    }
    return lineBytes;
  }

  /** Room that was drawn for nothing goes back at once where no result will see to it. */
  #leaveRoom(): void {
    if (this.#deps.processor.isEmpty) this.#deps.processor.releaseRoom();
  }

  #isOverShare(client: Client): boolean {
    const { fairShare, clock } = this.#deps;
    return fairShare?.isCrowded === true && !fairShare.isWithinQueueShare(client, clock.monotonicMs());
  }

  /** It is its own requests that leave no place in the line, while others want room as well: it sends more than it could ever get. */
  #isOwnDoing(client: Client, sizeBytes: number): boolean {
    const { fairShare, waitLine } = this.#deps;
    return fairShare?.isContended === true && waitLine.isFilledBy(client, sizeBytes);
  }

  #wait(
    arrived: Uint8Array,
    receivedAtMs: number,
    call: CallContext,
    why: 'short' | 'held',
    respond: (outcome: Outcome) => void,
  ): void {
    const { processor } = this.#deps;
    // To learn that the lines do not fit costs as much as to encode what would have fitted. Trying only
    // when the room has doubled keeps all tries together cheaper than two of the one that succeeds.
    let worthTryingBytes = 0;
    const { client } = call;
    let kept: Buffer<ArrayBuffer> | undefined;
    // Who may not overtake others that wait was not tried.
    let isOverShare = why === 'held' && this.#isOverShare(client);
    const waiter: Waiter = {
      client,
      sizeBytes: arrived.length,
      deadlineMs: call.deadlineMs,
      tryTake: () => {
        if (call.cancelled) return 'taken';
        const { reachableBytes } = processor;
        if (reachableBytes < worthTryingBytes && reachableBytes < this.#queueBytes) return 'short';
        const take = this.#takeShare(kept!, receivedAtMs, client, respond);
        isOverShare = take === 'held';
        if (take === 'short') {
          worthTryingBytes = Math.max(2 * reachableBytes, reachableBytes + MIN_MORE_ROOM_BYTES);
        } else if (take === 'taken') {
          this.#deps.onQueueWait(this.#deps.clock.nowMs() - receivedAtMs);
          call.onTaken?.();
        }
        return take;
      },
      onGiveUp: (waitedMs) => {
        this.#deps.onQueueWait(waitedMs);
        client.refusedRequests++;
        respond(queueFull(`waited ${Math.round(waitedMs)}ms`, isOverShare, QUEUE_FULL_RETRY_AFTER_MS));
      },
      onLeft: () => this.#memory.give(kept!),
    };
    const withdraw = this.#deps.waitLine.enter(waiter, why);
    if (withdraw === false) {
      client.refusedRequests++;
      isOverShare ||= this.#isOwnDoing(client, arrived.length);
      respond(queueFull('not waiting', isOverShare, QUEUE_FULL_RETRY_AFTER_MS));
      return;
    }
    // The transport takes its bytes back when we return.
    kept = this.#memory.take(arrived.length);
    kept.set(arrived);
    call.onCancelled = withdraw;
    this.#deps.onWaiting?.();
  }
}
