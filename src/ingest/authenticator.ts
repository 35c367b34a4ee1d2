/**
 * The door of one ingest thread: whose call it is, and whether it may come in.
 *
 *   certificate  token      without TOKENS_FILE      with TOKENS_FILE
 *   verified     none       certificate              certificate
 *   verified     good       certificate              certificate
 *   verified     not good   certificate              refused
 *   none         none       address                  refused
 *   none         good       address                  token
 *   none         not good   address                  refused
 *
 * So a verified client certificate or a good token is enough, and a token that is presented must be good. That
 * certificates are required of everybody is for the TLS handshake to say: without one nobody gets this far.
 */
import { createHash } from 'node:crypto';
import { addressName } from '../base/address-name.ts';
import type { Client, ClientQuota } from '../base/client.ts';
import { NEVER_RETRY, type Refused, refused } from '../base/outcome.ts';
import type { TokenEntry } from '../base/token-file.ts';
import { TokenSet } from '../base/token-set.ts';
import type { Door } from '../grpc/caller.ts';
import { shownText } from '../observe/shown-text.ts';
import type { Clients } from './clients.ts';

const MAX_SUBJECT_CHARS = 128;

interface TokenOwner {
  readonly name: string;
  readonly quota: ClientQuota | undefined;
}

export class Authenticator implements Door {
  epoch = 0;
  readonly #clients: Clients;
  #tokens: TokenSet<TokenOwner> | undefined;

  /** Without tokens none is asked for. */
  constructor(clients: Clients, tokens: readonly TokenEntry[] | undefined) {
    this.#clients = clients;
    if (tokens !== undefined) this.setTokens(tokens);
  }

  /** From the next call of every connection on. */
  setTokens(tokens: readonly TokenEntry[]): void {
    this.#tokens = new TokenSet(tokens, ({ name, quota }) => ({ name, quota }));
    this.#clients.forget('token');
    this.epoch++;
  }

  identify(
    authorization: string | undefined,
    certificateSubject: string | undefined,
    address: string,
  ): Client | Refused {
    const refusal = this.mayLook(authorization, certificateSubject);
    if (refusal !== undefined) return refusal;
    if (certificateSubject !== undefined)
      return this.#clients.of('certificate', subjectName(certificateSubject));
    const owner = this.#tokens?.ownerOf(authorization!);
    if (owner !== undefined) return this.#clients.of('token', owner.name, owner.quota);
    return this.#clients.of('address', addressName(address));
  }

  mayLook(authorization: string | undefined, certificateSubject: string | undefined): Refused | undefined {
    const tokens = this.#tokens;
    if (tokens === undefined) return undefined;
    if (authorization === undefined) {
      return certificateSubject === undefined
        ? unauthenticated('no token: send the metadata `authorization: Bearer <token>`')
        : undefined;
    }
    return tokens.ownerOf(authorization) === undefined
      ? unauthenticated(
          'the token in `authorization` is not one of this server, or not of the form `Bearer <token>`',
        )
      : undefined;
  }
}

function unauthenticated(message: string): Refused {
  return refused('unauthenticated', message, NEVER_RETRY);
}

/** Fit to be shown, and still another name for another subject. */
export function subjectName(subject: string): string {
  if (subject.length <= MAX_SUBJECT_CHARS) return shownText(subject);
  const digest = createHash('sha256').update(subject).digest('hex').slice(0, 16);
  return `${shownText(subject.slice(0, MAX_SUBJECT_CHARS).toWellFormed())}~${digest}`;
}
