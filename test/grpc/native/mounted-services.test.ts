/** A service written for grpc-js, of all four kinds, on grpc-js itself and on the native transport: no client sees which. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { systemClock } from '../../../src/base/clock.ts';
import { NativeServer } from '../../../src/grpc/native/native-server.ts';
import { Ledger } from '../../../src/observe/ledger.ts';

type Message = Record<string, unknown>;

const serialize = (message: Message) => Buffer.from(JSON.stringify(message));
const deserialize = (bytes: Buffer) => JSON.parse(bytes.toString()) as Message;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/test.Mounted/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  };
}
const definition = {
  echo: method('Echo', false, false),
  gather: method('Gather', true, false),
  count: method('Count', false, true),
  chat: method('Chat', true, true),
} satisfies ServiceDefinition;

/** What the handlers noticed. */
const noticed: string[] = [];
let onNoticed = (): void => {};
function notice(what: string): void {
  noticed.push(what);
  onNoticed();
}

const handlers = {
  echo(call: ServerUnaryCall<Message, Message>, callback: sendUnaryData<Message>) {
    const { request, metadata } = call;
    if (request.throws) throw new Error('of the handler');
    if (request.hangs) {
      call.on('cancelled', () => notice(`cancelled ${call.cancelled}`));
      notice('hanging');
      return;
    }
    if (request.fails) {
      const trailers = new Metadata();
      trailers.set('x-why', 'because');
      callback({ code: status.FAILED_PRECONDITION, details: 'ä 100% "no"\n', metadata: trailers });
      return;
    }
    const early = new Metadata();
    early.set('x-early', 'bird');
    call.sendMetadata(early);
    const trailers = new Metadata();
    for (const value of metadata.get('x-echo')) trailers.add('x-echo', value);
    for (const value of metadata.get('x-echo-bin')) trailers.add('x-echo-bin', value);
    callback(
      null,
      {
        request,
        reserved: Object.keys(metadata.getMap()).filter((name) =>
          /^(?:grpc-timeout|te|content-type|:.*)$/.test(name),
        ),
        path: call.getPath(),
        peer: call.getPeer().replace(/\d+$/, 'port'),
        deadline: Number(call.getDeadline()) < Number.POSITIVE_INFINITY,
      },
      trailers,
    );
  },
  gather(call: ServerReadableStream<Message, Message>, callback: sendUnaryData<Message>) {
    let sum = 0;
    call.on('data', (message: Message) => {
      sum += Number(message.value);
    });
    call.on('end', () => callback(null, { sum }));
  },
  count(call: ServerWritableStream<Message, Message>) {
    const { to, bytes = 0, fails } = call.request;
    for (let i = 1; i <= Number(to); i++) call.write({ i, filler: 'x'.repeat(Number(bytes)) });
    if (fails) {
      call.emit('error', { code: status.ABORTED, details: 'midway' });
      return;
    }
    const trailers = new Metadata();
    trailers.set('x-counted', String(to));
    call.end(trailers);
  },
  chat(call: ServerDuplexStream<Message, Message>) {
    call.on('data', (message: Message) => call.write({ heard: message.say }));
    call.on('end', () => call.end());
    call.on('cancelled', () => notice('chat cancelled'));
  },
};

async function startReference() {
  const server = new Server();
  server.addService(definition, handlers as never);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  return { port, stop: () => server.forceShutdown() };
}

async function startNative() {
  const server = new NativeServer(
    {
      maxRequestBytes: 1000,
      maxConnections: 4,
      maxStreamsPerConnection: 50,
      receiveBufferBytes: 1 << 20,
      maxConnectionAgeMs: 0,
      maxConnectionAgeGraceMs: 1000,
    },
    {
      ledger: new Ledger(),
      clock: systemClock,
      sendSensorValues() {},
      events: { onConnectionRefused() {}, onHandlerFault() {} },
    },
  );
  server.addService(definition, handlers as never);
  const [address] = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    port: Number(address!.split(':').at(-1)),
    stop: () => {
      assert.equal(server.stats().sideCalls, 0);
      assert.equal(server.stats().receiveBufferUsedBytes, 0);
      server.destroy();
    },
  };
}

