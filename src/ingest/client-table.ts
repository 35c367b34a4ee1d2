/**
 * The budgets of clients, one row each, in memory that all ingest threads share: a client's connections land on
 * several threads, and its budgets are to be one.
 *
 *   free ──first need──▶ of a client ──unheard of for IDLE_MS, its budgets out of debt──▶ may be given to another
 *
 * A row is found by hash in a few places. Where all of them are taken by clients that are
 * not idle, the newcomer goes to the last row, which all such clients have together: they are one client then, held
 * to the rate and the share of one, and those who have a row lose nothing to them. With twice as many rows as
 * MAX_CLIENTS that happens only beyond MAX_CLIENTS.
 *
 * Invariants:
 * 1. A row changes hands only under `lock`; its marks are written last. Who finds its own mark uses the row
 *    without asking anybody: at worst one request of a client that was idle a moment ago is charged to the next.
 * 2. Marks are made with a key of this process: nobody outside can choose whose row he shares.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Client } from '../base/client.ts';
import { bucketEmptyAtMs, fillBucket, newBucketStates } from './token-bucket.ts';

/** A client unheard of for so long has to make room. */
const IDLE_MS = 60_000;
/** And is heard of to within so much. */
const SEEN_STEP_MS = 1000;
/** Of rows half of which are taken: fewer than one client in a billion finds no place among so many. */
const PLACES_TRIED = 32;
/** A thread has the lock for microseconds; one that died with it has it for ever. */
const LOCK_PATIENCE_MS = 10;

export interface ClientTableCells {
  readonly key: Uint8Array<SharedArrayBuffer>;
  readonly lock: Int32Array<SharedArrayBuffer>;
  /** Two words for each row; both 0: free. */
  readonly marks: Int32Array<SharedArrayBuffer>;
  readonly seenAtMs: Float64Array<SharedArrayBuffer>;
  /** Bucket of the client's own rate. */
  readonly quota: BigInt64Array<SharedArrayBuffer>;
  /** Bucket of its share of RATE_PER_SECOND. */
  readonly rateShare: BigInt64Array<SharedArrayBuffer>;
  /** Bucket of its share of what the disk takes. */
  readonly queueShare: BigInt64Array<SharedArrayBuffer>;
  /** Of the rate, in bytes of requests. */
  readonly rateDemand: DemandCells;
  /** Of the disk, in bytes of lines. */
  readonly queueDemand: DemandCells;
}

/** What each client asks for. */
export interface DemandCells {
  /** Bytes, ever; wraps around. */
  readonly asked: Int32Array<SharedArrayBuffer>;
  /** The same when the present window began, and how much a second was asked for over the last ones. */
  readonly askedBefore: Int32Array<SharedArrayBuffer>;
  readonly askedPerSecond: Float64Array<SharedArrayBuffer>;
}

export function newClientTableCells(maxClients: number): ClientTableCells {
  const rows = rowsFor(maxClients);
  const words = (count: number): Int32Array<SharedArrayBuffer> =>
    new Int32Array(new SharedArrayBuffer(4 * count));
  const numbers = (): Float64Array<SharedArrayBuffer> => new Float64Array(new SharedArrayBuffer(8 * rows));
  const demand = (): DemandCells => ({
    asked: words(rows),
    askedBefore: words(rows),
    askedPerSecond: numbers(),
  });
  const key = new Uint8Array(new SharedArrayBuffer(16));
  key.set(randomBytes(16));
  return {
    key,
    lock: words(1),
    marks: words(2 * rows),
    seenAtMs: numbers(),
    quota: newBucketStates(rows),
    rateShare: newBucketStates(rows),
    queueShare: newBucketStates(rows),
    rateDemand: demand(),
    queueDemand: demand(),
  };
}

/** What the table takes in memory: 72 bytes a row. */
export function clientTableBytes(maxClients: number): number {
  return 72 * rowsFor(maxClients);
}

/** Twice as many as there may be clients, and the common one. */
function rowsFor(maxClients: number): number {
  return 2 ** Math.ceil(Math.log2(2 * maxClients)) + 1;
}

export class ClientTable {
  readonly cells: ClientTableCells;
  readonly rows: number;
  /** Of all who have none of their own. */
  readonly commonRow: number;

  constructor(cells: ClientTableCells) {
    this.cells = cells;
    this.rows = cells.seenAtMs.length;
    this.commonRow = this.rows - 1;
  }

