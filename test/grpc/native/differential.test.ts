/**
 * The same bytes to both transports: the same requests reach the handler, every call gets the same status.
 *
 *   FUZZ_SECONDS=3600 node --test test/grpc/native/differential.test.ts     goes on for as long, with a new seed
 *
 * Known differences, each with its reason, are listed below; anything else fails.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { failed, OK, refused } from '../../../src/base/outcome.ts';
import { HpackDecoder } from '../../../src/grpc/native/hpack-decoder.ts';
import { type Conversation, chunksOf, toleratedCalls } from '../../support/conversation.ts';
import { TestServer } from '../../support/grpc-server.ts';
import {
  cutFrames,
  FLAG,
  FRAME,
  plainBlock,
  RawClient,
  type RawFrame,
  rawFrame,
  SEND_FIELDS,
} from '../../support/raw-http2.ts';

const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const runs: fc.Parameters<unknown> =
  seconds > 0
    ? {
        numRuns: Number.POSITIVE_INFINITY,
        interruptAfterTimeLimit: seconds * 1000,
        markInterruptAsFailure: false,
      }
    : { seed: 20_261_121, numRuns: 150 };

const servers: Record<string, { server: TestServer; requests: string[] }> = {};

before(async () => {
  for (const transport of ['native', 'grpc-js'] as const) {
    const server = await TestServer.start(transport, { maxRequestBytes: 1024 });
    const requests: string[] = [];
    server.handler = (request, call, respond) => {
      requests.push(Buffer.from(request).toString('hex'));
      const first = request[0] ?? 0;
      // A stream offers it again by itself.
      if (first < 150 || call.isRepeat) respond(OK);
      else if (first < 200) respond(refused('rate_limited', 'too fast', 1));
      else respond(failed('disk', 'write failed'));
    };
    servers[transport] = { server, requests };
  }
});
after(() => {
  for (const { server } of Object.values(servers)) server.destroy();
});

const LAST_PING = rawFrame(FRAME.PING, 0, 0, Buffer.from('last one'));

interface Answer {
  /** `:status` and `grpc-status`, or the error code of a reset. */
  status: string;
  message: string;
}

/** How each stream that was not cancelled ended. */
async function converse(transport: string, conversation: Conversation) {
  const { server, requests } = servers[transport]!;
  requests.length = 0;
  const client = await RawClient.connect(server.target);
  for (const chunk of chunksOf(conversation)) client.write(chunk);
  client.write(LAST_PING);
  const { frames: sent } = cutFrames(conversation.bytes);
  const cancelled = new Set(
    sent.filter(({ type }) => type === FRAME.RST_STREAM).map(({ streamId }) => streamId),
  );
  const opened = new Set(sent.filter(({ type }) => type === FRAME.HEADERS).map(({ streamId }) => streamId));
  for (const streamId of opened) {
    if (!cancelled.has(streamId)) await client.frame((frame) => frame.streamId === streamId && isEnd(frame));
  }
  const answers: Record<number, Answer> = {};
  const decoder = new HpackDecoder(4096);
  for (const { type, streamId, payload } of client.frames) {
    if (type === FRAME.HEADERS) {
      answers[streamId] ??= { status: '', message: '' };
      const answer = answers[streamId];
      decoder.decode(payload, 0, payload.length, {
        onField: ({ name, value }) => {
          if (name === ':status' || name === 'grpc-status') answer.status += `${value} `;
          if (name === 'grpc-message') answer.message = value;
        },
      });
    } else if (type === FRAME.RST_STREAM && answers[streamId] === undefined) {
      answers[streamId] = { status: `reset ${payload.readUInt32BE(0)}`, message: '' };
    } else if (type === FRAME.GOAWAY) {
      answers[0] = { status: `goaway ${payload.readUInt32BE(4)}`, message: '' };
    }
  }
  for (const streamId of cancelled) delete answers[streamId];
  client.close();
  while (server.server.stats().connections > 0) await new Promise(setImmediate);
  server.books();
  return { answers, requests: requests.toSorted(), cancelled: cancelled.size };
}

function isEnd({ type, flags }: RawFrame): boolean {
  return type === FRAME.RST_STREAM || (type === FRAME.HEADERS && (flags & FLAG.END_STREAM) !== 0);
}

/**
 * The one known difference of conversations: with more than one message to a unary call there are several faults
 * to find, and grpc-js names the one that the cut of the bytes shows it first. It must be a fault on both.
 */
function hasOneMessageAtMost(conversation: Conversation, streamId: number): boolean {
  const { frames } = cutFrames(conversation.bytes);
  const parts = frames.filter((frame) => frame.type === FRAME.DATA && frame.streamId === streamId);
  const body = Buffer.concat(parts.map(({ payload }) => payload));
  return body.length < 5 || body.length <= 5 + body.readUInt32BE(1);
}
const SEVERAL_MESSAGES = new Set(['200 8 ', '200 12 ', '200 13 ']);

