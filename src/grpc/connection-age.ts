/**
 * The age of a connection: at MAX_CONNECTION_AGE it is asked to leave, after the grace it must.
 *
 *   young ──age, 10% more or less──▶ leaving: GOAWAY, calls go on ──calls end──▶ closed
 *                                      └──MAX_CONNECTION_AGE_GRACE──▶ ended: what is left is cut
 *
 * The jitter keeps a fleet that connected within one moment from coming back within one.
 */
import type { Clock, Timer } from '../base/clock.ts';

export interface ConnectionAgeLimits {
  /** 0 = unlimited. */
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
}

export interface AgingConnection {
  /** Says GOAWAY in the way that loses no call; closes when the last call has ended. */
  leave(): void;
  /** Ends it with whatever is still open on it. */
  end(): void;
}

const JITTER = 0.1;

/** The returned timer is to be cancelled when the connection closes. */
export function limitAge(limits: ConnectionAgeLimits, clock: Clock, connection: AgingConnection): Timer {
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs } = limits;
  if (maxConnectionAgeMs === 0) return { cancel: () => {} };
  const ageMs = maxConnectionAgeMs * (1 - JITTER + 2 * JITTER * Math.random());
  let timer = clock.setTimer(ageMs, () => {
    connection.leave();
    timer = clock.setTimer(maxConnectionAgeGraceMs, () => connection.end());
  });
  return { cancel: () => timer.cancel() };
}
