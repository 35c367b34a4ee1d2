/**
 * Protobuf bytes to JSON lines for readings of the usual shape, 16 bytes at a time. This is AssemblyScript: TypeScript's
 * syntax, compiled to WebAssembly and kept as ../usual-lines-module.generated.ts (docs/decisions/0140). What is made
 * of a reading is the same to the byte as src/ingest/line-writer.ts makes, which tests hold against each other.
 */
import {
  IN,
  IN_BYTES,
  keep,
  OUT,
  OUT_BYTES,
  PRODUCER,
  PRODUCER_IN,
  RESULT,
  TIMES,
  TIMES_LENGTH,
} from './memory.ts';
import { writeDouble, writeSigned, writeUnsigned } from './numbers.ts';
import {
  BOOL,
  boolValue,
  DOUBLE,
  doubleValue,
  hasCreatedAt,
  INTEGER,
  integerValue,
  labelCount,
  labelSpan,
  NO_VALUE,
  nameEnd,
  nameStart,
  nanos,
  payloadEnd,
  payloadStart,
  seconds,
  stringEnd,
  stringStart,
  takeReading,
  valueKind,
} from './reading.ts';
import { MAX_ESCAPED_BYTES, writeText } from './text.ts';
import { writeTimestamp } from './times.ts';

export { IN, IN_BYTES, OUT, OUT_BYTES, PRODUCER_IN, RESULT, TIMES, TIMES_LENGTH };

/** SensorValuesRequest.items */
const ITEMS: u8 = (1 << 3) | 2;

/** More than all fixed text, numbers and times of a line, and what is written past its end. */
const LINE_ROOM: usize = 512;
const LINE_END: u16 = 0x0a7d;
const QUOTE: u8 = 0x22;

/** Fixed text, 16 bytes each. */
const NAME_KEY: usize = memory.data(16);
const VALUE_KEY: usize = memory.data(32);
const NO_INTEGER: usize = memory.data(32);
const CREATED_KEY: usize = memory.data(16);
const NOT_CREATED: usize = memory.data(32);
const DOUBLE_KEY: usize = memory.data(16);
const BOOL_KEY: usize = memory.data(16);
const STRING_KEY: usize = memory.data(32);
const LABELS_KEY: usize = memory.data(16);
const LABEL_COLON: usize = memory.data(4);
const LABEL_COMMA: usize = memory.data(4);
const PRODUCER_KEY: usize = memory.data(16);
const SEQUENCE_KEY: usize = memory.data(16);
const TRUE: usize = memory.data(4);
const FALSE: usize = memory.data(8);
keep(NAME_KEY, '{"sensor_name":"');
keep(VALUE_KEY, '","sensor_value":');
keep(NO_INTEGER, '","sensor_value":null');
keep(CREATED_KEY, ',"created_at":"');
keep(NOT_CREATED, ',"created_at":null,');
keep(DOUBLE_KEY, ',"double_value":');
keep(BOOL_KEY, ',"bool_value":');
keep(STRING_KEY, ',"string_value":"');
keep(LABELS_KEY, ',"labels":{"');
keep(LABEL_COLON, '":"');
keep(LABEL_COMMA, '","');
keep(PRODUCER_KEY, ',"producer_id":"');
keep(SEQUENCE_KEY, '","sequence":');
keep(TRUE, 'true');
keep(FALSE, 'false');

let producerLength: usize = 0;

/** The producer of the numbered requests that follow: the first `length` bytes of PRODUCER_IN, valid UTF-8. */
export function setProducer(length: i32): void {
  v128.store(PRODUCER, v128.load(PRODUCER_KEY));
  const end = writeText(PRODUCER + 16, PRODUCER_IN, PRODUCER_IN + <usize>length);
  v128.store(end, v128.load(SEQUENCE_KEY));
  producerLength = end + 13 - PRODUCER;
}

/**
 * Makes lines of the first `length` bytes of IN until they end, a line might not fit in `room`, or something comes that is
 * no reading of the usual shape. Returns how many; RESULT says how far that was. Numbered lines count from `sequence`.
 */
