/**
 * The sensors: each with a connection and a few requests under way, sending in bursts, retrying what failed
 * and what was refused for now, giving up, losing patience, hanging up.
 */

import { NEVER_RETRY, type Outcome } from '../../src/base/outcome.ts';
import type { Random } from '../../src/base/random.ts';
import type { Connection, Network } from './network.ts';
import { NumberedClient } from './numbered-client.ts';
import type { Oracle } from './oracle.ts';
import { NOBODY, type Scheduler } from './scheduler.ts';
import { makeSubmission } from './submissions.ts';

export interface Habits {
  readonly clients: number;
  /** So many more number their readings. */
  readonly producers: number;
  /** Requests one client has under way at most. */
  readonly window: number;
  /** Between two requests of a client, on average; undefined: so that they last about as long as the daemon does. */
  readonly pauseMs: number | undefined;
  readonly readingsMax: number;
  /** Some readings carry a text of up to so many bytes. */
  readonly textBytesMax: number;
  readonly attemptsMax: number;
  /** Requests that all clients together begin in one life of the daemon. */
  readonly requestsPerLife: number;
}

/** A client that looks without a pause whether it may send would look for ever at one moment. */
const SHORTEST_PAUSE_MS = 0.3;

export interface ClientCounts {
  requests: number;
  numberedRequests: number;
  attempts: number;
  ok: number;
  refused: number;
  failed: number;
  broken: number;
  cancelled: number;
  /** Of those refused or failed, by reason. */
  readonly reasons: Record<string, number>;
}

export class Clients {
  readonly counts: ClientCounts = {
    requests: 0,
    numberedRequests: 0,
    attempts: 0,
    ok: 0,
    refused: 0,
    failed: 0,
    broken: 0,
    cancelled: 0,
    reasons: {},
  };
  readonly #clients: (UnnumberedClient | NumberedClient)[];
  readonly #habits: Habits;
  pauseMs = 0;
  #requestsLeft = 0;
  isSending = false;

  constructor(habits: Habits, parts: ClientParts) {
    this.#habits = habits;
    this.#clients = Array.from(
      { length: habits.clients },
      (_, index) => new UnnumberedClient(`u${index + 1}`, habits, parts, this),
    );
    for (let i = 1; i <= habits.producers; i++) {
      this.#clients.push(new NumberedClient(`p${i}`, habits, parts, this));
    }
  }

  start(durationMs: number): void {
    const { clients, producers, pauseMs, requestsPerLife } = this.#habits;
    this.isSending = true;
    this.#requestsLeft = requestsPerLife;
    this.pauseMs =
      pauseMs ?? Math.max(SHORTEST_PAUSE_MS, (durationMs * (clients + producers)) / requestsPerLife);
    for (const client of this.#clients) client.wake();
  }

  /** Nobody begins anything new, nor tries again. */
  stop(): void {
    this.isSending = false;
  }

  mayBegin(): boolean {
    if (!this.isSending || this.#requestsLeft === 0) return false;
    this.#requestsLeft--;
    return true;
  }

  count(outcome: Outcome | 'broken'): void {
    if (outcome === 'broken') {
      this.counts.broken++;
      return;
    }
    this.counts[outcome.kind]++;
    if (outcome.kind === 'ok') return;
    const { reasons } = this.counts;
    reasons[outcome.reason] = (reasons[outcome.reason] ?? 0) + 1;
  }

  get underWay(): number {
    return this.#clients.reduce((sum, client) => sum + client.underWay, 0);
  }
}

export interface ClientParts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly oracle: Oracle;
}

class UnnumberedClient {
  readonly #name: string;
  readonly #habits: Habits;
  readonly #parts: ClientParts;
  readonly #all: Clients;
  #connection: Connection | undefined;
  #requests = 0;
  #isAwake = false;
  underWay = 0;

  constructor(name: string, habits: Habits, parts: ClientParts, all: Clients) {
    this.#name = name;
    this.#habits = habits;
    this.#parts = parts;
    this.#all = all;
  }

  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    const { scheduler, random } = this.#parts;
    // Mostly in bursts, now and then after a pause.
    const pauseMs = this.#all.pauseMs * (random.below(4) === 0 ? 5 * random.next() : 0.3 * random.next());
    scheduler.after(pauseMs, NOBODY, 'client', () => {
      this.#isAwake = false;
      if (this.underWay < this.#habits.window) {
        if (!this.#all.mayBegin()) return;
        this.#all.counts.requests++;
        this.#attempt(`${this.#name}.${++this.#requests}`, 1);
      }
      this.wake();
    });
  }

  #attempt(request: string, attempt: number): void {
    const { random, network, oracle } = this.#parts;
    if (this.#connection === undefined || this.#connection.isBroken || random.below(200) === 0) {
      this.#connection = network.connect(`simulated-${this.#name}`);
    }
    if (this.#connection === undefined) return;
    const { readingsMax, textBytesMax } = this.#habits;
    const readings = random.below(50) === 0 ? 0 : 1 + random.below(readingsMax);
    const submission = makeSubmission(`${request}.${attempt}`, readings, textBytesMax, random);
    oracle.sent(submission);
    this.underWay++;
    this.#all.counts.attempts++;
    const { cancel } = this.#connection.call({
      request: submission.request,
      timeoutMs: random.below(8) === 0 ? 1 + random.below(500) : undefined,
      onArrived: () => oracle.arrived(submission),
      onDecided: (outcome) => oracle.decided(submission, outcome),
      onEnd: (outcome) => {
        this.underWay--;
        this.#ended(request, attempt, outcome);
      },
    });
    if (random.below(60) === 0) {
      this.#parts.scheduler.after(random.next() * 20, NOBODY, 'client loses patience', () => {
        this.#all.counts.cancelled++;
        cancel();
      });
    }
  }

  #ended(request: string, attempt: number, outcome: Outcome | 'broken'): void {
    this.#all.count(outcome);
    if (outcome === 'broken' || outcome.kind !== 'ok') {
      const hintMs = outcome === 'broken' ? undefined : outcome.retryAfterMs;
      if (hintMs === NEVER_RETRY || attempt >= this.#habits.attemptsMax) return;
      const { scheduler, random } = this.#parts;
      scheduler.after((hintMs ?? 10) * (1 + random.next()), NOBODY, 'retry', () => {
        if (this.#all.isSending) this.#attempt(request, attempt + 1);
      });
    }
  }
}
