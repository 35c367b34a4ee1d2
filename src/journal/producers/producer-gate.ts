/**
 * Exactly once, for readings that are numbered: stands before the JsonWriter, in its thread, and decides line by line
 * what is written, what is in the journal already, and what has to wait for its turn. Unnumbered batches pass through.
 *
 *   a request of numbers [first, last], `next` being one above the highest taken:
 *
 *   first > next ──────────▶ waits: REORDER_WAIT, within REORDER_BYTES ──its turn──▶ as below
 *                              └── the gap stays, or no room ──▶ gap: refused with the number expected
 *   first <= next ─┬─ numbers not taken ──▶ taken, written ──ok──▶ ok
 *                  │                            └── fails: given back, to be sent again ──▶ failed
 *                  └─ numbers taken ──in the journal──▶ ok (dropped)
 *                                   ──under way──▶ waits for that outcome, and has the same
 *
 * Invariants:
 * 1. A number is taken at most once at a time; its line is in the journal exactly once after an ok.
 * 2. ok is said only after the writer's own ok (written, or synced) for every line of the request, whoever sent it.
 * 3. What waits is copied, so that its batch goes home; REORDER_BYTES bounds all copies together.
 * 4. A hole arises only where what was given to the writer failed and something behind it did not; it is filled by the
 *    producer's own retry.
 *
 * A producer that is not known may start anywhere. Its first requests may overtake one another, so for REORDER_WAIT
 * numbers below the first one seen are still taken, and duplicates after that.
 */
import type { Clock } from '../../base/clock.ts';
import type { ProducersState } from '../../observe/daemon-state.ts';
import type { AppendBatch } from '../open-segment.ts';
import type { AppendDone } from '../write-fault.ts';
import { type NumberRange, ProducerNumbers } from './producer-numbers.ts';
import { type Fault, Producer, type ProducerRecord, ProducerTable, type UnderWay } from './producer-table.ts';
import { GiveUpLine, WaitingRequest } from './waiting-requests.ts';

const NEWLINE = 0x0a;
/** Each is a failed write behind which another one succeeded; so many at once are a disk that should not be trusted. */
const MAX_HOLES = 64;
/** What a request that waits costs beside its lines: closures, an entry. Else one of a single reading would be nearly free. */
const WAITING_COST_BYTES = 1024;

export interface ProducerGateOptions {
  readonly reorderBytes: number;
  readonly reorderWaitMs: number;
  readonly maxProducers: number;
  /** 0: however old. */
  readonly producerMaxAgeMs: number;
}

/** Lines of one request, with the number of the first; the others have the numbers behind. */
export interface NumberedLines extends AppendBatch {
  readonly numbering: { readonly producerId: string; readonly first: bigint };
}

export type NumberedResult =
  | { readonly kind: 'ok'; readonly written: number; readonly deduplicated: number }
  | { readonly kind: 'gap'; readonly expected: bigint }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export interface ProducerGateDeps {
  readonly writer: {
    append(batch: AppendBatch, onDone: AppendDone): void;
    flush(): void;
  };
  readonly clock: Clock;
  /** From the journal. */
  readonly known: readonly ProducerRecord[];
  /** The counts are others than before. */
  onCounted(): void;
}

export class ProducerGate {
  readonly #options: ProducerGateOptions;
  readonly #deps: ProducerGateDeps;
  readonly #table: ProducerTable;
  readonly #giveUpLine: GiveUpLine;
  #waitingBytes = 0;
  #waitingRequests = 0;
  #deduplicated = 0;
  #gaps = 0;

  constructor(options: ProducerGateOptions, deps: ProducerGateDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#giveUpLine = new GiveUpLine(deps.clock, options.reorderWaitMs);
    const { maxProducers, producerMaxAgeMs } = options;
    this.#table = new ProducerTable(maxProducers, producerMaxAgeMs, deps.known, deps.clock.nowMs());
  }

  get counts(): ProducersState {
    return {
      known: this.#table.size,
      evicted: this.#table.evicted,
      deduplicatedReadings: this.#deduplicated,
      gaps: this.#gaps,
      waitingRequests: this.#waitingRequests,
      waitingBytes: this.#waitingBytes,
    };
  }

  /** All that are known, in the order in which they came first. */
  producers(): Iterable<Producer> {
    return this.#table.values();
  }

  /** What the journal has for sure by now. */
  records(): readonly ProducerRecord[] {
    return this.#table.records(this.#deps.clock.nowMs());
  }

  append(batch: AppendBatch, onDone: AppendDone): void {
    this.#deps.writer.append(batch, onDone);
  }

  flush(): void {
    this.#deps.writer.flush();
  }

  appendNumbered(
    lines: NumberedLines,
    onDone: (result: NumberedResult) => void,
    onReleased: () => void,
  ): void {
    const nowMs = this.#deps.clock.nowMs();
    const { producerId, first } = lines.numbering;
    const last = first + BigInt(lines.lines) - 1n;
    const producer = this.#table.get(producerId) ?? this.#welcome(producerId, first, nowMs);
    this.#table.seen(producer, nowMs);
    this.#deps.onCounted();
    if (producer.settlesAtMs !== 0 && nowMs >= producer.settlesAtMs) {
      producer.settlesAtMs = 0;
      producer.numbers.close(producer.firstNumber);
    }
    if (first > producer.numbers.next) this.#wait(producer, { first, last }, lines, onDone, onReleased);
    else if (last >= producer.numbers.next && producer.numbers.holes.length >= MAX_HOLES) {
      onReleased();
      this.#refuse(producer, onDone);
    } else {
      this.#submit(producer, { first, last }, lines, onDone, onReleased);
      this.#callWaiting(producer);
    }
    this.#table.rested(producer);
  }

