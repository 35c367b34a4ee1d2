/** `validate`: what would be in force, every fault, and the tries of --preflight. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommandLine } from '../support/command-run.ts';

test('prints every option with its value and where it came from', async () => {
  const { status, stdout, stderr } = await runCommandLine(['validate', '--compress', 'zstd'], {
    env: { ACK: 'synced' },
    envFile: '\nROTATE_BYTES=64MiB\n',
  });
  assert.equal(status, 0);
  assert.equal(stderr, '');
  assert.match(stdout, /^COMPRESS +zstd +flag --compress$/m);
  assert.match(stdout, /^ACK +synced +environment$/m);
  assert.match(stdout, /^ROTATE_BYTES +64MiB +test\.env line 2$/m);
  assert.match(stdout, /^SYNC_INTERVAL +1s +default$/m);
  assert.doesNotMatch(stdout, /--json/);
});

test('--json carries parsed values, sources, faults and warnings', async () => {
  const good = await runCommandLine(['validate', '--json'], {
    envFile: 'ROTATE_BYTES=64MiB\nROTATE_BYTE=1\n',
  });
  assert.equal(good.status, 0);
  const report = JSON.parse(good.stdout);
  assert.equal(report.ok, true);
  assert.match(report.warnings[0], /did you mean ROTATE_BYTES/);
  const rotate = report.options.find(({ name }: { name: string }) => name === 'ROTATE_BYTES');
  assert.equal(rotate.value, 64 * 1024 * 1024);
  assert.match(rotate.source, /line 1$/);

  const bad = await runCommandLine(['validate', '--json'], { env: { ROTATE_BYTES: '12x' } });
  assert.equal(bad.status, 2);
  const faults = JSON.parse(bad.stdout).faults;
  assert.equal(faults.length, 1);
  assert.equal(faults[0].name, 'ROTATE_BYTES');
  assert.equal(faults[0].source, 'environment');
});

test('checks across rooms are reported too', async () => {
  const { status, stdout } = await runCommandLine(['validate'], {
    env: {
      ADMIN_SOCKET: ':8000',
      ALLOW_OPEN_ADMIN: 'true',
      QUEUE_BYTES: '1MiB',
      BUFFER_BYTES: '2MiB',
      RATE_BURST: '1MiB',
    },
  });
  assert.equal(status, 2);
  assert.match(stdout, /GRPC_SERVER_SOCKET and ADMIN_SOCKET are the same address/);
  assert.match(stdout, /QUEUE_BYTES \(1MiB\) is smaller than BUFFER_BYTES \(2MiB\)/);
  assert.match(stdout, /QUEUE_BYTES \(1MiB\) is smaller than MAX_REQUEST_BYTES/);
  assert.match(stdout, /RATE_BURST is set without RATE_PER_SECOND/);
  assert.match(stdout, /4 faults/);
});

test('touches nothing by default; --preflight tries folder and ports and leaves no trace', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'telemetry-sink-validate-'));
  const taken = createServer().listen(0, '127.0.0.1');
  try {
    await once(taken, 'listening');
    const port = (taken.address() as AddressInfo).port;
    const folder = join(parent, 'data');
    const env = { FILE_PATH: folder, GRPC_SERVER_SOCKET: `127.0.0.1:${port}`, ADMIN_SOCKET: '127.0.0.1:0' };
    assert.equal((await runCommandLine(['validate'], { env })).status, 0);
    assert.equal(existsSync(folder), false);

    const tried = await runCommandLine(['validate', '--preflight'], { env });
    assert.equal(tried.status, 2);
    assert.equal(
      tried.stdout,
      `GRPC_SERVER_SOCKET: 127.0.0.1:${port} is in use; stop what listens there (a running daemon?) or choose another port\n1 fault: serve would not start\n`,
    );
    assert.deepEqual(readdirSync(folder), []);

    writeFileSync(join(parent, 'file'), '');
    const blocked = await runCommandLine(['validate', '--preflight'], {
      env: { ...env, FILE_PATH: join(parent, 'file'), GRPC_SERVER_SOCKET: '127.0.0.1:0' },
    });
    assert.equal(blocked.status, 2);
    assert.match(blocked.stdout, /^FILE_PATH: .*file is not writable/);
  } finally {
    taken.close();
    rmSync(parent, { recursive: true });
  }
});
