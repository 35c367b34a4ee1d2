/**
 * Who sends: what limits, metrics and messages know of a caller. One record per client and ingest thread; the
 * records of one client in several threads meet in the shared table (src/ingest/client-table.ts).
 *
 * Invariant: `name` is fit to be shown (shownText, or a name that a token file allowed), and bounded.
 */

/** What the name is taken from; the first that a caller has, in this order. */
export type ClientKind = 'certificate' | 'token' | 'address';

export interface ClientQuota {
  /** 0 = no limit. */
  readonly ratePerSecondBytes: number;
  /** 0 = as the daemon's default for that rate. */
  readonly burstBytes: number;
}

/** Who is charged for memory. */
export interface Holder {
  heldBytes: number;
}

export class Client {
  readonly kind: ClientKind;
  readonly name: string;
  /** Of its line in the token file, where that says so. */
  readonly quota: ClientQuota | undefined;
  /** Its row in the shared table when last looked at; the table checks it before every use. */
  row = -1;
  /** What it is found by in the shared table; both 0 until first needed. */
  markLow = 0;
  markHigh = 0;
  /** Its thread keeps no record of it any more: whoever still holds this one asks for a new one. */
  isForgotten = false;
  /** Bytes of requests lately taken into a batch, and of the lines that they made: what a request of this client's will make. */
  takenBytes = 0;
  takenLineBytes = 0;
  /** What it asked for and the other threads do not know of yet, and since when; and what it owes of its share of the disk. */
  askedBytes = 0;
  askedAtMs = Number.NEGATIVE_INFINITY;
  owedMs = 0;
  /** What its open calls in this thread hold of RECEIVE_BUFFER_BYTES: the same for the record that comes after a forgotten one. */
  readonly holder: Holder;
  /** Since the last report to the metrics. */
  admittedBytes = 0;
  refusedRequests = 0;

  constructor(kind: ClientKind, name: string, quota?: ClientQuota, holder: Holder = { heldBytes: 0 }) {
    this.kind = kind;
    this.name = name;
    this.quota = quota;
    this.holder = holder;
  }

  /** `token:boiler-house`: no two clients have the same. */
  get key(): string {
    return `${this.kind}:${this.name}`;
  }
}
