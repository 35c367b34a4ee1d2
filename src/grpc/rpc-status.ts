/**
 * Writes google.rpc.Status with one google.rpc.RetryInfo, the content of `grpc-status-details-bin`.
 * Two small messages that never change: a protobuf library would be more code than this.
 *
 *   Status    { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3 }
 *   Any       { string type_url = 1; bytes value = 2 }
 *   RetryInfo { google.protobuf.Duration retry_delay = 1 }
 *   Duration  { int64 seconds = 1; int32 nanos = 2 }
 */
const VARINT = 0;
const BYTES = 2;
const RETRY_INFO_TYPE_URL = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');

export function encodeRetryStatus(code: number, message: string, retryAfterMs: number): Buffer {
  let seconds = Math.floor(retryAfterMs / 1000);
  let nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
  if (nanos === 1e9) {
    seconds++;
    nanos = 0;
  }
  const duration = [
    ...(seconds > 0 ? varintField(1, seconds) : []),
    ...(nanos > 0 ? varintField(2, nanos) : []),
  ];
  const any = Buffer.concat([
    bytesField(1, RETRY_INFO_TYPE_URL),
    bytesField(2, bytesField(1, Buffer.from(duration))),
  ]);
  return Buffer.concat([
    Buffer.from(varintField(1, code)),
    bytesField(2, Buffer.from(message)),
    bytesField(3, any),
  ]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

function varintField(field: number, value: number): number[] {
  return [(field << 3) | VARINT, ...varint(value)];
}

function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | BYTES, ...varint(value.length)]), value]);
}
