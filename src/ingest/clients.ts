/**
 * The clients that an ingest thread remembers, by kind and name, and what they sent since the last report.
 *
 * Invariants:
 * 1. At most `limit` are remembered; the one that came in first makes room. Its connections ask anew (Caller), so
 *    it comes back with its next call. Budgets are not lost by it: they lie in the shared table, and what its open calls
 *    hold of memory is kept for as long as they do.
 * 2. What a client sent is reported once: with the next report, also when it was forgotten meanwhile.
 */

import { Client, type ClientKind, type ClientQuota, type Holder } from '../base/client.ts';
import { OTHER_CLIENTS } from '../observe/recorder.ts';

/** Client, bytes admitted, requests refused. */
export type ClientActivity = readonly [name: string, admittedBytes: number, refusedRequests: number];

/** Fewer are not worth a sweep. */
const LEAST_HOLDERS = 64;

export class Clients {
  readonly #limit: number;
  readonly #known = new Map<string, Client>();
  /** Forgotten since the last report, with something to report. */
  #left: Client[] = [];
  /** Of forgotten clients whose calls are open. */
  readonly #holders = new Map<string, Holder>();
  #sweepHoldersAt = LEAST_HOLDERS;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#known.size;
  }

  of(kind: ClientKind, name: string, quota?: ClientQuota): Client {
    const key = `${kind}:${name}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= this.#limit) {
      for (const oldest of this.#known.values()) {
        this.#forget(oldest);
        break;
      }
    }
    const client = new Client(kind, name, quota, this.#holders.get(key));
    this.#holders.delete(key);
    this.#known.set(key, client);
    return client;
  }

  /** Of this kind: what is known of them may have changed. */
  forget(kind: ClientKind): void {
    for (const client of [...this.#known.values()]) if (client.kind === kind) this.#forget(client);
  }

  /** What was sent since the last time, of those who sent anything: the first `limit` by name, the rest as one. */
  takeActivity(limit: number): readonly ClientActivity[] {
    const activity: ClientActivity[] = [];
    let otherBytes = 0;
    let otherRefused = 0;
    const take = (client: Client): void => {
      const { admittedBytes, refusedRequests } = client;
      if (admittedBytes === 0 && refusedRequests === 0) return;
      client.admittedBytes = 0;
      client.refusedRequests = 0;
      if (activity.length < limit) {
        activity.push([client.key, admittedBytes, refusedRequests]);
      } else {
        otherBytes += admittedBytes;
        otherRefused += refusedRequests;
      }
    };
    // In the order in which they came in, so that the same ones have a name each time.
    for (const client of this.#known.values()) take(client);
    for (const client of this.#left) take(client);
    this.#left = [];
    if (otherBytes + otherRefused > 0) activity.push([OTHER_CLIENTS, otherBytes, otherRefused]);
    return activity;
  }

  #forget(client: Client): void {
    client.isForgotten = true;
    this.#known.delete(client.key);
    this.#left.push(client);
    if (client.holder.heldBytes > 0) this.#keep(client);
  }
  /** Never many more than hold something, and each is looked at a few times at most. */
  #keep({ key, holder }: Client): void {
    this.#holders.set(key, holder);
    if (this.#holders.size < this.#sweepHoldersAt) return;
    for (const [of, { heldBytes }] of this.#holders) if (heldBytes === 0) this.#holders.delete(of);
    this.#sweepHoldersAt = Math.max(LEAST_HOLDERS, 2 * this.#holders.size);
  }
}
