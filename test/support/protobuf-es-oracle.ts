/**
 * The second opinion on the meaning of a request: protobuf-es, fed with the descriptor set that reflection serves,
 * so that the descriptors are tried by another implementation as well.
 */
import assert from 'node:assert/strict';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { DESCRIPTOR_SET_BASE64 } from '../../src/grpc/descriptor-set.generated.ts';

interface Reading {
  sensorName: string;
  measurement?: {
    sensorValue?: bigint;
    createdAt?: { seconds: bigint; nanos: number };
    doubleValue?: number;
    boolValue?: boolean;
    stringValue?: string;
  };
  labels: Record<string, string>;
}

interface Request {
  items: Reading[];
  producerId: string;
  firstSequence: bigint;
}

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET_BASE64, 'base64')),
);
const requestSchema = registry.getMessage('sensor.v1.SensorValuesRequest');
assert.ok(requestSchema);

/** The readings as the parsed lines should look, with 64-bit integers as strings. Throws on what it cannot decode. */
export function protobufEsReadings(request: Uint8Array, receivedAtMs: number): Record<string, unknown>[] {
  const { items, producerId, firstSequence } = fromBinary(requestSchema!, request) as unknown as Request;
  return items.map(({ sensorName, measurement, labels }, index) => {
    const double = measurement?.doubleValue;
    const time = measurement?.createdAt;
    return {
      sensor_name: sensorName,
      sensor_value: measurement?.sensorValue === undefined ? null : String(measurement.sensorValue),
      ...(double !== undefined && { double_value: Number.isFinite(double) ? double : String(double) }),
      ...(measurement?.boolValue !== undefined && { bool_value: measurement.boolValue }),
      ...(measurement?.stringValue !== undefined && { string_value: measurement.stringValue }),
      created_at: time === undefined ? null : timestampText(time.seconds, time.nanos),
      received_at: new Date(receivedAtMs).toISOString(),
      ...(Object.keys(labels).length > 0 && { labels: JSON.parse(JSON.stringify(labels)) }),
      ...(producerId !== '' && { producer_id: producerId, sequence: String(firstSequence + BigInt(index)) }),
    };
  });
}

function timestampText(seconds: bigint, nanos: number): string {
  const toSecond = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${toSecond}.${String(nanos).padStart(9, '0')}Z`;
}