export function encode(length: i32, room: i32, isNumbered: bool, sequenceHigh: u32, sequenceLow: u32): i32 {
  const end = IN + <usize>length;
  // Without room there is none; that is said here, since a window that is left spoils what lies behind it.
  const outEnd = OUT + <usize>max(room, 0);
  const numberLength: usize = isNumbered ? producerLength : 0;
  let sequence = ((<u64>sequenceHigh) << 32) | <u64>sequenceLow;
  let from = IN;
  let at = OUT;
  let count = 0;
  while (from < end && load<u8>(from) === ITEMS) {
    const itemEnd = payloadEnd(from + 1);
    if (itemEnd > end) break;
    // What a label writes besides its texts, six bytes, is within what its own two bytes are counted.
    const needed = LINE_ROOM + numberLength + (itemEnd - from) * MAX_ESCAPED_BYTES;
    if (outEnd - at < needed || !takeReading(payloadStart(from + 1), itemEnd)) break;
    let next = writeReading(at);
    if (next === 0) break;
    if (isNumbered) {
      memory.copy(next, PRODUCER, producerLength);
      next = writeUnsigned(next + producerLength, sequence++);
    }
    store<u16>(next, LINE_END);
    at = next + 2;
    from = itemEnd;
    count++;
  }
  // Whoever takes the lines word by word takes this with them, and not what happens to lie there.
  store<u64>(at, 0);
  store<u32>(RESULT, <u32>(from - IN));
  store<u32>(RESULT, <u32>(at - OUT), 4);
  return count;
}

/** The line up to its labels; 0 when one of its texts is not valid. */
function writeReading(at: usize): usize {
  v128.store(at, v128.load(NAME_KEY));
  let next = writeText(at + 16, nameStart, nameEnd);
  if (next === 0) return 0;
  if (valueKind === INTEGER) {
    v128.store(next, v128.load(VALUE_KEY));
    store<u8>(next, 0x3a, 16);
    next = writeSigned(next + 17, integerValue);
  } else {
    v128.store(next, v128.load(NO_INTEGER));
    v128.store(next, v128.load(NO_INTEGER, 16), 16);
    next += 21;
    if (valueKind !== NO_VALUE) next = writeOtherValue(next);
    if (next === 0) return 0;
  }
  if (hasCreatedAt) {
    v128.store(next, v128.load(CREATED_KEY));
    next = writeTimestamp(next + 15, seconds, nanos);
    v128.store(next, v128.load(TIMES));
    v128.store(next, v128.load(TIMES, 16), 16);
    v128.store(next, v128.load(TIMES, 32), 32);
    next += TIMES_LENGTH;
  } else {
    v128.store(next, v128.load(NOT_CREATED));
    store<u32>(next, load<u32>(NOT_CREATED, 16), 16);
    // Without the `Z",` that ends a created_at.
    memory.copy(next + 19, TIMES + 3, TIMES_LENGTH - 3);
    next += 19 + TIMES_LENGTH - 3;
  }
  return labelCount === 0 ? next : writeLabels(next);
}

function writeOtherValue(at: usize): usize {
  if (valueKind === DOUBLE) {
    v128.store(at, v128.load(DOUBLE_KEY));
    return writeDouble(at + 16, doubleValue);
  }
  if (valueKind === BOOL) {
    v128.store(at, v128.load(BOOL_KEY));
    store<u64>(at, boolValue ? <u64>load<u32>(TRUE) : load<u64>(FALSE), 14);
    return at + (boolValue ? 18 : 19);
  }
  v128.store(at, v128.load(STRING_KEY));
  store<u8>(at, QUOTE, 16);
  const end = writeText(at + 17, stringStart, stringEnd);
  if (end === 0) return 0;
  store<u8>(end, QUOTE);
  return end + 1;
}

function writeLabels(at: usize): usize {
  v128.store(at, v128.load(LABELS_KEY));
  let next = at + 12;
  for (let index = 0; index < labelCount; index++) {
    if (index > 0) {
      store<u32>(next, load<u32>(LABEL_COMMA));
      next += 3;
    }
    next = writeText(next, labelSpan(index, 0), labelSpan(index, 1));
    if (next === 0) return 0;
    store<u32>(next, load<u32>(LABEL_COLON));
    next = writeText(next + 3, labelSpan(index, 2), labelSpan(index, 3));
    if (next === 0) return 0;
  }
  store<u16>(next, 0x7d22);
  return next + 2;
}
