/**
 * The header tables of RFC 7541: the static one (Appendix A) and the dynamic one of a connection.
 *
 * Invariants of the dynamic table:
 * 1. `#sizeBytes` is the sum of the entries' sizes and never above `maxBytes` (section 4.1).
 * 2. `version` changes whenever an index may mean something else than before.
 */

export interface HeaderField {
  readonly name: string;
  readonly value: string;
  /** Section 4.1: both lengths and 32. */
  readonly sizeBytes: number;
  /** Name and value are such as RFC 9113 8.2.1 allows. */
  readonly isValid: boolean;
}

const ENTRY_OVERHEAD_BYTES = 32;

export function headerField(name: string, value: string, isValid: boolean): HeaderField {
  return { name, value, sizeBytes: name.length + value.length + ENTRY_OVERHEAD_BYTES, isValid };
}

/** Names that come with several values are written once; `|` parts the values. */
const STATIC_SOURCE: readonly (readonly [string, string])[] = [
  [':authority', ''],
  [':method', 'GET|POST'],
  [':path', '/|/index.html'],
  [':scheme', 'http|https'],
  [':status', '200|204|206|304|400|404|500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...(
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control ' +
    'content-disposition content-encoding content-language content-length content-location content-range ' +
    'content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range ' +
    'if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range ' +
    'referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary ' +
    'via www-authenticate'
  )
    .split(' ')
    .map((name): [string, string] => [name, '']),
];

/** Index 1 is at 1; there is no index 0. */
export const STATIC_TABLE: readonly HeaderField[] = [
  headerField('', '', false),
  ...STATIC_SOURCE.flatMap(([name, values]) =>
    values.split('|').map((value) => headerField(name, value, true)),
  ),
];
export const STATIC_ENTRIES = STATIC_TABLE.length - 1;

export class DynamicTable {
  version = 0;
  /** Newest last, so that inserting and evicting (from `#first` on) move nothing. */
  #entries: HeaderField[] = [];
  #first = 0;
  #sizeBytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#entries.length - this.#first;
  }
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** 0 is the newest. */
  at(index: number): HeaderField | undefined {
    return index < this.length ? this.#entries[this.#entries.length - 1 - index] : undefined;
  }

  /** An entry larger than the table empties it and is not kept: no error (section 4.4). */
  insert(field: HeaderField): void {
    this.version++;
    this.#evictTo(this.#maxBytes - field.sizeBytes);
    if (field.sizeBytes > this.#maxBytes) return;
    this.#entries.push(field);
    this.#sizeBytes += field.sizeBytes;
  }

  resize(maxBytes: number): void {
    this.version++;
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(maxBytes: number): void {
    while (this.#sizeBytes > maxBytes && this.#first < this.#entries.length) {
      this.#sizeBytes -= this.#entries[this.#first]!.sizeBytes;
      this.#first++;
    }
    // The evicted are let go once they are the larger part.
    if (this.#first > 16 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
