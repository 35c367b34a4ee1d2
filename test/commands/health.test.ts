/** `health` against real servers: the official gRPC health service, and HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { parseListenAddress } from '../../src/base/listen-address.ts';
import { encodeHealthRequest } from '../../src/commands/health/grpc-probe.ts';
import { probeAddress } from '../../src/commands/health/probe-address.ts';
import { type CommandRun, runCommandLine } from '../support/command-run.ts';

const LONG_NAME = 'service.'.repeat(40);

test('a probe asks where the daemon can be reached', () => {
  const reached = (text: string): string | undefined => probeAddress(parseListenAddress(text)!);
  assert.equal(reached(':50051'), 'localhost:50051');
  assert.equal(reached('[::]:50051'), 'localhost:50051');
  assert.equal(reached('0.0.0.0:50051'), '127.0.0.1:50051');
  assert.equal(reached('[::1]:80'), '[::1]:80');
  assert.equal(reached('10.0.0.7:80'), '10.0.0.7:80');
  assert.equal(reached('localhost:0'), undefined);
});

test('the request of the health protocol, short and long', () => {
  assert.deepEqual([...encodeHealthRequest('')], []);
  assert.deepEqual([...encodeHealthRequest('ab')], [0x0a, 2, 0x61, 0x62]);
  assert.deepEqual([...encodeHealthRequest('x'.repeat(200)).subarray(0, 4)], [0x0a, 0xc8, 0x01, 0x78]);
});

test('port 0 cannot be probed', async () => {
  const { status, stderr } = await runCommandLine(['health'], { env: { GRPC_SERVER_SOCKET: 'localhost:0' } });
  assert.equal(status, 2);
  assert.match(stderr, /GRPC_SERVER_SOCKET has port 0/);
});

test('gRPC', async (t) => {
  const server = new Server();
  const health = new HealthImplementation({ '': 'SERVING', down: 'NOT_SERVING', [LONG_NAME]: 'SERVING' });
  let port = 0;
  before(async () => {
    health.addToServer(server);
    port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
  });
  after(() => server.forceShutdown());
  const ask = (...args: string[]): Promise<CommandRun> =>
    runCommandLine(['health', ...args], {
      // A proxy in the environment has no part in a probe of this machine.
      env: { GRPC_SERVER_SOCKET: `127.0.0.1:${port}`, http_proxy: 'http://127.0.0.1:1' },
    });

  await t.test('SERVING exits with 0', async () => {
    assert.deepEqual(await ask(), { status: 0, stdout: `127.0.0.1:${port} SERVING\n`, stderr: '' });
    assert.equal((await ask('--service', LONG_NAME)).status, 0);
  });
  await t.test('NOT_SERVING and an unknown service exit with 1', async () => {
    assert.deepEqual(await ask('--service', 'down'), {
      status: 1,
      stdout: `127.0.0.1:${port} NOT_SERVING\n`,
      stderr: '',
    });
    const unknown = await ask('--service', 'nobody');
    assert.equal(unknown.status, 1);
    assert.match(unknown.stdout, /NOT_FOUND/);
  });
});

test('HTTP', async (t) => {
  let ready = true;
  const server = createServer((request, response) => {
    response.statusCode = request.url !== '/readyz' ? 404 : ready ? 200 : 503;
    response.end(JSON.stringify({ ready, reasons: ready ? [] : ['disk full'] }, null, 2));
  });
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());
  const ask = (): Promise<CommandRun> =>
    runCommandLine(['health', '--http'], {
      env: { ADMIN_SOCKET: `127.0.0.1:${(server.address() as AddressInfo).port}` },
    });

  await t.test('ready', async () => {
    ready = true;
    const { status, stdout } = await ask();
    assert.equal(status, 0);
    assert.match(stdout, /200 \{ "ready": true/);
  });
  await t.test('not ready: the reasons on the same line', async () => {
    ready = false;
    const { status, stdout } = await ask();
    assert.equal(status, 1);
    assert.match(stdout, /503 .*disk full.*\n$/);
    assert.equal(stdout.split('\n').length, 2);
  });
});

test('nobody there, and somebody who never answers', async () => {
  const silent = createTcpServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const env = { GRPC_SERVER_SOCKET: address, ADMIN_SOCKET: address };
  const sockets = new Set<{ destroy(): void }>();
  silent.on('connection', (socket) => sockets.add(socket));
  for (const args of [
    ['health', '--timeout', '100ms'],
    ['health', '--http', '--timeout', '100ms'],
  ]) {
    const { status, stdout, stderr } = await runCommandLine(args, { env });
    assert.equal(status, 1);
    assert.match(stdout, /^127\.0\.0\.1:\d+ .+\n$/);
    assert.equal(stderr, '');
  }
  for (const socket of sockets) socket.destroy();
  silent.close();
  await once(silent, 'close');
  for (const args of [['health'], ['health', '--http']]) {
    const { status, stdout } = await runCommandLine(args, { env });
    assert.equal(status, 1);
    assert.match(stdout, /ECONNREFUSED/);
  }
});
