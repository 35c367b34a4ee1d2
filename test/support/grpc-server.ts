/**
 * A gRPC server for tests, on a free port of both loopbacks, whose handler is the test itself: each
 * request that reaches it waits in `nextCall()` until the test responds.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/base/clock.ts';
import type { Outcome } from '../../src/base/outcome.ts';
import { grpcOptions } from '../../src/grpc/config.ts';
import { createGrpcServer, type Transport } from '../../src/grpc/create-server.ts';
import type {
  CallContext,
  GrpcLimits,
  GrpcServer,
  GrpcServerDeps,
  SendSensorValuesHandler,
} from '../../src/grpc/server.ts';
import { Ledger } from '../../src/observe/ledger.ts';

/** Every test of the front runs on each. */
export const TRANSPORTS = grpcOptions.options.transport.values as readonly Transport[];

export interface HandledCall {
  readonly request: Uint8Array;
  readonly call: CallContext;
  readonly respond: (outcome: Outcome) => void;
}

export class TestServer {
  readonly ledger = new Ledger();
  readonly handlerFaults: unknown[] = [];
  readonly refusedPeers: string[] = [];
  readonly server: GrpcServer;
  addresses: string[] = [];
  /** Where set, it answers instead of the test. */
  handler: SendSensorValuesHandler | undefined;
  readonly #arrived: HandledCall[] = [];
  readonly #awaited: ((handled: HandledCall) => void)[] = [];

  private constructor(transport: Transport, limits: Partial<GrpcLimits>, deps: Partial<GrpcServerDeps>) {
    this.server = createGrpcServer(
      transport,
      {
        maxRequestBytes: 64 * 1024,
        maxConnections: 16,
        maxStreamsPerConnection: 100,
        receiveBufferBytes: 8 * 1024 * 1024,
        maxConnectionAgeMs: 0,
        maxConnectionAgeGraceMs: 1000,
        ...limits,
      },
      {
        ledger: this.ledger,
        clock: systemClock,
        sendSensorValues: (request, call, respond) => {
          if (this.handler !== undefined) return this.handler(request, call, respond);
          const awaited = this.#awaited.shift();
          // The bytes are the transport's again when this returns.
          const handled = { request: Uint8Array.from(request), call, respond };
          if (awaited === undefined) this.#arrived.push(handled);
          else awaited(handled);
        },
        events: {
          onConnectionRefused: (peer) => this.refusedPeers.push(peer),
          onHandlerFault: (error) => this.handlerFaults.push(error),
        },
        ...deps,
      },
    );
  }

  static async start(
    transport: Transport,
    limits: Partial<GrpcLimits> = {},
    deps: Partial<GrpcServerDeps> = {},
  ): Promise<TestServer> {
    const started = new TestServer(transport, limits, deps);
    started.addresses = await started.server.listen({ host: 'localhost', port: 0 });
    return started;
  }

  get target(): string {
    return this.addresses[0]!;
  }

  nextCall(): Promise<HandledCall> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return Promise.resolve(arrived);
    return new Promise((resolve) => this.#awaited.push(resolve));
  }

  /** The books, as the reasons that are not 0; fails when they do not balance. */
  books(): Readonly<Record<string, number>> {
    const { received, ok, inFlight, refused, failed, difference } = this.ledger.snapshot().requests;
    assert.equal(difference, 0, 'the ledger does not balance');
    const counts: Record<string, number> = { received, ok, inFlight };
    for (const [reason, count] of Object.entries(refused)) counts[`refused ${reason}`] = count;
    for (const [reason, count] of Object.entries(failed)) counts[`failed ${reason}`] = count;
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
  }

  destroy(): void {
    this.server.destroy();
  }
}
