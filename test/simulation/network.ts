/**
 * The network: connections between clients and the servers of ingest threads. Everything takes a while; of
 * two connections nobody knows which is faster; a connection may break, and then neither side knows what the
 * other has seen.
 *
 * Invariants:
 * 1. On one connection and in one direction things arrive in the order they were sent.
 * 2. Each call ends exactly once for its client: with the server's answer, or with 'broken'.
 * 3. A server hears of a broken connection, if it lives; the calls open on it are cancelled.
 */

import type { Outcome } from '../../src/base/outcome.ts';
import type { Random } from '../../src/base/random.ts';
import { Caller } from '../../src/grpc/caller.ts';
import { NOBODY, type Scheduler } from './scheduler.ts';
import type { ServerCall, SimulatedServer } from './server.ts';
import type { SimulatedThread } from './threads.ts';

export interface ClientCall {
  readonly request: Uint8Array;
  /** From the moment it is sent. */
  readonly timeoutMs: number | undefined;
  /** A server has it, in that process. */
  onArrived(): void;
  /** The server has decided, whether or not anybody will hear of it. */
  onDecided(outcome: Outcome): void;
  onEnd(outcome: Outcome | 'broken'): void;
}

interface OpenCall {
  readonly call: ClientCall;
  atServer: ServerCall | undefined;
  isOver: boolean;
}

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #servers = new Set<SimulatedServer>();
  readonly #connections = new Set<Connection>();
  /** Longest way of a message; short ways make many requests come together. */
  latencyMs: number;
  brokenConnections = 0;

  constructor(scheduler: Scheduler, random: Random, latencyMs: number) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.latencyMs = latencyMs;
  }

  add(server: SimulatedServer): void {
    this.#servers.add(server);
  }
  remove(server: SimulatedServer): void {
    this.#servers.delete(server);
    for (const connection of this.#connections) if (connection.server === server) connection.break();
  }
  /** The kernel closes the sockets of the dead. */
  threadGone(thread: SimulatedThread): void {
    for (const server of this.#servers) if (server.thread === thread) this.remove(server);
  }

  /** To whichever thread the kernel picks; undefined when nobody listens. */
  connect(address: string): Connection | undefined {
    const servers = [...this.#servers].filter((server) => server.isListening);
    const server = servers[this.#random.below(servers.length)];
    if (server === undefined) return undefined;
    const connection = new Connection(server, address, this.#scheduler, this.#random, this.latencyMs, () => {
      this.brokenConnections++;
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
    return connection;
  }

  breakOne(): void {
    const connections = [...this.#connections];
    connections[this.#random.below(connections.length)]?.break();
  }
}

export class Connection {
  readonly server: SimulatedServer;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #latencyMs: number;
  readonly #onBroken: () => void;
  readonly #caller: Caller;
  readonly #calls = new Set<OpenCall>();
  #lastArrivalMs = 0;
  #lastAnswerMs = 0;
  isBroken = false;

  constructor(
    server: SimulatedServer,
    address: string,
    scheduler: Scheduler,
    random: Random,
    latencyMs: number,
    onBroken: () => void,
  ) {
    this.server = server;
    this.#caller = new Caller(server.door, undefined, address);
    this.#scheduler = scheduler;
    this.#random = random;
    this.#latencyMs = latencyMs * random.next();
    this.#onBroken = onBroken;
  }

  call(call: ClientCall): { cancel(): void } {
    const open: OpenCall = { call, atServer: undefined, isOver: false };
    this.#calls.add(open);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#scheduler.nowMs + this.#wayMs());
    this.#toServer(this.#lastArrivalMs, 'request', () => {
      if (open.isOver) return;
      const deadlineMs = call.timeoutMs;
      open.atServer = this.server.receive(this.#caller, call.request, deadlineMs, (outcome) => {
        call.onDecided(outcome);
        this.#answer(open, outcome);
      });
      call.onArrived();
      open.atServer.handle();
    });
    return {
      cancel: () => {
        if (open.isOver) return;
        this.#end(open, 'broken');
        this.#toServer(this.#scheduler.nowMs + this.#wayMs(), 'cancel', () => open.atServer?.cancel());
      },
    };
  }

  break(): void {
    if (this.isBroken) return;
    this.isBroken = true;
    this.#onBroken();
    for (const open of [...this.#calls]) {
      open.isOver = true;
      this.#scheduler.after(this.#wayMs(), NOBODY, 'broken', () => open.call.onEnd('broken'));
      const { atServer } = open;
      if (atServer !== undefined) {
        this.#toServer(this.#scheduler.nowMs + this.#wayMs(), 'reset', () => atServer.cancel());
      }
    }
    this.#calls.clear();
  }

  #answer(open: OpenCall, outcome: Outcome): void {
    if (open.isOver) return;
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, this.#scheduler.nowMs + this.#wayMs());
    const delayMs = this.#lastAnswerMs - this.#scheduler.nowMs;
    this.#scheduler.after(delayMs, NOBODY, 'answer', () => this.#end(open, outcome));
  }

  #end(open: OpenCall, outcome: Outcome | 'broken'): void {
    if (open.isOver) return;
    open.isOver = true;
    this.#calls.delete(open);
    open.call.onEnd(outcome);
  }

  #toServer(atMs: number, label: string, run: () => void): void {
    this.#scheduler.after(atMs - this.#scheduler.nowMs, { owner: this.server.thread }, label, run);
  }

  #wayMs(): number {
    return this.#latencyMs * (0.1 + this.#random.next());
  }
}
