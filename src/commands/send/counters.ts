/**
 * What happened so far. Plain data: threads send it, the main thread adds it up.
 *
 * Every request taken from the source is in exactly one of: inFlight, waiting, acknowledged, rejected,
 * undelivered.
 */
export interface Counters {
  requestsTaken: number;
  readingsTaken: number;
  /** Attempts on the wire now. */
  inFlight: number;
  /** Refused or failed, waiting for their retry. */
  waiting: number;
  requestsAcknowledged: number;
  readingsAcknowledged: number;
  bytesAcknowledged: number;
  /** The daemon said never. */
  requestsRejected: number;
  readingsRejected: number;
  /** Given up: retries used up, target gone or stopped. */
  requestsUndelivered: number;
  readingsUndelivered: number;
  /** Of the undelivered: an attempt ended without a clear answer, so they may be stored all the same. */
  readingsUncertain: number;
  retries: number;
  /** Sent again after an attempt that may have been stored without our knowing. */
  possibleDuplicateRequests: number;
  possibleDuplicateReadings: number;
  /** The latest an attempt began behind its schedule. */
  maxBehindMs: number;
  /** Failed attempts by status name. */
  statuses: Record<string, number>;
  /** The last failure in words; '' when there was none. */
  lastFailure: string;
}

export function newCounters(): Counters {
  return {
    requestsTaken: 0,
    readingsTaken: 0,
    inFlight: 0,
    waiting: 0,
    requestsAcknowledged: 0,
    readingsAcknowledged: 0,
    bytesAcknowledged: 0,
    requestsRejected: 0,
    readingsRejected: 0,
    requestsUndelivered: 0,
    readingsUndelivered: 0,
    readingsUncertain: 0,
    retries: 0,
    possibleDuplicateRequests: 0,
    possibleDuplicateReadings: 0,
    maxBehindMs: 0,
    statuses: {},
    lastFailure: '',
  };
}

export function sumCounters(parts: readonly Counters[]): Counters {
  const total = newCounters();
  for (const part of parts) {
    for (const key of Object.keys(total) as (keyof Counters)[]) {
      if (key === 'statuses' || key === 'lastFailure' || key === 'maxBehindMs') continue;
      total[key] += part[key];
    }
    total.maxBehindMs = Math.max(total.maxBehindMs, part.maxBehindMs);
    for (const [name, count] of Object.entries(part.statuses)) {
      total.statuses[name] = (total.statuses[name] ?? 0) + count;
    }
    if (part.lastFailure !== '') total.lastFailure = part.lastFailure;
  }
  return total;
}
