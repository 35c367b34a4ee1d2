/** Turns between clients: connections that go on are noted turn by turn, and may bring as much again at once. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Client } from '../../../src/base/client.ts';
import { ClientTurns, type TurnConnection } from '../../../src/grpc/native/client-turns.ts';
import { TURN_SHARE_MS } from '../../../src/grpc/native/limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let turns: ClientTurns;
let greedy: Client;
let other: Client;
let quiet: Client;
/** Who went on in this turn. */
let wentOn: string[];

beforeEach(() => {
  clock = new ManualClock();
  turns = new ClientTurns(clock);
  [greedy, other, quiet] = ['greedy', 'other', 'quiet'].map((name) => new Client('token', name)) as [
    Client,
    Client,
    Client,
  ];
});
afterEach(async () => {
  clock.advance(1000);
  for (let i = 0; i < 200; i++) await turn();
  for (let i = 0; i < 10; i++) assert.deepEqual(await turn(), [], 'somebody still waits');
});

/** One that brings work for so many chunks, each in a turn that it is read in. */
function connection(name: string, client: Client | undefined, count = 1, eachMs = TURN_SHARE_MS) {
  let left = count;
  const self: TurnConnection = {
    client,
    goOn: () => {
      wentOn.push(name);
      if (--left > 0) read(self, eachMs);
    },
  };
  return self;
}
function read(one: TurnConnection, ms = TURN_SHARE_MS): void {
  turns.worked(one.client, ms, clock.monotonicMs());
  turns.wait(one);
}
async function turn(): Promise<string[]> {
  wentOn = [];
  await new Promise(setImmediate);
  return wentOn;
}
/** `client` has work of so little in each of so many chunks. True for those after which it has had its share. */
function chunks(client: Client | undefined, count: number, eachMs: number): boolean[] {
  return Array.from({ length: count }, () => turns.worked(client, eachMs, clock.monotonicMs()));
}
/** So that nobody is alone. */
const share = (): boolean[] => [...chunks(quiet, 1, 0), ...chunks(other, 1, 0)];

test('all of a client that is alone go on, in the order in which they waited', async () => {
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy));
  assert.deepEqual(await turn(), ['a', 'b', 'c']);
});

test('a client that is alone has all of the thread, and owes nobody anything for it', async () => {
  for (let i = 0; i < 3; i++) {
    assert.ok(!chunks(greedy, 100, TURN_SHARE_MS).includes(true));
    await turn();
  }
  share();
  assert.deepEqual(chunks(greedy, 1, 0.1), [false]);
});

test('while another has work, those of a client share its time, one after the other', async () => {
  share();
  for (const name of ['a', 'b', 'c']) read(connection(name, greedy, 20));
  const order: string[] = [];
  for (let i = 0; i < 42; i++) {
    share();
    const now = await turn();
    assert.ok(now.length <= 1, `${now}`);
    order.push(...now);
  }
  // A chunk takes a share and what is not seen of it.
  assert.ok(order.length >= 35 && order.length <= 40, `${order.length}`);
  assert.equal(order.join(''), 'abc'.repeat(20).slice(0, order.length));
});

test('little from each of many connections is a share too, once together they have had it', async () => {
  share();
  const isOver = chunks(greedy, 30, 0.1);
  const first = isOver.indexOf(true);
  assert.ok(first >= 5 && first <= 9, `${first}`);
  assert.ok(isOver.slice(first).every(Boolean));
  assert.deepEqual(chunks(quiet, 3, 0.1), [false, false, false]);
});

test('what a client had beyond its share it owes, until shares of later turns have paid it', async () => {
  share();
  const isOver = chunks(greedy, 20, TURN_SHARE_MS - 0.05);
  assert.equal(isOver.filter(Boolean).length, 19);
  turns.wait(connection('a', greedy));
  for (let i = 1; i < 20; i++) {
    share();
    assert.deepEqual(await turn(), [], `turn ${i}`);
  }
  share();
  assert.deepEqual(await turn(), ['a']);
});

test('what takes very long is not held against a client, for it may be the work of others on the same core', async () => {
  share();
  assert.deepEqual(chunks(greedy, 1, 1000), [true]);
  turns.wait(connection('a', greedy));
  let waited = 0;
  for (; (await turn()).length === 0; waited++) share();
  assert.ok(waited <= 3, `${waited}`);
});

