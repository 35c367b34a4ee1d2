/**
 * Threads and the ports between them, as node:worker_threads has them, but under the scheduler: a message
 * takes a while, keeps its place among those of its port, and what was transferred with it is gone from
 * where it was.
 *
 * Invariants:
 * 1. Messages of one port arrive in the order they were posted; those of different ports in any order.
 * 2. A message that was posted arrives, also when its sender dies; one whose receiver died does not.
 * 3. `close` comes to the far end after everything posted before.
 */
import type { Owner, Scheduled } from './scheduler.ts';
import { world } from './world.ts';

/** Messages between threads take up to this long. */
const MESSAGE_MS = 0.2;

type Listener = (...args: never[]) => void;

export class SimulatedThread implements Owner {
  readonly name: string;
  readonly ports = new Set<SimulatedPort>();
  isAlive = true;
  stalledUntilMs = 0;
  onUncaught: ((error: unknown) => void) | undefined;
  /** What the process or the worker does when this thread is gone. */
  onGone: (error: Error | undefined) => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  die(error?: Error): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const port of this.ports) port.close();
    world().network.threadGone(this);
    this.onGone(error);
  }
}

interface Pending {
  readonly arrivesAtMs: number;
  readonly message: unknown;
  readonly ports: readonly SimulatedPort[];
  readonly isClose: boolean;
}

export class SimulatedPort {
  owner: Owner | undefined;
  peer!: SimulatedPort;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #pending: Pending[] = [];
  #lastArrivalMs = 0;
  #isClosed = false;
  #wake: Scheduled | undefined;

  /** It belongs to whoever's turn it is, or is given to. */
  giveTo(owner: Owner | undefined): void {
    (this.owner as SimulatedThread | undefined)?.ports.delete(this);
    this.owner = owner;
    (owner as SimulatedThread | undefined)?.ports.add(this);
  }

  on(event: string, listener: Listener): this {
    const listeners = this.#listeners.get(event) ?? [];
    this.#listeners.set(event, [...listeners, listener]);
    if (event === 'message' || event === 'close') this.#wakeUp();
    return this;
  }

  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    if (this.#isClosed) return;
    const ports = transfer.filter((thing) => thing instanceof SimulatedPort);
    // A message with a port in it is plain data beside it, and a port cannot be cloned here.
    let sent: unknown = message;
    if (ports.length === 0) sent = structuredClone(message, { transfer: [...transfer] as ArrayBuffer[] });
    const { bug } = world();
    if (bug?.message !== undefined) sent = bug.message(sent as object);
    if (sent === false) return;
    for (const port of ports) port.giveTo(undefined);
    this.peer.#arrive(sent, ports, false);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.peer.#arrive(undefined, [], true);
    if (this.owner?.isAlive === true) {
      world().scheduler.after(0, this, 'port closed', () => this.#emit('close'));
    }
  }

  /** What receiveMessageOnPort takes: the next one that has arrived. */
  takeArrived(): { message: unknown } | undefined {
    const next = this.#pending[0];
    if (next === undefined || next.isClose || next.arrivesAtMs > world().scheduler.nowMs) return undefined;
    return { message: this.#take().message };
  }

  #take(): Pending {
    const next = this.#pending.shift()!;
    for (const port of next.ports) port.giveTo(this.owner);
    return next;
  }

  #arrive(message: unknown, ports: readonly SimulatedPort[], isClose: boolean): void {
    if (this.#isClosed) return;
    const { scheduler } = world();
    const arrivesAtMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + scheduler.random.next() * MESSAGE_MS);
    this.#lastArrivalMs = arrivesAtMs;
    this.#pending.push({ arrivesAtMs, message, ports, isClose });
    this.#wakeUp();
  }

  /** Messages wait until somebody listens. */
  #wakeUp(): void {
    const next = this.#pending[0];
    const isHeard =
      this.#listeners.has('message') || (next?.isClose === true && this.#listeners.has('close'));
    if (this.#wake !== undefined || next === undefined || !isHeard) return;
    const { scheduler } = world();
    const delayMs = Math.max(0, next.arrivesAtMs - scheduler.nowMs);
    this.#wake = scheduler.after(delayMs, this, 'message', () => {
      this.#wake = undefined;
      const head = this.#pending[0];
      if (head === undefined || this.#isClosed) return;
      if (head.arrivesAtMs <= scheduler.nowMs) {
        const { message, isClose } = this.#take();
        // The next one has a turn of its own.
        this.#wakeUp();
        if (isClose) {
          this.#isClosed = true;
          this.#emit('close');
        } else {
          this.#emit('message', message);
        }
      } else {
        this.#wakeUp();
      }
    });
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? [])
      (listener as (...args: unknown[]) => void)(...args);
  }
}

export class SimulatedChannel {
  readonly port1 = new SimulatedPort();
  readonly port2 = new SimulatedPort();
  constructor() {
    this.port1.peer = this.port2;
    this.port2.peer = this.port1;
    this.port1.giveTo(world().scheduler.current);
    this.port2.giveTo(world().scheduler.current);
  }
}

export interface WorkerOptions {
  readonly name: string;
  readonly workerData: unknown;
  readonly transferList: readonly unknown[];
}

/** How long a thread takes to start. */
const START_MS = 5;

/** node:worker_threads' Worker: the entry file's own code, in a thread of this process. */
export class SimulatedWorker {
  readonly #thread: SimulatedThread;
  readonly #outside: SimulatedPort;
  readonly #listeners = new Map<string, Listener>();

  constructor(url: URL, options: WorkerOptions) {
    const { scheduler, entries } = world();
    const thread = new SimulatedThread(options.name);
    this.#thread = thread;
    const { port1, port2 } = new SimulatedChannel();
    this.#outside = port1;
    port2.giveTo(thread);
    for (const thing of options.transferList) if (thing instanceof SimulatedPort) thing.giveTo(thread);
    let fault: Error | undefined;
    thread.onGone = (error) => {
      fault = error;
    };
    // What it said before it ended is heard first.
    port1.on('close', () => {
      if (fault !== undefined) this.#tell('error', fault);
      this.#tell('exit', fault === undefined ? 0 : 1);
    });
    world().threadStarted(thread);
    // A thread whose port is closed has nothing left to do.
    port2.on('close', () => thread.die());
    const entry = entries.get(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
    if (entry === undefined) throw new Error(`no worker entry for ${url}`);
    scheduler.after(scheduler.random.next() * START_MS, { owner: thread }, 'start', () => {
      entry(port2, options.workerData).catch((error) => thread.die(error as Error));
    });
  }

  on(event: string, listener: Listener): this {
    if (event === 'message') this.#outside.on('message', listener);
    else this.#listeners.set(event, listener);
    return this;
  }

  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    this.#outside.postMessage(message, transfer);
  }

  terminate(): Promise<number> {
    const { scheduler } = world();
    return new Promise((resolve) => {
      scheduler.afterMine(scheduler.random.next(), `terminate ${this.#thread.name}`, () => {
        this.#thread.die();
        resolve(1);
      });
    });
  }

  #tell(event: string, ...args: unknown[]): void {
    (this.#listeners.get(event) as ((...args: unknown[]) => void) | undefined)?.(...args);
  }
}
