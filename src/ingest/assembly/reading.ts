/**
 * Takes one SensorValue apart, if it has the usual shape: every field at most once, in the order of the numbers, its tag
 * in one byte, its length in two at most. That is how the protobuf libraries write a message. Anything else, and
 * anything that is wrong, is left to src/ingest/reading-scanner.ts, which knows all of protobuf and names the fault.
 *
 * Invariants:
 * 1. When `takeReading` returns true the fields are those of the item, and the item ends where it says.
 * 2. No more than 16 bytes past the item are read, and what they hold changes nothing: a number that reaches past its
 *    message leaves `cursor` past the message's end, which is compared behind every field.
 */
import { MAX_NANOS, MAX_SECONDS, MIN_SECONDS } from './times.ts';

const NAME: u8 = (1 << 3) | 2;
const MEASUREMENT: u8 = (2 << 3) | 2;
const LABELS: u8 = (3 << 3) | 2;
const SENSOR_VALUE: u8 = (2 << 3) | 2;
const CREATED_AT: u8 = (3 << 3) | 2;
const DOUBLE_VALUE: u8 = (4 << 3) | 1;
const BOOL_VALUE: u8 = (5 << 3) | 0;
const STRING_VALUE: u8 = (6 << 3) | 2;
const FIRST_VARINT: u8 = (1 << 3) | 0;
const NANOS: u8 = (2 << 3) | 0;
const ENTRY_KEY: u8 = (1 << 3) | 2;
const ENTRY_VALUE: u8 = (2 << 3) | 2;

/** More are rare, and to compare each with each would take long. */
const MAX_LABELS: i32 = 16;
/** Four addresses for each: where key and value begin and end. */
const SPANS: usize = memory.data(16 * 16);

export const NO_VALUE: i32 = 0;
export const INTEGER: i32 = 1;
export const DOUBLE: i32 = 2;
export const BOOL: i32 = 3;
export const STRING: i32 = 4;

export let nameStart: usize = 0;
export let nameEnd: usize = 0;
export let valueKind: i32 = NO_VALUE;
export let integerValue: i64 = 0;
export let doubleValue: f64 = 0;
export let boolValue: bool = false;
export let stringStart: usize = 0;
export let stringEnd: usize = 0;
export let hasCreatedAt: bool = false;
export let seconds: i64 = 0;
export let nanos: u32 = 0;
export let labelCount: i32 = 0;

/** What is read next. */
let cursor: usize = 0;

/** Where the length at `at` says that its payload ends; past every end when it takes more than two bytes. */
export function payloadEnd(at: usize): usize {
  const low = <usize>load<u8>(at);
  if (low < 0x80) return at + 1 + low;
  const high = <usize>load<u8>(at, 1);
  if (high >= 0x80) return usize.MAX_VALUE;
  return at + 2 + ((low & 0x7f) | (high << 7));
}

/** Where the payload of the length at `at` begins. */
export function payloadStart(at: usize): usize {
  return load<u8>(at) < 0x80 ? at + 1 : at + 2;
}

/** Of label `index`: 0 and 1 are the key's start and end, 2 and 3 the value's. */
export function labelSpan(index: i32, which: i32): usize {
  return <usize>load<u32>(SPANS + <usize>((index << 4) + (which << 2)));
}

export function takeReading(start: usize, end: usize): bool {
  if (load<u8>(start) !== NAME) return false;
  nameEnd = payloadEnd(start + 1);
  nameStart = payloadStart(start + 1);
  if (nameEnd > end || nameStart === nameEnd) return false;
  cursor = nameEnd;
  valueKind = NO_VALUE;
  hasCreatedAt = false;
  labelCount = 0;
  if (isNext(MEASUREMENT, end)) {
    const measurementEnd = payloadEnd(cursor);
    cursor = payloadStart(cursor);
    if (measurementEnd > end || !takeMeasurement(measurementEnd)) return false;
  }
  while (isNext(LABELS, end)) {
    const entryEnd = payloadEnd(cursor);
    cursor = payloadStart(cursor);
    if (entryEnd > end || !takeLabel(entryEnd)) return false;
  }
  return cursor === end;
}

