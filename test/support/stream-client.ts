/** A StreamSensorValues call on grpc-js: sends bytes as they are, counts acknowledgements, shows how it ended. */
import { type Client, type ClientDuplexStream, Metadata, type StatusObject } from '@grpc/grpc-js';

export const STREAM_PATH = '/sensor.v1.SensorService/StreamSensorValues';

export class TestStream {
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  /** Every StreamAck, in order. */
  readonly acknowledged: number[] = [];
  readonly ended: Promise<StatusObject>;
  #waiting: (() => void)[] = [];
  isOver = false;

  constructor(client: Client, options: { readonly deadline?: number; readonly metadata?: Metadata } = {}) {
    const asIs = (bytes: Buffer): Buffer => bytes;
    this.call = client.makeBidiStreamRequest(
      STREAM_PATH,
      asIs,
      asIs,
      options.metadata ?? new Metadata(),
      options,
    );
    this.call.on('data', (message: Buffer) => {
      this.acknowledged.push(requestsOf(message));
      this.#wake();
    });
    this.call.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.call.on('status', (status: StatusObject) => {
        this.isOver = true;
        resolve(status);
        this.#wake();
      });
    });
  }

  get last(): number {
    return this.acknowledged.at(-1) ?? 0;
  }

  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) this.call.write(Buffer.from(message));
  }

  /** Resolves with false if the stream ended first. */
  async until(requests: number): Promise<boolean> {
    while (this.last < requests && !this.isOver)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.last >= requests;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** `requests` of a StreamAck. */
export function requestsOf(message: Uint8Array): number {
  if (message.length === 0) return 0;
  if (message[0] !== 0x08) throw new Error(`not a StreamAck: ${Buffer.from(message).toString('hex')}`);
  let value = 0;
  for (let i = message.length - 1; i > 0; i--) value = value * 128 + (message[i]! & 0x7f);
  return value;
}
