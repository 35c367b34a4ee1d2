/**
 * As much of HTTP/2 as a load generator needs that must not cost more than what it loads: frames made beforehand, and
 * frames read without looking further than their headers. RFC 9113 sections 3.4, 4.1, 6.5, 6.9; fields: RFC 7541 section 6.2.2.
 */
import { connect, type Socket } from 'node:net';

export const FRAME_HEADER_BYTES = 9;
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
const NO_ERROR = 0;
export const FIRST_WINDOW_BYTES = 65_535;
export const FRAME_PAYLOAD_BYTES = 16_384;
const INITIAL_WINDOW_SIZE = 4;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const READ_BUFFER_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);
/** Ours, for answers: given back when half of it is used. */
const OWN_WINDOW_BYTES = 1 << 30;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** The fields that begin a gRPC call, none of them in the dynamic table. */
export function grpcHeaders(path: string): Buffer {
  const text = (of: string): Buffer => Buffer.concat([Buffer.from([of.length]), Buffer.from(of)]);
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([0x00]), text(name), text(value)]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86]), // POST, http
    literal(':path', path),
    literal(':authority', 'bench'),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
  ]);
}

export interface FrameHandler {
  /** DATA, HEADERS; the payload is bytes[start, end), only good until it returns. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void;
  /** All that arrived at once has been handed over; windows may have grown. */
  onTurn(): void;
}

/** A connection of a client: greets, answers SETTINGS and PING, keeps the windows. What the server resets ends the process. */
export class FrameConnection {
  readonly socket: Socket;
  readonly #handler: FrameHandler;
  /** What may be sent on the connection, and on a stream that nothing was sent on. */
  windowBytes = FIRST_WINDOW_BYTES;
  firstStreamWindowBytes = FIRST_WINDOW_BYTES;
  /** Grown by WINDOW_UPDATE beyond `firstStreamWindowBytes`, all streams together: for connections with one. */
  streamGrantedBytes = 0;
  #readBytes = 0;
  /** The front of a frame that has not come whole. */
  #rest: Buffer = NOTHING;

  /** `target`: host:port. `from`: the address to come from; left out, the system chooses. */
  constructor(target: string, handler: FrameHandler, from?: string) {
    this.#handler = handler;
    const at = target.lastIndexOf(':');
    const localAddress = from === undefined ? {} : { localAddress: from };
    this.socket = connect({
      port: Number(target.slice(at + 1)),
      host: target.slice(0, at),
      ...localAddress,
      // Always the same memory: what is collected now and then stops the clock of all requests that are under way.
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
        callback: (count, bytes) => {
          this.#read((bytes as Buffer).subarray(0, count));
          return true;
        },
      },
    });
    this.socket.setNoDelay(true);
    this.socket.on('error', (error) => fail(error.message));
    // Answers find all the window there is.
    const settings = Buffer.from([0, INITIAL_WINDOW_SIZE, 0x7f, 0xff, 0xff, 0xff]);
    this.socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, settings)]));
    this.#giveWindow(OWN_WINDOW_BYTES);
  }

  #read(arrived: Buffer): void {
    const bytes = this.#rest.length === 0 ? arrived : Buffer.concat([this.#rest, arrived]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const start = at + FRAME_HEADER_BYTES;
      const end = start + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const type = bytes[at + 3]!;
      const stream = bytes.readUInt32BE(at + 5);
      if (type === DATA) this.#readBytes += end - start;
      if (type === DATA || type === HEADERS) {
        this.#handler.onFrame(type, bytes[at + 4]!, stream, bytes, start, end);
      } else this.#control(type, bytes[at + 4]!, stream, bytes.subarray(start, end));
      at = end;
    }
    this.#rest = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at));
    if (this.#readBytes >= OWN_WINDOW_BYTES / 2) {
      this.#giveWindow(this.#readBytes);
      this.#readBytes = 0;
    }
    this.#handler.onTurn();
  }

  #control(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === SETTINGS && (flags & ACK) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE)
          this.firstStreamWindowBytes = payload.readUInt32BE(at + 2);
      }
      this.socket.write(frame(SETTINGS, ACK, 0, new Uint8Array()));
    } else if (type === PING && (flags & ACK) === 0) {
      this.socket.write(frame(PING, ACK, 0, payload));
    } else if (type === WINDOW_UPDATE) {
      if (stream === 0) this.windowBytes += payload.readUInt32BE();
      else this.streamGrantedBytes += payload.readUInt32BE();
    } else if (type === RST_STREAM) {
      // NO_ERROR comes behind an answer that did not wait for the end of its request, and asks for no more of it (RFC 9113, 8.1).
      const code = payload.readUInt32BE();
      if (code !== NO_ERROR) fail(`the server reset stream ${stream} with code ${code}`);
    } else if (type === GOAWAY) {
      fail(`the server sent GOAWAY with code ${payload.readUInt32BE(4)}: ${payload.toString('latin1', 8)}`);
    }
  }

  #giveWindow(bytes: number): void {
    const window = Buffer.alloc(4);
    window.writeUInt32BE(bytes);
    this.socket.write(frame(WINDOW_UPDATE, 0, 0, window));
  }
}

export function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
