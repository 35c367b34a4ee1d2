/**
 * Who is at the other end of a connection, asked before a call costs memory. The answer is kept with the
 * connection for as long as calls bring the same `authorization`, the tokens are the same, and the client is
 * remembered; so all but the first call cost four comparisons.
 */
import { addressName, UNKNOWN_ADDRESS } from '../base/address-name.ts';
import { Client } from '../base/client.ts';
import { type Failed, isHopeless, isWasted, type Refused } from '../base/outcome.ts';

/** What decides who may come in. */
export interface Door {
  /** Changes whenever an answer might be another than before. */
  readonly epoch: number;
  identify(
    authorization: string | undefined,
    certificateSubject: string | undefined,
    address: string,
  ): Client | Refused;
  /** Whether a call of a service other than SensorService and health may come in. */
  mayLook(
    authorization: string | undefined,
    certificateSubject: string | undefined,
    address: string,
  ): Refused | undefined;
}

/** Lets everybody in, by address. */
export const openDoor: Door = {
  epoch: 0,
  identify: (_authorization, certificateSubject, address) =>
    certificateSubject === undefined
      ? new Client('address', address)
      : new Client('certificate', certificateSubject),
  mayLook: () => undefined,
};

export class Caller {
  // Kept for whoever divides time among connections, who lets them fade.
  /** Calls answered with OK, with a fault of the client's that no repeat would mend, and refused though only a repeat is needed. */
  fineCalls = 0;
  hopelessCalls = 0;
  wastedCalls = 0;
  /** What compressed requests grew by, or shrank. */
  grownBytes = 0;
  readonly #door: Door;
  readonly #certificateSubject: string | undefined;
  readonly #address: string;
  #addressName: string | undefined;
  #client: Client | undefined;
  #authorization: string | undefined;
  #epoch = 0;

  constructor(door: Door, certificateSubject: string | undefined, address: string | undefined) {
    this.#door = door;
    this.#certificateSubject = certificateSubject;
    this.#address = address ?? UNKNOWN_ADDRESS;
  }

  /** For what is counted before anybody is asked who he is. */
  get addressName(): string {
    return (this.#addressName ??= addressName(this.#address));
  }

  /** As the last call said; no call has said it yet: undefined. */
  get client(): Client | undefined {
    return this.#client;
  }

  /** A call was answered with that. What it grew by speaks for it no more if it could never succeed. */
  onRefused(outcome: Refused | Failed, grownBytes = 0): void {
    if (isHopeless(outcome)) {
      this.hopelessCalls++;
      this.grownBytes -= grownBytes;
    } else if (isWasted(outcome)) this.wastedCalls++;
  }

  /** The client, or why the call is not taken on. */
  identify(authorization: string | undefined): Client | Refused {
    const known = this.#client;
    if (
      known !== undefined &&
      authorization === this.#authorization &&
      this.#epoch === this.#door.epoch &&
      !known.isForgotten
    ) {
      return known;
    }
    const answer = this.#door.identify(authorization, this.#certificateSubject, this.#address);
    if (!(answer instanceof Client)) return answer;
    this.#client = answer;
    this.#authorization = authorization;
    this.#epoch = this.#door.epoch;
    return answer;
  }

  mayLook(authorization: string | undefined): Refused | undefined {
    return this.#door.mayLook(authorization, this.#certificateSubject, this.#address);
  }
}
