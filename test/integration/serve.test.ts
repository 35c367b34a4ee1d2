/** The daemon as its users meet it: a process, two ports, a folder, a signal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { SEND_PATH, TestClient } from '../support/grpc-client.ts';

/** items: [{ sensor_name: "boiler-1", measurement: { sensor_value: 42 } }], as the old fleet sends it. */
const OLD_CLIENT_REQUEST = Buffer.from('0a100a08626f696c65722d3112041202082a', 'hex');

test('a call becomes a line, and SIGTERM leaves a closed, verified folder with balanced books', async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start();
  const { grpc, admin } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());

  const result = await client.send(OLD_CLIENT_REQUEST);
  assert.equal(result.code, 0);
  assert.equal(result.response?.length, 0);
  const [file] = (await readdir(home.folder)).filter((name) => name.startsWith('telemetry-'));
  const line = await readFile(join(home.folder, file!), 'utf8');
  assert.match(
    line,
    /^\{"sensor_name":"boiler-1","sensor_value":42,"created_at":null,"received_at":"[0-9T:.-]{23}Z"\}\n$/,
  );

  const ready = await fetch(`http://${admin}/readyz`);
  assert.equal(ready.status, 200);
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  assert.match(metrics, /^telemetry_sink_readings_written_total 1$/m);

  assert.deepEqual(await daemon.stop(), { status: 0, signal: null });
  const last = daemon.log.at(-1)!;
  assert.match(
    last.msg,
    /requests received 1 = ok 1 .*\(difference 0\); readings decoded 1 = written 1 .*\(difference 0\)/,
  );
  const verified = await runCommand(['verify', home.folder]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
});

test('a fault that keeps it from starting is one clear line and exit 2', async (t) => {
  const home = await daemonHome(t);
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => void holder.close());
  const { port } = holder.address() as { port: number };

  await t.test('port taken', async () => {
    const daemon = home.start({ GRPC_SERVER_SOCKET: `127.0.0.1:${port}` });
    assert.equal((await daemon.exited).status, 2);
    assert.match(daemon.stderr, new RegExp(`^telemetry-sink: .*${port}.*\\n$`));
  });
  await t.test('port taken, with several ingest threads', async () => {
    const daemon = home.start({ GRPC_SERVER_SOCKET: `127.0.0.1:${port}`, INGEST_THREADS: '3' });
    assert.equal((await daemon.exited).status, 2);
    assert.match(daemon.stderr, new RegExp(`^telemetry-sink: .*${port}.*\\n$`));
  });
  await t.test('port shared by the threads of another daemon: nobody joins them', async () => {
    const first = home.start({ INGEST_THREADS: '2' });
    const { grpc } = await first.ready();
    for (const threads of ['1', '2']) {
      const second = home.start({
        GRPC_SERVER_SOCKET: grpc,
        INGEST_THREADS: threads,
        FILE_PATH: join(home.folder, '..', 'other-data'),
      });
      assert.equal((await second.exited).status, 2);
      assert.match(second.stderr, new RegExp(`^telemetry-sink: .*${grpc.split(':').at(-1)}.*\\n$`));
    }
    assert.equal((await first.stop()).status, 0);
  });
  await t.test('admin port taken', async () => {
    const daemon = home.start({ ADMIN_SOCKET: `127.0.0.1:${port}` });
    assert.equal((await daemon.exited).status, 2);
    assert.match(daemon.stderr, /^telemetry-sink: .*ADMIN_SOCKET.*\n$/);
  });
  await t.test('FILE_PATH is a file', async () => {
    const path = join(home.folder, '..', 'a-file');
    await writeFile(path, '');
    const daemon = home.start({ FILE_PATH: path });
    assert.equal((await daemon.exited).status, 2);
    assert.match(daemon.stderr, /^telemetry-sink: .*a-file.*\n$/);
  });
  await t.test('the folder belongs to another daemon', async () => {
    const first = home.start();
    await first.ready();
    const second = home.start();
    assert.equal((await second.exited).status, 2);
    assert.match(second.stderr, /^telemetry-sink: .*another.*\n$/i);
    assert.equal((await first.stop()).status, 0);
  });
  await t.test('several options wrong: all of them named', async () => {
    const daemon = home.start({ ACK: 'maybe', ROTATE_BYTES: 'lots', GRPC_SERVER_SOCKET: '0.0.0.0:0' });
    assert.equal((await daemon.exited).status, 2);
    assert.match(daemon.stderr, /ACK/);
    assert.match(daemon.stderr, /ROTATE_BYTES/);
    assert.doesNotMatch(daemon.stderr, /\n\s+at /, 'no stack');
  });
});

test('a request that is malformed in its last reading leaves nothing behind', async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start();
  const { grpc } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  const good = OLD_CLIENT_REQUEST;
  const withoutName = Buffer.from('0a0612041202082a', 'hex');
  const refused = await client.send(Buffer.concat([good, withoutName]));
  assert.equal(refused.code, 3, 'INVALID_ARGUMENT');
  assert.match(refused.message, /1.*sensor_name/);
  assert.equal((await client.send(Buffer.alloc(0))).code, 0, 'an empty request is fine');
  assert.equal((await client.send(good)).code, 0);
  await daemon.stop();
  assert.match(daemon.log.at(-1)!.msg, /received 3 = ok 2 \+ refused 1 .*decoded 1 = written 1 /);
});

