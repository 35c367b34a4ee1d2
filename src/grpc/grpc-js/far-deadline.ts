/**
 * grpc-js counts deadlines in 32-bit milliseconds: a timeout beyond 24.8 days wraps around, and the call would
 * fail at once. A deadline that far away is none for a daemon, so the header is taken away before grpc-js reads it.
 */
import type { IncomingHttpHeaders } from 'node:http2';

const MAX_TIMER_MS = 0x7fff_ffff;
/** The units in which eight digits, the most that gRPC allows, can exceed the timer. */
const LONG_UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000 };

export function dropFarDeadline(headers: IncomingHttpHeaders): void {
  const timeout = headers['grpc-timeout'] as string | undefined;
  if (timeout === undefined) return;
  const unitMs = LONG_UNIT_MS[timeout.charAt(timeout.length - 1)];
  if (unitMs !== undefined && Number.parseInt(timeout, 10) * unitMs > MAX_TIMER_MS)
    delete headers['grpc-timeout'];
}
