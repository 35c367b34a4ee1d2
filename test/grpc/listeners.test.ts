/** Where the server listens: every form of GRPC_SERVER_SOCKET, and one clear line for every way it can fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { SinkError } from '../../src/base/errors.ts';
import { type ListenAddress, parseListenAddress } from '../../src/base/listen-address.ts';
import { Listeners } from '../../src/grpc/listeners.ts';
import { requirement } from '../support/requirements.ts';

const hasIpv6 = (networkInterfaces().lo ?? []).some(({ family }) => family === 'IPv6');
const ipv6 = { skip: requirement('IPv6 on the loopback', () => hasIpv6) };

async function open(text: string): Promise<{ listeners: Listeners; ports: number[]; accepted: string[] }> {
  const accepted: string[] = [];
  const listeners = await Listeners.open(parseListenAddress(text)!, (socket) => {
    accepted.push(socket.localAddress!);
    socket.destroy();
  });
  return {
    listeners,
    ports: listeners.addresses.map((address) => Number(address.split(':').at(-1))),
    accepted,
  };
}

/** Connects and waits until the server hung up, so that it has seen the connection. */
async function dial(host: string, port: number): Promise<void> {
  const socket = connect(port, host);
  socket.resume();
  await once(socket, 'close');
}

async function faultOf(address: ListenAddress): Promise<SinkError> {
  try {
    (await Listeners.open(address, () => {})).close();
  } catch (error) {
    assert.ok(error instanceof SinkError);
    assert.doesNotMatch(error.message, /\n/);
    return error;
  }
  assert.fail('it listens');
}

test('localhost: both loopbacks on one port, also a free one', ipv6, async () => {
  const { listeners, ports, accepted } = await open('localhost:0');
  assert.deepEqual(listeners.addresses, [`127.0.0.1:${ports[0]}`, `[::1]:${ports[0]}`]);
  await dial('127.0.0.1', ports[0]!);
  await dial('::1', ports[0]!);
  assert.deepEqual(accepted, ['127.0.0.1', '::1']);
  listeners.close();
});

test('no host and [::]: every interface, IPv4 too', ipv6, async () => {
  for (const text of [':0', '[::]:0']) {
    const { listeners, ports, accepted } = await open(text);
    assert.deepEqual(listeners.addresses, [`[::]:${ports[0]}`]);
    await dial('127.0.0.1', ports[0]!);
    await dial('::1', ports[0]!);
    assert.equal(accepted.length, 2);
    listeners.close();
  }
});

test('0.0.0.0 and [::1]: only what was said', ipv6, async () => {
  const ipv4 = await open('0.0.0.0:0');
  assert.deepEqual(ipv4.listeners.addresses, [`0.0.0.0:${ipv4.ports[0]}`]);
  const loopback = await open('[::1]:0');
  assert.deepEqual(loopback.listeners.addresses, [`[::1]:${loopback.ports[0]}`]);
  ipv4.listeners.close();
  loopback.listeners.close();
});

test(
  'a port that somebody has, on either loopback or on all interfaces, is ADDRESS_IN_USE',
  ipv6,
  async () => {
    for (const host of ['127.0.0.1', '::1', '::']) {
      const other = createServer().listen({ host, port: 0 });
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const fault = await faultOf({ host: 'localhost', port });
      assert.equal(fault.code, 'ADDRESS_IN_USE');
      assert.equal(fault.exitStatus, 2);
      assert.equal(
        fault.message,
        `GRPC_SERVER_SOCKET=localhost:${port}: port ${port} is taken by another program; stop that or set GRPC_SERVER_SOCKET to another port`,
      );
      other.close();
    }
  },
);

test('after a fault nothing is left listening', ipv6, async () => {
  const other = createServer().listen({ host: '::1', port: 0 });
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await faultOf({ host: 'localhost', port });
  const successor = createServer().listen({ host: '127.0.0.1', port });
  await once(successor, 'listening');
  successor.close();
  other.close();
});

test('an address of another machine is ADDRESS_UNAVAILABLE', async () => {
  const fault = await faultOf({ host: '192.0.2.1', port: 8000 });
  assert.equal(fault.code, 'ADDRESS_UNAVAILABLE');
  assert.match(
    fault.message,
    /^GRPC_SERVER_SOCKET=192\.0\.2\.1:8000: 192\.0\.2\.1 is not an address of this machine; use one that is, localhost, or :8000 for all$/,
  );
});

test('a name that does not resolve is ADDRESS_UNAVAILABLE', async () => {
  const fault = await faultOf({ host: 'no-such-host.invalid', port: 8000 });
  assert.equal(fault.code, 'ADDRESS_UNAVAILABLE');
  assert.match(fault.message, /the name no-such-host\.invalid cannot be resolved/);
});
