/**
 * Remembers the streams that ended last, and how: frames may still arrive for them (RFC 9113 section 5.1,
 * "closed"), and whether that is a fault depends on who ended the stream.
 */
export type HowClosed =
  /** Both sides said END_STREAM: nothing may follow. */
  | 'finished'
  /** The client reset it: nothing may follow. */
  | 'reset-by-client'
  /** We reset it: the client may not know yet. */
  | 'reset-by-us'
  /** Never opened, or too long ago to remember. */
  | 'unknown';

const KINDS: readonly HowClosed[] = ['finished', 'reset-by-client', 'reset-by-us'];
export const FINISHED = 0;
export const RESET_BY_CLIENT = 1;
export const RESET_BY_US = 2;

/** More than the calls of an ordinary connection, so that one round trip of resets is remembered. */
const REMEMBERED = 256;

export class ClosedStreams {
  /** Stream id times 4 plus the kind; a ring. Plain numbers: it is written for every call. */
  readonly #ring: number[] = [];
  #next = 0;

  add(streamId: number, kind: number): void {
    this.#ring[this.#next] = streamId * 4 + kind;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  how(streamId: number): HowClosed {
    for (const entry of this.#ring) {
      if (Math.floor(entry / 4) === streamId) return KINDS[entry % 4]!;
    }
    return 'unknown';
  }
}
