/** Builds protobuf wire bytes by hand, well formed or not, for tests of what reads them. */

export type WireBytes = readonly number[];

/** `width` pads with zero groups up to that many bytes, as a writer that reserves room would. */
export function varint(value: bigint | number, width = 1): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  } while (rest > 0n || bytes.length < width);
  bytes[bytes.length - 1]! &= 0x7f;
  return bytes;
}

export function tag(field: number, wireType: number): number[] {
  return varint(BigInt(field) * 8n + BigInt(wireType));
}

export function varintField(field: number, value: bigint | number, width = 1): number[] {
  return [...tag(field, 0), ...varint(value, width)];
}

export function bytesField(
  field: number,
  payload: WireBytes | Uint8Array | string,
  lengthWidth = 1,
): number[] {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return [...tag(field, 2), ...varint(bytes.length, lengthWidth), ...bytes];
}

export function fixed32Field(field: number, payload: WireBytes): number[] {
  return [...tag(field, 5), ...payload];
}

export function fixed64Field(field: number, payload: WireBytes): number[] {
  return [...tag(field, 1), ...payload];
}

export function doubleField(field: number, value: number): number[] {
  return fixed64Field(field, [...new Uint8Array(new Float64Array([value]).buffer)]);
}

export function groupField(field: number, content: WireBytes): number[] {
  return [...tag(field, 3), ...content, ...tag(field, 4)];
}
