/**
 * The connections. Each grpc-js client gets a subchannel pool of its own; otherwise clients of the same
 * address would share one TCP connection and "50 connections" would be one.
 */
import type { ServiceError } from '@grpc/grpc-js';
import { Client, connectivityState, Metadata } from '@grpc/grpc-js';
import { SinkError } from '../../base/errors.ts';
import { channelCredentials, channelNames, securityHint, type TlsWish } from '../channel-security.ts';

const METHOD = '/sensor.v1.SensorService/SendSensorValues';
const GZIP = 2;
/** A restarted daemon should be found again at once: grpc-js waits 1s and up to 120s by default. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 1_000;

const asIs = (bytes: Buffer): Buffer => bytes;

export interface ClientPoolOptions {
  readonly target: string;
  readonly connections: number;
  readonly gzip: boolean;
  readonly tls: TlsWish;
  readonly token: string | undefined;
}

export class ClientPool {
  readonly #clients: Client[] = [];
  readonly #target: string;
  readonly #isSecure: boolean;
  /** Never changed by a call without interceptors or credentials, so one serves all. */
  readonly #metadata = new Metadata();
  #next = 0;

  constructor(options: ClientPoolOptions) {
    this.#target = options.target;
    this.#isSecure = options.tls.isOn;
    const secured = channelCredentials(options.tls);
    if (options.token !== undefined) this.#metadata.set('authorization', `Bearer ${options.token}`);
    // A proxy for the outside world is of no use on the way to our own machine.
    const isLocal = /^(localhost|127\.|\[::1\])/.test(options.target);
    for (let index = 0; index < options.connections; index++) {
      this.#clients.push(
        new Client(options.target, secured, {
          'grpc.use_local_subchannel_pool': 1,
          'grpc.initial_reconnect_backoff_ms': RECONNECT_FIRST_MS,
          'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
          // retry.ts decides; a second opinion below it would hide attempts from the counters.
          'grpc.enable_retries': 0,
          'grpc.enable_channelz': 0,
          'grpc.service_config_disable_resolution': 1,
          'grpc.max_send_message_length': -1,
          ...channelNames(options.tls),
          ...(isLocal ? { 'grpc.enable_http_proxy': 0 } : {}),
          ...(options.gzip ? { 'grpc.default_compression_algorithm': GZIP } : {}),
        }),
      );
    }
  }

  /** Resolves when every connection stands; throws SinkError when that takes longer than `timeoutMs`. */
  async connect(timeoutMs: number, onWaiting: (target: string) => void): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    const misunderstood = Promise.withResolvers<never>();
    const notice = setTimeout(
      () => {
        onWaiting(this.#target);
        // What TLS has to say does not get better by waiting.
        void lastFailure(this.#clients[0]!).then((details) => {
          const hint = securityHint(details, this.#isSecure);
          if (hint === undefined) return;
          misunderstood.reject(new SinkError('SEND_FAILED', `${this.#target}: ${hint} (${details})`));
        });
      },
      Math.min(1000, timeoutMs / 2),
    );
    try {
      const outcomes = await Promise.race([
        Promise.allSettled(this.#clients.map((client) => ready(client, deadline))),
        misunderstood.promise,
      ]);
      const missing = outcomes.filter((outcome) => outcome.status === 'rejected').length;
      if (missing === 0) return;
      const what =
        missing === this.#clients.length
          ? `no daemon answers at ${this.#target}`
          : `${missing} of ${this.#clients.length} connections to ${this.#target} could not be made`;
      throw new SinkError(
        'SEND_FAILED',
        `${what} (waited ${timeoutMs / 1000}s): is it running and listening there? ` +
          'Name another with --target, wait longer with --connect-timeout.',
      );
    } finally {
      clearTimeout(notice);
    }
  }

  /** One attempt on the next connection in turn. */
  call(body: Buffer, deadlineMs: number, onDone: (error: ServiceError | null) => void): void {
    const client = this.#clients[this.#next]!;
    this.#next = (this.#next + 1) % this.#clients.length;
    client.makeUnaryRequest(METHOD, asIs, asIs, body, this.#metadata, { deadline: deadlineMs }, onDone);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/** Why the last attempt to connect failed, in the words of grpc-js; '' when none did. */
function lastFailure(client: Client): Promise<string> {
  return new Promise((resolve) => {
    const deadline = Date.now() + 1000;
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      asIs,
      asIs,
      Buffer.alloc(0),
      new Metadata(),
      { deadline },
      (error) => resolve(error?.details.split('\n', 1)[0] ?? ''),
    );
  });
}

function ready(client: Client, deadlineMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // An idle channel is woken first; waitForReady alone would do it too, but only once its watch runs.
    if (client.getChannel().getConnectivityState(true) === connectivityState.READY) return resolve();
    client.waitForReady(deadlineMs, (error) => (error ? reject(error) : resolve()));
  });
}
