/**
 * One place among the ingest threads, through all lives of the thread that has it.
 *
 *   starting ──ready──▶ running ──close()──▶ ended
 *      │ ▲                 │ death
 *      │ │                 ▼
 *      │ │              dying: the writer answers for all that was sent, then the books are closed
 *      │ │                 │
 *      │ └──back-off over──┤
 *      │                resting ◀─────────────┐
 *      └──could not start (after a death)─────┘         no new life while the daemon drains: ended
 *
 * Invariants:
 * 1. One life at a time, and the next begins only when the books of the last are closed: the place's cells
 *    in the shared budgets are written by one life.
 * 2. The books of a life that is over are in `#closedBooks`; those of the present one are read from its cells.
 * 3. A request that died with its thread is never acknowledged, and counts as failed(thread_death); readings
 *    count as written if the writer wrote them, whether the thread lived to know it or not.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import type { ListenAddress } from '../../base/listen-address.ts';
import type { TokenEntry } from '../../base/token-file.ts';
import type { StopResult } from '../../grpc/server.ts';
import type { TlsMaterial } from '../../grpc/tls/material.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import { Ledger } from '../../observe/ledger.ts';
import type { DrainedChannel } from '../../pipeline/channel-receiver.ts';
import type { Held } from './balance.ts';
import type { IngestOptions } from './ingest-messages.ts';
import {
  type IngestCells,
  type IngestCommand,
  type IngestData,
  type IngestEvent,
  type IngestReady,
  type IngestShares,
  newCells,
  STATE,
} from './ingest-messages.ts';
import { WorkerThread } from './worker-thread.ts';

/** Before the first restart; twice as long before each further one, until a life was long. */
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MAX_MS = 10_000;
const LONG_LIFE_MS = 60_000;
/**
 * A thread that beats four times a second and missed so many beats is stuck, unless requests come in: libuv works off
 * tens of thousands of readable sockets before it comes to a timer, and that is work.
 */
export const STUCK_AFTER_MS = 3000;
/** After its time for calls, a thread says goodbye to its connections before it answers: up to a second. */
const STOP_ANSWER_MS = 1500;
/** What a thread that is not stuck needs to answer its calls and say so. */
const LEAVE_TIMEOUT_MS = 500;

export interface IngestThreadSettings {
  readonly options: IngestOptions;
  readonly index: number;
  readonly shares: IngestShares;
  readonly reusePort: boolean;
}

export interface IngestThreadDeps {
  readonly clock: Clock;
  /** A number for a new life, and its channel to the writer. */
  connect(): { readonly id: number; readonly batches: IngestData['batches'] };
  /** The writer is to take nothing more from a life that hangs. */
  disconnect(id: number): void;
  journalHealth(): JournalHealth;
  tokens(): readonly TokenEntry[] | undefined;
  tls(): TlsMaterial | undefined;
  onReady(thread: IngestThread): void;
  onEvent(thread: IngestThread, event: IngestEvent): void;
  onDeath(thread: IngestThread, message: string): void;
}

interface Life {
  readonly id: number;
  readonly worker: WorkerThread<IngestReady, IngestEvent, IngestCommand>;
  readonly cells: IngestCells;
  ledger: Ledger;
  readyAtMs: number;
  requestsSeen: number;
  /** When its books were last seen to move. */
  workedAtMs: number;
  isOver: boolean;
  drained: DrainedChannel | undefined;
}

type State = 'starting' | 'running' | 'dying' | 'resting' | 'ended';

export class IngestThread {
  readonly name: string;
  readonly index: number;
  readonly #settings: IngestThreadSettings;
  readonly #deps: IngestThreadDeps;
  readonly #closedBooks = new Ledger();
  readonly #closedAstray = { requests: 0, readings: 0 };
  #state: State = 'starting';
  #life: Life | undefined;
  #address: ListenAddress;
  #isLeaving = false;
  #isWriterDead = false;
  #restartDelayMs = RESTART_DELAY_MS;
  #restart: Timer | undefined;
  #onCallsStopped: ((result: StopResult) => void) | undefined;
  #onLeft: (() => void) | undefined;
  #onEnded: (() => void)[] = [];

  constructor(address: ListenAddress, settings: IngestThreadSettings, deps: IngestThreadDeps) {
    this.name = `ingest-${settings.index + 1}`;
    this.index = settings.index;
    this.#address = address;
    this.#settings = settings;
    this.#deps = deps;
  }

  /** The first life. Throws what kept it from starting. */
  async start(): Promise<readonly string[]> {
    const { addresses } = await this.#begin();
    // A later life listens where the first did, also where the kernel picked the port.
    const port = Number(addresses[0]!.slice(addresses[0]!.lastIndexOf(':') + 1));
    this.#address = { host: this.#address.host, port };
    return addresses;
  }