  /** Rows that belong to somebody. */
  get used(): number {
    const { marks } = this.cells;
    let used = 0;
    for (let row = 0; row < this.commonRow; row++) if (!this.#isFree(marks, row)) used++;
    return used;
  }

  rowOf(client: Client, nowMs: number): number {
    const { marks, seenAtMs } = this.cells;
    const { row } = client;
    if (row >= 0 && marks[2 * row] === client.markLow && marks[2 * row + 1] === client.markHigh) {
      // Written by each request of each thread it would go from core to core.
      if (nowMs - seenAtMs[row]! >= SEEN_STEP_MS) seenAtMs[row] = nowMs;
      return row;
    }
    return this.#find(client, nowMs);
  }

  #find(client: Client, nowMs: number): number {
    if (client.markLow === 0 && client.markHigh === 0) this.#mark(client);
    let row = this.#search(client);
    if (row < 0 && this.#roomFor(client, nowMs) >= 0) row = this.#settle(client, nowMs);
    client.row = row;
    if (row < 0) row = this.commonRow;
    this.cells.seenAtMs[row] = nowMs;
    return row;
  }

  #mark(client: Client): void {
    const digest = createHash('sha256').update(this.cells.key).update(client.key).digest();
    client.markLow = digest.readInt32LE(0) || 1;
    client.markHigh = digest.readInt32LE(4);
  }

  #place(client: Client, attempt: number): number {
    // An odd step comes by every row: there are a power of two.
    const step = (client.markHigh >>> 0) | 1;
    return ((client.markLow >>> 0) + attempt * (step % this.commonRow)) % this.commonRow;
  }

  #isFree(marks: Int32Array, row: number): boolean {
    return marks[2 * row] === 0 && marks[2 * row + 1] === 0;
  }

  #search(client: Client): number {
    const { marks } = this.cells;
    for (let attempt = 0; attempt < PLACES_TRIED; attempt++) {
      const row = this.#place(client, attempt);
      if (marks[2 * row] === client.markLow && marks[2 * row + 1] === client.markHigh) return row;
    }
    return -1;
  }

  /** A row that is free, or else one whose client is idle. */
  #roomFor(client: Client, nowMs: number): number {
    const { marks } = this.cells;
    let idle = -1;
    for (let attempt = 0; attempt < PLACES_TRIED; attempt++) {
      const row = this.#place(client, attempt);
      if (this.#isFree(marks, row)) return row;
      if (idle < 0 && this.#isIdle(row, nowMs)) idle = row;
    }
    return idle;
  }

  /** Nobody gets rid of a debt by staying away. */
  #isIdle(row: number, nowMs: number): boolean {
    const { seenAtMs, quota, rateShare, queueShare } = this.cells;
    return (
      nowMs - seenAtMs[row]! > IDLE_MS &&
      bucketEmptyAtMs(quota, row) <= nowMs &&
      bucketEmptyAtMs(rateShare, row) <= nowMs &&
      bucketEmptyAtMs(queueShare, row) <= nowMs
    );
  }

  /** Under the lock, because two connections of one newcomer may come to two threads at once. */
  #settle(client: Client, nowMs: number): number {
    const { lock } = this.cells;
    let hasLock = Atomics.compareExchange(lock, 0, 0, 1) === 0;
    if (!hasLock) {
      const untilMs = performance.now() + LOCK_PATIENCE_MS;
      while (!hasLock && performance.now() < untilMs) hasLock = Atomics.compareExchange(lock, 0, 0, 1) === 0;
    }
    try {
      const found = this.#search(client);
      if (found >= 0) return found;
      const row = this.#roomFor(client, nowMs);
      if (row >= 0) this.#give(row, client, nowMs);
      return row;
    } finally {
      Atomics.store(lock, 0, 0);
    }
  }

  #give(row: number, client: Client, nowMs: number): void {
    const { marks, seenAtMs, quota, rateShare, queueShare, rateDemand, queueDemand } = this.cells;
    seenAtMs[row] = nowMs;
    for (const bucket of [quota, rateShare, queueShare]) fillBucket(bucket, row);
    for (const { asked, askedBefore, askedPerSecond } of [rateDemand, queueDemand]) {
      askedBefore[row] = Atomics.load(asked, row);
      askedPerSecond[row] = 0;
    }
    Atomics.store(marks, 2 * row, client.markLow);
    Atomics.store(marks, 2 * row + 1, client.markHigh);
  }
}
