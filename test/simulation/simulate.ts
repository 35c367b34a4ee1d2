/**
 * One run: a seed becomes a scenario, the scenario happens, and the oracle looks at every point where
 * something could be wrong. replaced-modules.ts has to be loaded before this file.
 */
import { type Random, seededRandom } from '../../src/base/random.ts';
import { type ClientCounts, Clients } from './clients.ts';
import { configOf, DaemonProcess, describe } from './daemon-process.ts';
import type { Bug } from './deliberate-bugs.ts';
import { type DiskCounts, SimulatedDisk } from './disk.ts';
import { Inspection } from './inspection.ts';
import { Mishaps } from './mishaps.ts';
import { Network } from './network.ts';
import { type Look, Oracle, Violation } from './oracle.ts';
import { drawScenario, type Phase, type Scenario } from './scenario.ts';
import { NOBODY, Scheduler } from './scheduler.ts';
import type { SimulatedThread } from './threads.ts';
import { replaceGlobals } from './virtual-globals.ts';
import { workerEntries } from './worker-entries.ts';
import { setWorld, type World } from './world.ts';

/** Longer than DRAIN_TIMEOUT and everything that may hold it up. */
const DRAIN_BOUND_MS = 120_000;
const ANSWER_BOUND_MS = 60_000;

export interface RunCounts {
  readonly clients: ClientCounts;
  readonly disk: DiskCounts;
  readonly mishaps: Readonly<Record<string, number>>;
  readonly readings: number;
  readonly acknowledged: number;
  readonly checkedAcknowledgements: number;
  readonly lostByPermission: number;
  readonly retiredReadings: number;
  readonly lives: number;
  readonly drains: number;
  readonly kills: number;
  readonly crashesAtAChange: number;
  readonly looks: number;
  readonly verifiedSegments: number;
  readonly turns: number;
  readonly virtualMs: number;
}

export interface RunResult {
  readonly seed: number;
  /** Undefined when everything held. */
  readonly violation: string | undefined;
  readonly traceHash: string;
  readonly counts: RunCounts;
}

export interface RunOptions {
  readonly onTrace?: (line: string) => void;
  readonly bug?: Bug;
}

export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new Run(seed, options);
  return run.run();
}

class Run {
  readonly #seed: number;
  readonly #scenario: Scenario;
  readonly #scheduler: Scheduler;
  readonly #disk: SimulatedDisk;
  readonly #network: Network;
  readonly #oracle: Oracle;
  readonly #clients: Clients;
  readonly #mishaps: Mishaps;
  readonly #inspection: Inspection;
  readonly #world: World;
  #process: DaemonProcess | undefined;
  #violation: string | undefined;
  #drains = 0;
  #kills = 0;
  #crashesAtAChange = 0;

