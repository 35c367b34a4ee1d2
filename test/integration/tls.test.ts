/** A daemon with TLS as its users meet it: `send`, `health`, new files while it runs, and the words for what goes wrong. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { Authority, tlsHome } from '../support/certificates.ts';
import { runCommand, startCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';

const TRANSPORTS = ['native', 'grpc-js'];

/** The certificate that a new connection is shown. */
async function shown(target: string): Promise<X509Certificate> {
  const port = Number(target.split(':').at(-1));
  const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return new X509Certificate(raw);
}

const localhost = (target: string) => `localhost:${target.split(':').at(-1)}`;

for (const transport of TRANSPORTS) {
  test(`new files under load: nobody notices but who comes after, ${transport}`, async (t) => {
    const tls = await tlsHome(t);
    const home = await daemonHome(t);
    // As Kubernetes mounts a Secret: files are links into a folder that is swapped as a whole.
    const mount = join(tls.folder, 'mount');
    const swap = async (version: string, name: string): Promise<void> => {
      const { certificate, key } = tls.authority.issue(name);
      await mkdir(join(mount, version), { recursive: true });
      await writeFile(join(mount, version, 'tls.crt'), certificate);
      await writeFile(join(mount, version, 'tls.key'), key, { mode: 0o600 });
      await symlink(version, join(mount, '..data.new'));
      await rename(join(mount, '..data.new'), join(mount, '..data'));
    };
    await swap('v1', 'first');
    for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(mount, file));
    const daemon = home.start({
      TRANSPORT: transport,
      INGEST_THREADS: '2',
      TLS_CERT: join(mount, 'tls.crt'),
      TLS_KEY: join(mount, 'tls.key'),
    });
    const { grpc, admin } = await daemon.ready();
    assert.match((await shown(grpc)).subject, /first/);

    const load = startCommand([
      'send',
      ...['--json', '--target', localhost(grpc), '--tls-ca', tls.files.authority, '--retries', '0'],
      ...['--connections', '8', '--requests-per-second', '500', '--duration', '6s'],
    ]);
    await daemon.logged('serving');
    await swap('v2', 'second');
    await daemon.logged('TLS files read again');
    // Every thread: the kernel chooses which one takes a connection.
    for (let seen = 0; seen < 20; seen++) {
      while (!(await shown(grpc)).subject.includes('second')) await new Promise(setImmediate);
    }
    // The key alone is half a change: the pair in force stays.
    await writeFile(join(mount, 'v2', 'tls.key'), tls.authority.issue('third').key);
    await daemon.logged('the key does not belong to the certificate');
    assert.match((await shown(grpc)).subject, /second/);
    const metrics = await (await fetch(`http://${admin}/metrics`)).text();
    assert.match(metrics, /telemetry_sink_tls_reload_ok 0/);

    const { status, stdout } = await load.finished;
    const summary = JSON.parse(stdout) as { delivered: boolean; failed_attempts: object };
    assert.equal(status, 0, stdout);
    assert.deepEqual([summary.delivered, summary.failed_attempts], [true, {}]);
    assert.equal((await daemon.stop()).status, 0);
  });
}

test('send and health, with the words for what goes wrong', async (t) => {
  const tls = await tlsHome(t);
  const home = await daemonHome(t);
  await chmod(tls.files.key, 0o644);
  const daemon = home.start({ TLS_CERT: tls.files.certificate, TLS_KEY: tls.files.key });
  const { grpc } = await daemon.ready();
  await daemon.logged('can be read by everybody');
  const send = (...args: string[]) =>
    runCommand(['send', '--count', '100', '--target', localhost(grpc), '--connect-timeout', '5s', ...args]);

  assert.equal((await send('--tls-ca', tls.files.authority)).status, 0);
  const untrusted = await send('--tls');
  assert.equal(untrusted.status, 1);
  assert.match(untrusted.stderr, /not trusted here: name its authority with --tls-ca/);
  const misnamed = await send('--tls-ca', tls.files.authority, '--tls-server-name', 'elsewhere.example');
  assert.match(misnamed.stderr, /is for another name/);
  const plain = await send();
  assert.match(plain.stderr, /may speak TLS/);
  await daemon.logged('it speaks plaintext');
  const missing = await send('--tls-ca', '/no/such/file');
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /--tls-ca \/no\/such\/file: ENOENT/);

  const environment = { GRPC_SERVER_SOCKET: localhost(grpc) };
  const health = await runCommand(['health', '--tls'], { env: environment });
  assert.deepEqual([health.status, health.stdout.includes('SERVING')], [0, true]);
  assert.equal((await runCommand(['health'], { env: environment })).status, 1);
  assert.equal((await daemon.stop()).status, 0);
});

test('mutual TLS: a certificate of the authority gets in, and is known by its name', async (t) => {
  const tls = await tlsHome(t);
  const home = await daemonHome(t);
  const device = tls.authority.issue('device-7');
  const [certificate, key] = [join(tls.folder, 'device.crt'), join(tls.folder, 'device.key')];
  await writeFile(certificate, device.certificate);
  await writeFile(key, device.key);
  const daemon = home.start({
    TLS_CERT: tls.files.certificate,
    TLS_KEY: tls.files.key,
    TLS_CLIENT_CA: tls.files.authority,
  });
  const { grpc, admin } = await daemon.ready();
  const send = (...args: string[]) =>
    runCommand([
      'send',
      ...['--count', '100', '--target', localhost(grpc), '--connect-timeout', '5s'],
      ...['--tls-ca', tls.files.authority, ...args],
    ]);
  assert.equal((await send('--tls-cert', certificate, '--tls-key', key)).status, 0);
  const nobody = await send();
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /--tls-cert and --tls-key/);
  await daemon.logged('it shows no client certificate');
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  assert.match(metrics, /client_admitted_bytes_total\{client="certificate:device-7"\} [1-9]/);
  assert.match(metrics, /tls_handshake_faults_total\{fault="no_client_certificate"\} [1-9]/);
  assert.equal((await daemon.stop()).status, 0);
});

test('files that make no sense end the start, all faults at once, and validate says so before', async (t) => {
  const tls = await tlsHome(t);
  const home = await daemonHome(t);
  await writeFile(tls.files.certificate, 'not a certificate');
  await writeFile(tls.files.key, await readFile(tls.files.authority, 'utf8'));
  const environment = { TLS_CERT: tls.files.certificate, TLS_KEY: tls.files.key };
  const daemon = home.start(environment);
  assert.equal((await daemon.exited).status, 2);
  assert.match(daemon.stderr, /TLS_CERT: the certificate is not a PEM certificate/);
  assert.match(daemon.stderr, /TLS_KEY: the key is not an unencrypted PEM private key/);
  const validated = await runCommand(['validate'], { env: environment });
  assert.equal(validated.status, 2);
  assert.match(validated.stdout, /TLS_CERT: .*\nTLS_KEY: /);
  const stranger = new Authority('Stranger').issue('x');
  await tls.write({ certificate: tls.authority.issue('sink').certificate, key: stranger.key });
  assert.match(
    (await runCommand(['validate'], { env: environment })).stdout,
    /does not belong to the certificate/,
  );
});
