/**
 * Clients for tests: one on grpc-js that sends bytes as they are and shows everything the trailers said,
 * and one on bare HTTP/2 for what a well-behaved client would never send.
 */
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2';
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';

export const SEND_PATH = '/sensor.v1.SensorService/SendSensorValues';

const rpc = protobuf.parse(`syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`).root;

export interface CallResult {
  readonly code: number;
  readonly message: string;
  readonly response: Buffer | undefined;
  /** `grpc-retry-pushback-ms` as sent. */
  readonly pushback: string | undefined;
  /** The delay of google.rpc.RetryInfo in `grpc-status-details-bin`. */
  readonly retryAfterMs: number | undefined;
  /** google.rpc.Status as decoded from the details. */
  readonly details: { readonly code: number; readonly message: string } | undefined;
  /** google.rpc.ErrorInfo of the details. */
  readonly errorInfo: unknown;
  readonly trailers: Metadata;
}

export interface PendingCall {
  readonly result: Promise<CallResult>;
  cancel(): void;
}

export class TestClient {
  readonly #client: Client;

  constructor(
    target: string,
    options: ChannelOptions = {},
    channelCredentials: ChannelCredentials = credentials.createInsecure(),
  ) {
    this.#client = new Client(target, channelCredentials, {
      // Each client has its own connection, and a refusal is seen as it was sent.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.max_send_message_length': -1,
      ...options,
    });
  }

  start(
    request: Uint8Array,
    options: CallOptions & { path?: string; metadata?: Metadata } = {},
  ): PendingCall {
    const { promise, resolve } = Promise.withResolvers<CallResult>();
    let response: Buffer | undefined;
    let failure: ServiceError | undefined;
    const call = this.#client.makeUnaryRequest(
      options.path ?? SEND_PATH,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.from(request),
      options.metadata ?? new Metadata(),
      options,
      (error, value) => {
        failure = error ?? undefined;
        response = value;
      },
    );
    call.on('status', (status) => {
      // The callback runs in the same turn, before or after this event.
      queueMicrotask(() => resolve(resultOf(status.code, failure?.details ?? '', response, status.metadata)));
    });
    return { result: promise, cancel: () => call.cancel() };
  }

  send(request: Uint8Array, options?: Parameters<TestClient['start']>[1]): Promise<CallResult> {
    return this.start(request, options).result;
  }

  /** The bare grpc-js client, for services of its own definitions. */
  get bare(): Client {
    return this.#client;
  }

  close(): void {
    this.#client.close();
  }
}

function resultOf(
  code: number,
  message: string,
  response: Buffer | undefined,
  trailers: Metadata,
): CallResult {
  const bin = trailers.get('grpc-status-details-bin')[0] as Buffer | undefined;
  const status = bin && (rpc.lookupType('Status').decode(bin) as unknown as DecodedStatus);
  const pushback = trailers.get('grpc-retry-pushback-ms')[0] as string | undefined;
  return {
    code,
    message,
    response,
    pushback,
    retryAfterMs: status && retryDelayMs(status),
    errorInfo: status && errorInfo(status),
    details: status && { code: status.code, message: status.message },
    trailers,
  };
}

interface DecodedStatus {
  code: number;
  message: string;
  details: { typeUrl: string; value: Buffer }[];
}

function errorInfo(status: DecodedStatus): unknown {
  const any = status.details.find((detail) => detail.typeUrl === 'type.googleapis.com/google.rpc.ErrorInfo');
  return any && rpc.lookupType('ErrorInfo').toObject(rpc.lookupType('ErrorInfo').decode(any.value));
}

function retryDelayMs(status: DecodedStatus): number | undefined {
  const any = status.details.find((detail) => detail.typeUrl === 'type.googleapis.com/google.rpc.RetryInfo');
  if (any === undefined) return undefined;
  const info = rpc.lookupType('RetryInfo').decode(any.value) as unknown as {
    retryDelay: { seconds: number | { toNumber(): number }; nanos: number };
  };
  return Number(info.retryDelay.seconds) * 1000 + info.retryDelay.nanos / 1e6;
}

/** One message as gRPC frames it. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

export interface BareResult {
  readonly httpStatus: number;
  readonly grpcStatus: string | undefined;
  readonly grpcMessage: string;
  readonly pushback: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** HTTP/2 without any gRPC in between: sends `chunks` as the body of one POST and reads the answer. */
export class BareClient {
  readonly session: ClientHttp2Session;

  constructor(target: string) {
    this.session = connect(`http://${target}`);
    this.session.on('error', () => {});
  }

  post(chunks: readonly Buffer[], headers: OutgoingHttpHeaders = {}, end = true): Promise<BareResult> {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': SEND_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    for (const chunk of chunks) stream.write(chunk);
    if (end) stream.end();
    return new Promise((resolve, reject) => {
      const seen: Record<string, unknown> = {};
      const body: Buffer[] = [];
      stream.on('response', (received) => Object.assign(seen, received));
      stream.on('trailers', (received) => Object.assign(seen, received));
      stream.on('data', (chunk: Buffer) => body.push(chunk));
      stream.on('error', reject);
      stream.on('close', () => {
        resolve({
          httpStatus: Number(seen[':status']),
          grpcStatus: seen['grpc-status'] as string | undefined,
          grpcMessage: decodeURIComponent(String(seen['grpc-message'] ?? '')),
          pushback: seen['grpc-retry-pushback-ms'] as string | undefined,
          headers: seen,
          body: Buffer.concat(body),
        });
      });
    });
  }

  close(): void {
    this.session.destroy();
  }
}
