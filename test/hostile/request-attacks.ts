/** Attacks within the call: well-formed HTTP/2 around messages that lie, explode, nest or pretend to be paths. */
import { gzipSync } from 'node:zlib';
import { frame as grpcFrame } from '../support/grpc-client.ts';
import { FLAG, FRAME, plainBlock, rawFrame, SEND_BLOCK, SEND_FIELDS } from '../support/raw-http2.ts';
import { bytesField, tag, varint, varintField } from '../support/wire-bytes.ts';
import { type Attack, firstStream } from './attack.ts';

const GZIP_BLOCK = plainBlock([...SEND_FIELDS, ['grpc-encoding', 'gzip']]);
/** What a stream may carry before the server has to grant more: sent without waiting for it. */
const WINDOW_BYTES = 65_535;
const MAX_FRAME_BYTES = 16_384;

const repeated = (count: number, part: readonly number[]): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => Buffer.from(part)));
const reading = (...fields: readonly (readonly number[])[]): number[] => bytesField(1, fields.flat());
const name = bytesField(1, 'victim');
const VALUE = bytesField(2, bytesField(2, varintField(1, 1)));

/** One call: headers, and the body in DATA frames within the window that every stream begins with. */
function call(streamId: number, body: Uint8Array, block: Uint8Array = SEND_BLOCK): Buffer {
  const frames = [rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, streamId, block)];
  const sent = body.subarray(0, WINDOW_BYTES);
  for (let at = 0; at === 0 || at < sent.length; at += MAX_FRAME_BYTES) {
    const part = sent.subarray(at, at + MAX_FRAME_BYTES);
    const isLast = at + MAX_FRAME_BYTES >= sent.length && sent.length === body.length;
    frames.push(rawFrame(FRAME.DATA, isLast ? FLAG.END_STREAM : 0, streamId, part));
  }
  return Buffer.concat(frames);
}

/** Calls of the same body, `perPiece` of them at once. */
function calls(body: Uint8Array, perPiece = 20, block?: Uint8Array): Attack['piece'] {
  return (n) =>
    Buffer.concat(Array.from({ length: perPiece }, (_, i) => call(firstStream(n) + 2 * i, body, block)));
}

/** The five bytes before a message, saying what they like. */
function prefix(flag: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = flag;
  bytes.writeUInt32BE(lengthBytes, 1);
  return bytes;
}

/** Groups within groups, as deep as fits; fields nobody knows must be skipped all the same. */
function nestedGroups(depth: number): Buffer {
  return Buffer.concat([repeated(depth, tag(9, 3)), repeated(depth, tag(9, 4))]);
}

/** Messages within messages, each inside field `field` of the one around it. */
function nestedMessages(field: number, depth: number): number[] {
  let inner: number[] = [];
  for (let i = 0; i < depth; i++) inner = bytesField(field, inner);
  return inner;
}

const PATH_LIKE_NAMES = [
  '../../../../etc/cron.d/root',
  '/etc/passwd',
  'C:\\Windows\\System32\\config',
  '..\\..\\boot.ini',
  '.journal/manifest.jsonl',
  'telemetry-20261120T100000Z-000001.jsonl',
  '$(reboot)',
  '`reboot`',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what attackers send, not a template
  '${jndi:ldap://127.0.0.1/a}',
  '%2e%2e%2f',
  "'; DROP TABLE readings; --",
  '<script>alert(1)</script>',
  'line\nbreak","sensor_value":666,"x":"',
  'line\r\nbreak',
  '\u001b[2J\u001b]0;title\u0007',
  '\u0000',
  '\u202Egnp.exe',
  '__proto__',
  'constructor',
  '=HYPERLINK("http://127.0.0.1")',
];

/** Producers invented so far. */
let producers = 0;

const bomb = gzipSync(Buffer.alloc(64 << 20), { level: 9 });

