/**
 * A real grpc-js server that keeps what it is sent, for the tests of the sending side. Requests are decoded
 * by protobufjs, an implementation that shares nothing with the encoder under test.
 */
import { fileURLToPath } from 'node:url';
import { Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const PROTO_FOLDER = fileURLToPath(new URL('../../../proto/', import.meta.url));

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => PROTO_FOLDER + target;
root.loadSync('sensor/v1/sensor.proto');
const RequestType = root.lookupType('sensor.v1.SensorValuesRequest');

export interface ReceivedReading {
  readonly sensorName: string;
  readonly measurement: {
    readonly sensorValue?: { readonly value?: string };
    readonly createdAt?: { readonly seconds?: string; readonly nanos?: number };
    readonly doubleValue?: number;
    readonly boolValue?: boolean;
    readonly stringValue?: string;
  };
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ReceivedRequest {
  readonly items?: readonly ReceivedReading[];
  readonly producerId?: string;
  readonly firstSequence?: string;
}

export function decodeRequest(body: Uint8Array): ReceivedRequest {
  return RequestType.toObject(RequestType.decode(body), { longs: String }) as ReceivedRequest;
}

/** What to answer to the request with this number, counted from 1 in order of arrival. */
export type Answer =
  | { readonly code: 0 }
  | {
      readonly code: number;
      readonly details?: string;
      readonly trailers?: Readonly<Record<string, string | Buffer>>;
    };

export class ReceivingServer {
  /** Bodies of the requests answered with OK. */
  readonly stored: Buffer[] = [];
  /** When each call arrived, in order. */
  readonly arrivalsMs: number[] = [];
  readonly peers = new Set<string>();
  readonly #server: Server;
  readonly #answer: (call: number) => Answer | Promise<Answer>;
  port = 0;

  constructor(answer: (call: number) => Answer | Promise<Answer> = () => ({ code: 0 })) {
    this.#answer = answer;
    this.#server = new Server({ 'grpc.max_receive_message_length': -1 });
    this.#server.addService(
      {
        SendSensorValues: {
          path: '/sensor.v1.SensorService/SendSensorValues',
          requestStream: false,
          responseStream: false,
          requestSerialize: (body: Buffer) => body,
          requestDeserialize: (body: Buffer) => body,
          responseSerialize: (body: Buffer) => body,
          responseDeserialize: (body: Buffer) => body,
        },
      },
      {
        SendSensorValues: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
          void this.#serve(call, done),
      },
    );
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(port = 0): Promise<void> {
    this.port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** Every reading of every request answered with OK. */
  readings(): ReceivedReading[] {
    return this.stored.flatMap((body) => decodeRequest(body).items ?? []);
  }

  async #serve(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> {
    this.arrivalsMs.push(performance.now());
    this.peers.add(call.getPeer());
    const answer = await this.#answer(this.arrivalsMs.length);
    if (answer.code === 0) {
      this.stored.push(call.request);
      done(null, Buffer.alloc(0));
      return;
    }
    const metadata = new Metadata();
    const { details = 'refused', trailers = {} } = answer as Exclude<Answer, { code: 0 }>;
    for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
    done({ code: answer.code, details, metadata });
  }
}
