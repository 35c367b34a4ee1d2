/** TLS in front of both transports: who gets in, who does not and why, and what a new certificate changes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { credentials, status } from '@grpc/grpc-js';
import { OK } from '../../src/base/outcome.ts';
import { type HandshakeFault, handshakeFault } from '../../src/grpc/tls/handshake-fault.ts';
import { judgeMaterial, type TlsMaterial } from '../../src/grpc/tls/material.ts';
import { TlsEntrance } from '../../src/grpc/tls/tls-entrance.ts';
import { Authority, type Issued } from '../support/certificates.ts';
import { TestClient } from '../support/grpc-client.ts';
import { TestServer, TRANSPORTS } from '../support/grpc-server.ts';
import { GREETING } from '../support/raw-http2.ts';

const authority = new Authority();
const server = authority.issue('sink');
const device = authority.issue('device-7');

function clientOf(target: string, shown?: Issued, trusted: string = authority.certificate): TestClient {
  return new TestClient(
    target,
    {},
    credentials.createSsl(
      Buffer.from(trusted),
      shown && Buffer.from(shown.key),
      shown && Buffer.from(shown.certificate),
    ),
  );
}

async function handshake(target: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({
    port: Number(target.split(':').at(-1)),
    host: '127.0.0.1',
    ca: authority.certificate,
    ALPNProtocols: ['h2'],
    ...options,
  });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

for (const transport of TRANSPORTS) {
  describe(transport, () => {
    async function start(
      t: TestContext,
      material: Partial<TlsMaterial> = {},
      minVersion = 'TLSv1.2' as const,
    ) {
      const faults: HandshakeFault[] = [];
      const wakes: (() => void)[] = [];
      const tls = new TlsEntrance({ ...server, clientAuthority: undefined, ...material }, minVersion, {
        onFault: (fault) => {
          faults.push(fault);
          for (const wake of wakes.splice(0)) wake();
        },
      });
      const started = await TestServer.start(transport, {}, { tls });
      started.handler = (_request, _call, respond) => respond(OK);
      t.after(() => started.destroy());
      const nextFault = async (): Promise<HandshakeFault> => {
        while (faults.length === 0) await new Promise<void>((resolve) => wakes.push(resolve));
        return faults.shift()!;
      };
      const allGone = async (): Promise<void> => {
        while (started.server.stats().connections > 0) await new Promise(setImmediate);
      };
      return { server: started, target: started.target, tls, nextFault, allGone };
    }

    test('a call over TLS, small and of the largest size', async (t) => {
      const { server, target } = await start(t);
      const client = clientOf(target);
      assert.equal((await client.send(Buffer.from('small'))).code, status.OK);
      const request = Buffer.alloc(64 * 1024, 7);
      server.handler = (got, _call, respond) => {
        assert.deepEqual(Buffer.from(got), request);
        respond(OK);
      };
      assert.equal((await client.send(request)).code, status.OK);
      assert.deepEqual(server.books(), { received: 2, ok: 2 });
      client.close();
    });

    test('a drain ends calls and connections in order', async (t) => {
      const { server, target } = await start(t);
      server.handler = undefined;
      const client = clientOf(target);
      const sent = client.send(Buffer.from('one'));
      const handled = await server.nextCall();
      const stopped = server.server.stop(10_000);
      handled.respond(OK);
      assert.equal((await sent).code, status.OK);
      assert.deepEqual(await stopped, { finished: true, left: 0 });
      assert.equal(server.server.stats().connections, 0);
      client.close();
    });

    test('speaking plaintext: no TLS, and the others are served', async (t) => {
      const { target, nextFault, allGone } = await start(t);
      const socket = connectPlain(Number(target.split(':').at(-1)), '127.0.0.1');
      socket.on('error', () => {});
      const closed = once(socket, 'close');
      socket.write(GREETING);
      assert.equal(await nextFault(), 'plaintext');
      socket.resume();
      await closed;
      const client = clientOf(target);
      assert.equal((await client.send(Buffer.from('x'))).code, status.OK);
      client.close();
      await allGone();
    });

    test('noise, half a greeting, nothing at all', async (t) => {
      const { target, nextFault, allGone } = await start(t);
      const port = Number(target.split(':').at(-1));
      const noise = connectPlain(port, '127.0.0.1');
      noise.on('error', () => {});
      noise.write(Buffer.alloc(1000, 0xa5));
      assert.ok(['plaintext', 'other'].includes(await nextFault()));
      // The beginning of a TLS record that never ends, and then the end.
      const half = connectPlain(port, '127.0.0.1');
      half.on('error', () => {});
      half.write(Buffer.from([22, 3, 1, 2, 0, 1]));
      await once(half, 'connect');
      half.end();
      assert.equal(await nextFault(), 'hung_up');
      const silent = connectPlain(port, '127.0.0.1');
      await once(silent, 'connect');
      silent.end();
      assert.equal(await nextFault(), 'hung_up');
      await allGone();
    });

    test('a handshake that is never finished holds a place, and goes with the server', async (t) => {
      const { server, target } = await start(t);
      const silent = connectPlain(Number(target.split(':').at(-1)), '127.0.0.1');
      silent.on('error', () => {});
      await once(silent, 'connect');
      while (server.server.stats().connections < 1) await new Promise(setImmediate);
      const closed = once(silent, 'close');
      server.destroy();
      silent.resume();
      await closed;
    });

    test('without ALPN, and with another protocol', async (t) => {
      const { target, nextFault, allGone } = await start(t);
      const without = await handshake(target, { ALPNProtocols: [] });
      assert.equal(await nextFault(), 'no_http2');
      without.destroy();
      await assert.rejects(handshake(target, { ALPNProtocols: ['http/1.1'] }));
      assert.equal(await nextFault(), 'no_http2');
      await allGone();
    });

    test('an old version of TLS', async (t) => {
      const { target, nextFault } = await start(t);
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await assert.rejects(handshake(target, old));
      assert.equal(await nextFault(), 'version');
    });

    describe('mutual TLS', () => {
      test('the name in the certificate is the client', async (t) => {
        const { server, target } = await start(t, { clientAuthority: authority.certificate });
        let name = '';
        server.handler = (_request, call, respond) => {
          name = call.client.name;
          respond(OK);
        };
        const client = clientOf(target, device);
        assert.equal((await client.send(Buffer.from('x'))).code, status.OK);
        assert.equal(name, 'device-7');
        const nameless = clientOf(target, authority.issue(''));
        assert.equal((await nameless.send(Buffer.from('x'))).code, status.OK);
        assert.equal(name, 'localhost');
        client.close();
        nameless.close();
      });

      test('none, of another authority, expired: nobody gets in', async (t) => {
        const { server, target, nextFault, allGone } = await start(t, {
          clientAuthority: authority.certificate,
        });
        const another = await new Authority('Another').issue('device-7');
        const expired = authority.issue('device-7', -1);
        const shown: [Issued | undefined, HandshakeFault][] = [
          [undefined, 'no_client_certificate'],
          [another, 'client_certificate'],
          [expired, 'client_certificate'],
        ];
        for (const [issued, fault] of shown) {
          const client = clientOf(target, issued);
          assert.equal((await client.send(Buffer.from('x'))).code, status.UNAVAILABLE);
          assert.equal(await nextFault(), fault);
          client.close();
        }
        await allGone();
        assert.deepEqual(server.books(), {});
      });
    });

    test('a new certificate is for new connections; those open stay', async (t) => {
      const { server, target, tls } = await start(t);
      const before = clientOf(target);
      assert.equal((await before.send(Buffer.from('x'))).code, status.OK);
      const other = new Authority('The next one');
      tls.setMaterial({ ...other.issue('sink'), clientAuthority: undefined });
      assert.equal((await before.send(Buffer.from('x'))).code, status.OK);
      const after = clientOf(target, undefined, other.certificate);
      assert.equal((await after.send(Buffer.from('x'))).code, status.OK);
      assert.equal(server.server.stats().connectionsOpened, 2);
      before.close();
      after.close();
    });
  });
}

test('what OpenSSL calls it, in our words', () => {
  const codes: [string, HandshakeFault][] = [
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'distrust'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'distrust'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'distrust'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
    ['ERR_TLS_HANDSHAKE_TIMEOUT', 'timeout'],
    ['ECONNRESET', 'hung_up'],
    ['ERR_SSL_SOMETHING_NEW', 'other'],
  ];
  for (const [code, fault] of codes) {
    assert.equal(handshakeFault(Object.assign(new Error(code), { code })), fault, code);
  }
});

describe('material', () => {
  const judge = (material: Partial<TlsMaterial>) =>
    judgeMaterial({ ...server, clientAuthority: undefined, ...material });
  const faultsOf = (material: Partial<TlsMaterial>): string => {
    const judged = judge(material);
    assert.ok(!judged.ok);
    return judged.faults.join('\n');
  };

  test('a pair that fits', () => {
    const judged = judge({});
    assert.ok(judged.ok);
    assert.equal(judged.subject, 'CN=sink');
    assert.ok(judged.expiresAtMs > Date.now());
  });

  test('all faults at once', () => {
    const faults = faultsOf({ certificate: 'x', key: 'y', clientAuthority: 'z' });
    assert.match(faults, /the certificate is not/);
    assert.match(faults, /the key is not/);
    assert.match(faults, /authority is not/);
  });

  test('a key of another certificate', () => {
    assert.match(faultsOf({ key: device.key }), /does not belong/);
  });
});
