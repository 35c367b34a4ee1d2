/**
 * The tokens that are good now, and who has presented one.
 *
 * How long a look takes must say nothing about the tokens. What a caller presents goes through SHA-256 and then
 * through HMAC under a key that this process made up: the place where a Map looks for the result depends on the
 * presented token in a way that nobody outside can predict or steer, and the comparison of what it finds there
 * takes the same time wherever the first difference is. The number of tokens does not matter either.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TokenEntry } from './token-file.ts';

/** `Bearer`, in any case (RFC 9110 11.1), then the token; longer ones than a file may hold are not looked at. */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]{1,512}=*)$/i;

interface Place<T> {
  readonly mark: Buffer;
  readonly owner: T;
}

export class TokenSet<T> {
  readonly #key = randomBytes(32);
  readonly #places = new Map<string, Place<T>>();

  constructor(entries: readonly TokenEntry[], ownerOf: (entry: TokenEntry) => T) {
    for (const entry of entries) {
      const mark = this.#mark(Buffer.from(entry.digest, 'hex'));
      this.#places.set(mark.toString('latin1'), { mark, owner: ownerOf(entry) });
    }
  }

  get size(): number {
    return this.#places.size;
  }

  /** Whose token `authorization` presents; undefined for no such token, and for what is no bearer token at all. */
  ownerOf(authorization: string): T | undefined {
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) return undefined;
    const mark = this.#mark(createHash('sha256').update(token).digest());
    const place = this.#places.get(mark.toString('latin1'));
    return place !== undefined && timingSafeEqual(place.mark, mark) ? place.owner : undefined;
  }

  #mark(digest: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(digest).digest();
  }
}
