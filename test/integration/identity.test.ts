/** Who gets in, as operators and clients meet it: token files that change, quotas, the admin port, what is shown. */
import assert from 'node:assert/strict';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { tokenDigest } from '../../src/base/token-file.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { TRANSPORTS } from '../support/grpc-server.ts';
import { item } from '../support/reading-bytes.ts';

const REQUEST = Buffer.from(item('boiler-1'));
const [FIRST, SECOND, ADMIN] = ['first-token-of-boiler', 'second-token-of-pump', 'token-of-the-operator'];

interface Status {
  readonly clients: { readonly token_files: readonly { readonly tokens: number; readonly fault: string }[] };
  readonly config: Readonly<Record<string, string>>;
}

function bearer(token: string): { metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return { metadata };
}

async function codeOf(client: TestClient, token: string): Promise<number> {
  return (await client.send(REQUEST, bearer(token))).code;
}

/** A mounted Secret: every version in a folder of its own, and a link that is swapped in one step. */
async function secretFolder(home: string) {
  const folder = join(home, '..', 'secret');
  let version = 0;
  await mkdir(folder);
  await symlink('..data/tokens', join(folder, 'tokens'));
  return {
    path: join(folder, 'tokens'),
    async put(text: string): Promise<void> {
      const next = `..v${++version}`;
      await mkdir(join(folder, next));
      await writeFile(join(folder, next, 'tokens'), text);
      await symlink(next, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
      if (version > 1) await rm(join(folder, `..v${version - 1}`), { recursive: true });
    },
  };
}

async function scrape(admin: string, token?: string): Promise<string> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await fetch(`http://${admin}/metrics`, { headers })).text();
}

for (const transport of TRANSPORTS) {
  test(`${transport}: tokens are taken over from a swapped Secret without a dropped connection, faulty ones are not`, async (t: TestContext) => {
    const home = await daemonHome(t);
    const secret = await secretFolder(home.folder);
    await secret.put(`boiler ${FIRST}\n`);
    const daemon = home.start({ TRANSPORT: transport, INGEST_THREADS: '2', TOKENS_FILE: secret.path });
    const { grpc, admin } = await daemon.ready();
    const client = new TestClient(grpc);
    t.after(() => client.close());
    assert.equal(await codeOf(client, FIRST), 0);
    assert.equal(await codeOf(client, SECOND), 16);
    assert.equal((await client.send(REQUEST)).code, 16);

    await secret.put(`pump sha256:${tokenDigest(SECOND)}\n`);
    await daemon.logged('read again, 1 tokens are good now');
    // Told to the threads in the same turn; a thread hears of it within milliseconds, and the next call waits for no more.
    while ((await codeOf(client, SECOND)) !== 0) {}
    assert.equal(await codeOf(client, FIRST), 16);

    await secret.put(`pump ${SECOND}\nthis line has no token that is long enough: short\n`);
    await daemon.logged('line 2: ');
    assert.equal(await codeOf(client, SECOND), 0);
    const metrics = await scrape(admin);
    assert.match(metrics, /^telemetry_sink_tokens_reload_ok\{file="TOKENS_FILE"\} 0$/m);
    assert.match(metrics, /^telemetry_sink_requests_refused_total\{reason="unauthenticated"\} [1-9]/m);
    assert.match(metrics, /^telemetry_sink_connections 1$/m);
    const status = (await (await fetch(`http://${admin}/api/v1/status`)).json()) as Status;
    assert.equal(status.clients.token_files[0]!.tokens, 1);
    assert.match(status.clients.token_files[0]!.fault, /^line 2: /);

    await secret.put(`pump ${SECOND}\nboiler ${FIRST}\n`);
    await daemon.logged('read again, 2 tokens are good now');
    while ((await codeOf(client, FIRST)) !== 0) {}
    assert.match(await scrape(admin), /^telemetry_sink_tokens_reload_ok\{file="TOKENS_FILE"\} 1$/m);

    assert.equal((await daemon.stop()).status, 0);
    const everything = JSON.stringify(daemon.log) + daemon.stderr + metrics + JSON.stringify(status);
    for (const secretText of [FIRST, SECOND, tokenDigest(FIRST), tokenDigest(SECOND), 'short']) {
      assert.ok(!everything.includes(secretText), `${secretText} is shown somewhere`);
    }
    assert.match(daemon.log.at(-1)!.msg, /\(difference 0\).*\(difference 0\)/);
  });
}

test('send presents the token of a file; without one it is refused for good', async (t) => {
  const home = await daemonHome(t);
  const path = join(home.folder, '..', 'tokens');
  const mine = join(home.folder, '..', 'mine');
  await writeFile(path, `fleet ${FIRST}\n`);
  await writeFile(mine, `${FIRST}\n`);
  const daemon = home.start({ TOKENS_FILE: path });
  const { grpc, admin } = await daemon.ready();
  const args = ['send', '--target', grpc, '--count', '1000', '--connections', '2', '--json'];
  const refused = await runCommand(args);
  assert.equal(refused.status, 1);
  assert.match(refused.stdout + refused.stderr, /UNAUTHENTICATED/);
  const sent = await runCommand([...args, '--token-file', mine]);
  assert.equal(sent.status, 0, sent.stderr);
  const health = await runCommand(['health', '--grpc-server-socket', grpc]);
  assert.equal(health.status, 0, health.stderr);
  while (!/client="token:fleet"\} [1-9]/.test(await scrape(admin))) {}
});

