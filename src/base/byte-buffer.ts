/**
 * A growable run of bytes that encoders append to. Writers work on `bytes` and `length` directly
 * (call `reserve` first), because a method call per byte would cost more than the encoding itself.
 *
 * Invariants:
 * 1. 0 <= length <= bytes.length; only [0, length) holds data.
 * 2. `bytes` covers all of its memory. It begins as what it was made over, shared memory of a pool for example, and once it
 *    has grown it is ordinary memory of its own, which may be transferred and which the collector counts.
 */
export class ByteBuffer {
  bytes: Uint8Array;
  /** Over the same memory as `bytes`; here, since to make one costs as much as some of a request's lines. */
  view: DataView;
  length = 0;

  /** Over `memory`, or over new memory of that many bytes. */
  constructor(memory: number | Uint8Array) {
    this.bytes = typeof memory === 'number' ? new Uint8Array(memory) : memory;
    this.view = viewOf(this.bytes);
  }

  /** Makes room for `extraBytes` more; grows by doubling, so appending stays linear. `bytes` may be replaced. */
  reserve(extraBytes: number): void {
    const needed = this.length + extraBytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = viewOf(grown);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
