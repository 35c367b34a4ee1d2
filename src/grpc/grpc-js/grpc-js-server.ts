/**
 * The reference transport: HTTP/2 and gRPC by @grpc/grpc-js, on sockets that we listen on ourselves.
 *
 * We own the listeners (exact faults, one port on both loopbacks, a connection limit) and hand each
 * connection to grpc-js; in return we count connections, sessions and calls ourselves, because grpc-js
 * does not wait for connections it was given, and an open Health.Watch would keep it waiting for ever.
 *
 * Invariants:
 * 1. `#connections` holds every socket from accept to close, `#sessions` every HTTP/2 session likewise.
 * 2. `shared.calls` holds every SensorService call from its headers to its ending, `#sideCalls` the others.
 */
import { constants, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import {
  type ConnectionInjector,
  Metadata,
  Server,
  ServerCredentials,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { Timer } from '../../base/clock.ts';
import { formatListenAddress, type ListenAddress } from '../../base/listen-address.ts';
import { SharedBudget } from '../../base/shared-budget.ts';
import { Caller, type Door, openDoor } from '../caller.ts';
import { limitAge } from '../connection-age.ts';
import { Health } from '../health.ts';
import { boundedInflate } from '../inflate.ts';
import { Listeners, type ListenOptions } from '../listeners.ts';
import { AddressBudget, ReceiveBudget } from '../receive-budget.ts';
import { mountReflection } from '../reflection.ts';
import type { GrpcLimits, GrpcServer, GrpcServerDeps, GrpcServerStats, StopResult } from '../server.ts';
import { HEALTH_PATH_PREFIX, SEND_SENSOR_VALUES_PATH, STREAM_SENSOR_VALUES_PATH } from '../service.ts';
import { GRPC_STATUS, PUSHBACK_HEADER, statusTrailers } from '../status.ts';
import { certificateSubject } from '../tls/tls-entrance.ts';
import { TurnEnd } from '../turn-end.ts';
import { TurnLimit } from '../turn-limit.ts';
import { dropFarDeadline } from './far-deadline.ts';
import { authorizationOf, type BaseCall, baseCallOf, http2ServerOf, tuneHttp2 } from './internals.ts';
import { SensorCall, type SensorCallShared } from './sensor-call.ts';
import { SideCall } from './side-call.ts';
import { asInterceptingCall, StreamCall, type StreamCallShared } from './stream-call.ts';

/** What gRPC clients and proxies take for granted; part of CALL_COST_BYTES. */
const MAX_HEADER_LIST_BYTES = 8 * 1024;
const MAX_HEADERS = 64;
/** What may be on its way to us per connection and call: at 50ms of round trip 20 MiB/s instead of HTTP/2's 1.3. */
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
const STREAM_WINDOW_BYTES = 256 * 1024;
/** A sensor that lost power says no goodbye; its place is free again within 80 seconds. */
const KEEPALIVE_TIME_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** For clients that do not read the last answers; the others close within milliseconds. */
const GOODBYE_MS = 1000;
/** A stop in a hurry: a quarter of its time, but long enough for clients that do read. */
const HURRIED_GOODBYE_MS = 250;
/** Says "no new calls" without naming a last one: calls on their way to us are still answered. */
const NO_LAST_STREAM = 0x7fff_ffff;

export class GrpcJsServer implements GrpcServer {
  readonly #limits: GrpcLimits;
  readonly #deps: GrpcServerDeps;
  readonly #shared: SensorCallShared;
  readonly #streams: StreamCallShared;
  readonly #health = new Health();
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #connections = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #callers = new WeakMap<object, Caller>();
  readonly #door: Door;
  readonly #sideCalls = new Set<SideCall>();
  readonly #sideBudget: AddressBudget;
  readonly #servedPaths = new Set<string | undefined>();
  readonly #places: SharedBudget;
  #listeners: Listeners | undefined;
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
    this.#door = deps.door ?? openDoor;
    const calls = new Set<SensorCall>();
    this.#places = deps.budgets?.connections ?? new SharedBudget(limits.maxConnections);
    this.#shared = {
      ledger: deps.ledger,
      budget: new ReceiveBudget(limits.receiveBufferBytes, deps.budgets?.receive),
      handler: deps.sendSensorValues,
      inflate: boundedInflate(limits.maxRequestBytes),
      maxRequestBytes: limits.maxRequestBytes,
      onHandlerFault: deps.events.onHandlerFault,
      onEnded: () => this.#onCallEnded(),
      calls,
      stopping: false,
      requestBytes: 0,
    };
    const { ledger, budget, handler, inflate, maxRequestBytes, onHandlerFault } = this.#shared;
    this.#sideBudget = new AddressBudget(budget);
    this.#streams = {
      ...{ ledger, clock: deps.clock, budget, handler, inflate, maxRequestBytes, onHandlerFault },
      calls: new Set(),
      turnEnd: new TurnEnd((tell) => tell()),
      streamRequests: 0,
      openStreams: 0,
      isStopping: () => this.#shared.stopping,
      onRequestBytes: (bytes) => {
        this.#shared.requestBytes += bytes;
      },
      onStreamEnded: () => this.#onCallEnded(),
    };
    this.#server = new Server({
      interceptors: [this.#intercept as unknown as ServerInterceptor],
      'grpc.max_receive_message_length': limits.maxRequestBytes,
      'grpc.max_concurrent_streams': limits.maxStreamsPerConnection,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // Its books cost time per call and are served to nobody.
      'grpc.enable_channelz': 0,
    });
    tuneHttp2(this.#server, {
      maxHeaderListPairs: MAX_HEADERS,
      settings: { maxHeaderListSize: MAX_HEADER_LIST_BYTES, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    this.#mountServices();
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#watch(http2ServerOf(this.#server));
    if (deps.tls !== undefined) deps.tls.onSecured = this.#begin;
  }

  async listen(address: ListenAddress, options?: ListenOptions): Promise<string[]> {
    this.#listeners = await Listeners.open(address, this.#onConnection, options);
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
    this.#shared.stopping = true;
    this.#listeners?.close();
    for (const session of this.#sessions) sayGoodbye(session);
    for (const call of this.#sideCalls) call.end(GRPC_STATUS.UNAVAILABLE, 'the server is stopping');

    for (const stream of [...this.#streams.calls]) stream.leave();

    await this.#gone(timeoutMs, this.#openCalls, (onGone) => {
      this.#onCallsGone = onGone;
    });
    const left = this.#openCalls;
    this.#failCalls();

    for (const session of this.#sessions) session.close();
    await this.#gone(
      Math.min(GOODBYE_MS, Math.max(HURRIED_GOODBYE_MS, timeoutMs / 4)),
      this.#connections.size,
      (onGone) => {
        this.#onConnectionsGone = onGone;
      },
    );
    this.destroy();
    return { finished: left === 0, left };
  }

  destroy(): void {
    this.#shared.stopping = true;
    this.#listeners?.close();
    this.#failCalls();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#connections) socket.destroy();
    this.#server.forceShutdown();
  }

  cut(): void {
    this.#listeners?.close();
    for (const socket of this.#connections) socket.destroy();
  }

  stats(): GrpcServerStats {
    return {
      connections: this.#connections.size,
      connectionsOpened: this.#connectionsOpened,
      connectionsClosed: this.#connectionsClosed,
      connectionsRefused: this.#connectionsRefused,
      calls: this.#shared.calls.size + this.#streams.streamRequests,
      sideCalls: this.#sideCalls.size,
      unknownMethodCalls: this.#unknownMethodCalls,
      requestBytes: this.#shared.requestBytes,
      receiveBufferUsedBytes: this.#shared.budget.usedBytes,
    };
  }

  /** Resolves once none of the `open` is left or the time is over. */
  #gone(
    timeoutMs: number,
    open: number,
    whenGone: (onGone: (() => void) | undefined) => void,
  ): Promise<void> {
    if (open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      let timer: Timer;
      const done = (): void => {
        timer.cancel();
        whenGone(undefined);
        resolve();
      };
      timer = this.#deps.clock.setTimer(timeoutMs, done);
      whenGone(done);
    });
  }

  /** What a stop waits for. */
  get #openCalls(): number {
    return this.#shared.calls.size + this.#streams.openStreams;
  }

  #onCallEnded(): void {
    if (this.#openCalls === 0) this.#onCallsGone?.();
  }

  #failCalls(): void {
    for (const call of [...this.#shared.calls]) call.failForDrain();
    for (const call of [...this.#streams.calls]) call.failForDrain();
  }

  #mountServices(): void {
    this.#server.register(SEND_SENSOR_VALUES_PATH, unreachable, asBuffer, asBuffer, 'unary');
    this.#server.register(STREAM_SENSOR_VALUES_PATH, unreachable, asBuffer, asBuffer, 'bidi');
    this.#servedPaths.add(SEND_SENSOR_VALUES_PATH);
    this.#servedPaths.add(STREAM_SENSOR_VALUES_PATH);
    const mount: Pick<Server, 'addService'> = {
      addService: (definition, handlers) => {
        this.#server.addService(definition, handlers);
        for (const method of Object.values(definition)) this.#servedPaths.add(method.path);
      },
    };
    this.#health.mount(mount as Parameters<Health['mount']>[0]);
    mountReflection(mount);
  }

  readonly #intercept = (
    method: { readonly path: string },
    call: ServerInterceptingCallInterface,
  ): ServerInterceptingCallInterface => {
    const base = baseCallOf(call);
    const caller = this.#callerOf(base);
    if (method.path === SEND_SENSOR_VALUES_PATH) return new SensorCall(base, caller, this.#shared) as never;
    if (method.path === STREAM_SENSOR_VALUES_PATH) {
      return asInterceptingCall(new StreamCall(base, caller, this.#streams));
    }
    const sideCall = new SideCall(base, caller.addressName, this.#sideBudget, (closed) =>
      this.#sideCalls.delete(closed),
    );
    this.#sideCalls.add(sideCall);
    const refusal = method.path.startsWith(HEALTH_PATH_PREFIX)
      ? undefined
      : caller.mayLook(authorizationOf(base));
    if (this.#shared.stopping) sideCall.end(GRPC_STATUS.UNAVAILABLE, 'the server is stopping');
    else if (refusal !== undefined) {
      const { code, message, pushback } = statusTrailers(refusal);
      const metadata = new Metadata();
      if (pushback !== undefined) metadata.set(PUSHBACK_HEADER, pushback);
      sideCall.end(code, message, metadata);
    }
    return sideCall.intercepted();
  };

  /** One per connection, made when its first call comes. */
  #callerOf({ stream: { session } }: BaseCall): Caller {
    if (session === undefined) return new Caller(this.#door, undefined, undefined);
    let caller = this.#callers.get(session);
    if (caller === undefined) {
      const { socket } = session;
      caller = new Caller(this.#door, socket && certificateSubject(socket), socket?.remoteAddress);
      this.#callers.set(session, caller);
    }
    return caller;
  }

  readonly #onConnection = (socket: Socket): void => {
    if (this.#shared.stopping) {
      socket.destroy();
      return;
    }
    if (!this.#places.take(1)) {
      this.#connectionsRefused++;
      this.#deps.events.onConnectionRefused(
        formatListenAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0),
      );
      // A reset leaves no TIME_WAIT behind, of which a hammering client would make thousands.
      socket.resetAndDestroy();
      return;
    }
    this.#connectionsOpened++;
    this.#connections.add(socket);
    socket.once('close', () => {
      this.#connectionsClosed++;
      this.#places.give(1);
      this.#connections.delete(socket);
      if (this.#connections.size === 0) this.#onConnectionsGone?.();
    });
    const { tls } = this.#deps;
    if (tls === undefined) this.#begin(socket);
    else tls.enter(socket);
  };

  /** The socket speaks HTTP/2 from here on. */
  readonly #begin = (socket: Socket): void => {
    if (this.#shared.stopping) socket.destroy();
    else this.#injector.injectConnection(socket);
  };

  /** In two steps, as the stop does: grpc-js's own age limit closes at once, and loses calls on their way to us. */
  #leave(session: ServerHttp2Session): void {
    sayGoodbye(session);
    for (const stream of [...this.#streams.calls]) if (stream.session === session) stream.leave();
    this.#deps.clock.setTimer(GOODBYE_MS, () => {
      if (!session.destroyed) session.close();
    });
  }

  #watch(http2Server: Http2Server): void {
    const turn = new TurnLimit(this.#connections);
    http2Server.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      const age = limitAge(this.#limits, this.#deps.clock, {
        leave: () => this.#leave(session),
        end: () => session.destroy(),
      });
      session.once('close', () => {
        age.cancel();
        this.#sessions.delete(session);
      });
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
    // Before grpc-js sees the stream.
    http2Server.prependListener('stream', (_stream, headers) => {
      turn.onWork(this.#deps.clock.monotonicMs());
      dropFarDeadline(headers);
      if (!this.#servedPaths.has(headers[':path'])) this.#unknownMethodCalls++;
    });
  }
}

/** Ends no call, neither those open nor those on their way. */
function sayGoodbye(session: ServerHttp2Session): void {
  if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, NO_LAST_STREAM);
}

/** Messages stay bytes in both directions. */
function asBuffer(bytes: Buffer): Buffer {
  return bytes;
}

/** SensorCall takes the place of the handler that grpc-js would call. */
function unreachable(): void {}
