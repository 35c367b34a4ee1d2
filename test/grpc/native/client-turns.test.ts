/** Turns between clients: connections that go on are noted turn by turn, and may have their share again at once. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Client } from '../../../src/base/client.ts';
import { ClientTurns, type TurnConnection } from '../../../src/grpc/native/client-turns.ts';
import { TURN_SHARE_MS } from '../../../src/grpc/native/limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let turns: ClientTurns;
/** Who went on in this turn. */
let wentOn: string[];

beforeEach(() => {
  clock = new ManualClock();
  turns = new ClientTurns(clock);
  wentOn = [];
});

afterEach(async () => {
  while ((await turn()).length > 0);
});

const [greedy, other, quiet] = ['greedy', 'other', 'quiet'].map((name) => new Client('token', name)) as [
  Client,
  Client,
  Client,
];
const ALL_MS = 1.5 * TURN_SHARE_MS;

/** One that uses up a share in so many turns that it is read in. */
function connection(name: string, client: Client | undefined, shares = 1): TurnConnection {
  let left = shares;
  const self: TurnConnection = {
    client,
    goOn: () => {
      wentOn.push(name);
      if (--left > 0) read(self);
    },
  };
  return self;
}
function read(one: TurnConnection): void {
  turns.worked(one.client, ALL_MS, clock.monotonicMs());
  turns.wait(one);
}
async function turn(): Promise<string[]> {
  wentOn = [];
  await new Promise(setImmediate);
  return wentOn;
}
/** `client` has work of so little in each of so many chunks. */
function chunks(client: Client | undefined, count: number, eachMs: number): boolean[] {
  return Array.from({ length: count }, () => turns.worked(client, eachMs, clock.monotonicMs()));
}

test('all of a client that is alone go on, in the order in which they waited', async () => {
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy));
  assert.deepEqual(await turn(), ['a', 'b', 'c']);
  assert.deepEqual(await turn(), []);
});

test('a client that is alone has all of the thread', async () => {
  for (let i = 0; i < 3; i++) {
    assert.ok(!chunks(greedy, 100, ALL_MS).includes(true));
    await turn();
  }
});

test('while another has work one goes on each turn, and those that come back stand behind the rest', async () => {
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy, name === 'c' ? 2 : 3));
  const order = [];
  for (let i = 0; i < 5; i++) {
    chunks(quiet, 1, 0.1);
    order.push(...(await turn()), '|');
  }
  assert.deepEqual(order, ['a', '|', 'b', '|', 'c', '|', 'a', '|', 'b', '|']);
  clock.advance(1000);
  assert.deepEqual(await turn(), ['c', 'a', 'b'], 'the other had no work for long');
  assert.deepEqual(await turn(), []);
});

test('little from each of many connections is a share too, once together they have had it', async () => {
  chunks(quiet, 1, 0.1);
  const isOver = chunks(greedy, 30, 0.1);
  const first = isOver.indexOf(true);
  assert.ok(first >= 5 && first <= 10, `${first}`);
  assert.ok(isOver.slice(first).every(Boolean));
  assert.deepEqual(chunks(quiet, 3, 0.1), [false, false, false]);
  await turn();
  assert.ok(chunks(greedy, 30, 0.1).includes(true), 'the other was there a moment ago');
  await turn();
  clock.advance(1000);
  assert.ok(!chunks(greedy, 30, 0.1).includes(true), 'and is gone');
});

test('sending answers counts too', async () => {
  chunks(quiet, 1, 0.1);
  turns.answered(greedy, ALL_MS);
  assert.deepEqual(chunks(greedy, 1, 0), [true]);
  assert.deepEqual(chunks(quiet, 1, 0), [false]);
  await turn();
  assert.deepEqual(chunks(greedy, 1, 0), [false], 'in its turn');
});

test('of those that take little as many go on as make a share', async () => {
  for (let i = 0; i < 20; i++) {
    chunks(greedy, 10, 0.1);
    await turn();
  }
  for (let i = 0; i < 25; i++) turns.wait(connection(`${i}`, greedy));
  chunks(quiet, 1, 0.1);
  const went = (await turn()).length;
  assert.ok(went >= 5 && went <= 10, `${went}`);
});

test('each client has its own line', async () => {
  for (const name of ['a1', 'a2', 'a3']) read(connection(name, greedy));
  for (const name of ['b1', 'b2']) read(connection(name, other));
  // What they take is known better with every chunk.
  for (const client of [greedy, other]) chunks(client, 50, ALL_MS);
  assert.deepEqual(await turn(), ['a1', 'b1']);
  assert.deepEqual(await turn(), ['a2', 'b2']);
  assert.deepEqual(await turn(), ['a3']);
});

test('those that have not called yet stand in one line, and do not make a client anything but alone', async () => {
  for (const name of ['a', 'b']) read(connection(name, greedy));
  chunks(undefined, 50, ALL_MS);
  assert.deepEqual(await turn(), ['a', 'b']);
  for (const name of ['x', 'y']) read(connection(name, undefined));
  read(connection('a', greedy));
  assert.deepEqual(await turn(), ['x', 'a']);
  assert.deepEqual(await turn(), ['y']);
});

test('whoever is gone loses its place, and is not called', async () => {
  const [a, b] = [connection('a', greedy), connection('b', greedy)];
  chunks(greedy, 50, ALL_MS);
  read(a);
  read(b);
  read(connection('x', other));
  turns.leave(a);
  assert.deepEqual(await turn(), ['b', 'x']);
  turns.leave(b);
  assert.deepEqual(await turn(), []);
});
