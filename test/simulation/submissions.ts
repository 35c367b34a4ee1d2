/**
 * What clients send, as bytes and as the lines that must come of it. Each attempt at a request has names of
 * its own, so that every line in the journal tells which attempt it came from, and whether it came twice.
 */

import type { Outcome } from '../../src/base/outcome.ts';
import type { Random } from '../../src/base/random.ts';

export interface ExpectedReading {
  readonly name: string;
  /** The line up to and after the time of reception. */
  readonly before: string;
  readonly after: string;
  readonly submission: Submission;
  /** In a segment that retention removed, by a record that was on the disk. */
  isRetired: boolean;
  /** The last look that found it, and how often. */
  seenInLook: number;
  seenTimes: number;
}

/** One attempt at one request; of a numbered request all attempts, since they are the same readings. */
export interface Submission {
  readonly id: string;
  readonly request: Uint8Array;
  readonly readings: readonly ExpectedReading[];
  /** Undefined: not numbered. */
  readonly numbers: Numbers | undefined;
  /** Whose ACK it was sent under; and in which life of the daemon it arrived, -1 as long as it has not. */
  life: number;
  /** Attempts that a server had and did not refuse: each may have been written. */
  mayBeWritten: number;
  /** Once it was acknowledged, whatever later attempts are told. */
  decided: Outcome | undefined;
  decidedAtMs: number;
  /** It was seen in the journal when everything there was known to be on the disk. */
  isSettled: boolean;
  /** Acknowledged, but no promise covers what has happened since. */
  mayBeLost: boolean;
}

const LENGTH_DELIMITED = 2;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, ...varint(content.length)]), content]);
}

/** A reading of protobuf and the line it becomes. `text`: a string of that many bytes instead of a number. */
function reading(name: string, value: number, textBytes: number): { item: Buffer; before: string } {
  const isText = textBytes > 0;
  const text = 'x'.repeat(textBytes);
  const measurement = isText ? field(6, Buffer.from(text)) : field(2, Buffer.from([0x08, ...varint(value)]));
  return {
    item: field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, measurement)])),
    before: `{"sensor_name":"${name}","sensor_value":${isText ? null : value}${
      isText ? `,"string_value":"${text}"` : ''
    },"created_at":null,"received_at":"`,
  };
}

export interface Numbers {
  readonly producer: string;
  readonly first: number;
}

export function makeSubmission(
  id: string,
  readings: number,
  textBytes: number,
  random: Random,
  numbers?: Numbers,
): Submission {
  const made: ExpectedReading[] = [];
  const items: Buffer[] = [];
  const submission = {
    id,
    readings: made,
    numbers,
    life: -1,
    mayBeWritten: 0,
    decided: undefined,
    decidedAtMs: 0,
    isSettled: false,
    mayBeLost: false,
  } as unknown as Submission & { request: Uint8Array };
  for (let i = 0; i < readings; i++) {
    const name = `${id}.${i}`;
    const isText = textBytes > 0 && random.below(3) === 0;
    const { item, before } = reading(name, random.below(2 ** 31), isText ? 1 + random.below(textBytes) : 0);
    items.push(item);
    const after =
      numbers === undefined ? '"}' : `","producer_id":"${numbers.producer}","sequence":${numbers.first + i}}`;
    made.push({ name, before, after, submission, isRetired: false, seenInLook: 0, seenTimes: 0 });
  }
  if (numbers !== undefined) {
    items.push(field(2, Buffer.from(numbers.producer)), Buffer.from([3 << 3, ...varint(numbers.first)]));
  }
  submission.request = Buffer.concat(items);
  return submission;
}
