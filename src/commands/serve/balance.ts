/** The ledger as the last line of the log: both equations, and whether they hold. */
import type { LedgerSnapshot } from '../../observe/ledger.ts';

/** What is really open now, counted where it is held and not by the books. */
export interface Held {
  readonly requests: number;
  readonly readings: number;
}

/**
 * The books against what is held. Each entry of the ledger moves one count up and `in flight` down, so by
 * itself it always balances; a request answered twice or forgotten shows only against the calls that are open.
 */
export function audit({ requests, readings }: LedgerSnapshot, held: Held): LedgerSnapshot {
  return {
    requests: {
      ...requests,
      inFlight: held.requests,
      difference: requests.difference + requests.inFlight - held.requests,
    },
    readings: {
      ...readings,
      inFlight: held.readings,
      difference: readings.difference + readings.inFlight - held.readings,
    },
  };
}

export interface Balance {
  readonly text: string;
  readonly isBalanced: boolean;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function balanceOf({ requests, readings }: LedgerSnapshot): Balance {
  const isBalanced = requests.difference === 0 && readings.difference === 0;
  const text =
    `balance: requests received ${requests.received} = ok ${requests.ok} + refused ${total(requests.refused)} + ` +
    `failed ${total(requests.failed)} + in flight ${requests.inFlight} (difference ${requests.difference}); ` +
    `readings decoded ${readings.decoded} = written ${readings.written} + deduplicated ${readings.deduplicated} + ` +
    `refused ${total(readings.refused)} + lost ${total(readings.lost)} + in flight ${readings.inFlight} ` +
    `(difference ${readings.difference})`;
  return {
    text,
    isBalanced,
    fields: {
      requests: { ...requests, refused: nonZero(requests.refused), failed: nonZero(requests.failed) },
      readings: { ...readings, refused: nonZero(readings.refused), lost: nonZero(readings.lost) },
    },
  };
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function nonZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
