/**
 * Fair shares of what all clients together have too little of: the bytes a second that RATE_PER_SECOND lets in,
 * and those that the disk takes while requests wait for queue room.
 *
 * Ten times a second one of the threads adds up what each client asked for lately and computes the share: the most
 * that one client may take so that all together take what there is (max-min.ts). Each client then has two buckets
 * that its share flows into. A client whose bucket is not in debt is *within its share*: it may use the last byte
 * there is. One that is beyond it may use what others leave, but must leave them a reserve (RESERVE of the burst,
 * or of the queue), so that who is within his share finds room whenever he comes, and what nobody wants is used.
 *
 *   uncontended: the share is all there is ──more is asked for than there is──▶ contended: the share is max-min
 *        ▲                                                                             │
 *        └──────────────── asked for less, or no request waited for room for CALM_MS ──┘
 *
 * Invariants:
 * 1. Shares never let more in than the limits do: they only say who has to leave how much.
 * 2. An only client is always within its share: to it the limits are what they are without shares.
 */
import { MiB } from '../base/byte-size.ts';
import type { Client } from '../base/client.ts';
import { ClientTable, type ClientTableCells, newClientTableCells } from './client-table.ts';
import { maxMinShare } from './max-min.ts';
import { bucketEmptyAtMs, moveBucket } from './token-bucket.ts';

const WINDOW_MS = 100;
const DEAD_TURN_MS = 2000;
/** Over about so long demand and the speed of the disk are averaged. */
const MEMORY_MS = 500;
/** Demand is taken to be so much more than was seen: it comes in bursts. */
const HEADROOM = 1.1;
/** What clients beyond their share leave to the others. */
export const RESERVE = 0.75;
export const QUEUE_RESERVE = 0.25;
/** No request waited for room for so long: the disk keeps up. */
const CALM_MS = 2000;
const RATIO_MEMORY_BYTES = 64 * MiB;
/** What a client within its share of the disk may send at once. */
const QUEUE_BURST_MS = 1000;

/** Places in `FairShareCells.state`. */
const STATE = { windowAtMs: 0, rateShare: 1, queueShare: 2, crowdedAtMs: 3, writtenPerSecond: 4 } as const;
/** Places in `FairShareCells.counts`. */
const COUNT = { turn: 0, written: 1, writtenBefore: 2 } as const;

export interface FairShareCells {
  readonly clients: ClientTableCells;
  readonly state: Float64Array<SharedArrayBuffer>;
  readonly counts: Int32Array<SharedArrayBuffer>;
}

export function newFairShareCells(maxClients: number): FairShareCells {
  const state = new Float64Array(new SharedArrayBuffer(8 * Object.keys(STATE).length));
  state[STATE.rateShare] = Number.POSITIVE_INFINITY;
  state[STATE.queueShare] = Number.POSITIVE_INFINITY;
  return {
    clients: newClientTableCells(maxClients),
    state,
    counts: new Int32Array(new SharedArrayBuffer(4 * Object.keys(COUNT).length)),
  };
}

/** What the status shows. */
export interface FairShareState {
  readonly clients: number;
  /** Bytes a second that one client may take of RATE_PER_SECOND; undefined while there is enough. */
  readonly rateShareBytes: number | undefined;
  readonly queueShareBytes: number | undefined;
}

/** `ratePerSecond` 0: no limit. */
export function fairShareState(cells: FairShareCells, ratePerSecond: number): FairShareState {
  const shareOf = (place: number, all: number): number | undefined => {
    const share = cells.state[place]!;
    return share < all ? share : undefined;
  };
  return {
    clients: new ClientTable(cells.clients).used,
    rateShareBytes: ratePerSecond === 0 ? undefined : shareOf(STATE.rateShare, ratePerSecond),
    queueShareBytes: shareOf(STATE.queueShare, Number.POSITIVE_INFINITY),
  };
}

export class FairShare {
  readonly table: ClientTable;
  readonly #state: Float64Array;
  readonly #counts: Int32Array;
  readonly #ratePerSecond: number;
  readonly #rateBurstMs: number;
  /** Of this thread. */
  #takenBytes = 0;
  #flushedLineBytes = 0;

  /** `ratePerSecond` 0: no limit. */
  constructor(table: ClientTable, cells: FairShareCells, ratePerSecond: number, rateBurst: number) {
    this.table = table;
    this.#state = cells.state;
    this.#counts = cells.counts;
    this.#ratePerSecond = ratePerSecond;
    this.#rateBurstMs = ratePerSecond > 0 ? (rateBurst * 1000) / ratePerSecond : 0;
  }

  /** Requests wait for room, or did a moment ago: who asks for how much is being counted. */
  get isCrowded(): boolean {
    return this.#state[STATE.crowdedAtMs]! !== 0;
  }

  /** The client asks for so much, whatever comes of it. */
  asked(row: number, bytes: number, nowMs: number): void {
    Atomics.add(this.table.cells.askedBytes, row, bytes);
    this.roll(nowMs);
  }

  // --- the rate ---------------------------------------------------------------------------------------

  /** Milliseconds until the client is within its share of the rate; 0 when it is. */
  rateDebtMs(row: number, nowMs: number): number {
    return Math.max(0, bucketEmptyAtMs(this.table.cells.rateShare, row) - nowMs);
  }

