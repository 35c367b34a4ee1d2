/**
 * The gRPC server of one ingest thread, without gRPC: it keeps the contract of src/grpc/server.ts (each call
 * enters and leaves the books once; `respond` counts once; a cancelled call is told so; a drain ends calls
 * in time) over the simulated network. What HTTP/2 does to a call is tested elsewhere, on the real thing.
 */

import { Client } from '../../src/base/client.ts';
import type { Timer } from '../../src/base/clock.ts';
import { failed, type Outcome, refused } from '../../src/base/outcome.ts';
import { type Caller, type Door, openDoor } from '../../src/grpc/caller.ts';
import { drainRanOut } from '../../src/grpc/own-endings.ts';
import type {
  CallContext,
  GrpcServer,
  GrpcServerDeps,
  GrpcServerStats,
  StopResult,
} from '../../src/grpc/server.ts';
import type { SimulatedThread } from './threads.ts';
import { world } from './world.ts';

const STOPPING_RETRY_AFTER_MS = 1000;

export class SimulatedServer implements GrpcServer {
  readonly thread: SimulatedThread;
  readonly deps: GrpcServerDeps;
  readonly door: Door;
  readonly calls = new Set<ServerCall>();
  isListening = false;
  isStopping = false;
  /** Its thread is dying: what calls come to is nobody's concern any more. */
  isCut = false;
  #onEmpty: (() => void) | undefined;

  constructor(deps: GrpcServerDeps) {
    this.deps = deps;
    this.door = deps.door ?? openDoor;
    this.thread = world().scheduler.current as SimulatedThread;
  }

  async listen(): Promise<string[]> {
    this.isListening = true;
    world().network.add(this);
    return ['simulated:8000'];
  }

  setServing(): void {}
  beginDrain(): void {}

  async stop(timeoutMs: number): Promise<StopResult> {
    this.isStopping = true;
    this.isListening = false;
    let timer: Timer | undefined;
    if (this.calls.size > 0) {
      await new Promise<void>((resolve) => {
        timer = this.deps.clock.setTimer(timeoutMs, resolve);
        this.#onEmpty = resolve;
      });
    }
    timer?.cancel();
    const left = this.calls.size;
    this.#endAll();
    return { finished: left === 0, left };
  }

  destroy(): void {
    this.isStopping = true;
    this.isListening = false;
    this.#endAll();
    world().network.remove(this);
  }

  cut(): void {
    this.isListening = false;
    this.isCut = true;
    world().network.remove(this);
  }

  stats(): GrpcServerStats {
    return {
      connections: 0,
      connectionsOpened: 0,
      connectionsClosed: 0,
      connectionsRefused: 0,
      calls: this.calls.size,
      sideCalls: 0,
      unknownMethodCalls: 0,
      requestBytes: 0,
      receiveBufferUsedBytes: 0,
    };
  }

  receive(
    caller: Caller,
    request: Uint8Array,
    timeoutMs: number | undefined,
    answer: (outcome: Outcome) => void,
  ): ServerCall {
    const call = new ServerCall(this, caller, request, timeoutMs, answer);
    this.calls.add(call);
    this.deps.ledger.requestReceived();
    return call;
  }

  ended(call: ServerCall): void {
    this.calls.delete(call);
    if (this.calls.size === 0) this.#onEmpty?.();
  }

  #endAll(): void {
    for (const call of [...this.calls]) {
      call.giveUp(drainRanOut());
    }
  }
}

export class ServerCall implements CallContext {
  readonly deadlineMs: number | undefined;
  readonly client: Client;
  readonly peer = 'simulated:1';
  cancelled = false;
  onCancelled: (() => void) | undefined;
  readonly #server: SimulatedServer;
  readonly #request: Uint8Array;
  readonly #answer: (outcome: Outcome) => void;
  readonly #deadline: Timer | undefined;
  readonly #notLetIn: Outcome | undefined;
  #isOver = false;

  constructor(
    server: SimulatedServer,
    caller: Caller,
    request: Uint8Array,
    timeoutMs: number | undefined,
    answer: (outcome: Outcome) => void,
  ) {
    this.#server = server;
    this.#request = request;
    this.#answer = answer;
    const { clock } = server.deps;
    const identity = caller.identify(undefined);
    if (identity instanceof Client) this.client = identity;
    else {
      this.client = new Client('address', 'nobody');
      this.#notLetIn = identity;
    }
    this.deadlineMs = timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs;
    if (timeoutMs !== undefined) {
      this.#deadline = clock.setTimer(timeoutMs, () =>
        this.giveUp(failed('deadline', 'the deadline passed before the answer')),
      );
    }
  }

  handle(): void {
    if (this.#server.isStopping) {
      this.#end(refused('draining', 'the server is stopping: retry elsewhere', STOPPING_RETRY_AFTER_MS));
      return;
    }
    if (this.#notLetIn !== undefined) {
      this.#end(this.#notLetIn);
      return;
    }
    const { sendSensorValues, events } = this.#server.deps;
    // The bytes are the handler's until it returns, and not a moment longer.
    const lent = new Uint8Array(this.#request);
    let hasAnswered = false;
    try {
      sendSensorValues(lent, this, (outcome) => {
        if (hasAnswered) world().violation('the handler answered a call twice');
        hasAnswered = true;
        this.#end(outcome);
      });
    } catch (error) {
      this.#end(failed('internal', `the handler threw ${error instanceof Error ? error.stack : error}`));
      events.onHandlerFault(error);
    }
    lent.fill(0xaa);
  }

  /** The client or its connection is gone. */
  cancel(): void {
    this.giveUp(failed('cancelled', 'the client went away'));
  }

  /** It ends without its handler. */
  giveUp(outcome: Outcome): void {
    if (this.#isOver) return;
    this.cancelled = true;
    this.#end(outcome);
    this.onCancelled?.();
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline?.cancel();
    const { ledger } = this.#server.deps;
    if (outcome.kind === 'ok') ledger.requestOk();
    else if (outcome.kind === 'refused') ledger.requestRefused(outcome.reason);
    else ledger.requestFailed(outcome.reason);
    this.#server.ended(this);
    if (!this.#server.isCut) this.#answer(outcome);
  }
}
