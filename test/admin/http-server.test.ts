/** The admin server over real sockets: what it answers, and what it refuses and how. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import {
  ADMIN_LIMITS,
  type AdminLimits,
  type AdminServer,
  openAdminServer,
} from '../../src/admin/http-server.ts';
import { SinkError } from '../../src/base/errors.ts';
import { parseExposition, sampleValue } from '../observe/exposition.ts';
import { ask, exchange } from './http-client.ts';
import { SampleDaemon } from './sample-daemon.ts';

const localhost = { host: 'localhost', port: 0 };
const faults: string[] = [];

function open(
  daemon: SampleDaemon,
  address = localhost,
  limits: Partial<AdminLimits> = {},
): Promise<AdminServer> {
  const onFault = (path: string, error: unknown) => faults.push(`${path}: ${error}`);
  const deps = { status: daemon, metrics: daemon.metrics, onFault };
  return openAdminServer(address, deps, { ...ADMIN_LIMITS, ...limits });
}

const daemon = new SampleDaemon();
let server: AdminServer;
before(async () => {
  server = await open(daemon);
});
after(() => server.close());

const errorOf = (body: string) => JSON.parse(body).error as { code: string; message: string };

test('localhost is both loopbacks, on one port', async () => {
  const families = ['127.0.0.1', '::1'].filter((host) => !server.missing.some((m) => m.startsWith(host)));
  assert.equal(server.addresses.length, families.length);
  for (const host of families) assert.equal((await ask(server.port, '/healthz', { host })).status, 200);
});

test('/metrics is the text format with its content type', async () => {
  daemon.live(1000);
  const { status, headers, body } = await ask(server.port, '/metrics');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const { received } = daemon.ledger().requests;
  assert.equal(sampleValue(parseExposition(body), 'telemetry_sink_requests_received_total'), received);
});

test('/healthz and /readyz: 200 with the checks, 503 with the reasons', async () => {
  const sick = new SampleDaemon();
  const other = await open(sick);
  try {
    for (const [path, code] of [
      ['/healthz', 'NOT_HEALTHY'],
      ['/readyz', 'NOT_READY'],
    ] as const) {
      sick.livenessChecks = [{ check: 'threads', ok: true }];
      sick.readinessChecks = [{ check: 'journal', ok: true }];
      const good = await ask(other.port, path);
      assert.equal(good.status, 200);
      assert.equal(JSON.parse(good.body).ok, true);

      sick.livenessChecks = [{ check: 'threads', ok: false, reason: 'writer ended' }];
      sick.readinessChecks = [
        { check: 'phase', ok: true },
        { check: 'journal', ok: false, reason: 'ENOSPC: disk full' },
      ];
      const bad = await ask(other.port, path);
      assert.equal(bad.status, 503);
      const body = JSON.parse(bad.body);
      assert.equal(body.ok, false);
      assert.equal(body.error.code, code);
      assert.deepEqual(body.checks, path === '/healthz' ? sick.livenessChecks : sick.readinessChecks);
      assert.match(body.error.message, path === '/healthz' ? /^threads: writer ended$/ : /^journal: ENOSPC/);
    }
  } finally {
    await other.close();
  }
});

test('/api/v1/producers, a page at a time', async () => {
  const first = await ask(server.port, '/api/v1/producers?limit=1');
  assert.equal(first.status, 200);
  const page = JSON.parse(first.body);
  assert.equal(page.producers[0].producer_id, 'gateway-1');
  assert.equal(page.producers[0].last_sequence_taken, '18446744073709551615');
  assert.equal(page.next_after, 'gateway-1');
  const second = JSON.parse((await ask(server.port, '/api/v1/producers?after=gateway-1')).body);
  assert.deepEqual([second.producers.length, second.next_after], [1, null]);
  for (const limit of ['0', '1001', 'x', '-1']) {
    assert.equal((await ask(server.port, `/api/v1/producers?limit=${limit}`)).status, 400, limit);
  }
});

test('/api/v1/status says everything, with the books as they are', async () => {
  const { status, headers, body } = await ask(server.port, '/api/v1/status');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  const document = JSON.parse(body);
  assert.equal(document.phase, 'serving');
  assert.equal(document.version, daemon.build.version);
  assert.deepEqual(document.addresses, { grpc: ['127.0.0.1:8000', '[::1]:8000'], admin: server.addresses });
  const { requests } = daemon.ledger();
  assert.equal(document.ledger.requests.received, requests.received);
  assert.equal(document.ledger.requests.in_flight, requests.inFlight);
  assert.equal(document.ledger.readings.difference, 0);
  assert.equal(document.queue.capacity_bytes, 64 * 1024 * 1024);
  assert.equal(document.journal.open_segment.number, 42);
  assert.equal(document.memory.limits_sum_bytes, 464 * 1024 * 1024);
  assert.equal(document.threads[2].event_loop, null);
  assert.deepEqual(document.config, { FILE_PATH: 'data', ROTATE_BYTES: '256MiB' });
});

test('a query string does not change the path', async () => {
  assert.equal((await ask(server.port, '/healthz?verbose=1')).status, 200);
});

test('HEAD answers like GET, without the body', async () => {
  for (const path of ['/', '/healthz', '/readyz', '/api/v1/status']) {
    const head = await ask(server.port, path, { method: 'HEAD' });
    assert.equal(head.status, 200, path);
    assert.equal(head.body, '');
    assert.ok(Number(head.headers['content-length']) > 10, path);
  }
});

test('404 lists the paths there are', async () => {
  for (const path of ['/nothing', '/api', '/api/v2/status', '/metrics/', '//metrics', '/%6detrics']) {
    const { status, body } = await ask(server.port, path);
    assert.equal(status, 404, path);
    assert.equal(errorOf(body).code, 'NOT_FOUND');
    const paths = JSON.parse(body).paths.map((entry: { path: string }) => entry.path);
    assert.deepEqual(paths, ['/', '/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/producers']);
  }
});

test('405 names the methods that are allowed, and the connection goes on without a body', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    const { status, headers, body } = await ask(server.port, '/metrics', { method });
    assert.equal(status, 405, method);
    assert.equal(headers.allow, 'GET, HEAD');
    assert.equal(errorOf(body).code, 'METHOD_NOT_ALLOWED');
  }
});

test('a body is not read: the answer comes at once and ends the connection', async () => {
  const head = 'POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n';
  const received = await exchange(server.port, `${head}only the beginning`);
  assert.match(received, /^HTTP\/1\.1 405 /);
  assert.match(received, /\r\nconnection: close\r\n/i);
});

test('/api is for loopback names and the configured host only', async () => {
  for (const host of [
    'localhost',
    `localhost:${server.port}`,
    'LOCALHOST:1',
    '127.0.0.1',
    '127.1.2.3:99',
    '[::1]:9464',
  ]) {
    assert.equal((await ask(server.port, '/api/v1/status', { headers: { host } })).status, 200, host);
  }
  for (const host of [
    'evil.example',
    'evil.example:9464',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost:9464@evil.example',
    '10.1.2.3:9464',
    '[::2]',
    '::1',
  ]) {
    const { status, body } = await ask(server.port, '/api/v1/status', { headers: { host } });
    assert.equal(status, 403, host);
    assert.equal(errorOf(body).code, 'FORBIDDEN_HOST');
    assert.ok(!body.includes(host), 'the header is not echoed');
    // Scrapers and probes use whatever name they have.
    assert.equal((await ask(server.port, '/metrics', { headers: { host } })).status, 200, host);
    assert.equal((await ask(server.port, '/readyz', { headers: { host } })).status, 200, host);
  }
  for (const request of [
    'GET /api/v1/status HTTP/1.0\r\n\r\n',
    'GET /api/v1/status HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
  ]) {
    assert.match(await exchange(server.port, request), /^HTTP\/1\.1 403 /);
  }
  assert.equal((await ask(server.port, '/api/unknown', { headers: { host: 'evil.example' } })).status, 403);
});

test('/api answers its own origin only', async () => {
  const host = `localhost:${server.port}`;
  const status = async (origin: string) =>
    (await ask(server.port, '/api/v1/status', { headers: { host, origin } })).status;
  assert.equal(await status(`http://${host}`), 200);
  assert.equal(await status(`https://${host}`), 200);
  for (const origin of [
    'null',
    '',
    'http://evil.example',
    `http://localhost:${server.port + 1}`,
    'http://localhost',
  ]) {
    assert.equal(await status(origin), 403, origin);
  }
});

test('what is not HTTP, or too much of it, gets the same error shape', async () => {
  const shape = (received: string) => errorOf(received.slice(received.indexOf('\r\n\r\n') + 4)).code;
  const nonsense = await exchange(server.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  assert.match(nonsense, /^HTTP\/1\.1 400 /);
  assert.equal(shape(nonsense), 'BAD_REQUEST');
  const large = await exchange(
    server.port,
    `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  );
  assert.match(large, /^HTTP\/1\.1 431 /);
  assert.equal(shape(large), 'HEADERS_TOO_LARGE');
  const absolute = await exchange(
    server.port,
    'GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  );
  assert.match(absolute, /^HTTP\/1\.1 400 /);
  assert.equal((await ask(server.port, '/healthz')).status, 200);
});

test('a request that never ends is cut off', async () => {
  const other = await open(new SampleDaemon(), localhost, { headersTimeoutMs: 200, checkIntervalMs: 50 });
  try {
    const received = await exchange(other.port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow:');
    assert.match(received, /^HTTP\/1\.1 408 /);
  } finally {
    await other.close();
  }
});

test('a connection that stays silent is ended', async () => {
  const other = await open(new SampleDaemon(), localhost, { stalledTimeoutMs: 100 });
  try {
    assert.equal(await exchange(other.port, ''), '');
  } finally {
    await other.close();
  }
});

test('connections beyond the limit are refused, and room comes back', async () => {
  const other = await open(new SampleDaemon());
  try {
    const sockets = await Promise.all(
      Array.from(
        { length: 64 },
        () =>
          new Promise<ReturnType<typeof connect>>((resolve, reject) => {
            const socket = connect(other.port, '127.0.0.1', () => {
              // Only once it has been answered is it certain that the server counts it.
              socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
              socket.once('data', () => resolve(socket));
            });
            socket.on('error', reject);
          }),
      ),
    );
    await assert.rejects(ask(other.port, '/healthz'));
    const closed = new Promise((resolve) => sockets[0]!.once('close', resolve));
    sockets[0]!.end();
    await closed;
    assert.equal((await ask(other.port, '/healthz')).status, 200);
    for (const socket of sockets) socket.destroy();
  } finally {
    await other.close();
  }
});

test('a route that throws is a 500 without details, and is reported', async () => {
  const broken = new SampleDaemon();
  broken.journal = () => {
    throw new Error('secret detail');
  };
  const other = await open(broken);
  try {
    for (const path of ['/api/v1/status', '/metrics']) {
      const { status, body } = await ask(other.port, path);
      assert.equal(status, 500);
      assert.equal(errorOf(body).code, 'INTERNAL');
      assert.ok(!body.includes('secret'));
    }
    assert.deepEqual(faults, ['/api/v1/status: Error: secret detail', '/metrics: Error: secret detail']);
    assert.equal((await ask(other.port, '/healthz')).status, 200);
  } finally {
    await other.close();
  }
});

test('close ends kept-alive connections and frees the port', async () => {
  const other = await open(new SampleDaemon());
  const agent = new Agent({ keepAlive: true });
  const ended = new Promise<void>((resolve, reject) => {
    const sent = request({ port: other.port, host: '127.0.0.1', path: '/healthz', agent }, (response) => {
      response.socket.once('close', resolve);
      response.resume();
    });
    sent.on('error', reject);
    sent.end();
    sent.on('close', () => void other.close());
  });
  await ended;
  await other.close();
  await assert.rejects(ask(other.port, '/healthz'), { code: 'ECONNREFUSED' });
  const again = await open(new SampleDaemon(), { host: 'localhost', port: other.port });
  await again.close();
});

test('close does not wait for a client that never finishes', async () => {
  const other = await open(new SampleDaemon(), localhost, { closeGraceMs: 50 });
  const socket = connect(other.port, '127.0.0.1');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write('GET /healthz HTTP/1.1\r\nHost:');
  await other.close();
  await closed;
});

test('a taken port is one clear line that names ADMIN_SOCKET, and nothing stays bound', async () => {
  await assert.rejects(open(new SampleDaemon(), { host: 'localhost', port: server.port }), (error) => {
    assert.ok(error instanceof SinkError);
    assert.equal(error.code, 'ADDRESS_IN_USE');
    assert.equal(error.exitStatus, 2);
    assert.equal(
      error.message,
      `ADMIN_SOCKET=localhost:${server.port}: port ${server.port} is already in use; stop what listens there or set ADMIN_SOCKET to another port`,
    );
    return true;
  });
});

test('an address that is not ours is one clear line too', async () => {
  for (const host of ['192.0.2.1', 'no-such-host.invalid']) {
    await assert.rejects(open(new SampleDaemon(), { host, port: 0 }), (error) => {
      assert.ok(error instanceof SinkError);
      assert.equal(error.code, 'ADDRESS_UNAVAILABLE');
      assert.match(error.message, new RegExp(`^ADMIN_SOCKET=${host}:0: `));
      return true;
    });
  }
});

test('on every interface: scrapers pass by any name, /api by loopback names only', async () => {
  for (const host of ['', '0.0.0.0']) {
    const other = await open(new SampleDaemon(), { host, port: 0 });
    try {
      const headers = { host: `10.1.2.3:${other.port}` };
      assert.equal((await ask(other.port, '/metrics', { headers })).status, 200);
      assert.equal((await ask(other.port, '/api/v1/status', { headers })).status, 403);
      assert.equal((await ask(other.port, '/api/v1/status')).status, 200);
    } finally {
      await other.close();
    }
  }
});
