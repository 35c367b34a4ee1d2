/**
 * Takes one SensorValue apart into ReadingFields, with the full meaning of protobuf: fields in any order, the last
 * scalar wins, submessages that come in pieces merge, a known field with another wire type counts as unknown, and
 * unknown fields are skipped.
 *
 * A string that a later one replaces is checked here, because it will never be written and yet must be valid UTF-8
 * for the message to be valid. The strings that remain are checked while they are written.
 */
import { isUtf8 } from 'node:buffer';
import type { ReadingFields } from './reading-fields.ts';
import { WireFault, type WireReader } from './wire-reader.ts';

const NAME = (1 << 3) | 2;
const MEASUREMENT = (2 << 3) | 2;
const LABELS = (3 << 3) | 2;
const SENSOR_VALUE = (2 << 3) | 2;
const CREATED_AT = (3 << 3) | 2;
const DOUBLE_VALUE = (4 << 3) | 1;
const BOOL_VALUE = (5 << 3) | 0;
const STRING_VALUE = (6 << 3) | 2;
/** Int64Value.value, Timestamp.seconds */
const FIRST_VARINT = (1 << 3) | 0;
const NANOS = (2 << 3) | 0;
const ENTRY_KEY = (1 << 3) | 2;
const ENTRY_VALUE = (2 << 3) | 2;

/** How many messages enclose the fields of each message; the request itself is 0. */
const ITEM_DEPTH = 1;
/** A replaced string up to this long is looked at here first: to ask Node takes longer than the look. */
const LOOKED_AT_BYTES = 64;

export class ReadingScanner {
  /** The field being read, for the fault report. */
  field = '';
  readonly #reader: WireReader;
  readonly #fields: ReadingFields;

  constructor(reader: WireReader, fields: ReadingFields) {
    this.#reader = reader;
    this.#fields = fields;
  }

  /** Reads from the reader's position to `end`. Throws a WireFault; `field` then says where. */
  scan(end: number): void {
    const reader = this.#reader;
    const fields = this.#fields;
    this.field = '';
    fields.reset();
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      switch (tag) {
        case NAME: {
          this.field = 'sensor_name';
          if (fields.nameEnd > 0) this.#checkReplaced(fields.nameStart, fields.nameEnd);
          const payloadEnd = reader.readPayloadEnd(end);
          fields.nameStart = reader.pos;
          fields.nameEnd = reader.pos = payloadEnd;
          break;
        }
        case MEASUREMENT:
          this.field = 'measurement';
          this.#scanMeasurement(reader.readPayloadEnd(end));
          break;
        case LABELS:
          this.field = 'labels';
          this.#scanLabel(reader.readPayloadEnd(end));
          break;
        default:
          reader.skipField(tag, end, ITEM_DEPTH);
      }
      this.field = '';
    }
  }

  #scanMeasurement(end: number): void {
    const reader = this.#reader;
    const fields = this.#fields;
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      switch (tag) {
        case SENSOR_VALUE:
          this.field = 'measurement.sensor_value';
          this.#scanInt64Value(reader.readPayloadEnd(end));
          break;
        case CREATED_AT:
          this.field = 'measurement.created_at';
          this.#scanTimestamp(reader.readPayloadEnd(end));
          break;
        case DOUBLE_VALUE:
          this.field = 'measurement.double_value';
          fields.hasDoubleValue = true;
          fields.doubleStart = reader.pos;
          reader.skipBytes(8, end);
          break;
        case BOOL_VALUE:
          this.field = 'measurement.bool_value';
          reader.readVarint(end);
          fields.hasBoolValue = true;
          fields.boolValue = (reader.lo | reader.hi) !== 0;
          break;
        case STRING_VALUE: {
          this.field = 'measurement.string_value';
          if (fields.hasStringValue) this.#checkReplaced(fields.stringStart, fields.stringEnd);
          const payloadEnd = reader.readPayloadEnd(end);
          fields.hasStringValue = true;
          fields.stringStart = reader.pos;
          fields.stringEnd = reader.pos = payloadEnd;
          break;
        }
        default:
          reader.skipField(tag, end, ITEM_DEPTH + 1);
      }
      this.field = 'measurement';
    }
  }

  #scanInt64Value(end: number): void {
    const reader = this.#reader;
    const fields = this.#fields;
    fields.hasSensorValue = true;
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      if (tag === FIRST_VARINT) {
        reader.readVarint(end);
        fields.sensorValueHi = reader.hi;
        fields.sensorValueLo = reader.lo;
      } else {
        reader.skipField(tag, end, ITEM_DEPTH + 2);
      }
    }
  }

  #scanTimestamp(end: number): void {
    const reader = this.#reader;
    const fields = this.#fields;
    fields.hasCreatedAt = true;
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      if (tag === FIRST_VARINT) {
        reader.readVarint(end);
        fields.secondsHi = reader.hi;
        fields.secondsLo = reader.lo;
      } else if (tag === NANOS) {
        reader.readVarint(end);
        // An int32 is the low half of its varint, whatever the other half says.
        fields.nanos = reader.lo;
      } else {
        reader.skipField(tag, end, ITEM_DEPTH + 2);
      }
    }
  }

  #scanLabel(end: number): void {
    const reader = this.#reader;
    let keyStart = 0;
    let keyEnd = 0;
    let valueStart = 0;
    let valueEnd = 0;
    while (reader.pos < end) {
      const tag = reader.readTag(end);
      if (tag === ENTRY_KEY) {
        this.#checkReplaced(keyStart, keyEnd);
        keyEnd = reader.readPayloadEnd(end);
        keyStart = reader.pos;
        reader.pos = keyEnd;
      } else if (tag === ENTRY_VALUE) {
        this.#checkReplaced(valueStart, valueEnd);
        valueEnd = reader.readPayloadEnd(end);
        valueStart = reader.pos;
        reader.pos = valueEnd;
      } else {
        reader.skipField(tag, end, ITEM_DEPTH + 1);
      }
    }
    const labels = this.#fields.labels;
    const entry = labels.find(reader.bytes, keyStart, keyEnd);
    if (entry === -1) {
      labels.add(reader.bytes, keyStart, keyEnd, valueStart, valueEnd);
    } else {
      this.#checkReplaced(labels.spans[entry * 4 + 2]!, labels.spans[entry * 4 + 3]!);
      labels.setValue(entry, valueStart, valueEnd);
    }
  }

  #checkReplaced(start: number, end: number): void {
    const { bytes } = this.#reader;
    if (end - start <= LOOKED_AT_BYTES && isAscii(bytes, start, end)) return;
    if (!isUtf8(bytes.subarray(start, end))) throw new WireFault('bad_utf8', 'the text is not valid UTF-8');
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return false;
  return true;
}
