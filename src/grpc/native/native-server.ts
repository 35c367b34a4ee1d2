/**
 * Our own transport: HTTP/2 and gRPC on plain sockets, made for one message in and an empty one out.
 *
 *   Listeners ─socket─▶ Http2Connection ─request─▶ #accept ─▶ SensorCall (raw bytes) or SideCall (mounted services)
 *
 * Invariants:
 * 1. `#sockets` holds every socket from accept to close, `#connections` those that HTTP/2 is spoken on.
 * 2. `#sensor.openCalls` counts the SensorService calls that are not ended, `#side.calls` holds the others.
 */
import type { Socket } from 'node:net';
import { BufferPool } from '../../base/buffer-pool.ts';
import type { Timer } from '../../base/clock.ts';
import { formatListenAddress, type ListenAddress } from '../../base/listen-address.ts';
import { SharedBudget } from '../../base/shared-budget.ts';
import { type Door, openDoor } from '../caller.ts';
import { limitAge } from '../connection-age.ts';
import { Health } from '../health.ts';
import { boundedInflate } from '../inflate.ts';
import { Listeners, type ListenOptions } from '../listeners.ts';
import { AddressBudget, ReceiveBudget } from '../receive-budget.ts';
import { mountReflection } from '../reflection.ts';
import type { GrpcLimits, GrpcServer, GrpcServerDeps, GrpcServerStats, StopResult } from '../server.ts';
import { HEALTH_PATH_PREFIX, SEND_SENSOR_VALUES_PATH, STREAM_SENSOR_VALUES_PATH } from '../service.ts';
import { GRPC_STATUS, statusTrailers } from '../status.ts';
import { TurnEnd } from '../turn-end.ts';
import { TurnLimit } from '../turn-limit.ts';
import type { Handler, Method } from './call-objects.ts';
import { ClientTurns } from './client-turns.ts';
import { type ConnectionHost, Http2Connection } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { DearLimit } from './dear-limit.ts';
import { DearTurns } from './dear-turns.ts';
import { GOODBYE_MS, MAX_QUESTION_BYTES, RECEIVE_POOL_BYTES, SWEEP_INTERVAL_MS } from './limits.ts';
import { type RequestHead, RequestHeadBuilder, TrailerCheck } from './request-head.ts';
import { SensorCall, type SensorCallShared } from './sensor-call.ts';
import { SharedReads } from './shared-reads.ts';
import { SideCall, type SideCallShared } from './side-call.ts';
import { statusFields } from './status-fields.ts';
import type { Http2Stream, StreamConsumer } from './stream.ts';
import { StreamCall, type StreamCallShared } from './stream-call.ts';
import { WriteBuffers } from './write-buffers.ts';

/** What a request head leads to; kept in the head, so that it is found once per header block. */
type Route =
  | { readonly kind: 'sensor' }
  | { readonly kind: 'stream' }
  | { readonly kind: 'side'; readonly isOpen: boolean; readonly method: Method; readonly handler: Handler }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'http'; readonly status: number };

type AddService = Parameters<typeof mountReflection>[0]['addService'];

export class NativeServer implements GrpcServer, ConnectionHost {
  readonly clock;
  readonly door: Door;
  readonly buffers = new WriteBuffers();
  readonly memory = new BufferPool(RECEIVE_POOL_BYTES);
  readonly turns: ClientTurns;
  readonly dear: DearTurns;
  readonly dearLimit: DearLimit;
  heldBack = 0;
  readonly maxStreams: number;
  readonly #limits: GrpcLimits;
  readonly #deps: GrpcServerDeps;
  readonly #sensor: SensorCallShared;
  readonly #streams: StreamCallShared;
  readonly #side: SideCallShared;
  readonly #health = new Health();
  readonly #routes = new Map<string, Route>();
  /** By their sockets; in TLS the upper ones. */
  readonly #connections = new Map<Socket, Http2Connection>();
  readonly #scratch = { head: new RequestHeadBuilder(), trailers: new TrailerCheck() };
  readonly #places: SharedBudget;
  readonly #reads = new SharedReads();
  /** From accept to close; in TLS the ones below it. */
  readonly #sockets = new Set<Socket>();
  readonly #turn = new TurnLimit({ [Symbol.iterator]: () => this.#connections.keys() });
  #due: Http2Connection[] = [];
  #listeners: Listeners | undefined;
  #sweep: Timer | undefined;
  #connectionsOpened = 0;
  #connectionsClosed = 0;
  #connectionsRefused = 0;
  #unknownMethodCalls = 0;
  /** Called when the last call, or the last connection, is gone while somebody waits for it. */
  #onCallsGone: (() => void) | undefined;
  #onConnectionsGone: (() => void) | undefined;

