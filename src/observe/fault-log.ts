/**
 * Repeated faults, summarised: the first of a kind is logged at once, the rest of its interval is
 * counted and comes as one line. A flood of faults costs two lines per kind and interval.
 *
 * Invariants:
 * 1. Every report ends up in exactly one line: its own, or the count of a summary (`close` writes the open ones).
 * 2. At most `maxKinds` kinds are remembered, and one more that all further kinds share.
 * 3. `#kinds` is ordered by due time, because every kind lasts one interval and is re-entered at the end.
 *
 *   unknown ──report: line──▶ counting ──interval over, repeats > 0: summary──▶ counting
 *      ▲                         │
 *      └──interval over, no repeats
 */
import type { Clock, Timer } from '../base/clock.ts';
import { formatDurationMs } from '../base/duration.ts';
import { shownText } from './shown-text.ts';

export type FaultLevel = 'info' | 'warn' | 'error';
export type FaultFields = Readonly<Record<string, unknown>>;

/** The part of a pino logger that is needed here. */
export type FaultLogger = { readonly [L in FaultLevel]: (fields: FaultFields, message: string) => void };

export interface FaultLogOptions {
  readonly intervalMs?: number;
  readonly maxKinds?: number;
}

interface Kind {
  readonly level: FaultLevel;
  dueMs: number;
  repeats: number;
  /** Of the latest repeat: the freshest example says most. */
  message: string;
  fields: FaultFields;
}

const OVERFLOW = 'fault kinds beyond the limit';

function shownFields(fields: FaultFields): FaultFields {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    shown[name] = typeof value === 'string' ? shownText(value) : value;
  }
  return shown;
}

export class FaultLog {
  readonly #logger: FaultLogger;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #maxKinds: number;
  readonly #kinds = new Map<string, Kind>();
  #timer: Timer | undefined;
  #repeatsTotal = 0;

  constructor(logger: FaultLogger, clock: Clock, options: FaultLogOptions = {}) {
    this.#logger = logger;
    this.#clock = clock;
    this.#intervalMs = options.intervalMs ?? 10_000;
    this.#maxKinds = options.maxKinds ?? 100;
  }

  /** Reports that did not get a line of their own, since the start. */
  get repeatsTotal(): number {
    return this.#repeatsTotal;
  }

  /** `kind` decides what counts as a repeat: a fixed name, never text from outside. */
  report(kind: string, level: FaultLevel, message: string, fields: FaultFields = {}): void {
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      this.#count(known, message, fields);
      return;
    }
    if (this.#kinds.size >= this.#maxKinds) {
      const overflow = this.#kinds.get(OVERFLOW);
      if (overflow !== undefined) {
        this.#count(overflow, message, fields);
        return;
      }
      kind = OVERFLOW;
    }
    this.#enter(kind, { level, dueMs: 0, repeats: 0, message, fields });
    this.#logger[level](shownFields(fields), shownText(message, 1000));
  }

  /** Writes the summaries that are still open. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const kind of this.#kinds.values()) this.#summarise(kind);
    this.#kinds.clear();
  }

  #count(kind: Kind, message: string, fields: FaultFields): void {
    kind.repeats++;
    kind.message = message;
    kind.fields = fields;
    this.#repeatsTotal++;
  }

  #enter(name: string, kind: Kind): void {
    kind.dueMs = this.#clock.monotonicMs() + this.#intervalMs;
    this.#kinds.set(name, kind);
    this.#timer ??= this.#clock.setTimer(this.#intervalMs, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [name, kind] of [...this.#kinds]) {
      if (kind.dueMs > nowMs) {
        this.#timer ??= this.#clock.setTimer(kind.dueMs - nowMs, () => this.#onTimer());
        return;
      }
      this.#kinds.delete(name);
      if (kind.repeats === 0) continue;
      this.#summarise(kind);
      this.#enter(name, { ...kind, repeats: 0 });
    }
  }

  #summarise(kind: Kind): void {
    if (kind.repeats === 0) return;
    this.#logger[kind.level](
      { ...shownFields(kind.fields), repeats: kind.repeats },
      `${shownText(kind.message, 1000)} (${kind.repeats} more within ${formatDurationMs(this.#intervalMs)})`,
    );
  }
}
