/** Turns between clients: connections that go on are noted turn by turn, and may have their share again at once. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Client } from '../../../src/base/client.ts';
import { ClientTurns, type TurnConnection } from '../../../src/grpc/native/client-turns.ts';

let turns: ClientTurns;
/** Who went on in this turn. */
let wentOn: string[];

beforeEach(() => {
  turns = new ClientTurns();
  wentOn = [];
});

const [greedy, other, quiet] = ['greedy', 'other', 'quiet'].map((name) => new Client('token', name)) as [
  Client,
  Client,
  Client,
];

/** One that uses up its share in so many turns that it is read in. */
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
  turns.onWork(one.client);
  turns.wait(one);
}
async function turn(): Promise<string[]> {
  wentOn = [];
  await new Promise(setImmediate);
  return wentOn;
}

test('all of a client that is alone go on, in the order in which they waited', async () => {
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy));
  assert.deepEqual(await turn(), ['a', 'b', 'c']);
  assert.deepEqual(await turn(), []);
});

test('while another has work one goes on each turn, and those that come back stand behind the rest', async () => {
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy, name === 'c' ? 2 : 3));
  const order = [];
  for (let i = 0; i < 5; i++) {
    turns.onWork(quiet);
    order.push(...(await turn()), '|');
  }
  assert.deepEqual(order, ['a', '|', 'b', '|', 'c', '|', 'a', '|', 'b', '|']);
  assert.deepEqual(await turn(), ['c', 'a', 'b'], 'the other has no more work');
  assert.deepEqual(await turn(), []);
});

test('each client has its own line', async () => {
  for (const name of ['a1', 'a2', 'a3']) read(connection(name, greedy));
  for (const name of ['b1', 'b2']) read(connection(name, other));
  assert.deepEqual(await turn(), ['a1', 'b1']);
  assert.deepEqual(await turn(), ['a2', 'b2']);
  assert.deepEqual(await turn(), ['a3']);
});

test('those that have not called yet stand in one line, and do not make a client anything but alone', async () => {
  for (const name of ['a', 'b']) read(connection(name, greedy));
  turns.onWork(undefined);
  assert.deepEqual(await turn(), ['a', 'b']);
  for (const name of ['x', 'y']) read(connection(name, undefined));
  read(connection('a', greedy));
  assert.deepEqual(await turn(), ['x', 'a']);
  assert.deepEqual(await turn(), ['y']);
});

test('whoever is gone loses its place, and is not called', async () => {
  const [a, b] = [connection('a', greedy), connection('b', greedy)];
  read(a);
  read(b);
  read(connection('x', other));
  turns.leave(a);
  assert.deepEqual(await turn(), ['b', 'x']);
  turns.leave(b);
  assert.deepEqual(await turn(), []);
});