  constructor(limits: GrpcLimits, deps: GrpcServerDeps) {
    this.#limits = limits;
    this.#deps = deps;
    this.clock = deps.clock;
    this.turns = new ClientTurns(deps.clock);
    this.dear = new DearTurns(deps.clock);
    this.dearLimit = new DearLimit(deps.clock, deps.ordinaryWork);
    this.door = deps.door ?? openDoor;
    this.maxStreams = limits.maxStreamsPerConnection;
    const budget = new ReceiveBudget(limits.receiveBufferBytes, deps.budgets?.receive);
    this.#places = deps.budgets?.connections ?? new SharedBudget(limits.maxConnections);
    this.#sensor = {
      ledger: deps.ledger,
      clock: deps.clock,
      deadlines: new Deadlines(deps.clock),
      budget,
      memory: this.memory,
      handler: deps.sendSensorValues,
      inflate: boundedInflate(limits.maxRequestBytes),
      maxRequestBytes: limits.maxRequestBytes,
      onHandlerFault: deps.events.onHandlerFault,
      onEnded: () => this.#onCallEnded(),
      openCalls: 0,
      stopping: false,
      requestBytes: 0,
    };
    const { ledger, clock, deadlines, handler, inflate, maxRequestBytes, onHandlerFault } = this.#sensor;
    this.#streams = {
      ...{ ledger, clock, deadlines, budget, handler, inflate, maxRequestBytes, onHandlerFault },
      turnEnd: new TurnEnd((tell) => tell()),
      streamRequests: 0,
      openStreams: 0,
      stopping: false,
      requestBytes: 0,
      onStreamEnded: () => this.#onCallEnded(),
    };
    this.#side = {
      clock: deps.clock,
      budget: new AddressBudget(budget),
      inflate: boundedInflate(MAX_QUESTION_BYTES),
      calls: new Set(),
    };
    this.#routes.set(SEND_SENSOR_VALUES_PATH, { kind: 'sensor' });
    this.#routes.set(STREAM_SENSOR_VALUES_PATH, { kind: 'stream' });
    this.#health.mount(this as unknown as Parameters<Health['mount']>[0]);
    mountReflection(this);
    if (deps.tls !== undefined) deps.tls.onSecured = this.#begin;
  }

  /** As grpc-js's own: definitions and handlers that were written for it work unchanged. */
  readonly addService: AddService = (definition, handlers) => {
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name] ?? handlers[method.originalName ?? ''];
      if (typeof handler !== 'function') continue;
      this.#routes.set(method.path, {
        kind: 'side',
        isOpen: method.path.startsWith(HEALTH_PATH_PREFIX),
        method: method as Method,
        handler: handler.bind(handlers) as unknown as Handler,
      });
    }
  };

  async listen(address: ListenAddress, options?: ListenOptions): Promise<string[]> {
    this.#listeners = await Listeners.open(address, this.onConnection, options);
    this.#armSweep(this.clock.monotonicMs());
    return this.#listeners.addresses;
  }

  setServing(isServing: boolean): void {
    this.#health.setServing(isServing);
  }

  beginDrain(): void {
    this.#health.leave();
  }

  async stop(timeoutMs: number): Promise<StopResult> {
    this.beginDrain();
    this.#sensor.stopping = true;
    this.#streams.stopping = true;
    this.#listeners?.close();
    for (const connection of [...this.#connections.values()]) connection.goAway();
    for (const call of [...this.#side.calls]) call.end(GRPC_STATUS.UNAVAILABLE, 'the server is stopping');

    // Those of connections that were leaving already.
    this.#forEachStream((call) => call.onLeaving());
    if (this.#openCalls > 0) {
      await this.#gone(timeoutMs, (onGone) => {
        this.#onCallsGone = onGone;
      });
    }
    const left = this.#openCalls;
    this.#failCalls();

    for (const connection of [...this.#connections.values()]) connection.close();
    if (this.#sockets.size > 0) {
      await this.#gone(GOODBYE_MS, (onGone) => {
        this.#onConnectionsGone = onGone;
      });
    }
    this.destroy();
    return { finished: left === 0, left };
  }

  destroy(): void {
    this.#sensor.stopping = true;
    this.#streams.stopping = true;
    this.#sweep?.cancel();
    this.#listeners?.close();
    this.#failCalls();
    for (const connection of [...this.#connections.values()]) {
      connection.flush();
      connection.destroy();
    }
    for (const socket of this.#sockets) socket.destroy();
  }

  cut(): void {
    this.#listeners?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  stats(): GrpcServerStats {
    return {
      connections: this.#sockets.size,
      connectionsOpened: this.#connectionsOpened,
      connectionsClosed: this.#connectionsClosed,
      connectionsRefused: this.#connectionsRefused,
      calls: this.#sensor.openCalls + this.#streams.streamRequests,
      sideCalls: this.#side.calls.size,
      unknownMethodCalls: this.#unknownMethodCalls,
      requestBytes: this.#sensor.requestBytes + this.#streams.requestBytes,
      receiveBufferUsedBytes: this.#sensor.budget.usedBytes,
    };
  }

  #failCalls(): void {
    for (const connection of [...this.#connections.values()]) {
      for (const stream of connection.streams) {
        if (stream.consumer instanceof SensorCall) stream.consumer.failForDrain();
      }
    }
    this.#forEachStream((call) => call.failForDrain());
  }

  #forEachStream(act: (call: StreamCall) => void): void {
    if (this.#streams.openStreams === 0) return;
    for (const connection of [...this.#connections.values()]) {
      for (const { consumer } of [...connection.streams]) if (consumer instanceof StreamCall) act(consumer);
    }
  }

  /** What a stop waits for. */
  get #openCalls(): number {
    return this.#sensor.openCalls + this.#streams.openStreams;
  }

  #onCallEnded(): void {
    if (this.#openCalls === 0) this.#onCallsGone?.();
  }

  /** Resolves when what is waited for is gone, or the time is over. */
  #gone(timeoutMs: number, whenGone: (onGone: (() => void) | undefined) => void): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer;
      const done = (): void => {
        timer.cancel();
        whenGone(undefined);
        resolve();
      };
      timer = this.clock.setTimer(timeoutMs, done);
      whenGone(done);
    });
  }

  // --- connections ------------------------------------------------------------------------------------

  /** Takes a connection on, whoever accepted it. */
  readonly onConnection = (accepted: Socket): void => {
    if (this.#sensor.stopping) {
      accepted.destroy();
      return;
    }
    this.turns.arrived();
    if (!this.#places.take(1)) {
      this.#connectionsRefused++;
      this.#deps.events.onConnectionRefused(
        formatListenAddress(accepted.remoteAddress ?? 'unknown', accepted.remotePort ?? 0),
      );
      // A reset leaves no TIME_WAIT behind, of which a hammering client would make thousands.
      accepted.resetAndDestroy();
      return;
    }
    const { tls } = this.#deps;
    const socket = tls === undefined ? this.#reads.adopt(accepted) : accepted;
    this.#connectionsOpened++;
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#connectionsClosed++;
      this.#places.give(1);
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#onConnectionsGone?.();
    });
    if (tls === undefined) this.#begin(socket);
    else tls.enter(socket);
  };

  /** The socket speaks HTTP/2 from here on. */
  readonly #begin = (socket: Socket): void => {
    if (this.#sensor.stopping) {
      socket.destroy();
      return;
    }
    const connection = new Http2Connection(socket, this, this.#scratch);
    this.#connections.set(socket, connection);
    const age = limitAge(this.#limits, this.clock, {
      leave: () => connection.goAway(),
      end: () => connection.close(),
    });
    socket.once('close', () => {
      age.cancel();
      this.#connections.delete(socket);
    });
  };

  onWork(nowMs: number): void {
    this.#turn.onWork(nowMs);
  }

  /** Answers given outside a chunk (by the writer's acknowledgements, say) leave together at the end of the turn. */
  onDue(connection: Http2Connection): void {
    if (this.#due.push(connection) === 1) queueMicrotask(this.#flushDue);
  }

  readonly #flushDue = (): void => {
    const due = this.#due;
    this.#due = [];
    let sinceMs = this.clock.monotonicMs();
    for (const connection of due) {
      connection.flush();
      const nowMs = this.clock.monotonicMs();
      this.turns.answered(connection.client, nowMs - sinceMs);
      sinceMs = nowMs;
    }
  };

  #armSweep(sinceMs: number): void {
    this.#sweep = this.clock.setTimer(SWEEP_INTERVAL_MS, () => {
      const nowMs = this.clock.monotonicMs();
      for (const connection of [...this.#connections.values()]) connection.sweep(nowMs, nowMs - sinceMs);
      this.#armSweep(nowMs);
    });
  }

  // --- requests ---------------------------------------------------------------------------------------

  accept(stream: Http2Stream, head: RequestHead): StreamConsumer | undefined {
    const route = (head.route ??= this.#routeOf(head)) as Route;
    switch (route.kind) {
      case 'sensor': {
        const call = new SensorCall(stream, head, this.#sensor);
        stream.consumer = call;
        call.begin();
        return call;
      }
      case 'stream': {
        const call = new StreamCall(stream, this.#streams);
        stream.consumer = call;
        call.begin(head);
        return call;
      }
      case 'side': {
        const refusal = route.isOpen ? undefined : stream.host.caller.mayLook(head.authorization);
        if (refusal !== undefined) {
          stream.sendTrailers(statusFields(statusTrailers(refusal)));
          return undefined;
        }
        const call = new SideCall(stream, head, route.method, route.handler, this.#side);
        stream.consumer = call;
        call.begin();
        if (this.#sensor.stopping) call.end(GRPC_STATUS.UNAVAILABLE, 'the server is stopping');
        return call;
      }
      case 'unknown':
        this.#unknownMethodCalls++;
        stream.host.caller.hopelessCalls++;
        stream.sendTrailers(
          statusFields({
            code: GRPC_STATUS.UNIMPLEMENTED,
            message: `nobody serves ${head.path.slice(0, 200)}`,
            pushback: undefined,
            details: undefined,
          }),
        );
        return undefined;
      case 'http':
        stream.answerHttp(route.status);
        return undefined;
    }
  }

  #routeOf(head: RequestHead): Route {
    if (head.method !== 'POST') return { kind: 'http', status: 405 };
    if (!/^application\/grpc(?:[+;].*)?$/.test(head.contentType)) return { kind: 'http', status: 415 };
    return this.#routes.get(head.path) ?? { kind: 'unknown' };
  }
}
