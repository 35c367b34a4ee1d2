/**
 * The oracle: knows everything that was sent, what each attempt was told, and what has happened to the
 * machine since, and holds it against what is in the journal.
 *
 * What must hold at every look:
 *  1. Every line is exactly the line of a reading that arrived. Nothing torn, nothing foreign.
 *  2. No attempt's reading is there twice: not by two batches, nor by a segment and its compressed copy.
 *  3. Nothing of a refused request is there.
 *  4. What was acknowledged is there:
 *       accepted   unless the process died before a drain that ended well, or the disk failed
 *       written    unless the power went before a sync covered it: SYNC_INTERVAL says how long that takes
 *       synced     whatever happened
 *     and what was there once after a recovery or a drain stays, but for what retention removes by record.
 *  5. A producer is not asked again for numbers that were acknowledged, but for those that 4 allows to be lost.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Outcome } from '../../src/base/outcome.ts';
import type { ExpectedReading, Submission } from './submissions.ts';

export type AckMode = 'accepted' | 'written' | 'synced';

export interface Promises {
  readonly ack: AckMode;
  readonly syncIntervalMs: number;
  readonly retains: boolean;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

const RECEIVED_AT_LENGTH = '2026-11-20T10:00:00.130Z'.length;
const RECEIVED_AT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export interface LifeCounts {
  arrived: number;
  ok: number;
}

/** What a look at the journal may find. */
export interface Look {
  /** Lines that are no line of ours are passed over: an image that no recovery has seen yet. */
  readonly mayBeTorn: boolean;
  readonly requiresAcknowledged: boolean;
  /** The daemon runs: what it only queued is not there yet. */
  readonly isRunning: boolean;
}

export class Oracle {
  readonly #promises: Promises;
  readonly #nowMs: () => number;
  readonly #onViolation: (violation: Violation) => void;
  readonly #readings = new Map<string, ExpectedReading>();
  readonly #submissions: Submission[] = [];
  readonly lives: LifeCounts[] = [];
  #look = 0;
  /** Longest that a sync took, or anything else that may come between a write and its sync. */
  slowestMs = 0;
  /** Of acknowledgements that were held against the journal, over all looks. */
  checkedAcknowledgements = 0;
  lostByPermission = 0;
  retiredReadings = 0;

  /** `onViolation`: for what is found in a turn of the daemon's, which must not hear of it. */
  constructor(promises: Promises, nowMs: () => number, onViolation: (violation: Violation) => void) {
    this.#promises = promises;
    this.#nowMs = nowMs;
    this.#onViolation = onViolation;
  }

  get readings(): number {
    return this.#readings.size;
  }
  get acknowledged(): number {
    return this.#submissions.filter(({ decided }) => decided?.kind === 'ok').length;
  }

  lifeBegins(): number {
    this.lives.push({ arrived: 0, ok: 0 });
    return this.lives.length - 1;
  }

  sent(submission: Submission): void {
    this.#submissions.push(submission);
    for (const reading of submission.readings) this.#readings.set(reading.name, reading);
  }

  arrived(submission: Submission): void {
    submission.mayBeWritten++;
    submission.life = this.lives.length - 1;
    this.lives.at(-1)!.arrived++;
  }

  decided(submission: Submission, outcome: Outcome): void {
    if (outcome.kind === 'refused') submission.mayBeWritten--;
    if (outcome.kind === 'ok') {
      this.lives.at(-1)!.ok++;
      submission.mayBeLost = false;
    }
    // A later attempt that fails takes nothing back.
    if (submission.decided?.kind !== 'ok' || outcome.kind === 'ok') {
      submission.decided = outcome;
      submission.decidedAtMs = this.#nowMs();
    }
    if (outcome.kind === 'failed' && outcome.reason === 'internal') {
      this.#onViolation(new Violation(`${submission.id}: ${outcome.message}`));
    }
  }

