/** Cutting bytes into frames: the same frames for every way in which the network cuts the bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BufferPool } from '../../../src/base/buffer-pool.ts';
import { FrameReader } from '../../../src/grpc/native/frame-reader.ts';
import { CLIENT_PREFACE, ConnectionFault, ERROR_CODE } from '../../../src/grpc/native/protocol.ts';
import { rawFrame } from '../../support/raw-http2.ts';

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: string;
}

function readerWith() {
  const seen: Seen[] = [];
  const sink = {
    isDeaf: false,
    onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number) {
      seen.push({ type, flags, streamId, payload: bytes.toString('hex', start, end) });
    },
  };
  return { seen, sink, reader: new FrameReader(sink, new BufferPool(65_536)) };
}

function faultCode(run: () => void): number | undefined {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConnectionFault);
    return error.code;
  }
  return undefined;
}

const someFrame = fc.record({
  type: fc.nat(255),
  flags: fc.nat(255),
  streamId: fc.nat(0x7fff_ffff),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.nat(16_384).map((length) => new Uint8Array(length).fill(7)),
  ),
});

test('any frames, cut anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(someFrame, { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9000 })),
      (frames, cuts) => {
        const bytes = Buffer.concat([
          CLIENT_PREFACE,
          ...frames.map(({ type, flags, streamId, payload }) => rawFrame(type, flags, streamId, payload)),
        ]);
        const { reader, seen } = readerWith();
        for (let at = 0; at < bytes.length; ) {
          const end = Math.min(bytes.length, at + cuts.next().value!);
          reader.read(Buffer.from(bytes.subarray(at, end)));
          at = end;
        }
        assert.deepEqual(
          seen,
          frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload).toString('hex') })),
        );
        assert.equal(reader.heldBytes, 0);
      },
    ),
    { seed: 11, numRuns: 300 },
  );
});

test('byte by byte', () => {
  const { reader, seen } = readerWith();
  for (const byte of Buffer.concat([CLIENT_PREFACE, rawFrame(0, 1, 1, [1, 2, 3]), rawFrame(6, 0, 0, [])])) {
    reader.read(Buffer.from([byte]));
  }
  assert.deepEqual(
    seen.map(({ type, payload }) => [type, payload]),
    [
      [0, '010203'],
      [6, ''],
    ],
  );
});

test('a frame that lies whole in a chunk is not copied', () => {
  const { reader, sink } = readerWith();
  const chunk = Buffer.concat([CLIENT_PREFACE, rawFrame(0, 0, 1, [1, 2, 3])]);
  let got: Buffer | undefined;
  sink.onFrame = (_type, _flags, _id, bytes) => {
    got = bytes;
  };
  reader.read(chunk);
  assert.equal(got, chunk);
});

test('the reserved bit of the stream id is ignored', () => {
  const { reader, seen } = readerWith();
  reader.read(Buffer.concat([CLIENT_PREFACE, rawFrame(0, 0, 0x8000_0001, [])]));
  assert.equal(seen[0]!.streamId, 1);
});

test('a preface that is none, found at its first wrong byte', () => {
  for (const text of ['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\rX', 'P\n']) {
    const { reader } = readerWith();
    assert.equal(
      faultCode(() => reader.read(Buffer.from(text))),
      ERROR_CODE.PROTOCOL_ERROR,
    );
  }
});

test('a frame over the limit is a fault at its header, whole or cut', () => {
  const header = rawFrame(0, 0, 1, [], 16_385);
  const { reader } = readerWith();
  assert.equal(
    faultCode(() => reader.read(Buffer.concat([CLIENT_PREFACE, header]))),
    ERROR_CODE.FRAME_SIZE_ERROR,
  );
  const { reader: cut } = readerWith();
  cut.read(CLIENT_PREFACE);
  cut.read(header.subarray(0, 4));
  assert.equal(
    faultCode(() => cut.read(header.subarray(4))),
    ERROR_CODE.FRAME_SIZE_ERROR,
  );
});

test('a sink that turns deaf gets no further frame', () => {
  const { reader, seen, sink } = readerWith();
  const inner = sink.onFrame;
  sink.onFrame = (...frame) => {
    inner(...frame);
    sink.isDeaf = true;
  };
  reader.read(Buffer.concat([CLIENT_PREFACE, rawFrame(6, 0, 0, []), rawFrame(6, 0, 0, [])]));
  assert.equal(seen.length, 1);
});