  #welcome(id: string, first: bigint, nowMs: number): Producer {
    const holes = first > 1n ? [{ first: 1n, last: first - 1n }] : [];
    const producer = new Producer(id, new ProducerNumbers(first, holes), nowMs);
    producer.firstNumber = first;
    producer.settlesAtMs = nowMs + this.#options.reorderWaitMs;
    return producer;
  }

  // --- before their turn ------------------------------------------------------------------------------

  #wait(
    producer: Producer,
    range: NumberRange,
    lines: NumberedLines,
    onDone: (result: NumberedResult) => void,
    onReleased: () => void,
  ): void {
    const sizeBytes = lines.bytes.length + WAITING_COST_BYTES;
    if (this.#waitingBytes + sizeBytes > this.#options.reorderBytes) {
      onReleased();
      this.#refuse(producer, onDone);
      return;
    }
    const copy = { ...lines, bytes: lines.bytes.slice() };
    onReleased();
    this.#waitingBytes += sizeBytes;
    this.#waitingRequests++;
    const leave = (): void => {
      producer.waiting.remove(request);
      this.#waitingBytes -= sizeBytes;
      this.#waitingRequests--;
    };
    const submit = (): void => {
      leave();
      this.#giveUpLine.remove(request);
      this.#submit(producer, range, copy, onDone, () => {});
    };
    const giveUp = (): void => {
      leave();
      this.#refuse(producer, onDone);
      this.#table.rested(producer);
    };
    const request = new WaitingRequest(range.first, submit, giveUp);
    producer.waiting.add(request);
    this.#giveUpLine.add(request);
  }

  #callWaiting(producer: Producer): void {
    for (let lowest = producer.waiting.lowest; lowest !== undefined; lowest = producer.waiting.lowest) {
      if (lowest.first > producer.numbers.next) return;
      lowest.submit();
    }
  }

  #refuse(producer: Producer, onDone: (result: NumberedResult) => void): void {
    producer.gaps++;
    this.#gaps++;
    this.#deps.onCounted();
    onDone({ kind: 'gap', expected: producer.numbers.expected });
  }

  // --- in their turn ----------------------------------------------------------------------------------

  #submit(
    producer: Producer,
    range: NumberRange,
    lines: NumberedLines,
    onDone: (result: NumberedResult) => void,
    onReleased: () => void,
  ): void {
    const missing = producer.numbers.missing(range.first, range.last);
    let written = 0;
    for (const { first, last } of missing) written += Number(last - first) + 1;
    const deduplicated = lines.lines - written;
    // What is under way is taken: without numbers that are taken there is none to look for.
    const earlier =
      deduplicated === 0 ? [] : [...producer.underWay].filter((other) => overlaps(other, range));
    let open = missing.length + earlier.length;
    let unwritten = missing.length;
    let fault: Fault | undefined;
    const settle = (failed: Fault | undefined): void => {
      fault ??= failed;
      if (--open > 0) return;
      if (fault === undefined) {
        producer.deduplicated += deduplicated;
        this.#deduplicated += deduplicated;
        onDone({ kind: 'ok', written, deduplicated });
      } else onDone({ kind: 'failed', ...fault });
    };
    if (unwritten === 0) onReleased();
    if (open === 0) {
      open = 1;
      settle(undefined);
      return;
    }
    for (const other of earlier) other.onSettled.push(settle);
    for (const part of missing) {
      producer.numbers.take(part);
      const underWay: UnderWay = { ...part, onSettled: [settle] };
      producer.underWay.add(underWay);
      this.#deps.writer.append(linesOf(lines, part), (result) => {
        producer.underWay.delete(underWay);
        if (!result.ok) producer.numbers.giveBack(part, producer.firstNumber);
        if (--unwritten === 0) onReleased();
        const failed = result.ok ? undefined : { code: result.code, message: result.message };
        for (const onSettled of underWay.onSettled) onSettled(failed);
        this.#table.rested(producer);
      });
    }
  }
}

function overlaps(a: NumberRange, b: NumberRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** The lines of a request that have these numbers. */
function linesOf(request: NumberedLines, { first, last }: NumberRange): AppendBatch {
  const { bytes, lines, firstReceivedAtMs, lastReceivedAtMs, numbering } = request;
  const skipped = Number(first - numbering.first);
  const count = Number(last - first) + 1;
  if (count === lines) return { bytes, lines, firstReceivedAtMs, lastReceivedAtMs };
  const start = offsetOfLine(bytes, 0, skipped);
  const end = skipped + count === lines ? bytes.length : offsetOfLine(bytes, start, count);
  return { bytes: bytes.subarray(start, end), lines: count, firstReceivedAtMs, lastReceivedAtMs };
}

/** Where the line begins that comes `lines` after the one at `from`. */
function offsetOfLine(bytes: Uint8Array, from: number, lines: number): number {
  let at = from;
  for (let line = 0; line < lines; line++) at = bytes.indexOf(NEWLINE, at) + 1;
  return at;
}
