/**
 * A checkpoint of the producers: what each had in the journal when a segment was begun or ended, one JSON line each, so
 * that a restart reads one segment and not the whole journal.
 *
 *   {"checkpoint":1,"segment":7,"scan_from":6,"producers":2}
 *   {"producer_id":"gateway-1","next":"1001","seen_at":1795000000000}
 *   {"producer_id":"gateway-2","next":"40","holes":[["11","20"]],"seen_at":1795000000000}
 *   {"crc32":"0a1b2c3d"}
 *
 * Numbers up to 2^64 stand in strings. `scan_from` is the oldest segment that was not closed by then: lines from there
 * on are not all in the checkpoint. The last line is the CRC-32 of everything before it; without it, or with
 * another number of producers, the checkpoint is void and an older one is taken. A file holds one or several, the newest
 * at its end.
 */
import { crc32 } from 'node:zlib';
import type { ProducerRecord } from './producer-table.ts';

const VERSION = 1;

export interface Checkpoint {
  readonly segment: number;
  readonly scanFrom: number;
  readonly producers: readonly ProducerRecord[];
}

export function encodeCheckpoint({ segment, scanFrom, producers }: Checkpoint): Buffer {
  const lines = [
    JSON.stringify({ checkpoint: VERSION, segment, scan_from: scanFrom, producers: producers.length }),
    ...producers.map(({ id, next, holes, seenAtMs }) =>
      JSON.stringify({
        producer_id: id,
        next: String(next),
        ...(holes.length > 0 ? { holes: holes.map(({ first, last }) => [String(first), String(last)]) } : {}),
        seen_at: seenAtMs,
      }),
    ),
  ];
  const content = Buffer.from(`${lines.join('\n')}\n`);
  const sum = crc32(content).toString(16).padStart(8, '0');
  return Buffer.concat([content, Buffer.from(`{"crc32":"${sum}"}\n`)]);
}

const HEAD = '{"checkpoint":';

/** The newest in a file that is not void: torn, damaged, or of a version we do not know. */
export function parseCheckpoint(bytes: Uint8Array): Checkpoint | undefined {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let end = content.length; end > 0; ) {
    const begin = content.lastIndexOf(HEAD, end - 1);
    if (begin === -1) return undefined;
    const checkpoint = parseOne(content.subarray(begin, end));
    if (checkpoint !== undefined) return checkpoint;
    end = begin;
  }
  return undefined;
}

function parseOne(text: Buffer): Checkpoint | undefined {
  const lastLine = text.lastIndexOf('\n', text.length - 2) + 1;
  try {
    const { crc32: sum } = JSON.parse(text.toString('utf8', lastLine)) as { readonly crc32: string };
    if (Number.parseInt(sum, 16) !== crc32(text.subarray(0, lastLine))) return undefined;
    const [head, ...lines] = text.toString('utf8', 0, lastLine).trimEnd().split('\n');
    const header = JSON.parse(head!) as Record<string, unknown>;
    if (header.checkpoint !== VERSION || header.producers !== lines.length) return undefined;
    return {
      segment: Number(header.segment),
      scanFrom: Number(header.scan_from),
      producers: lines.map(parseProducer),
    };
  } catch {
    return undefined;
  }
}

function parseProducer(line: string): ProducerRecord {
  const { producer_id, next, holes, seen_at } = JSON.parse(line) as {
    readonly producer_id: string;
    readonly next: string;
    readonly holes?: readonly (readonly [string, string])[];
    readonly seen_at: number;
  };
  return {
    id: producer_id,
    next: BigInt(next),
    holes: (holes ?? []).map(([first, last]) => ({ first: BigInt(first), last: BigInt(last) })),
    seenAtMs: seen_at,
  };
}