/** Steps over the tag if it is the next one. */
function isNext(tag: u8, end: usize): bool {
  if (cursor >= end || load<u8>(cursor) !== tag) return false;
  cursor++;
  return true;
}

function takeMeasurement(end: usize): bool {
  if (isNext(SENSOR_VALUE, end) && !takeInteger(end)) return false;
  if (isNext(CREATED_AT, end) && !takeTimestamp(end)) return false;
  if (isNext(DOUBLE_VALUE, end)) {
    if (valueKind !== NO_VALUE) return false;
    valueKind = DOUBLE;
    doubleValue = load<f64>(cursor);
    cursor += 8;
  }
  if (isNext(BOOL_VALUE, end)) {
    if (valueKind !== NO_VALUE) return false;
    valueKind = BOOL;
    boolValue = takeVarint() !== 0;
  }
  if (isNext(STRING_VALUE, end)) {
    if (valueKind !== NO_VALUE) return false;
    valueKind = STRING;
    stringEnd = payloadEnd(cursor);
    stringStart = payloadStart(cursor);
    cursor = stringEnd;
  }
  return cursor === end;
}

function takeInteger(end: usize): bool {
  const valueEnd = payloadEnd(cursor);
  cursor = payloadStart(cursor);
  valueKind = INTEGER;
  integerValue = 0;
  if (isNext(FIRST_VARINT, valueEnd)) integerValue = <i64>takeVarint();
  return cursor === valueEnd && valueEnd <= end;
}

function takeTimestamp(end: usize): bool {
  const timeEnd = payloadEnd(cursor);
  cursor = payloadStart(cursor);
  if (timeEnd > end) return false;
  hasCreatedAt = true;
  seconds = 0;
  nanos = 0;
  if (isNext(FIRST_VARINT, timeEnd)) seconds = <i64>takeVarint();
  // An int32 is the low half of its varint; a negative one is too large here.
  if (isNext(NANOS, timeEnd)) nanos = <u32>takeVarint();
  return cursor === timeEnd && seconds >= MIN_SECONDS && seconds <= MAX_SECONDS && nanos <= MAX_NANOS;
}

function takeLabel(end: usize): bool {
  // Absent is empty.
  let keyStart = cursor;
  let keyEnd = cursor;
  if (isNext(ENTRY_KEY, end)) {
    keyEnd = payloadEnd(cursor);
    keyStart = payloadStart(cursor);
    if (keyEnd > end) return false;
    cursor = keyEnd;
  }
  let valueStart = cursor;
  let valueEnd = cursor;
  if (isNext(ENTRY_VALUE, end)) {
    valueEnd = payloadEnd(cursor);
    valueStart = payloadStart(cursor);
    if (valueEnd > end) return false;
    cursor = valueEnd;
  }
  if (cursor !== end || labelCount === MAX_LABELS) return false;
  for (let index = 0; index < labelCount; index++) {
    const length = labelSpan(index, 1) - labelSpan(index, 0);
    if (length === keyEnd - keyStart && memory.compare(labelSpan(index, 0), keyStart, length) === 0)
      return false;
  }
  const span = SPANS + <usize>(labelCount++ << 4);
  store<u32>(span, <u32>keyStart);
  store<u32>(span, <u32>keyEnd, 4);
  store<u32>(span, <u32>valueStart, 8);
  store<u32>(span, <u32>valueEnd, 12);
  return true;
}

/** Past every end when it has more than ten bytes. What lies beyond 64 bits is dropped. */
function takeVarint(): u64 {
  let byte = <u64>load<u8>(cursor++);
  let value = byte & 0x7f;
  for (let shift: u64 = 7; byte >= 0x80; shift += 7) {
    if (shift === 70) {
      cursor = usize.MAX_VALUE;
      return 0;
    }
    byte = <u64>load<u8>(cursor++);
    value |= (byte & 0x7f) << shift;
  }
  return value;
}
