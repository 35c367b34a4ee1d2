/** The one request that h2load repeats, made by the encoder of `send`: readings like those of the existing fleet. */
import { RequestEncoder, sensorNameField } from '../src/commands/send/request-encoder.ts';

const FIRST_SECOND = Date.UTC(2026, 10, 20, 10) / 1000;
const FIRST_VALUE = 20_000;
const SENSORS = 1000;

export const PAYLOAD_TEXT =
  'readings with a name of 12 bytes, an int64 value and a time with nanoseconds, no labels, producers not numbered';

export interface SampleReading {
  readonly sensorName: string;
  readonly value: number;
  readonly seconds: number;
  readonly nanos: number;
}

export function sampleReading(index: number): SampleReading {
  return {
    sensorName: `sensor-${String((index % SENSORS) + 1).padStart(5, '0')}`,
    value: FIRST_VALUE + index * 7,
    seconds: FIRST_SECOND + (index >> 4),
    nanos: (123_456_789 + index * 1013) % 1e9,
  };
}

export function requestBody(readings: number): Uint8Array {
  const encoder = new RequestEncoder();
  const noLabels = new Uint8Array();
  encoder.begin();
  for (let index = 0; index < readings; index++) {
    const { sensorName, value, seconds, nanos } = sampleReading(index);
    encoder.setInt(value);
    encoder.append(sensorNameField(sensorName), seconds, nanos, noLabels);
  }
  return encoder.finish();
}

/** As a gRPC message: not compressed, length, body. */
export function grpcMessage(body: Uint8Array): Buffer {
  const message = Buffer.alloc(5 + body.length);
  message.writeUInt32BE(body.length, 1);
  message.set(body, 5);
  return message;
}
