/**
 * WaitLine by chance: clients of all kinds come, give up, are held back and let go, room comes and goes, and to let one in takes
 * time. Whatever happens: of one client first come, first served; everybody leaves exactly once; and once nothing moves any
 * more, nobody stands there who could go in.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { type Take, type Waiter, WaitLine } from '../../src/pipeline/wait-line.ts';
import { ManualClock } from '../support/manual-clock.ts';

const SEEDS = 300;
const STEPS = 150;
const MOST_CLIENTS = 6;
const CAPACITIES_BYTES = [120, 300, 600];
/** More turns of the event loop than any line here needs. */
const TURNS = 150;

interface Request {
  readonly client: TestClient;
  readonly sizeBytes: number;
  end: 'taken' | 'gave up' | 'withdrawn' | undefined;
  withdraw: (() => void) | undefined;
}

interface TestClient {
  isHeld: boolean;
  /** Those that stand in the line, in the order they came. */
  readonly standing: Request[];
}

class Run {
  readonly #random: Random;
  readonly #clock = new ManualClock();
  readonly #line: WaitLine;
  readonly #clients: readonly TestClient[];
  #roomBytes = 0;
  parts = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const capacityBytes = CAPACITIES_BYTES[this.#upTo(CAPACITIES_BYTES.length)]!;
    this.#line = new WaitLine({ whenFull: 'wait', waitMaxMs: 60_000, capacityBytes }, this.#clock);
    this.#clients = Array.from({ length: 2 + this.#upTo(MOST_CLIENTS - 1) }, () => ({
      isHeld: false,
      standing: [],
    }));
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) await this.#step();
    this.#roomBytes += MOST_CLIENTS * Math.max(...CAPACITIES_BYTES);
    for (const client of this.#clients) client.isHeld = false;
    this.#line.admit();
    await this.#settle();
    assert.equal(this.#line.waiting, 0, 'with room for all, all are let in');
    assert.equal(this.#line.waitingBytes, 0);
    assert.equal(this.#clock.armedTimers, 0);
  }

  async #step(): Promise<void> {
    const client = this.#clients[this.#upTo(this.#clients.length)]!;
    switch (this.#upTo(9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.#comes(client);
        break;
      case 4:
        this.#roomBytes += this.#upTo(200);
        this.#line.admit();
        break;
      case 5:
        client.isHeld = !client.isHeld;
        this.#line.admit();
        break;
      case 6:
        this.#withdraws(client);
        break;
      case 7:
        this.parts += await this.#turn();
        break;
      default:
        if (this.#random.next() < 0.3) await this.#settle();
    }
  }

  /** As in sensor-service.ts. */
  #comes(client: TestClient): void {
    const request: Request = { client, sizeBytes: 1 + this.#upTo(60), end: undefined, withdraw: undefined };
    if (!this.#line.isEmpty) this.#line.letInFor(client, request.sizeBytes);
    const mayPass = this.#line.mayPass(client);
    if (mayPass) assert.equal(client.standing.length, 0, 'nobody overtakes those of his own');
    const take = mayPass ? this.#try(request) : 'held';
    if (take === 'taken') return;
    const waiter: Waiter = {
      client,
      sizeBytes: request.sizeBytes,
      deadlineMs: undefined,
      tryTake: () => this.#try(request),
      onGiveUp: () => this.#leaves(request, 'gave up'),
    };
    const withdraw = this.#line.enter(waiter, take);
    if (withdraw === false) return;
    request.withdraw = withdraw;
    client.standing.push(request);
  }

  #withdraws({ standing }: TestClient): void {
    const request = standing[this.#upTo(standing.length)];
    if (request === undefined) return;
    this.#leaves(request, 'withdrawn');
    request.withdraw!();
  }

  #try(request: Request): Take {
    const { client, sizeBytes } = request;
    assert.equal(request.end, undefined, 'it had left');
    if (request.withdraw !== undefined) assert.equal(client.standing[0], request, 'it is not the first');
    this.#clock.standStill(this.#random.next());
    if (client.isHeld) return 'held';
    if (sizeBytes > this.#roomBytes) return 'short';
    this.#roomBytes -= sizeBytes;
    if (request.withdraw !== undefined) this.#leaves(request, 'taken');
    // Whoever is answered may end another call.
    if (this.#random.next() < 0.05) this.#withdraws(this.#clients[this.#upTo(this.#clients.length)]!);
    return 'taken';
  }

  #leaves(request: Request, end: Request['end']): void {
    assert.equal(request.end, undefined, 'it leaves once');
    request.end = end;
    const { standing } = request.client;
    standing.splice(standing.indexOf(request), 1);
  }

  /** 1 when somebody was let in. */
  async #turn(): Promise<number> {
    const before = this.#line.waiting;
    await nextTurn();
    return this.#line.waiting < before ? 1 : 0;
  }

  async #settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) this.parts += await this.#turn();
    const firsts = this.#clients
      .filter(({ isHeld, standing }) => !isHeld && standing.length > 0)
      .map(({ standing }) => standing[0]!);
    if (firsts.length === 0) return;
    assert.ok(
      firsts.some(({ sizeBytes }) => sizeBytes > this.#roomBytes),
      'somebody stands there, and all who come first could go in',
    );
  }

  /** A whole number below `limit`. */
  #upTo(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

test(`${SEEDS} random runs: nobody is forgotten, nobody overtakes his own, everybody leaves once`, async () => {
  let parts = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new Run(seed);
    try {
      await run.run();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    parts += run.parts;
  }
  assert.ok(parts > SEEDS, `only ${parts} parts of lines were let in later`);
});