test('ACK=accepted answers before the write, and the drain writes it all the same', async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start({ ACK: 'accepted', BUFFER_FLUSH_INTERVAL: '1h' });
  const { grpc } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  assert.equal((await client.send(OLD_CLIENT_REQUEST)).code, 0);
  assert.deepEqual(
    (await readdir(home.folder)).filter((name) => name.startsWith('telemetry-')),
    [],
    'the timer is an hour away, so nothing is written yet',
  );
  assert.equal((await daemon.stop()).status, 0);
  const files = (await readdir(home.folder)).filter((name) => name.startsWith('telemetry-'));
  assert.equal(files.length, 1);
});

test('DRAIN_DELAY goes on serving after NOT_SERVING', async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start({ DRAIN_DELAY: '700ms' });
  const { grpc, admin } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  daemon.signal('SIGTERM');
  await daemon.logged('draining');
  assert.equal((await fetch(`http://${admin}/readyz`)).status, 503);
  assert.equal((await client.send(OLD_CLIENT_REQUEST)).code, 0);
  assert.equal((await daemon.exited).status, 0);
});

test('a client that never finishes its call costs the exit status, but no accepted reading', async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start({ ACK: 'accepted', BUFFER_FLUSH_INTERVAL: '1h', DRAIN_TIMEOUT: '2s' });
  const { grpc, admin } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  assert.equal((await client.send(OLD_CLIENT_REQUEST)).code, 0);
  const session = connect(`http://${grpc}`);
  t.after(() => session.destroy());
  session.on('error', () => {});
  const call = session.request({
    ':method': 'POST',
    ':path': SEND_PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => {});
  call.write(Buffer.from([0, 0, 0, 0, 10]));
  for (let metrics = ''; !/^telemetry_sink_requests_in_flight 1$/m.test(metrics); ) {
    metrics = await (await fetch(`http://${admin}/metrics`)).text();
  }

  assert.deepEqual(await daemon.stop(), { status: 1, signal: null });
  assert.ok(daemon.log.some(({ msg }) => /drain is incomplete: calls in flight: 1 /.test(msg)));
  assert.match(daemon.log.at(-1)!.msg, /decoded 1 = written 1 .*\(difference 0\)$/);
  const verified = await runCommand(['verify', home.folder]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  assert.match(verified.stdout, /1 (reading|line)/);
});

test('a second signal ends a start that takes long', async (t) => {
  const home = await daemonHome(t);
  await mkdir(home.folder, { recursive: true });
  // A segment that nobody closed and no sidecar vouches for is read line by line: a start of many seconds.
  const line =
    '{"sensor_name":"boiler-1","sensor_value":42,"created_at":null,"received_at":"2026-11-20T10:00:00.000Z"}\n';
  const segment = await open(join(home.folder, 'telemetry-20261120T100000Z-000001.jsonl'), 'w');
  for (let i = 0; i < 600; i++) await segment.write(line.repeat(10_000));
  await segment.close();
  const daemon = home.start();
  await daemon.logged('starting');
  daemon.signal('SIGTERM');
  // The second one counts from a second after the first; until it does, it is sent again.
  const again = setInterval(() => daemon.signal('SIGTERM'), 200);
  t.after(() => clearInterval(again));
  assert.deepEqual(await daemon.exited, { status: 1, signal: null });
  assert.ok(!daemon.log.some(({ msg }) => msg.includes('serving')), 'it stopped before the start was over');
});

test('a signal during a start that fails adds nothing to its one line', async (t) => {
  const home = await daemonHome(t);
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => void holder.close());
  const { port } = holder.address() as { port: number };
  const daemon = home.start({ GRPC_SERVER_SOCKET: `127.0.0.1:${port}` });
  await daemon.logged('starting');
  daemon.signal('SIGTERM');
  assert.equal((await daemon.exited).status, 2);
  assert.match(daemon.stderr, /^telemetry-sink: .*\n$/);
  assert.ok(!daemon.log.some(({ level }) => level === 'fatal'));
});

test('a signal from the first moment on is heeded, also by a process 1, which gets none without a handler', async (t) => {
  const home = await daemonHome(t);
  // Sent from inside, the moment the first handler is there; says on stderr whose that was.
  const onFirstHandler =
    'process.on("newListener", function first(name) { if (name !== "SIGTERM") return; ' +
    'process.off("newListener", first); process.stderr.write(new Error("handled here").stack); ' +
    'process.nextTick(() => process.kill(process.pid, "SIGTERM")); });';
  const daemon = home.start({
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(onFirstHandler)}`,
  });
  const { status, signal } = await daemon.exited;
  assert.equal(signal, null);
  // Before `serve` has begun it is an exit, from then on a drain; which one is a matter of milliseconds.
  assert.ok(status === 143 || status === 0, `status ${status}`);
  assert.match(daemon.stderr, /handled here[\s\S]*bin\/telemetry-sink\.js/);
  assert.doesNotMatch(daemon.stderr, /src\/main|dist\/main/);
});
