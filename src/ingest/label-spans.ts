/**
 * Where the labels of one reading lie in the request, in the order of their first appearance. A key that comes
 * again keeps its place and takes the later value, as a protobuf map does.
 *
 * Invariants:
 * 1. spans holds `count` entries of four offsets: key start, key end, value start, value end.
 * 2. No two entries have the same key bytes.
 * 3. #index is undefined or maps every key to its entry.
 */
const MANY_LABELS = 16;
const RETAINED_LABELS = 1024;

export class LabelSpans {
  spans = new Int32Array(4 * MANY_LABELS);
  count = 0;
  #index: Map<string, number> | undefined;

  reset(): void {
    if (this.count === 0) return;
    this.count = 0;
    this.#index = undefined;
    // One request with a huge number of labels must not hold its memory for ever.
    if (this.spans.length > 4 * RETAINED_LABELS) this.spans = new Int32Array(4 * MANY_LABELS);
  }

  /** Adds a label whose key `find` did not find. */
  add(source: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const entry = this.count++;
    if (entry * 4 === this.spans.length) {
      const grown = new Int32Array(this.spans.length * 2);
      grown.set(this.spans);
      this.spans = grown;
    }
    this.spans[entry * 4] = keyStart;
    this.spans[entry * 4 + 1] = keyEnd;
    this.#index?.set(keyText(source, keyStart, keyEnd), entry);
    this.setValue(entry, valueStart, valueEnd);
  }

  setValue(entry: number, valueStart: number, valueEnd: number): void {
    this.spans[entry * 4 + 2] = valueStart;
    this.spans[entry * 4 + 3] = valueEnd;
  }

  /** The entry with this key, or -1. Compares bytes while there are few labels; past that an index keeps it linear. */
  find(source: Uint8Array, keyStart: number, keyEnd: number): number {
    const { spans, count } = this;
    if (count < MANY_LABELS) {
      for (let entry = 0; entry < count; entry++) {
        const start = spans[entry * 4]!;
        if (spans[entry * 4 + 1]! - start !== keyEnd - keyStart) continue;
        let at = 0;
        while (keyStart + at < keyEnd && source[start + at] === source[keyStart + at]) at++;
        if (keyStart + at === keyEnd) return entry;
      }
      return -1;
    }
    if (this.#index === undefined) {
      this.#index = new Map();
      for (let entry = 0; entry < count; entry++) {
        this.#index.set(keyText(source, spans[entry * 4]!, spans[entry * 4 + 1]!), entry);
      }
    }
    return this.#index.get(keyText(source, keyStart, keyEnd)) ?? -1;
  }
}

/** One character per byte: equal exactly when the bytes are equal, valid UTF-8 or not. */
function keyText(source: Uint8Array, start: number, end: number): string {
  return Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('latin1');
}
