/** Reflection gives what the compiler wrote, to clients of both versions and to the real grpcurl. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import { OK } from '../../src/base/outcome.ts';
import { DESCRIPTOR_SET_BASE64 } from '../../src/grpc/descriptor-set.generated.ts';
import { filesOf } from '../../src/grpc/reflection.ts';
import { BareClient, frame, TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { requirement } from '../support/requirements.ts';
import { openReflection, type ReflectionVersion } from '../support/side-calls.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    let server: TestServer;
    let client: TestClient;

    before(async () => {
      server = await TestServer.start(transport);
      client = new TestClient(server.target);
    });
    after(() => {
      client.close();
      server.destroy();
    });

    /** The compiler's file that has this name: field 1, the first of a FileDescriptorProto. */
    function compiled(name: string): Buffer {
      const start = Buffer.from(bytesField(1, name));
      const file = filesOf(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64')).find(
        (bytes) => bytes.subarray(0, start.length).compare(start) === 0,
      );
      assert.ok(file, `no ${name} in the descriptor set`);
      return file;
    }

    const IMPORTS = ['google/protobuf/timestamp.proto', 'google/protobuf/wrappers.proto'];

    for (const version of ['v1', 'v1alpha'] as ReflectionVersion[]) {
      test(`${version}: services by name`, async () => {
        const { listServicesResponse } = await openReflection(client, version).ask({ listServices: '' });
        const names = listServicesResponse!.service.map(({ name }) => name);
        assert.ok(names.includes('sensor.v1.SensorService'));
        assert.ok(names.includes('grpc.health.v1.Health'));
      });

      test(`${version}: files are byte for byte the compiler's, with their imports`, async () => {
        const reflection = openReflection(client, version);
        for (const question of [
          { fileContainingSymbol: 'sensor.v1.SensorService' },
          { fileContainingSymbol: 'sensor.v1.SensorValue.LabelsEntry' },
          { fileContainingSymbol: 'sensor.v1.SensorService.SendSensorValues' },
          { fileByFilename: 'sensor/v1/sensor.proto' },
        ]) {
          const answer = await reflection.ask(question);
          const files = answer.fileDescriptorResponse!.fileDescriptorProto.map((file) => Buffer.from(file));
          const expected = ['sensor/v1/sensor.proto', ...IMPORTS].map(compiled);
          assert.deepEqual(files[0], expected[0]);
          assert.deepEqual(files.slice().sort(Buffer.compare), expected.slice().sort(Buffer.compare));
        }
        for (const name of IMPORTS) {
          const answer = await reflection.ask({ fileByFilename: name });
          assert.deepEqual(
            Buffer.from(answer.fileDescriptorResponse!.fileDescriptorProto[0]!),
            compiled(name),
          );
        }
        const unknown = await reflection.ask({ fileContainingSymbol: 'nobody.Nothing' });
        assert.equal(unknown.errorResponse!.errorCode, status.NOT_FOUND);
        reflection.call.end();
        assert.equal((await reflection.ended).code, status.OK);
      });
    }

    test('a client that asks without end, or without reading, is cut off', async () => {
      const asking = openReflection(client);
      asking.call.write({ fileByFilename: 'x'.repeat(300 * 1024) });
      assert.equal((await asking.ended).code, status.RESOURCE_EXHAUSTED);

      // { file_containing_symbol = 4 }: eleven bytes of question, kilobytes of answer, none of them read.
      const question = frame(Buffer.from(bytesField(4, 'sensor.v1.SensorService')));
      const deaf = new BareClient(server.target);
      const stream = deaf.session.request({
        ':method': 'POST',
        ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        'content-type': 'application/grpc',
      });
      stream.on('error', () => {});
      stream.write(Buffer.concat(Array(1000).fill(question)));
      await new Promise((resolve) => stream.on('close', resolve));
      assert.equal(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      deaf.close();
    });

    const grpcurl = (...args: string[]) => promisify(execFile)('grpcurl', ['-plaintext', ...args]);

    test('grpcurl lists, describes and calls without a proto file', {
      skip: requirement('grpcurl'),
    }, async () => {
      const { target } = server;
      const list = (await grpcurl(target, 'list')).stdout.trim().split('\n');
      assert.ok(list.includes('sensor.v1.SensorService'));
      assert.ok(list.includes('grpc.health.v1.Health'));

      const service = (await grpcurl(target, 'describe', 'sensor.v1.SensorService')).stdout;
      assert.match(service, /rpc SendSensorValues \( \.sensor\.v1\.SensorValuesRequest \)/);
      const value = (await grpcurl(target, 'describe', 'sensor.v1.SensorValue')).stdout;
      assert.match(value, /map<string, string> labels = 3;/);
      assert.match(value, /optional double double_value = 4;/);
      assert.match(value, /\.google\.protobuf\.Timestamp created_at = 3;/);

      const health = (await grpcurl(target, 'grpc.health.v1.Health/Check')).stdout;
      assert.deepEqual(JSON.parse(health), { status: 'SERVING' });

      const reading = {
        sensor_name: 'boiler-1',
        measurement: { sensor_value: '42', created_at: '2026-11-20T10:00:00Z' },
        labels: { site: 'north' },
      };
      const called = grpcurl(
        '-d',
        JSON.stringify({ items: [reading] }),
        target,
        'sensor.v1.SensorService/SendSensorValues',
      );
      const { request, respond } = await server.nextCall();
      const timestamp = varintField(1, Date.UTC(2026, 10, 20, 10) / 1000);
      const measurement = [...bytesField(2, varintField(1, 42)), ...bytesField(3, timestamp)];
      const label = [...bytesField(1, 'site'), ...bytesField(2, 'north')];
      const item = [...bytesField(1, 'boiler-1'), ...bytesField(2, measurement), ...bytesField(3, label)];
      assert.deepEqual(Buffer.from(request), Buffer.from(bytesField(1, item)));
      respond(OK);
      assert.deepEqual(JSON.parse((await called).stdout), {});
    });
  });
}