export const requestAttacks: readonly Attack[] = [
  {
    name: 'gzip bomb',
    what: '64 MiB of zeros in 64 KiB, again and again',
    piece: calls(Buffer.concat([prefix(1, bomb.length), bomb]), 4, GZIP_BLOCK),
  },
  {
    name: 'gzip of gzip',
    what: 'a bomb in a bomb',
    piece: calls(grpcFrame(gzipSync(bomb), 1), 20, GZIP_BLOCK),
  },
  {
    name: 'gzip of many members',
    what: 'thousands of empty members in one message',
    piece: calls(grpcFrame(repeated(3000, [...gzipSync('')]), 1), 10, GZIP_BLOCK),
  },
  {
    name: 'not gzip',
    what: 'says gzip and sends something else',
    piece: calls(grpcFrame(Buffer.alloc(2000, 0x5a), 1), 20, GZIP_BLOCK),
  },
  {
    name: 'a prefix of 4 GiB',
    what: 'announces a message of 4 GiB - 1',
    piece: calls(prefix(0, 0xffff_ffff)),
  },
  {
    name: 'announced and never sent',
    what: 'announces messages of 4 MiB, sends nothing, holds the calls',
    piece: (n) =>
      n === 0
        ? Buffer.concat(
            Array.from({ length: 100 }, (_, i) =>
              Buffer.concat([
                rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, firstStream(0) + 2 * i, SEND_BLOCK),
                rawFrame(FRAME.DATA, 0, firstStream(0) + 2 * i, prefix(0, 4 << 20)),
              ]),
            ),
          )
        : undefined,
  },
  {
    name: 'a prefix that is too long',
    what: 'announces a byte more than comes',
    piece: calls(Buffer.concat([prefix(0, 11), Buffer.alloc(10)])),
  },
  {
    name: 'a prefix that is too short',
    what: 'announces a byte less than comes',
    piece: calls(Buffer.concat([prefix(0, 9), Buffer.alloc(10)])),
  },
  {
    name: 'nested groups',
    what: 'groups within groups, to the end of the stack',
    piece: calls(grpcFrame(Buffer.from(reading(name, [...nestedGroups(15_000)])))),
  },
  {
    name: 'nested messages',
    what: 'measurements within measurements',
    piece: calls(grpcFrame(Buffer.from(reading(name, nestedMessages(2, 2000))))),
  },
  {
    name: 'one field a thousand times',
    what: 'a reading whose name, value and measurement come again and again; the last one wins',
    piece: calls(grpcFrame(Buffer.from(reading([...repeated(1500, name)], [...repeated(1500, VALUE)])))),
  },
  {
    name: 'a thousand labels',
    what: 'labels without end, half of them twice',
    piece: calls(
      grpcFrame(
        Buffer.from(
          reading(
            name,
            Array.from({ length: 3000 }, (_, i) =>
              bytesField(3, [...bytesField(1, `k${i % 1500}`), ...bytesField(2, 'v')]),
            ).flat(),
          ),
        ),
      ),
      5,
    ),
  },
  {
    name: 'readings without anything',
    what: 'thousands of empty readings',
    piece: calls(grpcFrame(repeated(20_000, [0x0a, 0x00]))),
  },
  {
    name: 'lengths of 2^63',
    what: 'field lengths beyond every integer',
    piece: (n) =>
      Buffer.concat(
        [1n << 31n, (1n << 32n) - 1n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n].map(
          (length, i) =>
            call(firstStream(n) + 2 * i, grpcFrame(Buffer.from([...tag(1, 2), ...varint(length), 1, 2, 3]))),
        ),
      ),
  },
  {
    name: 'varints without end',
    what: 'ten and more bytes of varint, as tag, as length and as value',
    piece: calls(Buffer.concat([grpcFrame(Buffer.alloc(1000, 0xff))])),
  },
  {
    name: 'field numbers out of range',
    what: 'field 0, and fields beyond 2^29',
    piece: (n) =>
      Buffer.concat([
        call(firstStream(n), grpcFrame(Buffer.from([0x00, 0x01]))),
        call(firstStream(n) + 2, grpcFrame(Buffer.from([...varint((1n << 35n) - 8n), 0x01]))),
      ]),
  },
  {
    name: 'names that are paths',
    what: 'names that a careless program would open, run, print or paste',
    piece: (n) =>
      Buffer.concat(
        PATH_LIKE_NAMES.map((hostile, i) =>
          call(firstStream(n) + 2 * i, grpcFrame(Buffer.from(reading(bytesField(1, hostile), VALUE)))),
        ),
      ),
  },
  {
    name: 'nothing wrong',
    what: 'requests as honest clients send them, as many as are taken',
    piece: calls(grpcFrame(repeated(100, reading(name, VALUE))), 40),
  },
  {
    name: 'a call now and then',
    what: 'the same from each of as many connections as are asked for, none of which does much',
    pauseMs: 20,
    piece: calls(grpcFrame(repeated(100, reading(name, VALUE))), 1),
  },
  {
    name: 'names that grow',
    what: 'control characters, each six bytes in the line',
    piece: calls(grpcFrame(Buffer.from(reading(bytesField(1, '\u0001'.repeat(60_000)), VALUE))), 5),
  },
  {
    name: 'bad UTF-8',
    what: 'overlong, truncated and surrogate sequences in every string',
    piece: (n) =>
      Buffer.concat(
        [
          [0xc0, 0x80],
          [0xed, 0xa0, 0x80],
          [0xf8, 0x88, 0x80, 0x80, 0x80],
          [0xe2, 0x82],
        ].map((bytes, i) =>
          call(firstStream(n) + 2 * i, grpcFrame(Buffer.from(reading(bytesField(1, bytes), VALUE)))),
        ),
      ),
  },
  {
    name: 'a new producer every time',
    what: 'numbers its readings under a name of its own with each request',
    piece: (n) =>
      Buffer.concat(
        Array.from({ length: 50 }, (_, i) =>
          call(
            firstStream(n) + 2 * i,
            grpcFrame(
              Buffer.from([
                ...reading(name, VALUE),
                ...bytesField(2, `producer-${producers++}`),
                ...varintField(3, 1),
              ]),
            ),
          ),
        ),
      ),
  },
  {
    name: 'numbers far ahead',
    what: 'leaves a gap before each request, so that all of them wait',
    piece: (n) =>
      Buffer.concat(
        Array.from({ length: 50 }, (_, i) =>
          call(
            firstStream(n) + 2 * i,
            grpcFrame(
              Buffer.from([
                ...reading(name, VALUE),
                ...bytesField(2, 'leaper'),
                ...varintField(3, 1 + 10 * (n * 50 + i)),
              ]),
            ),
          ),
        ),
      ),
  },
];
