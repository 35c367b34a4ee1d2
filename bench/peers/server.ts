/** What is compared: something that can be started on given cores, loaded, and asked afterwards what it did. */
import type { Cores } from '../cores.ts';
import type { LoadRequest, LoadTarget } from '../load.ts';

export interface RunningServer extends LoadTarget {
  /**
   * Stops it and throws unless its own books, or its file, hold at least the requests that the load generator saw
   * answered: an HTTP status of 200 says nothing of gRPC.
   */
  stop(answered: number, readingsPerRequest: number): Promise<void>;
  /** After `stop`, or in place of it. */
  remove(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** With everything a reader needs to build the same. */
  readonly version: string;
  /** What a request costs it beyond HTTP/2 and decoding. */
  readonly does: string;
  /** Undefined: what is sent to the daemon. */
  request?(readings: number): LoadRequest;
  start(scratch: string, cores: Cores): Promise<RunningServer>;
}

export interface MissingPeer {
  readonly name: string;
  readonly missing: string;
}

/** `answered` is what happened inside a window; a server answers outside of it too. */
export function assertServed(name: string, served: number, answered: number): void {
  if (served >= answered) return;
  throw new Error(`${name} answered ${answered} in the window but holds only ${served}: not a measurement`);
}
