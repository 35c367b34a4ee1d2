/**
 * Writes one reading as its JSON line. Key order, key types and number forms are those of the file format.
 *
 * Invariants:
 * 1. #view looks at all of #out.bytes; [0, #pos) is written, and #out.length is only set by `finish`.
 * 2. After #text and #room there are LINE_ROOM bytes left, more than all fixed text, numbers and times of a line.
 * 3. Past #limit nothing more than one piece (a text chunk, or the fixed rest of a line) is written before TooLarge.
 */
import type { ByteBuffer } from '../base/byte-buffer.ts';
import { DOUBLE_ROOM, writeDouble } from './double-text.ts';
import { FixedText } from './fixed-text.ts';
import { INTEGER_ROOM, writeInt64, writeUint64 } from './int64-text.ts';
import { JsonTextWriter, MAX_ESCAPED_BYTES, TEXT_OVERWRITE } from './json-text.ts';
import type { ReadingFields } from './reading-fields.ts';
import { MAX_NANOS, MAX_SECONDS, MIN_SECONDS, TIMESTAMP_ROOM, TimestampText } from './timestamp-text.ts';
import { WireFault } from './wire-reader.ts';

/** Thrown when a request's lines pass its limit. */
export class TooLarge {}

const FIXED_TEXT_ROOM = 320;
const LINE_ROOM = FIXED_TEXT_ROOM + TEXT_OVERWRITE + 2 * INTEGER_ROOM + DOUBLE_ROOM + TIMESTAMP_ROOM;
/** Long strings go in pieces, so that room for the worst case of escaping is never asked for the whole string. */
const TEXT_CHUNK_BYTES = 4096;

const QUOTE = 0x22;
const NAME_KEY = new FixedText('{"sensor_name":"');
const VALUE_KEY = new FixedText('","sensor_value":');
const NO_VALUE = new FixedText('","sensor_value":null');
const DOUBLE_KEY = new FixedText(',"double_value":');
const BOOL_TRUE = new FixedText(',"bool_value":true');
const BOOL_FALSE = new FixedText(',"bool_value":false');
const STRING_KEY = new FixedText(',"string_value":"');
const CREATED_KEY = new FixedText(',"created_at":"');
const LABELS_KEY = new FixedText(',"labels":{"');
const LABEL_COLON = new FixedText('":"');
const LABEL_COMMA = new FixedText('","');
const LABELS_END = new FixedText('"}');
const PRODUCER_KEY = new FixedText(',"producer_id":"');
const SEQUENCE_KEY = new FixedText('","sequence":');
const LINE_END = new FixedText('}\n');

const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

export class LineWriter {
  #out: ByteBuffer | undefined;
  #view = NO_VIEW;
  /** Of the view; to ask it for its length is a call, and every string asks. */
  #end = 0;
  #pos = 0;
  #limit = 0;
  #source = NO_VIEW;

  #receivedAtMs = Number.NaN;
  /** From the end of created_at to the end of received_at, and the same when nothing follows it. */
  #times = new FixedText('');
  #timesAndEnd = new FixedText('');
  #noCreatedAt = new FixedText('');

  #hasProducer = false;
  #producerStart = 0;
  #producerEnd = 0;
  #sequenceHi = 0;
  #sequenceLo = 0;

  readonly #createdAt = new TimestampText();
  readonly #text = new JsonTextWriter();

