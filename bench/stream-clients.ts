/**
 * Clients of StreamSensorValues: `node bench/stream-clients.ts <host:port> <connections> <duration-ms> <message-file>`. Each
 * connection has one stream and sends the same message as fast as the windows of HTTP/2 let it. At the end the
 * streams are finished, and what was acknowledged is printed: `{"requests":N}`. A stream that ends before its time, or
 * with less acknowledged than was sent, is a fault.
 *
 * Frames full of messages are made beforehand: a load generator in JavaScript is to be no part of the figure.
 */
import { readFileSync } from 'node:fs';
import { requestsOf } from '../test/support/stream-client.ts';
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_PAYLOAD_BYTES,
  FrameConnection,
  fail,
  frame,
  grpcHeaders,
  HEADERS,
} from './http2-frames.ts';

const STREAM_PATH = '/sensor.v1.SensorService/StreamSensorValues';
const STREAM = 1;
const MESSAGE_PREFIX_BYTES = 5;
/** In one write: a part of the stream's window of 256 KiB, so that the next is under way before it is used up. */
const WRITE_FRAMES = 4;

const [target = '', connections = '1', durationMs = '1000', messageFile = ''] = process.argv.slice(2);
const message = readFileSync(messageFile);
const perFrame = Math.max(1, Math.floor(FRAME_PAYLOAD_BYTES / message.length));
const payload = Buffer.concat(Array<Buffer>(perFrame).fill(message));
if (payload.length > FRAME_PAYLOAD_BYTES) fail('the message is too long for one frame');
const frames = Buffer.concat(Array<Buffer>(WRITE_FRAMES).fill(frame(DATA, 0, STREAM, payload)));
const windowPerWrite = WRITE_FRAMES * payload.length;
const endAtMs = Date.now() + Number(durationMs);

/** Returns the requests that were acknowledged. */
function runStream(): Promise<number> {
  return new Promise((resolve) => {
    let sent = 0;
    let sentBytes = 0;
    let acknowledged = 0;
    let isFinished = false;
    let isFull = false;
    let rest = Buffer.alloc(0);

    const read = (bytes: Buffer): void => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= MESSAGE_PREFIX_BYTES) {
        const end = MESSAGE_PREFIX_BYTES + rest.readUInt32BE(1);
        if (rest.length < end) return;
        acknowledged = requestsOf(rest.subarray(MESSAGE_PREFIX_BYTES, end));
        rest = rest.subarray(end);
      }
    };

    const pump = (): void => {
      if (isFinished) return;
      if (Date.now() >= endAtMs) {
        isFinished = true;
        connection.socket.write(frame(DATA, END_STREAM, STREAM, new Uint8Array()));
        return;
      }
      while (!isFull) {
        const streamBytes = connection.firstStreamWindowBytes + connection.streamGrantedBytes - sentBytes;
        if (Math.min(streamBytes, connection.windowBytes) < windowPerWrite) return;
        connection.windowBytes -= windowPerWrite;
        sentBytes += windowPerWrite;
        sent += perFrame * WRITE_FRAMES;
        isFull = !connection.socket.write(frames);
      }
    };

    const connection = new FrameConnection(target, {
      onFrame(type, flags, _stream, bytes, start, end) {
        if (type === DATA) read(bytes.subarray(start, end));
        if (type !== HEADERS || (flags & END_STREAM) === 0) return;
        if (!isFinished) fail(`a stream ended after ${acknowledged} requests`);
        if (acknowledged !== sent) fail(`${sent} requests sent, ${acknowledged} acknowledged`);
        connection.socket.destroy();
        resolve(sent);
      },
      onTurn: pump,
    });
    connection.socket.on('drain', () => {
      isFull = false;
      pump();
    });
    connection.socket.write(frame(HEADERS, END_HEADERS, STREAM, grpcHeaders(STREAM_PATH)));
  });
}

const all = await Promise.all(Array.from({ length: Number(connections) }, runStream));
console.log(JSON.stringify({ requests: all.reduce((sum, requests) => sum + requests, 0) }));
