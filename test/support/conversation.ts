/** Arbitrary conversations of a client with the server, as frames: mostly right, partly not. */
import fc from 'fast-check';
import { FLAG, FRAME, plainBlock, rawFrame, SEND_FIELDS, STREAM_FIELDS } from './raw-http2.ts';

type Change = readonly (readonly [string, string])[];

/** What may go wrong with the headers of a call, and what is only unusual. */
const CHANGES: readonly Change[] = [
  [],
  [],
  [],
  [],
  [['grpc-timeout', '10S']],
  [['grpc-timeout', 'never']],
  [['grpc-encoding', 'gzip']],
  [['x-some', 'metadata']],
  [['x-some-bin', 'AAEC']],
  [['connection', 'close']],
  [['Upper', 'case']],
  [[':path', '/twice']],
];
/** nghttp2 ends the connection over it, where RFC 9113 8.1.1 wants the stream to end. */
const LYING: Change = [['content-length', '3']];

const anyBody = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.uint8Array({ maxLength: 60 }).map((content) => prefixed(content, content.length, 0)),
  },
  fc
    .record({ content: fc.uint8Array({ maxLength: 60 }), length: fc.nat(100), flag: fc.nat(3) })
    .map(({ content, length, flag }) => prefixed(content, length, flag)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(prefixed(new Uint8Array(0), 0x7fff_ffff, 0)),
);

/** Of a stream: any number of them, one behind the other. */
const manyBodies = fc.array(anyBody, { maxLength: 5 }).map((bodies) => Buffer.concat(bodies));

function prefixed(content: Uint8Array, length: number, flag: number): Buffer {
  const bytes = Buffer.alloc(5 + content.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  bytes.set(content, 5);
  return bytes;
}

type Step = (state: { nextStreamId: number }) => Buffer;

/** The bytes of `body` that a call may send before it is cancelled. */
type CancelledBefore = (body: Buffer) => number;

/** A stream's message that is whole is a request, and may be served or not when the call is cancelled behind it. */
const beforeAnyRequest: CancelledBefore = (body) =>
  body.length < 5 ? body.length : 4 + body.readUInt32BE(1);

/** A whole call: headers, body in one or two frames, the end. */
const callWith = (
  changes: readonly Change[],
  body: fc.Arbitrary<Buffer> = anyBody,
  fields = SEND_FIELDS,
  cancelledBefore: CancelledBefore = (body) => body.length,
): fc.Arbitrary<Step> =>
  fc
    .record({
      changes: fc.constantFrom(...changes),
      body,
      cut: fc.nat(60),
      endsApart: fc.boolean(),
      isCancelled: fc.integer({ min: 0, max: 9 }),
    })
    .map(({ changes, body, cut, endsApart, isCancelled }) => (state) => {
      const streamId = state.nextStreamId;
      state.nextStreamId += 2;
      const at = Math.min(cut, isCancelled === 0 ? cancelledBefore(body) : body.length);
      return Buffer.concat([
        rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, streamId, plainBlock([...fields, ...changes])),
        ...(at > 0 ? [rawFrame(FRAME.DATA, 0, streamId, body.subarray(0, at))] : []),
        ...(isCancelled === 0 ? [rawFrame(FRAME.RST_STREAM, 0, streamId, [0, 0, 0, 8])] : []),
        ...(isCancelled === 0
          ? []
          : [rawFrame(FRAME.DATA, endsApart ? 0 : FLAG.END_STREAM, streamId, body.subarray(at))]),
        ...(endsApart && isCancelled !== 0 ? [rawFrame(FRAME.DATA, FLAG.END_STREAM, streamId)] : []),
      ]);
    });

/** A frame of any kind on a stream that may be open, closed or idle. */
const stray: fc.Arbitrary<Step> = fc
  .record({
    type: fc.nat(11),
    flags: fc.nat(255),
    back: fc.integer({ min: -3, max: 6 }),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc.constant(new Uint8Array(8)),
      fc.constant(new Uint8Array([0, 0, 1, 0])),
    ),
  })
  .map(
    ({ type, flags, back, payload }) =>
      (state) =>
        rawFrame(type, flags, Math.max(0, state.nextStreamId - back), payload),
  );

export interface Conversation {
  /** Everything after the greeting. */
  readonly bytes: Buffer;
  /** Where to cut it into chunks. */
  readonly cuts: readonly number[];
}

const steps = (arbitrary: fc.Arbitrary<Step>, maxLength: number) =>
  fc.array(arbitrary, { minLength: 1, maxLength }).map((steps) => {
    const state = { nextStreamId: 1 };
    return Buffer.concat(steps.map((step) => step(state)));
  });

const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 });

const call = fc.oneof(
  { weight: 2, arbitrary: callWith([...CHANGES, LYING]) },
  callWith([...CHANGES, LYING], manyBodies, STREAM_FIELDS),
);
const toleratedCall = fc.oneof(
  { weight: 2, arbitrary: callWith(CHANGES) },
  callWith(CHANGES, manyBodies, STREAM_FIELDS),
);

/** Calls only. */
export const calls: fc.Arbitrary<Conversation> = fc.record({ bytes: steps(call, 12), cuts });
/** Calls that leave the connection alone, on every server. */
export const toleratedCalls: fc.Arbitrary<Conversation> = fc.record({
  bytes: steps(toleratedCall, 12),
  cuts,
});

/** The same around messages of the caller's making; what is cancelled has sent no whole request. */
export function toleratedCallsOf(messages: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Conversation> {
  const bodies = messages.map((message) => prefixed(message, message.length, 0));
  const streamed = fc.array(bodies, { maxLength: 5 }).map((several) => Buffer.concat(several));
  const step = fc.oneof(
    { weight: 2, arbitrary: callWith(CHANGES, bodies) },
    callWith(CHANGES, streamed, STREAM_FIELDS, beforeAnyRequest),
  );
  return fc.record({ bytes: steps(step, 12), cuts });
}

/** Calls, stray frames between them, and bytes that changed on the way. */
export const noise: fc.Arbitrary<Conversation> = fc
  .record({
    bytes: steps(fc.oneof({ weight: 4, arbitrary: call }, stray), 12),
    mutations: fc.array(fc.record({ at: fc.nat(4000), value: fc.nat(255) }), { maxLength: 4 }),
    cuts,
  })
  .map(({ bytes, mutations, cuts }) => {
    const mutated = Buffer.from(bytes);
    for (const { at, value } of mutations) if (at < mutated.length) mutated[at] = value;
    return { bytes: mutated, cuts };
  });

export function chunksOf({ bytes, cuts }: Conversation): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + cuts[i % cuts.length]!);
    chunks.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return chunks;
}
