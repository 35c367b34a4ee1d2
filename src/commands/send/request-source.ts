/**
 * Where requests come from: the simulated fleet or standard input. The load run pulls; a source never
 * prepares more than it is asked for, so memory is bounded by the requests in flight.
 */
export interface PreparedRequest {
  readonly body: Buffer;
  readonly readings: number;
  /** What the acknowledged log says about it, without its outcome. */
  readonly identity: RequestIdentity;
}

/** Names the readings of one request, so that a checker can find them again in the journal. */
export type RequestIdentity =
  | {
      readonly sensor_name: string;
      /** Number of the first reading; the others follow one by one. */
      readonly first: number;
      readonly count: number;
      /** created_at of reading n is this many milliseconds plus (n mod 1,000,000) nanoseconds. */
      readonly created_at_ms: number;
    }
  | { readonly first_line: number; readonly last_line: number; readonly count: number };

export interface RequestSource {
  /** Readings there will be in total, where that is known beforehand. */
  readonly totalReadings: number | undefined;
  /** A request can be taken now. */
  readonly ready: boolean;
  /** Nothing more will come. */
  readonly ended: boolean;
  /** When, in monotonic milliseconds, the next request is meant to start. Only while `ready`. */
  nextIntendedMs(): number;
  /** Takes the next request. Only while `ready`. */
  take(): PreparedRequest;
  /** Called whenever `ready` or `ended` may have turned true. */
  onChange: (() => void) | undefined;
}
