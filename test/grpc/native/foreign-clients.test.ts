/** Clients that nobody here wrote, unchanged: curl, nghttp and h2load. (grpcurl, that is grpc-go: reflection.test.ts.) */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { OK } from '../../../src/base/outcome.ts';
import { TlsEntrance } from '../../../src/grpc/tls/tls-entrance.ts';
import { Authority } from '../../support/certificates.ts';
import { frame, SEND_PATH } from '../../support/grpc-client.ts';
import { TestServer } from '../../support/grpc-server.ts';
import { requirement } from '../../support/requirements.ts';

const run = promisify(execFile);
const HEADERS = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];

let server: TestServer;
let folder: string;
let body: string;
let url: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-'));
  body = join(folder, 'body');
  await writeFile(body, frame(Buffer.from('message')));
  server = await TestServer.start('native', { maxRequestBytes: 4 << 20 });
  server.handler = (_request, _call, respond) => respond(OK);
  url = `http://${server.target}${SEND_PATH}`;
});
after(async () => {
  server.destroy();
  await rm(folder, { recursive: true });
});

test('curl', { skip: requirement('curl') }, async () => {
  const before = server.books().ok ?? 0;
  const { stdout } = await run('curl', [
    '-sS',
    '--http2-prior-knowledge',
    '-D',
    '-',
    '-o',
    '/dev/null',
    ...HEADERS,
    '--data-binary',
    `@${body}`,
    url,
  ]);
  assert.match(stdout, /^HTTP\/2 200/);
  assert.match(stdout, /grpc-status: 0/);
  assert.equal(server.books().ok, before + 1);
});

test('curl with 3 MiB: the windows open as they are needed', { skip: requirement('curl') }, async () => {
  const large = join(folder, 'large');
  await writeFile(large, frame(Buffer.alloc(3 << 20)));
  const { stdout } = await run('curl', [
    '-sS',
    '--http2-prior-knowledge',
    '-D',
    '-',
    '-o',
    '/dev/null',
    ...HEADERS,
    '--data-binary',
    `@${large}`,
    url,
  ]);
  assert.match(stdout, /grpc-status: 0/);
  assert.equal(server.server.stats().receiveBufferUsedBytes, 0);
});

test('nghttp', { skip: requirement('nghttp') }, async () => {
  const { stdout } = await run('nghttp', ['-v', '--no-dep', ...HEADERS, '-d', body, url]);
  assert.match(stdout, /:status: 200/);
  assert.match(stdout, /grpc-status: 0/);
  assert.doesNotMatch(stdout, /RST_STREAM|error_code=(?!NO_ERROR)/);
});

test('h2load, with tables of every size', { skip: requirement('h2load') }, async () => {
  for (const table of ['4096', '65536', '0', '100', '1024']) {
    const before = server.books().ok ?? 0;
    const args = [
      '-n',
      '2000',
      '-c',
      '4',
      '-m',
      '50',
      `--header-table-size=${table}`,
      ...HEADERS,
      '-d',
      body,
      url,
    ];
    const { stdout } = await run('h2load', args);
    assert.match(stdout, /2000 succeeded, 0 failed, 0 errored/, table);
    assert.equal(server.books().ok, before + 2000);
  }
});

describe('over TLS', () => {
  let secured: TestServer;
  let authority: string;
  let secureUrl: string;

  before(async () => {
    const issuer = new Authority();
    authority = join(folder, 'ca.crt');
    await writeFile(authority, issuer.certificate);
    const tls = new TlsEntrance({ ...issuer.issue('sink'), clientAuthority: undefined }, 'TLSv1.2', {
      onFault: (fault) => assert.fail(fault),
    });
    secured = await TestServer.start('native', { maxRequestBytes: 4 << 20 }, { tls });
    secured.handler = (_request, _call, respond) => respond(OK);
    secureUrl = `https://localhost:${secured.target.split(':').at(-1)}${SEND_PATH}`;
  });
  after(() => secured.destroy());

  test('curl, 3 MiB', { skip: requirement('curl') }, async () => {
    const large = join(folder, 'large-secured');
    await writeFile(large, frame(Buffer.alloc(3 << 20)));
    const { stdout } = await run('curl', [
      ...['-sS', '--http2', '--cacert', authority, '-D', '-', '-o', '/dev/null'],
      ...HEADERS,
      ...['--data-binary', `@${large}`, secureUrl],
    ]);
    assert.match(stdout, /^HTTP\/2 200/);
    assert.match(stdout, /grpc-status: 0/);
  });

  test('nghttp', { skip: requirement('nghttp') }, async () => {
    const { stdout } = await run('nghttp', ['-v', '-d', body, ...HEADERS, secureUrl]);
    assert.match(stdout, /grpc-status: 0/);
  });

  test('h2load: a thousand calls over ten connections', { skip: requirement('h2load') }, async () => {
    const before = secured.books().ok ?? 0;
    const { stdout } = await run('h2load', [
      '-n',
      '1000',
      '-c',
      '10',
      '-m',
      '10',
      '-d',
      body,
      ...HEADERS,
      secureUrl,
    ]);
    assert.match(stdout, /1000 succeeded, 0 failed/);
    assert.equal(secured.books().ok, before + 1000);
  });
});
