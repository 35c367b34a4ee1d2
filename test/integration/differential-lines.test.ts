/**
 * The same bytes to two whole daemons, one on each transport: the same statuses, and the same lines on disk.
 *
 *   FUZZ_SECONDS=3600 node --test test/integration/differential-lines.test.ts     goes on for as long, with a new seed
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../src/grpc/native/hpack-decoder.ts';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';
import { type Conversation, chunksOf, toleratedCallsOf } from '../support/conversation.ts';
import { daemonHome } from '../support/daemon.ts';
import { cutFrames, FLAG, FRAME, RawClient, type RawFrame } from '../support/raw-http2.ts';
import { requestBytes } from '../support/request-arbitrary.ts';

const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const runs: fc.Parameters<unknown> =
  seconds > 0
    ? {
        numRuns: Number.POSITIVE_INFINITY,
        interruptAfterTimeLimit: seconds * 1000,
        markInterruptAsFailure: false,
      }
    : { seed: 20_261_121, numRuns: 100 };

/** Requests as sensors send them, in every form the wire allows, a third of them with something to refuse. */
const messages = fc.oneof(
  { weight: 2, arbitrary: requestBytes({ plain: true }) },
  requestBytes({ plain: false }),
);

test('the same bytes, the same statuses and lines', { timeout: (seconds + 120) * 2000 }, async (t) => {
  const [native, reference] = await Promise.all(
    ['native', 'grpc-js'].map(async (transport) => {
      const home = await daemonHome(t);
      const daemon = home.start({ TRANSPORT: transport, ACK: 'written' });
      const { grpc } = await daemon.ready();
      return { folder: home.folder, daemon, target: grpc };
    }),
  );
  const converse = async (conversation: Conversation): Promise<void> => {
    const cancelled = streamsOf(conversation, FRAME.RST_STREAM);
    const [ours, theirs] = await Promise.all([
      statuses(native!.target, conversation, cancelled),
      statuses(reference!.target, conversation, cancelled),
    ]);
    assert.deepEqual(ours, theirs);
  };
  let conversations = 0;
  let last = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(toleratedCallsOf(messages), (conversation) => {
      conversations++;
      last = converse(conversation);
      return last;
    }),
    runs,
  );
  // When the time is up, fast-check leaves the conversation that is under way: one daemon may have read more of it.
  await last;
  for (const { daemon } of [native!, reference!]) assert.equal((await daemon.stop()).status, 0);
  const [ours, theirs] = [await linesIn(native!.folder), await linesIn(reference!.folder)];
  t.diagnostic(`${conversations} conversations, ${ours.length} lines`);
  assert.ok(ours.length > 0);
  assert.deepEqual(ours, theirs);
});

function streamsOf({ bytes }: Conversation, type: number): ReadonlySet<number> {
  return new Set(cutFrames(bytes).frames.flatMap((frame) => (frame.type === type ? [frame.streamId] : [])));
}

/** `grpc-status` by stream. A cancelled call sent no whole request: there is nothing to serve, on either. */
async function statuses(
  target: string,
  conversation: Conversation,
  cancelled: ReadonlySet<number>,
): Promise<Readonly<Record<number, string>>> {
  const client = await RawClient.connect(target);
  for (const chunk of chunksOf(conversation)) client.write(chunk);
  for (const streamId of streamsOf(conversation, FRAME.HEADERS)) {
    if (!cancelled.has(streamId)) await client.frame((frame) => frame.streamId === streamId && isEnd(frame));
  }
  const found: Record<number, string> = {};
  const decoder = new HpackDecoder(4096);
  for (const { type, streamId, payload } of client.frames) {
    if (type === FRAME.RST_STREAM) found[streamId] ??= `reset ${payload.readUInt32BE(0)}`;
    if (type !== FRAME.HEADERS) continue;
    decoder.decode(payload, 0, payload.length, {
      onField: ({ name, value }) => {
        if (name === 'grpc-status') found[streamId] = value;
      },
    });
  }
  for (const streamId of cancelled) delete found[streamId];
  client.close();
  return found;
}

function isEnd({ type, flags }: RawFrame): boolean {
  return type === FRAME.RST_STREAM || (type === FRAME.HEADERS && (flags & FLAG.END_STREAM) !== 0);
}

/** Every line but for the moment of its arrival, sorted: connections are not ordered among each other. */
async function linesIn(folder: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) lines.push(line.toString().replace(/"received_at":"[^"]*"/, ''));
  }
  return lines.sort();
}
