/**
 * Fair shares of what all clients together have too little of: the bytes a second that RATE_PER_SECOND lets in,
 * and those that the disk takes, of lines, while requests wait for queue room. What lines a request makes is known when it
 * is taken; until then what those before it made of a byte stands in for it.
 *
 * Ten times a second one of the threads adds up what each client asked for lately and computes the share: the most
 * that one client may take so that all together take what there is (max-min.ts). Each client then has two buckets
 * that its share flows into. A client whose bucket is not in debt is *within its share*: it may use the last byte
 * there is. One that is beyond it may use what others leave, but must leave them a reserve (RESERVE of the burst;
 * of the queue all but what the disk takes in LENT_MS), so that who is within his share finds room whenever he comes, and what nobody wants is used.
 *
 *   uncontended: the share is all there is ──more is asked for than there is──▶ contended: the share is max-min
 *        ▲                                                                             │
 *        └─────── asked for less, an only client, or the queue was not crowded for CALM_MS ──┘
 *
 * Where all clients have enough, or only one is there, a request writes nothing that threads share: what a client asks for
 * and owes is kept in its record and leaves in steps. Cells that each request of each thread wrote cost two threads half
 * of what they could take (docs/decisions/0143).
 *
 * Invariants:
 * 1. Shares never let more in than the limits do: they only say who has to leave how much.
 * 2. An only client is always within its share: to it the limits are what they are without shares.
 */
import { MiB } from '../base/byte-size.ts';
import type { Client } from '../base/client.ts';
import { ClientTable, type ClientTableCells, type DemandCells, newClientTableCells } from './client-table.ts';
import { maxMinShare } from './max-min.ts';
import { bucketEmptyAtMs, moveBucket } from './token-bucket.ts';

const WINDOW_MS = 100;
/** What a client asks for is told to the other threads so often: some ten times in a window, and at once after a pause. */
const ASKED_STEP_MS = 10;
/** What it owes of its share of the disk is when that takes so long to flow in. */
const OWED_STEP_MS = 1;
/** That it is crowded is said again so often: a small part of CALM_MS. */
const CROWDED_STEP_MS = 10;
/** And the fill of the queue when it has changed by so much of it. */
const FOUND_STEP = 1 / 256;
const DEAD_TURN_MS = 2000;
/** Over about so long demand and the speed of the disk are averaged. */
const MEMORY_MS = 500;
/**
 * While nothing comes home the disk's speed is not known, and stays what it was; the first bytes behind such a pause count as
 * what was written in this long at most.
 */
const LONGEST_WINDOW_MS = 1000;
/** What a window counts in which more was asked for than before. */
const RISE_WEIGHT = 0.7;
/** Demand is taken to be so much more than was seen: it comes in bursts. */
const HEADROOM = 1.1;
/** What clients beyond their share leave to the others. */
export const RESERVE = 0.75;
/**
 * Of the queue clients beyond their share have at most half: the writer takes up to 32 MiB in one group, half of the queue where
 * that has its default, and what comes while it is written must fit beside it.
 */
const MOST_LENT = 0.5;
/** And no more than the disk takes in so long: whoever comes behind it waits for all of it. Enough to keep the disk busy. */
const LENT_MS = 25;
/** But this much always: where each sync takes long, small groups would be what makes the disk slow. */
const LEAST_LENT_BYTES = 4 * MiB;
/** The queue was not crowded for so long: the disk keeps up. */
const CALM_MS = 2000;
/** What a client's requests made of lines is known by so many bytes of them. */
const RATIO_MEMORY_BYTES = MiB;
/** Of one that sent nothing yet: readings without labels make five times as many bytes of lines. */
const PRESUMED_RATIO = 5;
/** While the disk's speed is not known: after so long a third of the reserve a second is left of the presumption. */
const PRESUMED_MS = 2000;
/** While it is not known how many want something. */
const PRESUMED_CLIENTS = 10;
/**
 * What is left of the disk's speed empties the queue, which would else stay as full as it is; and then it is lent. Less is
 * shared out the more is queued beyond what may be lent and LEAST_LENT_BYTES, since all wait for what is queued: down to a half,
 * when half of the queue is taken beyond that. (A queue of 8 MiB never gets there.)
 */