  chargeRate(row: number, bytes: number, nowMs: number): void {
    const share = Math.min(this.#state[STATE.rateShare]!, this.#ratePerSecond);
    moveBucket(this.table.cells.rateShare, row, (bytes * 1000) / share, this.#rateBurstMs, nowMs);
  }

  // --- the disk ---------------------------------------------------------------------------------------

  /** A request found no room, or had to leave what there is to others. */
  crowded(nowMs: number): void {
    this.#state[STATE.crowdedAtMs] = Math.max(nowMs, Number.MIN_VALUE);
  }

  isWithinQueueShare(client: Client, nowMs: number): boolean {
    if (this.#state[STATE.queueShare]! === Number.POSITIVE_INFINITY) return true;
    return bucketEmptyAtMs(this.table.cells.queueShare, this.table.rowOf(client, nowMs)) <= nowMs;
  }

  chargeQueue(client: Client, bytes: number, nowMs: number): void {
    const share = this.#state[STATE.queueShare]!;
    if (share === Number.POSITIVE_INFINITY) return;
    const row = this.table.rowOf(client, nowMs);
    moveBucket(this.table.cells.queueShare, row, (bytes * 1000) / share, QUEUE_BURST_MS, nowMs);
  }

  /** A request went into a batch. */
  taken(bytes: number): void {
    this.#takenBytes += bytes;
  }
  /** A batch went to the writer with so many bytes of lines. */
  flushed(lineBytes: number): void {
    this.#flushedLineBytes += lineBytes;
    // The older half counts less and less: what a byte of request makes in lines changes with who sends.
    if (this.#flushedLineBytes < RATIO_MEMORY_BYTES) return;
    this.#flushedLineBytes /= 2;
    this.#takenBytes /= 2;
  }
  /** The writer wrote a batch: what it took, in bytes of requests, as clients ask for them. */
  written(lineBytes: number): void {
    const ratio = this.#flushedLineBytes === 0 ? 0 : this.#takenBytes / this.#flushedLineBytes;
    Atomics.add(this.#counts, COUNT.written, Math.round(lineBytes * ratio));
  }

  // --- the windows ------------------------------------------------------------------------------------

  /** Computes the shares anew if it is time; one thread does it for all. */
  roll(nowMs: number): void {
    const state = this.#state;
    const sinceMs = nowMs - state[STATE.windowAtMs]!;
    if (sinceMs < WINDOW_MS) return;
    const isTaken = Atomics.compareExchange(this.#counts, COUNT.turn, 0, 1) !== 0;
    // A thread that died in its turn does not end it.
    if (isTaken && sinceMs < DEAD_TURN_MS) return;
    try {
      const elapsedMs = nowMs - state[STATE.windowAtMs]!;
      // Another thread may have done it meanwhile.
      if (elapsedMs >= WINDOW_MS) this.#compute(nowMs, elapsedMs);
    } finally {
      Atomics.store(this.#counts, COUNT.turn, 0);
    }
  }

  #compute(nowMs: number, elapsedMs: number): void {
    const state = this.#state;
    state[STATE.windowAtMs] = nowMs;
    const weight = 1 - Math.exp(-elapsedMs / MEMORY_MS);
    const counts = this.#counts;
    const written = Atomics.load(counts, COUNT.written);
    const perSecond = ((written - counts[COUNT.writtenBefore]!) >>> 0) / (elapsedMs / 1000);
    counts[COUNT.writtenBefore] = written;
    state[STATE.writtenPerSecond]! += weight * (perSecond - state[STATE.writtenPerSecond]!);

    const crowdedAtMs = state[STATE.crowdedAtMs]!;
    const isCrowded = crowdedAtMs !== 0 && nowMs - crowdedAtMs < CALM_MS;
    if (!isCrowded) {
      state[STATE.crowdedAtMs] = 0;
      state[STATE.queueShare] = Number.POSITIVE_INFINITY;
    }
    if (!isCrowded && this.#ratePerSecond === 0) return;
    const asked = this.#demands(weight, elapsedMs);
    if (this.#ratePerSecond > 0) state[STATE.rateShare] = maxMinShare(asked, this.#ratePerSecond);
    // Of a disk that takes nothing everybody has the same share of next to nothing.
    if (isCrowded) state[STATE.queueShare] = maxMinShare(asked, Math.max(1, state[STATE.writtenPerSecond]!));
  }

  /** What each of the active clients asks for a second. */
  #demands(weight: number, elapsedMs: number): Float64Array {
    const { askedBytes, askedBefore, askedPerSecond } = this.table.cells;
    const demands: number[] = [];
    for (let row = 0; row < this.table.rows; row++) {
      const asked = Atomics.load(askedBytes, row);
      const known = askedPerSecond[row]!;
      if (asked === askedBefore[row] && known === 0) continue;
      const perSecond = ((asked - askedBefore[row]!) >>> 0) / (elapsedMs / 1000);
      askedBefore[row] = asked;
      // Of a newcomer the first window is all that is known.
      const smoothed = known === 0 ? perSecond : known + weight * (perSecond - known);
      askedPerSecond[row] = smoothed < 1 ? 0 : smoothed;
      demands.push(smoothed * HEADROOM);
    }
    return Float64Array.from(demands);
  }
}
