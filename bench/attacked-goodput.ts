/**
 * Goodput of honest clients under an attack, beside that without it, on a machine that may change its speed meanwhile.
 *
 *   maximum ──▶ calm, at a share of it ──▶ attacked, at the same rate ──▶ maximum, which is the next pair's too
 *
 * A machine that slows down behind the maximum makes more of the honest rate than it was meant to be, and an attack is blamed for
 * it. So a pair counts only when the maxima around it are alike and the daemon kept up without an attack; otherwise it is
 * taken again. Which pairs count is decided without a look at how the attack did.
 */

/** How far the maximum may have moved from one end of a pair to the other: half of it then is 0.4 to 0.63 of what there was. */
const LIKE_LEAST = 0.8;
const LIKE_MOST = 1.25;
/** Of the honest rate, without an attack. */
const KEPT_UP = 0.97;
/** A machine that is never like itself gets its figures too; the report says how many. */
const MOST_TRIES = 6;

export interface Goodput {
  /** Acknowledged of what was planned. */
  readonly share: number;
  readonly p99Ms: number;
}

export interface Pair {
  readonly requestsPerSecond: number;
  readonly calm: Goodput;
  readonly attacked: Goodput;
  readonly raiderConnections: number;
  readonly raiderBytes: number;
  /** False when the machine was not like itself in any try. */
  readonly isSteady: boolean;
}

export interface PairSteps {
  /** Requests per second of a closed loop, right now. */
  readonly maximum: () => Promise<number>;
  readonly honest: (requestsPerSecond: number) => Promise<Goodput>;
  readonly attack: (name: string) => Promise<void>;
  readonly endAttack: () => Promise<{ readonly connections: number; readonly bytes: number }>;
}

export class AttackedGoodput {
  readonly #steps: PairSteps;
  readonly #share: number;
  #maximum: number | undefined;
  /** Pairs that did not count. */
  takenAgain = 0;

  /** `share`: honest rate, of the maximum. */
  constructor(steps: PairSteps, share: number) {
    this.#steps = steps;
    this.#share = share;
  }

  async pair(attack: string): Promise<Pair> {
    for (let tries = 1; ; tries++) {
      const pair = await this.#try(attack);
      if (pair.isSteady || tries === MOST_TRIES) return pair;
      this.takenAgain++;
    }
  }

  async #try(attack: string): Promise<Pair> {
    const before = this.#maximum ?? (await this.#steps.maximum());
    const requestsPerSecond = before * this.#share;
    const calm = await this.#steps.honest(requestsPerSecond);
    await this.#steps.attack(attack);
    const attacked = await this.#steps.honest(requestsPerSecond);
    const { connections, bytes } = await this.#steps.endAttack();
    const after = await this.#steps.maximum();
    this.#maximum = after;
    const isLike = after >= before * LIKE_LEAST && after <= before * LIKE_MOST;
    const isSteady = isLike && calm.share >= KEPT_UP;
    return {
      requestsPerSecond,
      calm,
      attacked,
      raiderConnections: connections,
      raiderBytes: bytes,
      isSteady,
    };
  }
}
