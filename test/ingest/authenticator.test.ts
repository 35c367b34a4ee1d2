/** Who comes in as whom: certificates, tokens and addresses, and names that are fit to be shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../../src/base/client.ts';
import { parseTokenFile } from '../../src/base/token-file.ts';
import { Caller } from '../../src/grpc/caller.ts';
import { Authenticator, subjectName } from '../../src/ingest/authenticator.ts';
import { Clients } from '../../src/ingest/clients.ts';

const GOOD = 'Bearer kq3VZ0o1c2mB9yTt8sWfXw';
const NEXT = 'Bearer 0123456789abcdef0123';

function tokens(...lines: string[]) {
  const parsed = parseTokenFile(lines.join('\n'), 'required');
  assert.ok(parsed.ok);
  return parsed.entries;
}

test('the table of the door: a certificate or a good token, and no bad one', () => {
  const shut = new Authenticator(new Clients(100), tokens('boiler kq3VZ0o1c2mB9yTt8sWfXw rate=5'));
  const open = new Authenticator(new Clients(100), undefined);
  const as = (door: Authenticator, token: string | undefined, subject: string | undefined): string => {
    const answer = door.identify(token, subject, '10.0.0.7');
    return answer instanceof Client ? answer.key : `${answer.reason} ${answer.retryAfterMs}`;
  };
  assert.equal(as(open, undefined, 'CN=a'), 'certificate:CN=a');
  assert.equal(as(open, 'Bearer whatever', 'CN=a'), 'certificate:CN=a');
  assert.equal(as(open, undefined, undefined), 'address:10.0.0.7');
  assert.equal(as(open, 'Bearer whatever', undefined), 'address:10.0.0.7');
  assert.equal(as(shut, undefined, 'CN=a'), 'certificate:CN=a');
  assert.equal(as(shut, GOOD, 'CN=a'), 'certificate:CN=a');
  assert.equal(as(shut, 'Bearer wrong-wrong-wrong', 'CN=a'), 'unauthenticated -1');
  assert.equal(as(shut, undefined, undefined), 'unauthenticated -1');
  assert.equal(as(shut, 'Bearer wrong-wrong-wrong', undefined), 'unauthenticated -1');
  assert.equal(as(shut, GOOD, undefined), 'token:boiler');
  const boiler = shut.identify(GOOD, undefined, '10.0.0.7');
  assert.ok(boiler instanceof Client);
  assert.equal(boiler.quota?.ratePerSecondBytes, 5);
});

test('a connection is asked once, and anew when the token, the tokens or the record change', () => {
  const clients = new Clients(2);
  const door = new Authenticator(clients, tokens('a kq3VZ0o1c2mB9yTt8sWfXw', 'b 0123456789abcdef0123'));
  let asked = 0;
  const counting = {
    get epoch() {
      return door.epoch;
    },
    identify: (...args: Parameters<Authenticator['identify']>) => {
      asked++;
      return door.identify(...args);
    },
    mayLook: (...args: Parameters<Authenticator['mayLook']>) => door.mayLook(...args),
  };
  const caller = new Caller(counting, undefined, '10.0.0.7');
  const first = caller.identify(GOOD);
  assert.ok(first instanceof Client);
  assert.equal(caller.identify(GOOD), first);
  assert.equal(asked, 1);
  assert.equal((caller.identify(NEXT) as Client).name, 'b');
  assert.equal((caller.identify(GOOD) as Client).name, 'a');
  assert.equal(asked, 3);
  // Two others come: the record of the first makes room and is made anew.
  clients.of('address', '10.0.0.8');
  clients.of('address', '10.0.0.9');
  assert.ok((caller.identify(GOOD) as Client).name === 'a');
  assert.equal(asked, 4);
  // The token is withdrawn: the very next call on the same connection is refused, and every one after it.
  door.setTokens(tokens('b 0123456789abcdef0123'));
  for (let i = 0; i < 2; i++) assert.ok(!(caller.identify(GOOD) instanceof Client));
  assert.equal((caller.identify(NEXT) as Client).name, 'b');
});

test('the records of clients are bounded, and what they sent is reported once', () => {
  const clients = new Clients(3);
  for (let i = 0; i < 1000; i++) clients.of('address', `10.0.${i >> 8}.${i & 255}`).admittedBytes += 1;
  assert.equal(clients.size, 3);
  const activity = clients.takeActivity(2);
  assert.equal(activity.length, 3);
  assert.equal(activity[2]![0], 'other');
  assert.equal(
    activity.reduce((sum, [, bytes]) => sum + bytes, 0),
    1000,
  );
  assert.deepEqual(clients.takeActivity(2), []);
});

test('subjects: steered by nothing in them, bounded, and long ones still told apart', () => {
  const hostile = 'CN=\u001b[31mroot\n{"level":"error"}\u202e"quoted"\\';
  assert.equal(subjectName(hostile), 'CN=\\u001b[31mroot\\n{"level":"error"}\\u202e"quoted"\\');
  const long = (end: string): string => subjectName(`CN=${'\n'.repeat(65_536)}${end}`);
  assert.ok(long('a').length < 400, `${long('a').length}`);
  assert.notEqual(long('a'), long('b'));
});