  constructor(seed: number, options: RunOptions) {
    this.#seed = seed;
    // Seeds that follow each other must not share anything.
    const randomOf = (what: number): Random => {
      const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ what);
      for (let i = 0; i < 4; i++) random.next();
      return random;
    };
    const random = randomOf(0x5eed);
    const scenario = drawScenario(random, randomOf(0x4e57));
    this.#scenario = scenario;
    const scheduler = new Scheduler(random);
    this.#scheduler = scheduler;
    if (options.onTrace !== undefined) scheduler.onTrace = options.onTrace;
    this.#disk = new SimulatedDisk(scheduler, random, scenario.temper);
    this.#network = new Network(scheduler, random, scenario.latencyMs);
    this.#oracle = new Oracle(
      scenario,
      () => scheduler.nowMs,
      (violation) => this.#fail(violation),
    );
    this.#oracle.slowestMs = scenario.temper.slowMs + 10 * scenario.temper.typicalMs;
    const parts = {
      scheduler,
      random,
      disk: this.#disk,
      network: this.#network,
      oracle: this.#oracle,
    };
    this.#clients = new Clients(scenario.habits, parts);
    this.#mishaps = new Mishaps(scenario.mishapEveryMs, scenario.flaws, parts);
    const { fileSystem } = this.#disk;
    this.#world = {
      scheduler,
      disk: this.#disk,
      fileSystem: { ...fileSystem, ...options.bug?.fileSystem?.(fileSystem, (fd) => this.#disk.pathOf(fd)) },
      network: this.#network,
      entries: workerEntries,
      wallMs: 0,
      lock: undefined,
      threadStarted: (thread) => this.#process!.threads.push(thread),
      onStatus: (status) => {
        this.#process!.status = status;
      },
      bug: options.bug,
      violation: (message) => this.#fail(new Violation(message)),
    };
    const inspection = new Inspection(this.#disk, this.#oracle, scheduler);
    this.#inspection = inspection;
    this.#disk.onUnlink = (path, file) => inspection.onUnlink(path, file);
    scheduler.onUncaught = (error, owner) => {
      if (owner === undefined) this.#fail(error);
      else this.#process!.uncaught(error, owner as SimulatedThread);
    };
  }

  async run(): Promise<RunResult> {
    const scheduler = this.#scheduler;
    const onRejection = (error: unknown): void =>
      this.#fail(new Violation(`unhandled rejection: ${describe(error)}`));
    process.on('unhandledRejection', onRejection);
    const restoreGlobals = replaceGlobals(scheduler, {
      onUncaughtHandler: (handler) => {
        (scheduler.current as SimulatedThread).onUncaught = handler;
      },
      exit: () => (scheduler.current as SimulatedThread).die(new Error('the thread ended itself')),
    });
    setWorld(this.#world);
    try {
      scheduler.note(JSON.stringify(this.#scenario));
      this.#disk.makeDurableFolder('/simulated');
      scheduler.after(0, NOBODY, 'the run begins', () => {
        this.#direct().then(
          () => scheduler.stop(),
          (error) => this.#fail(error),
        );
      });
      await scheduler.run();
    } catch (error) {
      this.#violation ??= describe(error);
    } finally {
      setWorld(undefined);
      restoreGlobals();
      process.off('unhandledRejection', onRejection);
    }
    return this.#result();
  }

  #fail(error: unknown): void {
    this.#violation ??= error instanceof Violation ? error.message : describe(error);
    this.#scheduler.stop();
  }

  async #direct(): Promise<void> {
    for (const phase of this.#scenario.phases) await this.#phase(phase);
    await this.#lastPhase();
  }

  async #phase(phase: Phase): Promise<void> {
    const process = this.#boot();
    const isAtChange = phase.end.endsWith('change');
    if (isAtChange) {
      this.#disk.crashAtChange = phase.change;
      this.#disk.onCrash = () => {
        this.#scheduler.interrupt = () => {
          this.#crashesAtAChange++;
          this.#crash(process, phase.end);
        };
      };
    }
    const first = await Promise.race([process.ready, process.ended]);
    if (first === 'ready') {
      await this.#look({ mayBeTorn: false, requiresAcknowledged: true, isRunning: true }, true);
      this.#clients.start(phase.durationMs);
      this.#mishaps.begin(process);
      await Promise.race([this.#sleep(phase.durationMs), process.ended]);
      if (phase.restMs > 0) {
        this.#clients.stop();
        await Promise.race([this.#sleep(phase.restMs), process.ended]);
      }
    } else if (process.startFault !== undefined) {
      throw new Violation(`the daemon does not start: ${process.startFault.message}`);
    }
    if (phase.end === 'drain' && !process.isOver) await this.#drain(process);
    else if (!process.isOver) this.#crash(process, phase.end);
    const status = await process.ended;
    if (this.#hadTrouble) this.#oracle.queueLost();
    if (status !== -1 && phase.end !== 'drain' && process.killedThreads.length === 0) {
      throw new Violation(`the daemon stopped by itself, with status ${status}`);
    }
    this.#disk.crashAtChange = undefined;
    this.#mishaps.end();
    if (status === -1)
      await this.#look({ mayBeTorn: true, requiresAcknowledged: true, isRunning: false }, false);
  }

  #boot(): DaemonProcess {
    this.#oracle.lifeBegins();
    this.#disk.failedCuts = 0;
    this.#process = new DaemonProcess(configOf(this.#scenario.env, this.#scenario.queueBytes));
    return this.#process;
  }

  #crash(process: DaemonProcess, end: string): void {
    const isPowerLoss = end.startsWith('power');
    this.#scheduler.note(isPowerLoss ? 'the power is lost' : 'kill -9');
    process.kill();
    if (isPowerLoss) {
      this.#disk.powerLost();
      this.#oracle.powerLost(!this.#hadTrouble);
    } else {
      this.#kills++;
      this.#disk.processEnded();
    }
    this.#oracle.processDied();
  }

  get #hadTrouble(): boolean {
    const { mishapEveryMs, flaws } = this.#scenario;
    return mishapEveryMs !== Number.POSITIVE_INFINITY || flaws.write > 0;
  }

  async #drain(process: DaemonProcess): Promise<void> {
    this.#drains++;
    process.terminate();
    const status = await Promise.race([process.ended, this.#sleep(DRAIN_BOUND_MS)]);
    if (this.#hadTrouble) this.#oracle.queueLost();
    if (status === undefined) throw new Violation('the drain does not end');
    const { books } = process;
    if (books === undefined) throw new Violation('the daemon ended without showing its books');
    if (books.requests.difference !== 0 || books.readings.difference !== 0) {
      throw new Violation(`the books do not balance: ${JSON.stringify(books)}`);
    }
    if (status !== 0) {
      if (!this.#hadTrouble) throw new Violation(`the drain ended with status ${status}`);
      return;
    }
    await this.#look({ mayBeTorn: false, requiresAcknowledged: true, isRunning: false }, true);
    this.#holdBooksAgainstJournal(books);
  }

  /** After a complete drain: what the books say was received, answered and written is what happened. */
  #holdBooksAgainstJournal({ requests, readings }: NonNullable<DaemonProcess['books']>): void {
    const life = this.#oracle.lives.length - 1;
    const { arrived, ok } = this.#oracle.lives[life]!;
    if (requests.received !== arrived || requests.ok !== ok) {
      throw new Violation(
        `the books say ${requests.received} requests, ${requests.ok} ok; it was ${arrived} and ${ok}`,
      );
    }
    // Of a numbered reading nobody can tell which attempt was written in which life.
    if (this.#clients.counts.numberedRequests > 0) return;
    const inJournal = this.#oracle.inJournal(life);
    // Where a file could not be cut back, lines that were refused may still be read.
    const lost = this.#disk.failedCuts > 0 ? (readings.lost.disk ?? 0) : 0;
    if (inJournal < readings.written || inJournal > readings.written + lost) {
      throw new Violation(`the books say ${readings.written} readings written; the journal has ${inJournal}`);
    }
  }

  /** All is well with the machine: everything must come to a good end. */
  async #lastPhase(): Promise<void> {
    const { random } = this.#scheduler;
    const process = this.#boot();
    const first = await Promise.race([process.ready, process.ended]);
    if (first !== 'ready') throw new Violation(`the daemon does not start: ${process.startFault?.message}`);
    await this.#look({ mayBeTorn: false, requiresAcknowledged: true, isRunning: true }, true);
    const durationMs = [50, 500, 12_000][random.below(3)]! * random.next();
    this.#clients.start(durationMs);
    await this.#sleep(durationMs);
    this.#clients.stop();
    for (let waitedMs = 0; this.#clients.underWay > 0; waitedMs += 100) {
      if (waitedMs > ANSWER_BOUND_MS)
        throw new Violation(`${this.#clients.underWay} calls are never answered`);
      await this.#sleep(100);
    }
    // The threads show what they hold four times a second.
    await this.#sleep(600);
    const { requests, readings } = process.status!.ledger();
    if (requests.difference !== 0 || readings.difference !== 0 || requests.inFlight !== 0) {
      throw new Violation(`at rest the books do not balance: ${JSON.stringify({ requests, readings })}`);
    }
    process.terminate();
    this.#drains++;
    const status = await Promise.race([process.ended, this.#sleep(DRAIN_BOUND_MS)]);
    if (status !== 0) throw new Violation(`the last drain ended with ${status}`);
    const lines = await this.#look({ mayBeTorn: false, requiresAcknowledged: true, isRunning: false }, true);
    this.#holdBooksAgainstJournal(process.books!);
    await this.#inspect(() => this.#inspection.checkEnd(lines, this.#hadTrouble));
    if (this.#disk.openDescriptors > 0) throw new Violation('descriptors are left open');
  }

  async #look(look: Look, settles: boolean): Promise<number> {
    let lines = 0;
    await this.#inspect(async () => {
      lines = await this.#inspection.look(look, settles);
    });
    return lines;
  }

  #sleep(ms: number): Promise<undefined> {
    return new Promise((resolve) => {
      this.#scheduler.after(ms, NOBODY, 'time passes', () => resolve(undefined));
    });
  }

  #inspect(look: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#scheduler.inspect(() => look().then(resolve, reject));
    });
  }

  #result(): RunResult {
    const oracle = this.#oracle;
    return {
      seed: this.#seed,
      violation: this.#violation,
      traceHash: this.#scheduler.traceHash,
      counts: {
        clients: this.#clients.counts,
        disk: this.#disk.counts,
        mishaps: this.#mishaps.counts,
        readings: oracle.readings,
        acknowledged: oracle.acknowledged,
        checkedAcknowledgements: oracle.checkedAcknowledgements,
        lostByPermission: oracle.lostByPermission,
        retiredReadings: oracle.retiredReadings,
        lives: oracle.lives.length,
        drains: this.#drains,
        kills: this.#kills,
        crashesAtAChange: this.#crashesAtAChange,
        looks: this.#inspection.looks,
        verifiedSegments: this.#inspection.verifiedSegments,
        turns: this.#scheduler.turns,
        virtualMs: this.#scheduler.nowMs,
      },
    };
  }
}
