/**
 * Writes SensorValuesRequest messages straight into bytes. The generator has to outrun the daemon it
 * loads, so there is no object per reading: names and labels are encoded once per sensor, and a
 * reading costs a few dozen byte stores.
 *
 * Use: begin(), then per reading setValue() and append(), then finish().
 *
 * Invariants:
 *   1. append() writes one whole item; between calls [0, #length) holds whole items only.
 *   2. finish() returns a copy, so the scratch space is free for the next request while the copy is
 *      in flight or waits for its retry.
 */

const TAG_ITEM = 0x0a; // SensorValuesRequest.items = 1
const TAG_PRODUCER_ID = 0x12; // SensorValuesRequest.producer_id = 2
const TAG_FIRST_SEQUENCE = 0x18; // SensorValuesRequest.first_sequence = 3
const TAG_SENSOR_NAME = 0x0a; // SensorValue.sensor_name = 1
const TAG_MEASUREMENT = 0x12; // SensorValue.measurement = 2
const TAG_LABEL = 0x1a; // SensorValue.labels = 3
const TAG_INT_VALUE = 0x12; // Measurement.sensor_value = 2, an Int64Value
const TAG_CREATED_AT = 0x1a; // Measurement.created_at = 3, a Timestamp
const TAG_DOUBLE_VALUE = 0x21; // Measurement.double_value = 4
const TAG_BOOL_VALUE = 0x28; // Measurement.bool_value = 5
const TAG_STRING_VALUE = 0x32; // Measurement.string_value = 6

const TWO_TO_32 = 0x1_0000_0000;
const INITIAL_CAPACITY_BYTES = 64 * 1024;
/** Tags, lengths and fixed-size fields of one item, generously. */
const ITEM_OVERHEAD_BYTES = 96;

/** One of a measurement's values, or none. */
export type ReadingValue =
  | { readonly kind: 'none' }
  | { readonly kind: 'int'; readonly value: number | bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string };

/** Bytes that the varint of the 64-bit value high:low takes. */
function varintBytes(low: number, high: number): number {
  if (high === 0) {
    if (low < 0x80) return 1;
    if (low < 0x4000) return 2;
    if (low < 0x20_0000) return 3;
    return low < 0x1000_0000 ? 4 : 5;
  }
  let bytes = 5;
  for (let rest = high >>> 3; rest !== 0; rest >>>= 7) bytes++;
  return bytes;
}

/** The sensor_name field, tag and length included: the same bytes in each of the sensor's readings. */
export function sensorNameField(name: string): Buffer {
  return textField(TAG_SENSOR_NAME, name);
}

/** All labels as map entries, ready to be copied behind a measurement. */
export function labelFields(labels: Readonly<Record<string, string>>): Buffer {
  const entries: Buffer[] = [];
  for (const [key, value] of Object.entries(labels)) {
    const entry = Buffer.concat([textField(0x0a, key), textField(0x12, value)]);
    entries.push(bytesField(TAG_LABEL, entry));
  }
  return Buffer.concat(entries);
}

function textField(tag: number, text: string): Buffer {
  return bytesField(tag, Buffer.from(text, 'utf8'));
}

function bytesField(tag: number, content: Uint8Array): Buffer {
  const header = [tag];
  let rest = content.length;
  for (; rest >= 0x80; rest >>>= 7) header.push((rest & 0x7f) | 0x80);
  header.push(rest);
  return Buffer.concat([Uint8Array.from(header), content]);
}

