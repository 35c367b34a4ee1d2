/**
 * Goodput of honest clients under an attack, beside that without it, on a machine that may change its speed meanwhile.
 *
 *   maximum ──▶ calm, at a share of it ──▶ attacked, at the same rate ──▶ maximum, which is the next pair's too
 *   ◆           ◆                          ◆                              ◆        speed of the core
 *
 * A machine that slows down behind the maximum makes more of the honest rate than it was meant to be, and an attack is blamed for
 * it. So a pair counts only when the core was as fast all the time, told by work that is not the daemon's, and the daemon kept
 * up without an attack; otherwise it is taken again. The attack itself has no say in it. What it leaves behind, if it does, is the maximum
 * behind it, which is a figure of its own.
 */

/** Of the honest rate, without an attack. */
const KEPT_UP = 0.97;
/** A machine that is never like itself gets its figures too; they are told apart. */
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
  /** The maximum behind the attack, of that before it, at the same speed of the core. */
  readonly maximumKept: number;
  readonly raiderConnections: number;
  readonly raiderBytes: number;
  /** False when the machine was not like itself in any try. */
  readonly isSteady: boolean;
}

export interface PairSteps {
  /** Requests per second of a closed loop, right now. */
  readonly maximum: () => Promise<number>;
  /** Of the daemon's core; only ratios mean something. */
  readonly coreSpeed: () => Promise<number>;
  readonly honest: (requestsPerSecond: number) => Promise<Goodput>;
  readonly attack: (name: string) => Promise<void>;
  readonly endAttack: () => Promise<{ readonly connections: number; readonly bytes: number }>;
}

export interface PairWish {
  /** Honest rate, of the maximum. */
  readonly share: number;
  /** The slowest that the core may have been in a pair, of the fastest. */
  readonly steadiness: number;
}

export class AttackedGoodput {
  readonly #steps: PairSteps;
  readonly #wish: PairWish;
  #maximum: { readonly perSecond: number; readonly coreSpeed: number } | undefined;
  /** Pairs that did not count. */
  takenAgain = 0;

  constructor(steps: PairSteps, wish: PairWish) {
    this.#steps = steps;
    this.#wish = wish;
  }

  async pair(attack: string): Promise<Pair> {
    for (let tries = 1; ; tries++) {
      const pair = await this.#try(attack);
      if (pair.isSteady || tries === MOST_TRIES) return pair;
      this.takenAgain++;
    }
  }

  async #try(attack: string): Promise<Pair> {
    const { maximum, coreSpeed, honest } = this.#steps;
    const before = this.#maximum ?? { perSecond: await maximum(), coreSpeed: await coreSpeed() };
    const requestsPerSecond = before.perSecond * this.#wish.share;
    const calm = await honest(requestsPerSecond);
    const speeds = [before.coreSpeed, await coreSpeed()];
    await this.#steps.attack(attack);
    const attacked = await honest(requestsPerSecond);
    const { connections, bytes } = await this.#steps.endAttack();
    speeds.push(await coreSpeed());
    const after = { perSecond: await maximum(), coreSpeed: await coreSpeed() };
    speeds.push(after.coreSpeed);
    this.#maximum = after;
    return {
      requestsPerSecond,
      calm,
      attacked,
      maximumKept: after.perSecond / after.coreSpeed / (before.perSecond / before.coreSpeed),
      raiderConnections: connections,
      raiderBytes: bytes,
      isSteady: Math.min(...speeds) >= this.#wish.steadiness * Math.max(...speeds) && calm.share >= KEPT_UP,
    };
  }
}
