/** A page of the producers, by id, as plain data for whoever shows it. */
import type { Producer } from './producer-table.ts';

export interface ProducersQuestion {
  readonly limit: number;
  /** Only ids behind this one. */
  readonly after: string;
}

export interface ProducerShown {
  readonly id: string;
  /** The highest number given to the writer, and the one up to which everything is acknowledged; '0' for none. */
  readonly lastTaken: string;
  readonly lastAcknowledged: string;
  /** Ranges that failed and are still to be sent again. */
  readonly missing: readonly (readonly [string, string])[];
  readonly waitingRequests: number;
  readonly deduplicated: number;
  readonly gaps: number;
  readonly seenAtMs: number;
}

export interface ProducersPage {
  readonly producers: readonly ProducerShown[];
  /** There are more behind the last one. */
  readonly hasMore: boolean;
}

export function producersPage(all: Iterable<Producer>, { limit, after }: ProducersQuestion): ProducersPage {
  const behind = [...all].filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
  return { producers: behind.slice(0, limit).map(shown), hasMore: behind.length > limit };
}

function shown(producer: Producer): ProducerShown {
  const { id, numbers, underWay, waiting, deduplicated, gaps, seenAtMs, settlesAtMs, firstNumber } = producer;
  const sure = numbers.copy();
  for (const range of underWay) sure.giveBack(range, firstNumber);
  if (settlesAtMs !== 0) sure.close(firstNumber);
  return {
    id,
    lastTaken: String(numbers.next - 1n),
    lastAcknowledged: String(sure.expected - 1n),
    missing: sure.holes.map(({ first, last }) => [String(first), String(last)] as const),
    waitingRequests: waiting.size,
    deduplicated,
    gaps,
    seenAtMs,
  };
}
