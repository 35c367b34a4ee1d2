/** Sockets that read into one buffer: the same bytes, the same ends, and nothing of it kept. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { SharedReads } from '../../../src/grpc/native/shared-reads.ts';

async function listening(context: TestContext, onSocket: (socket: Socket) => void): Promise<Server> {
  const reads = new SharedReads();
  const server = createServer({ noDelay: true }, (accepted) => {
    const socket = reads.adopt(accepted);
    assert.notEqual(socket, accepted, 'this Node lets us');
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** `once` would reject with the error of a reset. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

test('what many clients send at once arrives as sent, in chunks of one buffer', async (context) => {
  const sums: Promise<number>[] = [];
  const memory = new Set<ArrayBufferLike>();
  const server = await listening(context, (socket) => {
    let sum = 0;
    socket.on('data', (chunk: Buffer) => {
      memory.add(chunk.buffer);
      for (const byte of chunk) sum += byte;
    });
    sums.push(once(socket, 'end').then(() => sum));
    socket.on('end', () => socket.end());
  });
  const sent = await Promise.all(
    Array.from({ length: 20 }, async (_, client) => {
      const socket = connect(portOf(server), '127.0.0.1');
      let sum = 0;
      for (let i = 0; i < 20; i++) {
        const bytes = Buffer.alloc(10_000 + i * 1000, client + i);
        sum += (client + i) * bytes.length;
        if (!socket.write(bytes)) await once(socket, 'drain');
      }
      socket.end();
      socket.resume();
      await once(socket, 'close');
      return sum;
    }),
  );
  const received = await Promise.all(sums);
  assert.deepEqual(received.toSorted(), sent.toSorted());
  assert.equal(memory.size, 1);
});

test('pause holds the client back, resume goes on, and addresses and answers are as ever', async (context) => {
  let adopted!: Socket;
  const server = await listening(context, (socket) => {
    adopted = socket;
  });
  const client = connect(portOf(server), '127.0.0.1');
  await once(client, 'connect');
  await new Promise(setImmediate);
  let received = 0;
  adopted.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  adopted.pause();
  const total = 64 * 1024 * 1024;
  client.write(Buffer.alloc(total));
  // More than the kernel's buffers take: it cannot all have left.
  assert.ok(client.writableLength > 0);
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  const whilePaused = received;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.equal(received, whilePaused);
  assert.equal(adopted.remotePort, client.localPort);
  assert.equal(adopted.remoteAddress, '127.0.0.1');
  adopted.resume();
  await once(client, 'drain');
  adopted.write('heard');
  assert.equal(String((await once(client, 'data'))[0]), 'heard');
  client.end();
  await once(adopted, 'end');
  adopted.end();
  await once(adopted, 'close');
  assert.equal(received, total);
});

test('a reset ends it, a reset can be sent, and the server closes', async (context) => {
  const sockets: Socket[] = [];
  const server = await listening(context, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
  });
  const first = connect(portOf(server), '127.0.0.1');
  first.write('x');
  await once(first, 'connect');
  while (sockets.length < 1) await new Promise(setImmediate);
  first.resetAndDestroy();
  await closing(sockets[0]!);
  const second = connect(portOf(server), '127.0.0.1');
  second.on('error', () => {});
  await once(second, 'connect');
  while (sockets.length < 2) await new Promise(setImmediate);
  sockets[1]!.resetAndDestroy();
  await closing(second);
  const closed = once(server, 'close');
  server.close();
  await closed;
});

test('what is no plain accepted socket stays what it is', () => {
  const reads = new SharedReads();
  const socket = new Socket();
  assert.equal(reads.adopt(socket), socket);
});
