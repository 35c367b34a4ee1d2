/** HTTP/2 by hand: frames as bytes, right or wrong, and what comes back cut into frames. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CLIENT_PREFACE, FRAME } from '../../src/grpc/native/protocol.ts';

export { ERROR_CODE, FLAG, FRAME } from '../../src/grpc/native/protocol.ts';

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | readonly number[] = [],
  length = payload.length,
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** Complete frames of `bytes`, and what is left over. */
export function cutFrames(bytes: Buffer): { frames: RawFrame[]; rest: Buffer } {
  const frames: RawFrame[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A header block without tables and Huffman. */
export function plainBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), plainString(name), plainString(value)]),
  );
}

function plainString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export const SEND_FIELDS: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/sensor.v1.SensorService/SendSensorValues'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];
export const STREAM_FIELDS = SEND_FIELDS.map(([name, value]): readonly [string, string] => [
  name,
  name === ':path' ? '/sensor.v1.SensorService/StreamSensorValues' : value,
]);
export const SEND_BLOCK = plainBlock(SEND_FIELDS);

export const GREETING = Buffer.concat([CLIENT_PREFACE, rawFrame(FRAME.SETTINGS, 0, 0)]);

export class RawClient {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  isClosed = false;
  #rest: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const { frames, rest } = cutFrames(Buffer.concat([this.#rest, chunk]));
      this.frames.push(...frames);
      this.#rest = rest;
      this.#wake();
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** `target` is `127.0.0.1:port`. Says preface and SETTINGS unless told otherwise. */
  static async connect(target: string, greeting: Uint8Array = GREETING): Promise<RawClient> {
    const socket = connect(Number(target.split(':').at(-1)), '127.0.0.1');
    await once(socket, 'connect');
    const client = new RawClient(socket);
    if (greeting.length > 0) socket.write(greeting);
    return client;
  }

  write(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The first frame that fits, or undefined when the connection ends without one. */
  async frame(fits: (frame: RawFrame) => boolean): Promise<RawFrame | undefined> {
    for (let seen = 0; ; ) {
      for (; seen < this.frames.length; seen++) if (fits(this.frames[seen]!)) return this.frames[seen];
      if (this.isClosed) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The error code of the GOAWAY that ends the connection; undefined when it ends without. */
  async goawayCode(): Promise<number | undefined> {
    return (await this.frame(({ type }) => type === FRAME.GOAWAY))?.payload.readUInt32BE(4);
  }

  async resetCode(streamId: number): Promise<number | undefined> {
    const reset = await this.frame((frame) => frame.type === FRAME.RST_STREAM && frame.streamId === streamId);
    return reset?.payload.readUInt32BE(0);
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