test('the same bytes, the same statuses and requests', async () => {
  await fc.assert(
    fc.asyncProperty(toleratedCalls, async (conversation) => {
      const reference = await converse('grpc-js', conversation);
      const native = await converse('native', conversation);
      for (const [streamId, answer] of Object.entries(reference.answers)) {
        const ours = native.answers[Number(streamId)];
        if (!hasOneMessageAtMost(conversation, Number(streamId)) && SEVERAL_MESSAGES.has(answer.status)) {
          assert.ok(SEVERAL_MESSAGES.has(ours?.status ?? ''), `stream ${streamId}: ${ours?.status}`);
          continue;
        }
        assert.equal(
          ours?.status,
          answer.status,
          `stream ${streamId}: "${answer.message}" against "${ours?.message}"`,
        );
      }
      // A cancelled call may reach the handler or not, on either.
      if (reference.cancelled === 0) assert.deepEqual(native.requests, reference.requests);
    }),
    runs,
  );
});

/** Header lists one by one: `same` or [native, grpc-js, why]. */
type Verdict = 'same' | readonly [native: string, reference: string, why: string];
const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 5]);
const OK_STATUS = '200 0 ';
const MALFORMED = 'reset 1';
/** The nghttp2 of Node 22 does as we do, that of Node 24 ends the connection. */
const LYING_ENDS = process.version.startsWith('v22.') ? MALFORMED : 'goaway 2';
const NOT_CHECKED = 'RFC 9113 8.2.1 calls it malformed; nghttp2, as Node sets it up, lets it pass';
const NOT_GRPC = 'another protocol; grpc-js looks at the beginning of the word only';
const NOT_POST = 'gRPC is POST; grpc-js does not look';

const added: [name: string, value: string, verdict: Verdict][] = [
  ['grpc-timeout', '10S', 'same'],
  ['grpc-timeout', 'never', 'same'],
  ['grpc-timeout', '123456789S', ['200 13 ', OK_STATUS, 'gRPC allows eight digits; grpc-js takes more']],
  ['grpc-encoding', 'gzip', 'same'],
  ['grpc-encoding', 'snappy', 'same'],
  ['x-some-bin', 'AAEC', 'same'],
  ['content-length', '6', 'same'],
  ['content-length', '3', [MALFORMED, LYING_ENDS, 'RFC 9113 8.1.1: the stream ends, not the connection']],
  ['content-length', 'x', 'same'],
  ['connection', 'close', 'same'],
  ['transfer-encoding', 'chunked', 'same'],
  ['keep-alive', '1', 'same'],
  ['te', 'gzip', 'same'],
  ['te', 'trailers', 'same'],
  ['host', 'else', 'same'],
  ['content-type', 'application/json', 'same'],
  ['Upper', 'case', 'same'],
  ['x y', 'z', [MALFORMED, OK_STATUS, NOT_CHECKED]],
  ['x', ' leading', [MALFORMED, OK_STATUS, NOT_CHECKED]],
  ['x', 'a\0b', [MALFORMED, OK_STATUS, NOT_CHECKED]],
  [':path', '/twice', 'same'],
  [':unknown', 'x', 'same'],
];
const replaced: [name: string, value: string, verdict: Verdict][] = [
  [':method', 'GET', ['405 ', OK_STATUS, NOT_POST]],
  [':method', 'PUT', ['405 ', OK_STATUS, NOT_POST]],
  [':method', 'CONNECT', 'same'],
  [':scheme', 'ftp', 'same'],
  [':path', '', 'same'],
  [':path', '*', 'same'],
  [':path', 'no/slash', 'same'],
  [':path', '/nobody/Nothing', 'same'],
  [':authority', '', 'same'],
  ['content-type', 'application/grpc+proto', 'same'],
  ['content-type', 'application/grpc;x=y', 'same'],
  ['content-type', 'APPLICATION/GRPC', 'same'],
  ['content-type', 'application/json', 'same'],
  ['content-type', 'application/grpc-web', ['415 ', OK_STATUS, NOT_GRPC]],
];
const removed: [name: string, verdict: Verdict][] = [
  [':method', 'same'],
  [':scheme', 'same'],
  [':path', 'same'],
  [':authority', 'same'],
  ['content-type', 'same'],
  ['te', 'same'],
];
const cases: [string, (readonly [string, string])[], Verdict][] = [
  ...added.map(([name, value, verdict]): [string, (readonly [string, string])[], Verdict] => [
    `with ${name}: ${JSON.stringify(value)}`,
    [...SEND_FIELDS, [name, value]],
    verdict,
  ]),
  ...replaced.map(([name, value, verdict]): [string, (readonly [string, string])[], Verdict] => [
    `${name}: ${JSON.stringify(value)}`,
    SEND_FIELDS.map((field) => (field[0] === name ? [name, value] : field)),
    verdict,
  ]),
  ...removed.map(([name, verdict]): [string, (readonly [string, string])[], Verdict] => [
    `without ${name}`,
    SEND_FIELDS.filter((field) => field[0] !== name),
    verdict,
  ]),
];

for (const [name, fields, verdict] of cases) {
  test(`a call ${name}: ${verdict === 'same' ? 'the same' : verdict[2]}`, async () => {
    const bytes = Buffer.concat([
      rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, 1, plainBlock(fields)),
      rawFrame(FRAME.DATA, FLAG.END_STREAM, 1, MESSAGE),
    ]);
    const status = async (transport: string) => {
      const { answers } = await converse(transport, { bytes, cuts: [bytes.length] });
      return (answers[1] ?? answers[0])?.status;
    };
    const [native, reference] = [await status('native'), await status('grpc-js')];
    if (verdict === 'same') assert.equal(native, reference);
    else assert.deepEqual([native, reference], verdict.slice(0, 2));
  });
}