const SHARED_OUT = 0.9;
const LEAST_SHARED_OUT = 0.5;
/** What a client within its share of the disk may send at once. */
const QUEUE_BURST_MS = 1000;
/** What a client may owe of it: a share that was reckoned too small must not shut anybody out for long. */
const MOST_DEBT_MS = 5000;
/** But no more than this of the queue: what a fast disk takes in a second would fill all of it. */
const MOST_BURST = 1 / 8;

/** Places in `FairShareCells.state`. */
const STATE = {
  windowAtMs: 0,
  rateShare: 1,
  queueShare: 2,
  crowdedAtMs: 3,
  writtenPerSecond: 4,
  writtenAtMs: 5,
  crowdedSinceMs: 6,
  soleRow: 7,
  queuedBytes: 8,
  isContended: 9,
} as const;
const NOBODY = -1;
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
  state[STATE.soleRow] = NOBODY;
  return {
    clients: newClientTableCells(maxClients),
    state,
    counts: new Int32Array(new SharedArrayBuffer(4 * Object.keys(COUNT).length)),
  };
}

export interface FairShareLimits {
  /** 0: no limit. */
  readonly ratePerSecond: number;
  readonly rateBurst: number;
  readonly queueBytes: number;
}

/** What the status shows. */
export interface FairShareState {
  readonly clients: number;
  /** Bytes a second that one client may take of RATE_PER_SECOND; undefined while there is enough. */
  readonly rateShareBytes: number | undefined;
  /** Bytes of lines a second that one client may take of what the disk takes; undefined while there is enough. */
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
  /** Of lines. */
  readonly #mostLentBytes: number;
  readonly #queueBytes: number;

  constructor(table: ClientTable, cells: FairShareCells, limits: FairShareLimits) {
    const { ratePerSecond, rateBurst, queueBytes } = limits;
    this.table = table;
    this.#mostLentBytes = MOST_LENT * queueBytes;
    this.#queueBytes = queueBytes;
    this.#state = cells.state;
    this.#counts = cells.counts;
    this.#ratePerSecond = ratePerSecond;
    this.#rateBurstMs = ratePerSecond > 0 ? (rateBurst * 1000) / ratePerSecond : 0;
  }

  /** Requests wait for room, or did a moment ago: who asks for how much is being counted. */
  get isCrowded(): boolean {
    return this.#state[STATE.crowdedAtMs]! !== 0;
  }

  /** More is asked of the disk than it takes, by several. */
  get isContended(): boolean {
    return this.#state[STATE.isContended]! !== 0;
  }

  /** Some have to leave room to others: clients have shares of the disk. */
  get hasQueueShares(): boolean {
    return this.#state[STATE.queueShare]! !== Number.POSITIVE_INFINITY;
  }