  /** Books of lives past and present. */
  get ledgers(): readonly Ledger[] {
    return this.#life === undefined ? [this.#closedBooks] : [this.#closedBooks, this.#life.ledger];
  }
  /** What the books have in flight beyond what was really held, as the thread itself last compared them. */
  get astray(): Held {
    const state = this.#life?.cells.state;
    return {
      requests: this.#closedAstray.requests + (state?.[STATE.requestsAstray] ?? 0),
      readings: this.#closedAstray.readings + (state?.[STATE.readingsAstray] ?? 0),
    };
  }
  get state(): Float64Array | undefined {
    return this.#state === 'running' ? this.#life?.cells.state : undefined;
  }
  get connections(): number {
    return Atomics.load(this.#settings.shares.connections, this.index);
  }

  /** Why clients had better go elsewhere; undefined when all is well. Asked a few times a second. */
  fault(nowMs: number): string | undefined {
    if (this.#state !== 'running') return `${this.name} died and is being started again`;
    const life = this.#life!;
    const { requestsReceived } = life.ledger;
    if (requestsReceived !== life.requestsSeen) {
      life.requestsSeen = requestsReceived;
      life.workedAtMs = nowMs;
    }
    const silentMs = nowMs - Math.max(life.cells.state[STATE.beatAtMs]!, life.workedAtMs);
    if (silentMs <= STUCK_AFTER_MS) return undefined;
    return `${this.name} gives no sign of life: stuck for ${Math.round(silentMs / 1000)}s`;
  }

  post(command: IngestCommand): void {
    if (this.#state === 'running') this.#life!.worker.post(command);
  }

  /** No new lives; the present one turns NOT_SERVING. */
  beginDrain(): void {
    this.#isLeaving = true;
    this.#restart?.cancel();
    if (this.#state === 'resting') this.#end();
    else if (this.#state === 'starting') {
      const life = this.#life;
      if (life !== undefined) void life.worker.terminate().then(() => this.#die(life));
    } else this.post({ kind: 'beginDrain' });
  }

  /** Calls in flight end, up to `timeoutMs`. One that hangs is given up. */
  stopCalls(timeoutMs: number): Promise<StopResult> {
    const life = this.#life;
    if (this.#state !== 'running' || life === undefined) return Promise.resolve({ finished: true, left: 0 });
    return new Promise((resolve) => {
      const timer = this.#deps.clock.setTimer(
        timeoutMs + Math.min(STOP_ANSWER_MS, Math.max(500, timeoutMs)),
        () => {
          this.#onCallsStopped = undefined;
          resolve({ finished: false, left: life.ledger.requestsInFlight });
          this.#deps.onDeath(this, `${this.name} thread: hangs, and is given up`);
          this.#giveUp(life);
        },
      );
      this.#onCallsStopped = (result) => {
        timer.cancel();
        resolve(result);
      };
      this.post({ kind: 'stopCalls', timeoutMs });
    });
  }

  /** Everything gathered is with the writer and answered; the thread has ended, or is dead with its books closed. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    const ended = new Promise<void>((resolve) => this.#onEnded.push(resolve));
    if (this.#state === 'running') {
      const life = this.#life!;
      void life.worker.close().then(
        () => {
          if (life.isOver) return;
          // What it could not account for stays on show; of a dead one nobody knows, and its books are closed by rule.
          this.#closedAstray.requests += life.cells.state[STATE.requestsAstray]!;
          this.#closedAstray.readings += life.cells.state[STATE.readingsAstray]!;
          this.#endLife(life);
        },
        () => {},
      );
    }
    await ended;
  }

  /** Ends all calls at once and then the thread; does not wait long for one that hangs. */
  async leaveNow(handOver: boolean): Promise<void> {
    this.beginDrain();
    const life = this.#life;
    if (this.#state === 'running' && life !== undefined) {
      const hasLeft = await new Promise<boolean>((resolve) => {
        const timer = this.#deps.clock.setTimer(LEAVE_TIMEOUT_MS, () => resolve(false));
        this.#onLeft = () => {
          timer.cancel();
          resolve(true);
        };
        this.post({ kind: 'leave', handOver });
      });
      if (hasLeft) await life.worker.terminate();
      else life.ledger = life.ledger.copy();
    }
    this.#state = 'ended';
  }

  /** While there is nothing to lose: nothing of it runs any more. */
  async terminate(): Promise<void> {
    this.#isLeaving = true;
    this.#restart?.cancel();
    this.#state = 'ended';
    await this.#life?.worker.terminate();
  }

  /** After `leaveNow`: what it left under way. */
  writeOff(writeOffReadings: boolean): void {
    const ledger = this.#life?.ledger;
    if (ledger === undefined) return;
    ledger.requestFailed('drain_deadline', ledger.requestsInFlight);
    if (writeOffReadings) ledger.readingsLost('drain_deadline', ledger.readingsInFlight);
  }

  /** All that a life of this place sent is answered. */
  onChannelDrained(id: number, channel: DrainedChannel): void {
    if (this.#life?.id !== id) return;
    this.#life.drained = channel;
    this.#closeBooks(this.#life);
  }

  /** The writer died: it will say no more about what a dead life had sent, nor about one that dies from now on. */
  onWriterDeath(message: string): void {
    this.#isWriterDead = true;
    this.post({ kind: 'abandon', message });
    if (this.#life !== undefined) this.#closeBooks(this.#life);
  }

  async #begin(): Promise<IngestReady> {
    this.#state = 'starting';
    const { options, index, shares, reusePort } = this.#settings;
    const cells = newCells();
    const { id, batches } = this.#deps.connect();
    const data: IngestData = {
      options,
      address: this.#address,
      reusePort,
      index,
      shares,
      cells,
      batches,
      journalHealth: this.#deps.journalHealth(),
      tokens: this.#deps.tokens(),
      tls: this.#deps.tls(),
    };
    const worker = new WorkerThread<IngestReady, IngestEvent, IngestCommand>({
      name: this.name,
      entry: 'ingest-worker',
      data,
      transfer: [batches],
      onEvent: (event) => this.#onEvent(event),
      onDeath: (message) => {
        this.#deps.onDeath(this, message);
        this.#die(life);
      },
    });
    const life: Life = {
      id,
      worker,
      cells,
      ledger: new Ledger(cells.ledger),
      readyAtMs: 0,
      requestsSeen: 0,
      workedAtMs: 0,
      isOver: false,
      drained: undefined,
    };
    this.#life = life;
    const ready = await worker.ready;
    life.readyAtMs = this.#deps.clock.monotonicMs();
    // One that was told to end before it could say that it is ready never runs.
    if (this.#state !== 'starting' || this.#isLeaving) return ready;
    this.#state = 'running';
    this.#deps.onReady(this);
    return ready;
  }

  #onEvent(event: IngestEvent): void {
    switch (event.kind) {
      case 'callsStopped':
        this.#onCallsStopped?.(event);
        break;
      case 'left':
        this.#onLeft?.();
        break;
      default:
        this.#deps.onEvent(this, event);
    }
  }

  /**
   * A thread that hangs cannot be ended without harm (docs/decisions/0005). It may come back one day, so its
   * books are continued in a copy, and the writer hears no more of it: whatever it may still do, it has
   * nothing to acknowledge with.
   */
  #giveUp(life: Life): void {
    life.ledger = life.ledger.copy();
    this.#deps.disconnect(life.id);
    this.#die(life);
  }

  #die(life: Life): void {
    if (life.isOver || this.#state === 'ended') return;
    life.isOver = true;
    this.#state = 'dying';
    const { connections, receive } = this.#settings.shares;
    Atomics.store(connections, this.index, 0);
    Atomics.store(receive, this.index, 0);
    if (life.readyAtMs > 0 && this.#deps.clock.monotonicMs() - life.readyAtMs > LONG_LIFE_MS) {
      this.#restartDelayMs = RESTART_DELAY_MS;
    }
    this.#onCallsStopped?.({ finished: true, left: 0 });
    this.#onLeft?.();
    this.#closeBooks(life);
  }

  /** Once the thread is gone and the writer has said what became of its batches, or is gone too, whichever comes last. */
  #closeBooks(life: Life): void {
    if (!life.isOver || (life.drained === undefined && !this.#isWriterDead)) return;
    life.ledger.closeAfterDeath(life.drained);
    this.#endLife(life);
  }

  #endLife(life: Life): void {
    this.#closedBooks.absorb(life.ledger);
    this.#life = undefined;
    Atomics.store(this.#settings.shares.queue, this.index, 0);
    if (this.#isLeaving) {
      this.#end();
      return;
    }
    this.#state = 'resting';
    this.#restart = this.#deps.clock.setTimer(this.#restartDelayMs, () => void this.#beginAgain());
    this.#restartDelayMs = Math.min(RESTART_DELAY_MAX_MS, 2 * this.#restartDelayMs);
  }

  async #beginAgain(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      const life = this.#life;
      if (life === undefined || this.#isLeaving) return;
      this.#deps.onDeath(this, errorMessage(error));
      await life.worker.terminate();
      this.#die(life);
    }
  }

  #end(): void {
    this.#state = 'ended';
    for (const resolve of this.#onEnded.splice(0)) resolve();
  }
}
