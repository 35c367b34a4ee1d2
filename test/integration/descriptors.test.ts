/** More sensors connect than the process may open files: those that are in are served, the journal goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { requirement } from '../support/requirements.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

test('connections beyond the open-files limit are refused, and segments still rotate', {
  skip: requirement('prlimit'),
}, async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start({ ROTATE_BYTES: '64KiB', COMPRESS: 'gzip' }, [], ['prlimit', '--nofile=256']);
  const { grpc } = await daemon.ready();
  assert.match((await daemon.logged('connections are let in')).msg, /256 files.*ulimit -n/);
  const client = new TestClient(grpc);
  t.after(() => client.close());
  const item = bytesField(1, [
    ...bytesField(1, 'boiler-1'),
    ...bytesField(2, bytesField(2, varintField(1, 42))),
  ]);
  const request = Buffer.concat(Array(800).fill(Buffer.from(item)));
  assert.equal((await client.send(request)).code, 0);

  const crowd: Socket[] = [];
  t.after(() => {
    for (const socket of crowd) socket.destroy();
  });
  const port = Number(grpc.split(':').at(-1));
  for (let i = 0; i < 300; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    crowd.push(socket);
    await once(socket, 'connect').catch(() => {});
  }
  for (let i = 0; i < 5; i++) {
    const { code, message } = await client.send(request);
    assert.equal(code, 0, message);
  }
  assert.equal((await daemon.stop()).status, 0);
  assert.match(daemon.log.at(-1)!.msg, /decoded 4800 = written 4800 /);
});
