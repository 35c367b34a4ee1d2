/**
 * Conversations at random, without a network: what the server makes of bytes does not depend on how they were
 * cut, and nothing that a client can send makes it throw, hang, or lose count.
 *
 *   FUZZ_SECONDS=3600 node --test test/grpc/native/fuzz.test.ts     goes on for as long, with a new seed
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failed, OK, refused } from '../../../src/base/outcome.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import { Ledger } from '../../../src/observe/ledger.ts';
import { type Conversation, calls, chunksOf, noise } from '../../support/conversation.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { PaperSocket } from '../../support/paper-socket.ts';
import { cutFrames, FRAME, GREETING } from '../../support/raw-http2.ts';

const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const runs: fc.Parameters<unknown> =
  seconds > 0
    ? {
        numRuns: Number.POSITIVE_INFINITY,
        interruptAfterTimeLimit: seconds * 500,
        markInterruptAsFailure: false,
      }
    : { seed: 20_261_120, numRuns: 700 };

interface Result {
  readonly output: string;
  readonly books: unknown;
  readonly requests: readonly string[];
}

/** The answer depends on the request alone. Now and then there is none. */
function serverOnPaper() {
  const ledger = new Ledger();
  const requests: string[] = [];
  const server = new NativeServer(
    {
      maxRequestBytes: 1000,
      maxConnections: 4,
      maxStreamsPerConnection: 5,
      receiveBufferBytes: 1 << 20,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 1000,
    },
    {
      ledger,
      // It stands still: what is dear is held back for a later turn, and here there is none.
      clock: new ManualClock(),
      sendSensorValues: (request, _call, respond) => {
        requests.push(Buffer.from(request).toString('hex'));
        const first = request[0] ?? 0;
        if (first < 150) respond(OK);
        else if (first < 170) respond(refused('queue_full', 'full', 250));
        else if (first < 190) respond(failed('disk', 'write failed'));
      },
      events: {
        onConnectionRefused() {},
        onHandlerFault: (error) => {
          throw error;
        },
      },
    },
  );
  return { server, ledger, requests };
}

async function converse(chunks: readonly Buffer[]): Promise<Result> {
  const { server, ledger, requests } = serverOnPaper();
  const socket = new PaperSocket();
  server.onConnection(socket.asSocket());
  socket.feed(GREETING);
  for (const chunk of chunks) socket.feed(chunk);
  server.destroy();
  await new Promise(setImmediate);
  const books = ledger.snapshot().requests;
  assert.equal(books.difference, 0);
  assert.equal(books.inFlight, 0);
  const stats = server.stats();
  assert.deepEqual(
    [stats.calls, stats.sideCalls, stats.connections, stats.receiveBufferUsedBytes],
    [0, 0, 0, 0],
  );
  const { rest, frames } = cutFrames(socket.output);
  assert.equal(rest.length, 0, 'the output ends within a frame');
  assert.equal(frames[0]!.type, FRAME.SETTINGS);
  return { output: socket.output.toString('hex'), books, requests };
}

async function isTheSameInChunks(conversation: Conversation): Promise<void> {
  const whole = await converse([conversation.bytes]);
  const cut = await converse(chunksOf(conversation));
  assert.deepEqual(cut.requests, whole.requests);
  assert.deepEqual(cut.books, whole.books);
  assert.equal(cut.output, whole.output);
}

test('calls: the same requests, answers and books however they are cut', async () => {
  await fc.assert(fc.asyncProperty(calls, isTheSameInChunks), runs);
});

test('noise: the same too, and never more than a fault of the connection', async () => {
  await fc.assert(fc.asyncProperty(noise, isTheSameInChunks), runs);
});