  /** The client asks for so much, whatever comes of it. */
  asked(client: Client, bytes: number, nowMs: number): void {
    client.askedBytes += bytes;
    if (nowMs - client.askedAtMs < ASKED_STEP_MS) return;
    const asked = client.askedBytes;
    client.askedBytes = 0;
    client.askedAtMs = nowMs;
    const { rateDemand, queueDemand } = this.table.cells;
    const row = this.table.rowOf(client, nowMs);
    if (this.#ratePerSecond > 0) Atomics.add(rateDemand.asked, row, asked);
    if (this.isCrowded) {
      Atomics.add(queueDemand.asked, row, Math.round(asked * linesPerByte(client)));
      this.#meet(row, nowMs);
    }
    this.roll(nowMs);
  }

  /** With the second client there is somebody to leave room to. */
  #meet(row: number, nowMs: number): void {
    const state = this.#state;
    if (this.hasQueueShares || state[STATE.soleRow] === row) return;
    if (state[STATE.soleRow] === NOBODY) state[STATE.soleRow] = row;
    // For the first window, until it is known who asks for how much.
    else state[STATE.queueShare] = this.#diskPerSecond(nowMs) / PRESUMED_CLIENTS;
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

  /** Much of the room is taken, a request found none, or had to leave what there is to others. */
  crowded(nowMs: number): void {
    const state = this.#state;
    if (this.isCrowded) {
      if (nowMs - state[STATE.crowdedAtMs]! < CROWDED_STEP_MS) return;
    } else {
      // Until now nobody counted what is asked for: a window that began before would show too little.
      this.#beginWindow(nowMs);
      state[STATE.crowdedSinceMs] = nowMs;
    }
    state[STATE.crowdedAtMs] = Math.max(nowMs, Number.MIN_VALUE);
  }

  /** What was asked for when it was crowded before is long over. */
  #beginWindow(nowMs: number): void {
    const { asked, askedBefore, askedPerSecond } = this.table.cells.queueDemand;
    for (let row = 0; row < this.table.rows; row++) askedBefore[row] = Atomics.load(asked, row);
    askedPerSecond.fill(0);
    // With a rate there are windows all the time, and the first shows too little of what is asked of the disk.
    if (this.#ratePerSecond === 0) this.#state[STATE.windowAtMs] = nowMs;
  }

  /** So much is queued, by all threads, when somebody looks for room. */
  found(queuedBytes: number): void {
    const changed = Math.abs(queuedBytes - this.#state[STATE.queuedBytes]!);
    if (changed > FOUND_STEP * this.#queueBytes) this.#state[STATE.queuedBytes] = queuedBytes;
  }

  isWithinQueueShare(client: Client, nowMs: number): boolean {
    if (!this.hasQueueShares) return true;
    return bucketEmptyAtMs(this.table.cells.queueShare, this.table.rowOf(client, nowMs)) <= nowMs;
  }

  /** Bytes of lines that may be in the queue for one more of a client beyond its share to go there too. */
  lentBytes(nowMs: number): number {
    const diskPerMs = this.#diskPerSecond(nowMs) / 1000;
    return Math.min(this.#mostLentBytes, Math.max(LEAST_LENT_BYTES, LENT_MS * diskPerMs));
  }

  chargeQueue(client: Client, lineBytes: number, nowMs: number): void {
    const share = this.#state[STATE.queueShare]!;
    if (share === Number.POSITIVE_INFINITY) return;
    client.owedMs += (lineBytes * 1000) / share;
    if (client.owedMs < OWED_STEP_MS) return;
    const costMs = Math.min(MOST_DEBT_MS, client.owedMs);
    client.owedMs = 0;
    const row = this.table.rowOf(client, nowMs);
    const burstMs = Math.min(QUEUE_BURST_MS, (MOST_BURST * this.#queueBytes * 1000) / share);
    moveBucket(this.table.cells.queueShare, row, costMs, burstMs, nowMs);
  }

  /** A request went into a batch and made so many bytes of lines: none, where it was refused or empty. */
  taken(client: Client, bytes: number, lineBytes: number): void {
    if (lineBytes === 0) return;
    client.takenBytes += bytes;
    client.takenLineBytes += lineBytes;
    // The older half counts less and less.
    if (client.takenBytes < RATIO_MEMORY_BYTES) return;
    client.takenBytes /= 2;
    client.takenLineBytes /= 2;
  }
  /** The writer wrote a batch. */
  written(lineBytes: number): void {
    Atomics.add(this.#counts, COUNT.written, lineBytes);
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
    const counts = this.#counts;
    const written = Atomics.load(counts, COUNT.written);
    const gained = (written - counts[COUNT.writtenBefore]!) >>> 0;
    if (gained > 0) {
      const writtenMs = Math.min(LONGEST_WINDOW_MS, nowMs - state[STATE.writtenAtMs]!);
      const perSecond = gained / (writtenMs / 1000);
      counts[COUNT.writtenBefore] = written;
      state[STATE.writtenAtMs] = nowMs;
      state[STATE.writtenPerSecond]! += weightOf(writtenMs) * (perSecond - state[STATE.writtenPerSecond]!);
    }

    const crowdedAtMs = state[STATE.crowdedAtMs]!;
    const isCrowded = crowdedAtMs !== 0 && nowMs - crowdedAtMs < CALM_MS;
    if (!isCrowded) {
      state[STATE.crowdedAtMs] = 0;
      state[STATE.soleRow] = NOBODY;
      state[STATE.queueShare] = Number.POSITIVE_INFINITY;
      state[STATE.isContended] = 0;
    }
    if (!isCrowded && this.#ratePerSecond === 0) return;
    const { rateDemand, queueDemand } = this.table.cells;
    if (this.#ratePerSecond > 0) {
      state[STATE.rateShare] = maxMinShare(this.#demands(rateDemand, elapsedMs), this.#ratePerSecond);
    }
    if (!isCrowded) return;
    const asked = this.#demands(queueDemand, elapsedMs);
    const capacity = this.#sharedOut(nowMs) * this.#diskPerSecond(nowMs);
    const share = maxMinShare(asked, capacity);
    // An only client has nobody to leave room to.
    const isShared = asked.length > 1;
    state[STATE.queueShare] = isShared ? share : Number.POSITIVE_INFINITY;
    state[STATE.isContended] = isShared && share < capacity ? 1 : 0;
  }

  #sharedOut(nowMs: number): number {
    const ordinaryBytes = this.lentBytes(nowMs) + LEAST_LENT_BYTES;
    const excess = (this.#state[STATE.queuedBytes]! - ordinaryBytes) / this.#queueBytes;
    const kept = 2 * Math.max(0, Math.min(0.5, excess)) * (SHARED_OUT - LEAST_SHARED_OUT);
    return SHARED_OUT - kept;
  }

  /**
   * What the disk takes, in bytes of lines a second. Until it was seen to write for a while the reserve stands in
   * for it: the first group may be so large that nothing comes home for a second, and the reserve is there to be used.
   */
  #diskPerSecond(nowMs: number): number {
    const sinceMs = nowMs - this.#state[STATE.crowdedSinceMs]!;
    const presumed = this.#mostLentBytes * Math.exp(-sinceMs / PRESUMED_MS);
    return Math.max(1, presumed, this.#state[STATE.writtenPerSecond]!);
  }

  /** What each of the active clients asks for a second. */
  #demands({ asked, askedBefore, askedPerSecond }: DemandCells, elapsedMs: number): Float64Array {
    const weight = weightOf(elapsedMs);
    const demands: number[] = [];
    for (let row = 0; row < this.table.rows; row++) {
      const now = Atomics.load(asked, row);
      const known = askedPerSecond[row]!;
      if (now === askedBefore[row] && known === 0) continue;
      const perSecond = ((now - askedBefore[row]!) >>> 0) / (elapsedMs / 1000);
      askedBefore[row] = now;
      // More is believed at once, less after a while: to keep room for who does not come costs nobody anything, as
      // others may use it; to keep too little costs him.
      const smoothed =
        known + (perSecond > known ? Math.max(weight, RISE_WEIGHT) : weight) * (perSecond - known);
      askedPerSecond[row] = smoothed < 1 ? 0 : smoothed;
      demands.push(smoothed * HEADROOM);
    }
    return Float64Array.from(demands);
  }
}

/** Bytes of lines that a byte of the client's requests makes. */
function linesPerByte({ takenBytes, takenLineBytes }: Client): number {
  return takenBytes === 0 ? PRESUMED_RATIO : takenLineBytes / takenBytes;
}

/** What a window of this length counts beside those before it. */
function weightOf(elapsedMs: number): number {
  return 1 - Math.exp(-elapsedMs / MEMORY_MS);
}