for (const [name, start] of [
  ['grpc-js', startReference],
  ['native', startNative],
] as const) {
  describe(name, () => {
    let client: Client;
    let stop: () => void;

    before(async () => {
      const server = await start();
      stop = server.stop;
      client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
        'grpc.enable_retries': 0,
      });
    });
    after(() => {
      client.close();
      stop();
    });

    interface Unary {
      readonly early: Metadata;
      readonly value: Message | undefined;
      readonly status: StatusObject;
    }
    function unary(
      request: Message,
      metadata = new Metadata(),
      deadlineMs?: number,
    ): Promise<Unary> & { cancel(): void } {
      const { echo } = definition;
      let call: ReturnType<Client['makeUnaryRequest']>;
      const result = new Promise<Unary>((resolve) => {
        let early = new Metadata();
        let value: Message | undefined;
        const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
        call = client.makeUnaryRequest(
          echo.path,
          serialize,
          deserialize,
          request,
          metadata,
          options,
          (_error, answer) => {
            value = answer;
          },
        );
        call.on('metadata', (received) => {
          early = received;
        });
        call.on('status', (status) => queueMicrotask(() => resolve({ early, value, status })));
      });
      return Object.assign(result, { cancel: () => call.cancel() });
    }

    test('unary: request, metadata, binary metadata, early metadata, trailers', async () => {
      const metadata = new Metadata();
      metadata.add('x-echo', 'one');
      metadata.add('x-echo', 'two, three');
      metadata.add('x-echo-bin', Buffer.from([0, 255, 1]));
      metadata.add('x-echo-bin', Buffer.from([]));
      const { early, value, status: ended } = await unary({ a: 'ä' }, metadata, 10_000);
      assert.equal(ended.code, status.OK);
      assert.deepEqual(value, {
        request: { a: 'ä' },
        reserved: [],
        path: '/test.Mounted/Echo',
        peer: '127.0.0.1:port',
        deadline: true,
      });
      assert.deepEqual(early.get('x-early'), ['bird']);
      assert.deepEqual(ended.metadata.get('x-echo').join(', '), 'one, two, three');
      assert.deepEqual(ended.metadata.get('x-echo-bin')[0], Buffer.from([0, 255, 1]));
    });

    test('unary: a status with details and trailers, a handler that throws, a message nobody can decode', async () => {
      const failed = (await unary({ fails: true })).status;
      assert.equal(failed.code, status.FAILED_PRECONDITION);
      assert.equal(failed.details, 'ä 100% "no"\n');
      assert.deepEqual(failed.metadata.get('x-why'), ['because']);
      assert.equal((await unary({ throws: true })).status.code, status.UNKNOWN);
      const broken = await new Promise<number>((resolve) => {
        const call = client.makeUnaryRequest(
          definition.echo.path,
          () => Buffer.from('{'),
          deserialize,
          {},
          () => {},
        );
        call.on('status', ({ code }) => resolve(code));
      });
      assert.equal(broken, status.INTERNAL);
    });

    test('unary: cancelled and past its deadline, the handler is told', async () => {
      noticed.length = 0;
      const told = (count: number) =>
        new Promise<void>((resolve) => {
          onNoticed = () => {
            if (noticed.length >= count) resolve();
          };
          onNoticed();
        });
      const cancelled = unary({ hangs: true });
      await told(1);
      cancelled.cancel();
      await told(2);
      assert.equal((await cancelled).status.code, status.CANCELLED);
      const late = unary({ hangs: true }, new Metadata(), 50);
      await told(4);
      assert.equal((await late).status.code, status.DEADLINE_EXCEEDED);
      assert.deepEqual(noticed, ['hanging', 'cancelled true', 'hanging', 'cancelled true']);
    });

    test('client stream', async () => {
      const sum = await new Promise<unknown>((resolve) => {
        const { gather } = definition;
        const call = client.makeClientStreamRequest(gather.path, serialize, deserialize, (_error, value) =>
          resolve(value),
        );
        for (let value = 1; value <= 100; value++) call.write({ value });
        call.end();
      });
      assert.deepEqual(sum, { sum: 5050 });
    });

    for (const [to, bytes] of [
      [0, 0],
      [10, 0],
      [40, 100_000],
    ] as const) {
      test(`server stream: ${to} messages of ${bytes} bytes, in order, through every window`, async () => {
        const { count } = definition;
        const call = client.makeServerStreamRequest(count.path, serialize, deserialize, { to, bytes });
        const got: unknown[] = [];
        call.on('data', ({ i, filler }: { i: number; filler: string }) => {
          assert.equal(filler.length, bytes);
          got.push(i);
        });
        const ended = await new Promise<StatusObject>((resolve) => call.on('status', resolve));
        assert.equal(ended.code, status.OK);
        assert.deepEqual(ended.metadata.get('x-counted'), [String(to)]);
        assert.deepEqual(
          got,
          Array.from({ length: to }, (_, i) => i + 1),
        );
      });
    }

    test('server stream: a status in the middle', async () => {
      const { count } = definition;
      const call = client.makeServerStreamRequest(count.path, serialize, deserialize, { to: 3, fails: true });
      call.on('error', () => {});
      call.on('data', () => {});
      const ended = await new Promise<StatusObject>((resolve) => call.on('status', resolve));
      assert.deepEqual([ended.code, ended.details], [status.ABORTED, 'midway']);
    });

    test('bidirectional: answers while the client still asks, then the end; and a cancellation', async () => {
      const open = () =>
        client.makeBidiStreamRequest<Message, Message>(definition.chat.path, serialize, deserialize);
      const call = open();
      for (const say of ['one', 'two', 'three']) {
        const answer = new Promise<Message>((resolve) => call.once('data', resolve));
        call.write({ say });
        assert.deepEqual(await answer, { heard: say });
      }
      const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve));
      call.end();
      assert.equal((await ended).code, status.OK);

      noticed.length = 0;
      const cancelled = open();
      cancelled.on('error', () => {});
      const answer = new Promise((resolve) => cancelled.once('data', resolve));
      cancelled.write({ say: 'hello' });
      await answer;
      const told = new Promise<void>((resolve) => {
        onNoticed = resolve;
      });
      cancelled.cancel();
      await told;
      assert.ok(noticed.includes('chat cancelled'));
    });
  });
}
