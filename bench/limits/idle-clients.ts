/**
 * Clients that connect, greet and say nothing more: `node bench/limits/idle-clients.ts <host:port> <count>`. A process of its
 * own, so that its descriptors are not the benchmark's. Prints a line once every connection has its SETTINGS
 * acknowledged, and holds them until it is ended.
 */
import { connect } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const SETTINGS_ACK = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
/** Under way at once: less than the kernel's queue of connections nobody has accepted yet. */
const GREETING_AT_ONCE = 200;

const [target = '', wanted = '0'] = process.argv.slice(2);
const port = Number(target.slice(target.lastIndexOf(':') + 1));
const host = target.slice(0, target.lastIndexOf(':')).replace(/^\[|\]$/g, '');
const count = Number(wanted);
let begun = 0;
let greeted = 0;

function greet(): void {
  if (begun === count) return;
  begun++;
  const socket = connect(port, host);
  socket.write(Buffer.concat([PREFACE, SETTINGS, SETTINGS_ACK]));
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => fail('a connection was closed'));
  socket.once('data', () => {
    socket.on('data', () => {});
    if (++greeted === count) console.log(`${count} connections`);
    greet();
  });
}

function fail(why: string): void {
  console.error(why);
  process.exit(1);
}

for (let i = 0; i < GREETING_AT_ONCE; i++) greet();
process.on('SIGTERM', () => process.exit(0));
