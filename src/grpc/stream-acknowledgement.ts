/**
 * StreamAck: how many requests of a stream are acknowledged, told once per turn of the event loop, or earlier with what leaves
 * anyway: each write wakes the client up, which costs as much as the lines of some forty readings.
 *
 *   told ──more are acknowledged──▶ due ──end of the turn, `tellDue`──▶ told
 *                                    └── the client has no window for the last one ──▶ blocked ──it left──▶ due
 *
 * Invariant: at most one message waits for the client's window, however many requests are acknowledged meanwhile.
 */
import { PREFIX_BYTES, type StreamLink } from './stream-link.ts';
import type { TurnEnd } from './turn-end.ts';

/** Prefix, tag, and seven groups of seven bits: beyond 2^49 requests no stream lives. */
const MAX_BYTES = PREFIX_BYTES + 1 + 7;
/** Field 1, varint. */
const REQUESTS_TAG = 0x08;

export class StreamAcknowledgements {
  requests = 0;
  #told = 0;
  /** `requests` will be told by the end of this turn. */
  isDue = false;
  #isBlocked = false;
  readonly #link: StreamLink;
  readonly #turnEnd: TurnEnd<() => void>;
  readonly #onTold: () => void;

  constructor(link: StreamLink, turnEnd: TurnEnd<() => void>, onTold: () => void) {
    this.#link = link;
    this.#turnEnd = turnEnd;
    this.#onTold = onTold;
  }

  tellSoon(): void {
    // A client that takes no acknowledgements for now may still send.
    if (this.#isBlocked) this.#link.onAdvanced();
    if (this.isDue || this.#isBlocked) return;
    this.isDue = true;
    this.#turnEnd.add(this.tellDue);
  }

  readonly tellDue = (): void => {
    if (!this.isDue) return;
    this.isDue = false;
    this.tell();
    this.#onTold();
  };

  tell(): void {
    if (this.#told === this.requests) return;
    this.#told = this.requests;
    const framed = Buffer.allocUnsafe(MAX_BYTES);
    this.#isBlocked = !this.#link.acknowledge(frameAcknowledgement(framed, this.#told));
  }

  /** The last one has left. */
  onLeft(): void {
    this.#isBlocked = false;
    if (this.#told < this.requests) this.tellSoon();
  }
}

/** Writes to the start of `out`; returns the part that was written. */
function frameAcknowledgement(out: Buffer, requests: number): Buffer {
  let at = PREFIX_BYTES;
  out[at++] = REQUESTS_TAG;
  let rest = requests;
  while (rest >= 0x80) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  out[0] = 0;
  out.writeUInt32BE(at - PREFIX_BYTES, 1);
  return out.subarray(0, at);
}
