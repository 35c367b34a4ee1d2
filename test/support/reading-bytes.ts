/** The wire bytes of the parts of a SensorValuesRequest. */
import { bytesField, varintField, type WireBytes } from './wire-bytes.ts';

export const int64Value = (value: bigint | number) => bytesField(2, varintField(1, value));
export const createdAt = (seconds: bigint | number, nanos: number) =>
  bytesField(3, [...varintField(1, seconds), ...varintField(2, nanos)]);
export const measurement = (...fields: WireBytes[]) => bytesField(2, fields.flat());
export const label = (key: string, value: string) =>
  bytesField(3, [...bytesField(1, key), ...bytesField(2, value)]);
export const item = (name: string, ...fields: WireBytes[]) =>
  bytesField(1, [...bytesField(1, name), ...fields.flat()]);