  begin(source: Uint8Array, receivedAtMs: number, out: ByteBuffer, maxOutputBytes: number): void {
    this.#source = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.#out = out;
    this.#adopt(out);
    this.#pos = out.length;
    this.#limit = out.length + maxOutputBytes;
    this.#hasProducer = false;
    if (receivedAtMs !== this.#receivedAtMs) this.#setReceivedAt(receivedAtMs);
  }

  /** Names the producer of the request's lines; the first of them gets the given number. */
  setProducer(idStart: number, idEnd: number, sequenceHi: number, sequenceLo: number): void {
    this.#hasProducer = true;
    this.#producerStart = idStart;
    this.#producerEnd = idEnd;
    this.#sequenceHi = sequenceHi;
    this.#sequenceLo = sequenceLo;
  }

  /** Makes the lines part of `out`. */
  finish(): void {
    this.#out!.length = this.#pos;
  }

  /** Lets go of request and buffer, so that an idle writer keeps neither alive. */
  release(): void {
    this.#source = NO_VIEW;
    this.#view = NO_VIEW;
    this.#out = undefined;
  }

  /** Checks and writes one line. Throws a WireFault or TooLarge. */
  write(fields: ReadingFields): void {
    if (fields.nameStart === fields.nameEnd) {
      throw new WireFault('empty_sensor_name', 'a sensor_name is required', 'sensor_name');
    }
    this.#room(LINE_ROOM);
    this.#fixed(NAME_KEY);
    this.#string(fields.nameStart, fields.nameEnd, 'sensor_name');
    if (fields.hasSensorValue) {
      this.#fixed(VALUE_KEY);
      this.#pos = writeInt64(this.#view, this.#pos, fields.sensorValueHi, fields.sensorValueLo);
    } else {
      this.#fixed(NO_VALUE);
    }
    if (fields.hasDoubleValue || fields.hasBoolValue || fields.hasStringValue) this.#otherValue(fields);
    const isLast = !this.#hasProducer && fields.labels.count === 0;
    if (fields.hasCreatedAt) {
      this.#fixed(CREATED_KEY);
      const seconds = fields.secondsHi * 4_294_967_296 + (fields.secondsLo >>> 0);
      if (seconds < MIN_SECONDS || seconds > MAX_SECONDS) throw secondsFault();
      if (fields.nanos < 0 || fields.nanos > MAX_NANOS) throw nanosFault(fields.nanos);
      this.#pos = this.#createdAt.write(this.#view, this.#pos, seconds, fields.nanos);
      this.#fixed(isLast ? this.#timesAndEnd : this.#times);
    } else {
      this.#fixed(this.#noCreatedAt);
      if (isLast) this.#fixed(LINE_END);
    }
    if (!isLast) {
      if (fields.labels.count > 0) this.#labels(fields);
      if (this.#hasProducer) this.#producer();
      this.#fixed(LINE_END);
    }
    if (this.#pos > this.#limit) throw new TooLarge();
  }

  #otherValue(fields: ReadingFields): void {
    const values =
      Number(fields.hasSensorValue) +
      Number(fields.hasDoubleValue) +
      Number(fields.hasBoolValue) +
      Number(fields.hasStringValue);
    if (values > 1) {
      throw new WireFault('several_values', `${values} values are set where one is allowed`, 'measurement');
    }
    if (fields.hasDoubleValue) {
      this.#fixed(DOUBLE_KEY);
      const value = this.#source.getFloat64(fields.doubleStart, true);
      this.#pos = writeDouble(this.#view, this.#pos, value);
    } else if (fields.hasBoolValue) {
      this.#fixed(fields.boolValue ? BOOL_TRUE : BOOL_FALSE);
    } else {
      this.#fixed(STRING_KEY);
      this.#string(fields.stringStart, fields.stringEnd, 'measurement.string_value');
      this.#view.setUint8(this.#pos++, QUOTE);
    }
  }

  #labels(fields: ReadingFields): void {
    const { spans, count } = fields.labels;
    for (let entry = 0; entry < count; entry++) {
      this.#fixed(entry === 0 ? LABELS_KEY : LABEL_COMMA);
      this.#string(spans[entry * 4]!, spans[entry * 4 + 1]!, 'labels');
      this.#fixed(LABEL_COLON);
      this.#string(spans[entry * 4 + 2]!, spans[entry * 4 + 3]!, 'labels');
    }
    this.#fixed(LABELS_END);
  }

  #producer(): void {
    this.#fixed(PRODUCER_KEY);
    this.#string(this.#producerStart, this.#producerEnd, 'producer_id');
    this.#fixed(SEQUENCE_KEY);
    this.#pos = writeUint64(this.#view, this.#pos, this.#sequenceHi, this.#sequenceLo);
    this.#sequenceLo = (this.#sequenceLo + 1) | 0;
    if (this.#sequenceLo === 0) this.#sequenceHi = (this.#sequenceHi + 1) | 0;
  }

  #string(start: number, end: number, field: string): void {
    let from = start;
    do {
      const until = end - from > TEXT_CHUNK_BYTES ? from + TEXT_CHUNK_BYTES : end;
      this.#room((until - from) * MAX_ESCAPED_BYTES + LINE_ROOM);
      const pos = this.#text.write(this.#source, from, until, end, this.#view, this.#pos);
      if (pos === -1) throw new WireFault('bad_utf8', 'the text is not valid UTF-8', field);
      this.#pos = pos;
      if (pos > this.#limit) throw new TooLarge();
      from = this.#text.sourcePos;
    } while (from < end);
  }

  #fixed(text: FixedText): void {
    this.#pos = text.write(this.#view, this.#pos);
  }

  #room(bytes: number): void {
    if (this.#end - this.#pos >= bytes) return;
    const out = this.#out!;
    out.length = this.#pos;
    out.reserve(bytes);
    this.#adopt(out);
  }

  #adopt(out: ByteBuffer): void {
    this.#view = out.view;
    this.#end = out.bytes.length;
  }

  #setReceivedAt(receivedAtMs: number): void {
    const receivedAt = `"received_at":"${new Date(receivedAtMs).toISOString()}"`;
    this.#times = new FixedText(`Z",${receivedAt}`);
    this.#timesAndEnd = new FixedText(`Z",${receivedAt}}\n`);
    this.#noCreatedAt = new FixedText(`,"created_at":null,${receivedAt}`);
    this.#receivedAtMs = receivedAtMs;
  }
}

function secondsFault(): WireFault {
  const detail = `the seconds are outside ${MIN_SECONDS}..${MAX_SECONDS} (years 1 to 9999)`;
  return new WireFault('timestamp_range', detail, 'measurement.created_at.seconds');
}

function nanosFault(nanos: number): WireFault {
  const detail = `${nanos} is outside 0..${MAX_NANOS}`;
  return new WireFault('timestamp_range', detail, 'measurement.created_at.nanos');
}
