/**
 * Reads what `h2load --log-file` wrote: per request its start in microseconds since 1970, its status and
 * how many microseconds it took, separated by tabs.
 */

export interface RequestsBetween {
  readonly latenciesUs: Uint32Array;
  /** Answered with something other than 200, or not at all. */
  readonly failed: number;
}

const NEWLINE = 10;
const MINUS = 45;
const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** Requests that ended after `fromMs` and not after `toMs`. */
export function requestsBetween(log: Uint8Array, fromMs: number, toMs: number): RequestsBetween {
  const latenciesUs: number[] = [];
  let failed = 0;
  const fields = [0, 0, 0];
  let field = 0;
  let sign = 1;
  for (let index = 0; index < log.length; index++) {
    const byte = log[index]!;
    if (byte >= DIGIT_0 && byte <= DIGIT_9) {
      fields[field] = fields[field]! * 10 + byte - DIGIT_0;
    } else if (byte === MINUS) {
      sign = -1;
    } else if (byte === NEWLINE) {
      const [startUs, status, latencyUs] = fields as [number, number, number];
      const endMs = (startUs + latencyUs) / 1000;
      if (field === 2 && endMs > fromMs && endMs <= toMs) {
        if (sign === 1 && status === 200) latenciesUs.push(latencyUs);
        else failed++;
      }
      fields.fill(0);
      field = 0;
      sign = 1;
    } else {
      field++;
    }
  }
  return { latenciesUs: Uint32Array.from(latenciesUs), failed };
}
