/**
 * Decodes header blocks (RFC 7541). One decoder per connection: blocks change its dynamic table, so every
 * block must be decoded, also one whose stream nobody wants any more.
 *
 * Invariants:
 * 1. `decode` either consumes exactly [start, end) or throws, and then the connection is lost (4.3).
 * 2. A block costs time in proportion to its bytes: integers and strings are bounded by the block itself.
 */

import { DynamicTable, type HeaderField, headerField, STATIC_ENTRIES, STATIC_TABLE } from './hpack-tables.ts';
import { decodeHuffman } from './huffman.ts';
import { ConnectionFault, ERROR_CODE } from './protocol.ts';

export interface FieldSink {
  onField(field: HeaderField): void;
}

/** Section 5.1 lets us bound integers; nothing that we accept comes near. */
const MAX_INTEGER_SHIFT = 21;

export class HpackDecoder {
  readonly table: DynamicTable;
  /** What our SETTINGS allow; a size update may not ask for more (section 6.3). */
  readonly #limitBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.table = new DynamicTable(limitBytes);
  }

  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    // Size updates stand at the beginning only (section 4.2).
    while (this.#at < end && (bytes[this.#at]! & 0xe0) === 0x20) this.#resize();
    while (this.#at < end) {
      const first = bytes[this.#at]!;
      if (first >= 0x80) {
        sink.onField(this.#indexed(this.#integer(0x7f)));
      } else if (first >= 0x40) {
        const field = this.#literal(0x3f);
        this.table.insert(field);
        sink.onField(field);
      } else if (first >= 0x20) {
        throw fault('a table size update after the first field');
      } else {
        // Without indexing and never indexed differ only for those who pass the field on.
        sink.onField(this.#literal(0x0f));
      }
    }
  }

  #resize(): void {
    const maxBytes = this.#integer(0x1f);
    if (maxBytes > this.#limitBytes)
      throw fault(`a table of ${maxBytes} bytes, ${this.#limitBytes} are allowed`);
    this.table.resize(maxBytes);
  }

  #indexed(index: number): HeaderField {
    if (index > STATIC_ENTRIES) {
      const field = this.table.at(index - STATIC_ENTRIES - 1);
      if (field === undefined) throw fault(`index ${index} is beyond the tables`);
      return field;
    }
    if (index === 0) throw fault('index 0 has no meaning');
    return STATIC_TABLE[index]!;
  }

  #literal(indexMask: number): HeaderField {
    const index = this.#integer(indexMask);
    if (index === 0) {
      const name = this.#string();
      const value = this.#string();
      return headerField(name, value, isFieldName(name) && isFieldValue(value));
    }
    const named = this.#indexed(index);
    const value = this.#string();
    return headerField(named.name, value, isFieldName(named.name) && isFieldValue(value));
  }

  /** Section 5.1: an integer whose first bits share a byte with something else. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw fault('the block ends within an integer');
      if (shift > MAX_INTEGER_SHIFT) throw fault('an integer beyond all use');
      const byte = bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** Section 5.2. */
  #string(): string {
    if (this.#at >= this.#end) throw fault('the block ends before a string');
    const isHuffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    if (length > this.#end - start) throw fault('a string longer than the block');
    this.#at = start + length;
    if (!isHuffman) return this.#bytes.toString('latin1', start, this.#at);
    const text = decodeHuffman(this.#bytes, start, this.#at);
    if (text === undefined) throw fault('a string that is not Huffman coded as it says');
    return text;
  }
}

/** RFC 9113 8.2.1: visible ASCII without upper case, and a colon only in front. */
function isFieldName(name: string): boolean {
  if (name.length === 0) return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || (code >= 0x41 && code <= 0x5a) || (code === 0x3a && i > 0))
      return false;
  }
  return true;
}

/** RFC 9113 8.2.1: no NUL, CR, LF, and no white space at either end. */
function isFieldValue(value: string): boolean {
  const last = value.length - 1;
  if (last < 0) return true;
  for (let i = 0; i <= last; i++) {
    const code = value.charCodeAt(i);
    if (code <= 0x20 && (code === 0 || code === 0x0a || code === 0x0d)) return false;
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(last));
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function fault(message: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.COMPRESSION_ERROR, message);
}
