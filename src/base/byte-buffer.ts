/**
 * A growable run of bytes that encoders append to. Writers work on `bytes` and `length` directly
 * (call `reserve` first), because a method call per byte would cost more than the encoding itself.
 *
 * Invariant: 0 <= length <= bytes.length; only [0, length) holds data.
 * `bytes` owns its whole ArrayBuffer, so that a full buffer can be transferred to another thread.
 */
export class ByteBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacityBytes: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(capacityBytes));
  }

  /** Makes room for `extraBytes` more; grows by doubling, so appending stays linear. `bytes` may be replaced. */
  reserve(extraBytes: number): void {
    const needed = this.length + extraBytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(new ArrayBuffer(Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
