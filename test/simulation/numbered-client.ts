/**
 * A producer that numbers its readings, keeps a window of requests under way, and sends each again, the very
 * same, until it is acknowledged: it never skips a number.
 *
 * Held against it: each of its readings is there at most once, whatever was repeated, and once when acknowledged,
 * which is never before it is written.
 */

import type { ClientParts, Clients, Habits } from './clients.ts';
import type { Connection } from './network.ts';
import { NOBODY } from './scheduler.ts';
import { makeSubmission, type Submission } from './submissions.ts';

const LARGEST_BYTES = 4000;

export class NumberedClient {
  readonly #producer: string;
  readonly #habits: Habits;
  readonly #parts: ClientParts;
  readonly #all: Clients;
  #connection: Connection | undefined;
  #nextNumber = 1;
  /** Oldest first; made and not acknowledged yet. */
  readonly #window: Submission[] = [];
  #isAwake = false;
  /**
   * The daemon knows us: the last thing it said was an acknowledgement. Until then the oldest request goes alone, since
   * to a daemon that does not know us what we send first says that all before it is done.
   */
  #isKnown = false;
  #isRetryArmed = false;
  underWay = 0;

  constructor(producer: string, habits: Habits, parts: ClientParts, all: Clients) {
    this.#producer = producer;
    this.#habits = habits;
    this.#parts = parts;
    this.#all = all;
  }

  /** Also after a pause of the world: what was not acknowledged is sent again. */
  wake(): void {
    this.#isKnown = false;
    this.#sendAgain();
    this.#nextRequest();
  }

  #nextRequest(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    const { scheduler, random } = this.#parts;
    scheduler.after(this.#all.pauseMs * 2 * random.next(), NOBODY, 'producer', () => {
      this.#isAwake = false;
      if (this.#window.length < (this.#isKnown ? this.#habits.window : 1)) {
        if (!this.#all.mayBegin()) return;
        this.#all.counts.numberedRequests++;
        const submission = this.#make();
        if (this.#isKnown || this.#window.length === 1) this.#send(submission);
      }
      this.#nextRequest();
    });
  }

  #make(): Submission {
    const { random, oracle } = this.#parts;
    const readings = 1 + random.below(this.#habits.readingsMax);
    const numbers = { producer: this.#producer, first: this.#nextNumber };
    const id = `${this.#producer}.${this.#nextNumber}`;
    this.#nextNumber += readings;
    // Never too large for good: there is no way around a number.
    const textBytes = Math.min(this.#habits.textBytesMax, Math.floor(LARGEST_BYTES / readings));
    const submission = makeSubmission(id, readings, textBytes, random, numbers);
    this.#window.push(submission);
    oracle.sent(submission);
    return submission;
  }

  #send(submission: Submission): void {
    const { oracle, network, random } = this.#parts;
    if (this.#connection === undefined || this.#connection.isBroken) {
      this.#connection = network.connect(`simulated-${this.#producer}`);
      // Whoever is there now may have been born since.
      this.#isKnown = false;
    }
    if (this.#connection === undefined || (submission !== this.#window[0] && !this.#isKnown)) {
      this.#sendAgain();
      return;
    }
    this.underWay++;
    this.#all.counts.attempts++;
    this.#connection.call({
      request: submission.request,
      timeoutMs: random.below(20) === 0 ? 1 + random.below(500) : undefined,
      onArrived: () => oracle.arrived(submission),
      onDecided: (outcome) => oracle.decided(submission, outcome),
      onEnd: (outcome) => {
        this.underWay--;
        this.#all.count(outcome);
        if (outcome === 'broken' || outcome.kind !== 'ok') {
          if (outcome !== 'broken' && outcome.kind === 'refused' && outcome.expectedSequence !== undefined) {
            oracle.asked(this.#producer, Number(outcome.expectedSequence));
          }
          this.#isKnown = false;
          this.#sendAgain();
          return;
        }
        this.#window.splice(this.#window.indexOf(submission), 1);
        if (this.#isKnown || this.underWay > 0) return;
        this.#isKnown = true;
        for (const next of [...this.#window]) this.#send(next);
      },
    });
  }

  /** The oldest first, once nothing is under way. */
  #sendAgain(): void {
    if (this.#isRetryArmed) return;
    this.#isRetryArmed = true;
    const { scheduler, random } = this.#parts;
    scheduler.after(10 + 100 * random.next(), NOBODY, 'producer sends again', () => {
      this.#isRetryArmed = false;
      const oldest = this.#window[0];
      if (this.#all.isSending && this.underWay === 0 && oldest !== undefined) this.#send(oldest);
    });
  }
}