test('sending answers counts too, in the turn that it happens in', async () => {
  share();
  for (let i = 0; i < 10; i++) {
    turns.answered(greedy, 0.9 * TURN_SHARE_MS);
    await turn();
  }
  assert.deepEqual(chunks(greedy, 1, 0), [false], 'nothing was read in ten turns, but they were turns');
  turns.answered(greedy, 0.9 * TURN_SHARE_MS);
  turns.answered(greedy, 0.9 * TURN_SHARE_MS);
  assert.deepEqual(chunks(greedy, 1, 0), [true]);
  assert.deepEqual(chunks(quiet, 1, 0), [false]);
});

test('of those that take little as many go on as make a share', async () => {
  for (let i = 0; i < 20; i++) {
    chunks(greedy, 5, 0.1);
    await turn();
  }
  for (let i = 0; i < 25; i++) turns.wait(connection(`${i}`, greedy));
  share();
  const went = (await turn()).length;
  assert.ok(went >= 5 && went <= 8, `${went}`);
});

test('who makes his chunks look cheap and then brings dear ones pays for them', async () => {
  share();
  chunks(greedy, 60, 0);
  let worked = 0;
  for (let i = 0; i < 200; i++) {
    turns.wait(connection(`${i}`, greedy));
    share();
    for (const _ of await turn()) {
      worked += TURN_SHARE_MS;
      chunks(greedy, 1, TURN_SHARE_MS);
    }
  }
  assert.ok(worked <= 200 * TURN_SHARE_MS, `${worked}`);
  assert.ok(worked >= 150 * TURN_SHARE_MS, `${worked}`);
});

test('each client has its own line, and as much time as the other', async () => {
  share();
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) read(connection(name, greedy, 12));
  for (const name of ['b1', 'b2']) read(connection(name, other, 30));
  const order: string[] = [];
  for (let i = 0; i < 50; i++) order.push(...(await turn()));
  const [a, b] = ['a', 'b'].map((name) => order.filter((who) => who.startsWith(name)).length) as [
    number,
    number,
  ];
  // They had read five and two before.
  assert.ok(a >= 40 && b >= 40 && Math.abs(a + 5 - (b + 2)) <= 1, `${a} ${b}`);
});

test('a client is alone again only behind some time and some turns without anybody else', async () => {
  share();
  await turn();
  const isLimited = (): boolean => chunks(greedy, 60, TURN_SHARE_MS).includes(true);
  assert.ok(isLimited());
  // In one long turn nobody else may have been read.
  clock.advance(1000);
  await turn();
  assert.ok(isLimited());
  for (let i = 0; i < 100; i++) {
    chunks(greedy, 1, 0);
    await turn();
  }
  assert.ok(!isLimited());
  share();
  assert.ok(isLimited());
});

test('while connections come nobody is alone', async () => {
  chunks(greedy, 1, 0);
  for (let i = 0; i < 5; i++) {
    turns.arrived();
    for (const name of ['a', 'b']) read(connection(name, greedy));
    assert.ok((await turn()).length <= 1);
    clock.advance(1000);
    for (let work = 0; work < 20; work++) {
      chunks(greedy, 1, 0);
      await turn();
    }
    for (const name of ['a', 'b']) read(connection(name, greedy));
    assert.deepEqual(await turn(), ['a', 'b'], 'no more came');
  }
});

test('those that have not called yet wait for one turn, have no share, and leave a client alone', async () => {
  assert.ok(!chunks(undefined, 50, TURN_SHARE_MS).includes(true));
  chunks(greedy, 1, 0);
  for (let i = 0; i < 3; i++) {
    for (const name of ['x', 'y', 'z']) read(connection(name, undefined));
    for (const name of ['a', 'b']) read(connection(name, greedy));
    assert.deepEqual(await turn(), ['x', 'y', 'z', 'a', 'b']);
  }
});

test('a client that was forgotten and is known again is not another', async () => {
  greedy.isForgotten = true;
  const again = new Client('token', 'greedy');
  for (let i = 0; i < 3; i++) {
    assert.ok(!chunks(greedy, 10, TURN_SHARE_MS).includes(true));
    assert.ok(!chunks(again, 10, TURN_SHARE_MS).includes(true));
    await turn();
  }
});

test('whoever is gone loses its place, and is not called, whosever it is by now', async () => {
  share();
  let whose: Client | undefined = greedy;
  const a: TurnConnection = {
    ...connection('a', greedy),
    get client() {
      return whose;
    },
  };
  const [b, x] = [connection('b', greedy), connection('x', undefined)];
  for (const one of [a, b, x]) read(one);
  read(connection('y', other));
  whose = other;
  turns.leave(a);
  turns.leave(x);
  const order = [...(await turn()), ...(await turn())];
  assert.deepEqual(order.sort(), ['b', 'y']);
});