  /** A gap was reported to a producer, that is asked to go on from `number`. */
  asked(producer: string, number: number): void {
    const asksFor = this.#submissions.find(({ numbers, readings }) => {
      if (numbers?.producer !== producer) return false;
      return number >= numbers.first && number < numbers.first + readings.length;
    });
    if (asksFor?.decided?.kind !== 'ok' || asksFor.mayBeLost) return;
    const message = `${asksFor.id} was acknowledged, and the producer is asked to go on from ${number}`;
    this.#onViolation(new Violation(message));
  }

  /** The process died; the operating system did not. */
  processDied(): void {
    this.#permit((submission) => this.#ackOf(submission) === 'accepted');
  }

  /** A thread died, or the disk failed: what was only queued is lost. */
  queueLost(): void {
    this.#permit((submission) => this.#ackOf(submission) === 'accepted');
  }

  /** Numbered requests are never acknowledged before they are written. */
  #ackOf({ numbers }: Submission): AckMode {
    const { ack } = this.#promises;
    return ack === 'accepted' && numbers !== undefined ? 'written' : ack;
  }

  /** `isHealthy`: no sync failed in this life, so that SYNC_INTERVAL bounds what is lost. */
  powerLost(isHealthy: boolean): void {
    const { ack, syncIntervalMs } = this.#promises;
    if (ack === 'synced') return;
    // Two syncs may follow each other, and each timer and thread may be as late as anything was.
    const boundMs = isHealthy ? 2 * syncIntervalMs + 3 * this.slowestMs + 10 : Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs();
    this.#permit(
      (submission) => this.#ackOf(submission) === 'accepted' || nowMs - submission.decidedAtMs < boundMs,
    );
  }

  #permit(applies: (submission: Submission) => boolean): void {
    for (const submission of this.#submissions) {
      if (submission.decided?.kind === 'ok' && !submission.isSettled && applies(submission))
        submission.mayBeLost = true;
    }
  }

  /** Retention takes a segment away whose record on the disk says so. */
  segmentRetired(lines: readonly string[]): void {
    if (!this.#promises.retains) {
      this.#onViolation(new Violation('a segment was deleted, and no retention was asked for'));
    }
    for (const line of lines) {
      const reading = this.#readings.get(nameOf(line));
      if (reading === undefined || reading.isRetired) continue;
      reading.isRetired = true;
      this.retiredReadings++;
    }
  }

  beginLook(): void {
    this.#look++;
  }

  /** The lines of one segment, as a reader gets them. `isDurable`: they are known to be on the disk. */
  see(file: string, text: string, look: Look, seen: ExpectedReading[]): void {
    let at = 0;
    while (at < text.length) {
      const end = text.indexOf('\n', at);
      const line = text.slice(at, end === -1 ? text.length : end);
      at = end === -1 ? text.length : end + 1;
      const reading = this.#readings.get(nameOf(line));
      if (reading === undefined || !isLineOf(reading, line) || end === -1) {
        if (look.mayBeTorn) continue;
        throw new Violation(`${file} holds a line that nobody sent: ${line.slice(0, 200)}`);
      }
      const { submission } = reading;
      if (reading.seenInLook !== this.#look) {
        reading.seenInLook = this.#look;
        reading.seenTimes = 0;
      }
      const { numbers, mayBeWritten } = submission;
      const allowed = numbers === undefined ? mayBeWritten : Math.min(1, mayBeWritten);
      if (++reading.seenTimes > allowed) {
        const told = submission.decided === undefined ? 'unanswered' : JSON.stringify(submission.decided);
        throw new Violation(
          `${reading.name} is there ${reading.seenTimes} times, now in ${file}, and ${allowed} may be (${told})`,
        );
      }
      seen.push(reading);
    }
  }

  /** All segments were seen. */
  endLook(look: Look): void {
    if (!look.requiresAcknowledged) return;
    const life = this.lives.length - 1;
    const isQueued = (submission: Submission): boolean =>
      look.isRunning && this.#ackOf(submission) === 'accepted' && submission.life === life;
    for (const submission of this.#submissions) {
      if ((submission.decided?.kind !== 'ok' || isQueued(submission)) && !submission.isSettled) continue;
      for (const reading of submission.readings) {
        this.checkedAcknowledgements++;
        if (reading.seenInLook === this.#look || reading.isRetired) continue;
        if (submission.mayBeLost) {
          this.lostByPermission++;
          continue;
        }
        const since = (this.#nowMs() - submission.decidedAtMs).toFixed(3);
        const what = submission.isSettled
          ? 'was in the journal for good'
          : `was acknowledged (${this.#promises.ack})`;
        throw new Violation(`${reading.name} ${what} ${since} ms ago, and is not there`);
      }
    }
  }

  /** Everything seen in this look is on the disk: it stays. */
  settle(seen: readonly ExpectedReading[], look: Look): void {
    // What a running daemon has just written is not: of its own life nothing is known.
    const untilLife = look.isRunning ? this.lives.length - 1 : this.lives.length;
    // A request counts as settled once all of it was seen; a part of one that may be lost stays in doubt.
    const whole = new Map<Submission, number>();
    for (const { submission } of new Set(seen)) whole.set(submission, (whole.get(submission) ?? 0) + 1);
    for (const [submission, count] of whole) {
      if (count !== submission.readings.length || submission.life >= untilLife) continue;
      submission.isSettled = true;
      submission.mayBeLost = false;
    }
  }

  /** Readings of a life that are in the journal, or were until retention took them. */
  inJournal(life: number): number {
    let count = 0;
    for (const reading of this.#readings.values()) {
      if (reading.submission.life === life && (reading.isRetired || reading.seenInLook === this.#look))
        count++;
    }
    return count;
  }
}

function nameOf(line: string): string {
  // {"sensor_name":"
  return line.slice(16, line.indexOf('"', 16));
}

function isLineOf({ before, after }: ExpectedReading, line: string): boolean {
  return (
    line.length === before.length + RECEIVED_AT_LENGTH + after.length &&
    line.startsWith(before) &&
    line.endsWith(after) &&
    RECEIVED_AT.test(line.slice(before.length, before.length + RECEIVED_AT_LENGTH))
  );
}

/** The lines of a segment file as it lies. */
export function linesOfFile(path: string, content: Uint8Array): string[] {
  let bytes: Uint8Array = content;
  if (path.endsWith('.gz')) bytes = gunzipSync(content);
  else if (path.endsWith('.zst')) bytes = zstdDecompressSync(content);
  return Buffer.from(bytes).toString('latin1').split('\n');
}