export class RequestEncoder {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_CAPACITY_BYTES);
  #length = 0;

  #kind: ReadingValue['kind'] = 'none';
  #low = 0;
  #high = 0;
  #double = 0;
  #text: Buffer = Buffer.alloc(0);

  begin(): void {
    this.#length = 0;
  }

  /** Bytes written since begin(). */
  get lengthBytes(): number {
    return this.#length;
  }

  /** The value of the readings appended from here on. */
  setValue(reading: ReadingValue): void {
    this.#kind = reading.kind;
    switch (reading.kind) {
      case 'none':
        break;
      case 'int':
        if (typeof reading.value === 'number') this.setInt(reading.value);
        else this.#setBigInt(reading.value);
        break;
      case 'double':
        this.#double = reading.value;
        break;
      case 'bool':
        this.#low = reading.value ? 1 : 0;
        break;
      case 'string':
        this.#text = Buffer.from(reading.value, 'utf8');
        break;
    }
  }

  /** setValue of a whole number that a JavaScript number holds exactly, without an object. */
  setInt(value: number): void {
    this.#kind = 'int';
    this.#low = value >>> 0;
    this.#high = Math.floor(value / TWO_TO_32) >>> 0;
  }

  #setBigInt(value: bigint): void {
    const unsigned = BigInt.asUintN(64, value);
    this.#low = Number(unsigned & 0xffff_ffffn);
    this.#high = Number(unsigned >> 32n);
  }

  /** Adds a reading with the value last set; `seconds` undefined sends no created_at. */
  append(nameField: Uint8Array, seconds: number | undefined, nanos: number, labels: Uint8Array): void {
    let timeBytes = 0;
    let secondsLow = 0;
    let secondsHigh = 0;
    if (seconds !== undefined) {
      secondsLow = seconds >>> 0;
      secondsHigh = Math.floor(seconds / TWO_TO_32) >>> 0;
      timeBytes = 1 + varintBytes(secondsLow, secondsHigh) + (nanos === 0 ? 0 : 1 + varintBytes(nanos, 0));
    }
    const measurementBytes = this.#valueBytes() + (seconds === undefined ? 0 : 2 + timeBytes);
    const itemBytes =
      nameField.length + 1 + varintBytes(measurementBytes, 0) + measurementBytes + labels.length;
    this.#reserve(itemBytes + ITEM_OVERHEAD_BYTES);

    this.#bytes[this.#length++] = TAG_ITEM;
    this.#varint(itemBytes, 0);
    this.#copy(nameField);
    this.#bytes[this.#length++] = TAG_MEASUREMENT;
    this.#varint(measurementBytes, 0);
    this.#value();
    if (seconds !== undefined) {
      this.#bytes[this.#length++] = TAG_CREATED_AT;
      this.#bytes[this.#length++] = timeBytes;
      this.#bytes[this.#length++] = 0x08;
      this.#varint(secondsLow, secondsHigh);
      if (nanos !== 0) {
        this.#bytes[this.#length++] = 0x10;
        this.#varint(nanos, 0);
      }
    }
    this.#copy(labels);
  }

  /** Names the producer and numbers the request's first reading. */
  number(producerId: Uint8Array, firstSequence: number): void {
    this.#reserve(producerId.length + ITEM_OVERHEAD_BYTES);
    this.#bytes[this.#length++] = TAG_PRODUCER_ID;
    this.#varint(producerId.length, 0);
    this.#copy(producerId);
    this.#bytes[this.#length++] = TAG_FIRST_SEQUENCE;
    this.#varint(firstSequence >>> 0, Math.floor(firstSequence / TWO_TO_32) >>> 0);
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #valueBytes(): number {
    switch (this.#kind) {
      case 'none':
        return 0;
      case 'int':
        return 3 + varintBytes(this.#low, this.#high);
      case 'double':
        return 9;
      case 'bool':
        return 2;
      case 'string':
        return 1 + varintBytes(this.#text.length, 0) + this.#text.length;
    }
  }

  #value(): void {
    switch (this.#kind) {
      case 'none':
        return;
      case 'int':
        this.#bytes[this.#length++] = TAG_INT_VALUE;
        this.#bytes[this.#length++] = 1 + varintBytes(this.#low, this.#high);
        this.#bytes[this.#length++] = 0x08;
        this.#varint(this.#low, this.#high);
        return;
      case 'double':
        this.#bytes[this.#length++] = TAG_DOUBLE_VALUE;
        this.#length = this.#bytes.writeDoubleLE(this.#double, this.#length);
        return;
      case 'bool':
        this.#bytes[this.#length++] = TAG_BOOL_VALUE;
        this.#bytes[this.#length++] = this.#low;
        return;
      case 'string':
        this.#bytes[this.#length++] = TAG_STRING_VALUE;
        this.#varint(this.#text.length, 0);
        this.#copy(this.#text);
        return;
    }
  }

  #varint(low: number, high: number): void {
    const bytes = this.#bytes;
    while (high !== 0 || low >= 0x80) {
      bytes[this.#length++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    bytes[this.#length++] = low;
  }

  #copy(source: Uint8Array): void {
    this.#bytes.set(source, this.#length);
    this.#length += source.length;
  }

  #reserve(extraBytes: number): void {
    const needed = this.#length + extraBytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
