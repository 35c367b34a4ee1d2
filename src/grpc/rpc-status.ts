/**
 * Writes google.rpc.Status with one google.rpc.RetryInfo or google.rpc.ErrorInfo, the content of `grpc-status-details-bin`.
 * Two small messages that never change: a protobuf library would be more code than this.
 *
 *   Status    { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3 }
 *   Any       { string type_url = 1; bytes value = 2 }
 *   RetryInfo { google.protobuf.Duration retry_delay = 1 }
 *   Duration  { int64 seconds = 1; int32 nanos = 2 }
 *   ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3 }
 */
const VARINT = 0;
const BYTES = 2;
const RETRY_INFO_TYPE_URL = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
const ERROR_INFO_TYPE_URL = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo');
/** The `domain` of our ErrorInfo. */
const DOMAIN = Buffer.from('telemetry-sink');

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
  return encodeStatus(code, message, RETRY_INFO_TYPE_URL, bytesField(1, Buffer.from(duration)));
}

export function encodeErrorStatus(
  code: number,
  message: string,
  reason: string,
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const entries = Object.entries(metadata).map(([key, value]) =>
    bytesField(3, Buffer.concat([bytesField(1, Buffer.from(key)), bytesField(2, Buffer.from(value))])),
  );
  const info = Buffer.concat([bytesField(1, Buffer.from(reason)), bytesField(2, DOMAIN), ...entries]);
  return encodeStatus(code, message, ERROR_INFO_TYPE_URL, info);
}

function encodeStatus(code: number, message: string, typeUrl: Buffer, detail: Buffer): Buffer {
  const any = Buffer.concat([bytesField(1, typeUrl), bytesField(2, detail)]);
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
