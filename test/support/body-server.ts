/** The HTTP/2 layer without gRPC: answers every request with a body, as tools that test HTTP/2 want it. */
import { createServer, type Server } from 'node:net';
import { BufferPool } from '../../src/base/buffer-pool.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openDoor } from '../../src/grpc/caller.ts';
import { ClientTurns } from '../../src/grpc/native/client-turns.ts';
import { type ConnectionHost, Http2Connection } from '../../src/grpc/native/connection.ts';
import { DearLimit } from '../../src/grpc/native/dear-limit.ts';
import { DearTurns } from '../../src/grpc/native/dear-turns.ts';
import { RECEIVE_POOL_BYTES } from '../../src/grpc/native/limits.ts';
import { RequestHeadBuilder, TrailerCheck } from '../../src/grpc/native/request-head.ts';
import type { Http2Stream, StreamConsumer } from '../../src/grpc/native/stream.ts';
import { WriteBuffers } from '../../src/grpc/native/write-buffers.ts';

const BODY = Buffer.from('0123456789abcdef');

/** Answers once the request is there. */
class Answer implements StreamConsumer {
  readonly #stream: Http2Stream;
  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }
  onData(_bytes: Buffer, start: number, end: number): void {
    this.#stream.grant(end - start);
  }
  onEnd(): void {
    this.#stream.sendHeaders();
    this.#stream.sendMessage(BODY);
    this.#stream.sendTrailers([['grpc-status', '0']]);
  }
  onClosed(): void {}
  onDrained(): void {}
  onStalled(): void {}
}

/** Its port on 127.0.0.1. */
export function startBodyServer(maxStreams: number): Promise<{ server: Server; port: number }> {
  const scratch = { head: new RequestHeadBuilder(), trailers: new TrailerCheck() };
  const host: ConnectionHost = {
    clock: systemClock,
    door: openDoor,
    buffers: new WriteBuffers(),
    memory: new BufferPool(RECEIVE_POOL_BYTES),
    maxStreams,
    accept: (stream) => (stream.consumer = new Answer(stream)),
    onDue: (connection) => queueMicrotask(() => connection.flush()),
    onWork: () => {},
    turns: new ClientTurns(systemClock),
    dear: new DearTurns(systemClock),
    dearLimit: new DearLimit(systemClock, undefined),
    heldBack: 0,
  };
  const server = createServer({ noDelay: true }, (socket) => new Http2Connection(socket, host, scratch));
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({ server, port: (server.address() as { port: number }).port }),
    );
  });
}
