/**
 * Asks for a bearer token where there is a file of them. A header that a page of a stranger cannot make a browser
 * send, not a cookie that it could: nothing here needs protection against requests forged across sites.
 */
import type { TokenEntry } from '../base/token-file.ts';
import { TokenSet } from '../base/token-set.ts';
import { type AdminResponse, errorResponse } from './route.ts';

export class TokenGate {
  readonly #entries: () => readonly TokenEntry[] | undefined;
  #seen: readonly TokenEntry[] | undefined;
  #tokens: TokenSet<true> | undefined;

  /** `entries`: another array whenever they changed. */
  constructor(entries: () => readonly TokenEntry[] | undefined) {
    this.#entries = entries;
  }

  get isShut(): boolean {
    return this.#entries() !== undefined;
  }

  /** The refusal, or undefined when the request may pass. */
  refusal(authorization: string | undefined): AdminResponse | undefined {
    const entries = this.#entries();
    if (entries !== this.#seen) {
      this.#seen = entries;
      this.#tokens = entries === undefined ? undefined : new TokenSet(entries, () => true as const);
    }
    if (this.#tokens === undefined) return undefined;
    if (authorization !== undefined && this.#tokens.ownerOf(authorization) !== undefined) return undefined;
    return errorResponse(
      401,
      'UNAUTHORIZED',
      authorization === undefined
        ? 'this path needs a token: send the header `authorization: Bearer <token>`'
        : 'the token in `authorization` is not one of this server, or not of the form `Bearer <token>`',
      { headers: { 'www-authenticate': 'Bearer realm="telemetry-sink admin"' } },
    );
  }
}