const HELD_UP_MS = 250;

test('quotas: of the option and of the token file, with the time of the real refill', async (t) => {
  const home = await daemonHome(t);
  const path = join(home.folder, '..', 'tokens');
  await writeFile(path, `small ${FIRST} rate=10 burst=${REQUEST.length}\nlarge ${SECOND} rate=0\n`);
  const daemon = home.start({ TOKENS_FILE: path, CLIENT_RATE_PER_SECOND: '10', INGEST_THREADS: '2' });
  const { grpc, admin } = await daemon.ready();
  // Many connections, so that both threads see the client: its budget is one.
  const clients = Array.from({ length: 8 }, () => new TestClient(grpc));
  t.after(() => {
    for (const client of clients) client.close();
  });
  const results = await Promise.all(clients.map((client) => client.send(REQUEST, bearer(FIRST))));
  assert.equal(results.filter(({ code }) => code === 0).length, 1);
  for (const { code, message, pushback, retryAfterMs } of results.filter((result) => result.code !== 0)) {
    assert.equal(code, 8);
    assert.match(message, /quota of this client, 10B\/s/);
    assert.equal(Number(pushback), retryAfterMs);
    // A thread that was held up between reading its clock and the shared budget is behind by that.
    const refillMs = REQUEST.length * 100;
    assert.ok(retryAfterMs! > 0 && retryAfterMs! <= refillMs + HELD_UP_MS, `${retryAfterMs}`);
  }
  for (let i = 0; i < 20; i++) assert.equal(await codeOf(clients[i % 8]!, SECOND), 0);
  assert.match(await scrape(admin), /^telemetry_sink_requests_refused_total\{reason="quota"\} 7$/m);
});

test('the admin port: beyond loopback only with a token or by express wish, and then health stays open', async (t) => {
  const home = await daemonHome(t);
  const path = join(home.folder, '..', 'admin');
  await writeFile(path, `${ADMIN}\n`);
  const refused = home.start({ ADMIN_SOCKET: '0.0.0.0:0' });
  assert.equal((await refused.exited).status, 2);
  assert.match(
    refused.stderr,
    /ADMIN_SOCKET listens beyond loopback.*ADMIN_TOKEN_FILE.*ALLOW_OPEN_ADMIN=true/,
  );

  const daemon = home.start({ ADMIN_SOCKET: '0.0.0.0:0', ADMIN_TOKEN_FILE: path });
  const { admin } = await daemon.ready();
  const at = (place: string, headers: Record<string, string> = {}) =>
    fetch(`http://${admin.replace('0.0.0.0', '127.0.0.1')}${place}`, { headers });
  for (const open of ['/', '/healthz', '/readyz']) assert.equal((await at(open)).status, 200, open);
  for (const shut of ['/metrics', '/api/v1/status', '/api', '/nothing-here', '/metrics?token=x']) {
    for (const authorization of [
      undefined,
      '',
      `Basic ${ADMIN}`,
      'Bearer wrong-wrong-wrong',
      `Bearer ${ADMIN}x`,
    ]) {
      const answer = await at(shut, authorization === undefined ? {} : { authorization });
      assert.equal(answer.status, 401, `${shut} ${authorization}`);
      assert.match(answer.headers.get('www-authenticate')!, /^Bearer/);
      assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'UNAUTHORIZED');
    }
  }
  const good = { authorization: `Bearer ${ADMIN}` };
  assert.match(await (await at('/metrics', good)).text(), /telemetry_sink_up 1/);
  const status = (await (await at('/api/v1/status', good)).json()) as Status;
  assert.equal(status.config.ADMIN_TOKEN_FILE, path);
  assert.ok(!JSON.stringify(status).includes(ADMIN));

  const free = home.start({
    ADMIN_SOCKET: '0.0.0.0:0',
    ALLOW_OPEN_ADMIN: 'true',
    FILE_PATH: join(home.folder, 'b'),
  });
  const opened = await free.ready();
  assert.match(await scrape(opened.admin), /telemetry_sink_up 1/);
});

test('a file of tokens that cannot be used keeps the daemon from starting, in one line that tells no secret', async (t) => {
  const home = await daemonHome(t);
  const path = join(home.folder, '..', 'tokens');
  await writeFile(path, `boiler ${FIRST}\n\u001b[31mpump ${SECOND}\n`);
  for (const name of ['TOKENS_FILE', 'ADMIN_TOKEN_FILE']) {
    const faulty = home.start({ [name]: path });
    assert.equal((await faulty.exited).status, 2);
    assert.match(faulty.stderr, new RegExp(`^telemetry-sink: ${name}=.*: line 2: .*\\n$`));
    assert.doesNotMatch(faulty.stderr, /token-of/);
    const missing = home.start({ [name]: `${path}-missing` });
    assert.equal((await missing.exited).status, 2);
    assert.match(missing.stderr, /ENOENT/);
  }
});
