/** The disk fails under a running daemon: what clients are told, what readiness says, how service resumes. */
import assert from 'node:assert/strict';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { countJournal } from '../support/acknowledged.ts';
import { runCommand } from '../support/command-line.ts';
import { daemonHome } from '../support/daemon.ts';
import { TestClient } from '../support/grpc-client.ts';
import { mountTmpfs, tmpfsRequirement } from '../support/tmpfs.ts';
import { bytesField, varintField } from '../support/wire-bytes.ts';

const UNAVAILABLE = 14;

/** `count` readings of one sensor, numbered from `first`; created_at names the number in its last six digits. */
function request(first: number, count: number): Buffer {
  const items: number[][] = [];
  for (let number = first; number < first + count; number++) {
    const time = [...varintField(1, 1_795_168_800), ...varintField(2, number)];
    const measurement = [...bytesField(2, varintField(1, number)), ...bytesField(3, time)];
    items.push(bytesField(1, [...bytesField(1, 'boiler-1'), ...bytesField(2, measurement)]));
  }
  return Buffer.from(items.flat());
}

async function readiness(admin: string): Promise<{ status: number; reasons: string }> {
  const response = await fetch(`http://${admin}/readyz`);
  const { checks } = (await response.json()) as { checks: { ok: boolean; reason?: string }[] };
  return { status: response.status, reasons: checks.map(({ reason }) => reason ?? '').join(' ') };
}

/** Polls until the daemon says so; the test's own time limit ends a wait in vain. */
async function untilReady(admin: string, status: number): Promise<string> {
  for (;;) {
    const now = await readiness(admin);
    if (now.status === status) return now.reasons;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Until a probe over gRPC sees what /readyz says. */
async function untilHealth(grpc: string, status: number): Promise<void> {
  const probe = () => runCommand(['health', '--grpc-server-socket', grpc]);
  while ((await probe()).status !== status);
}

test('the folder is removed: refused with a hint, not ready with a reason, and back when the folder is', {
  timeout: 60_000,
}, async (t) => {
  const home = await daemonHome(t);
  const daemon = home.start();
  const { grpc, admin } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  assert.equal((await client.send(request(1, 10))).code, 0);

  await rm(home.folder, { recursive: true });
  const refused = await client.send(request(11, 10));
  assert.equal(refused.code, UNAVAILABLE, refused.message);
  assert.ok(Number(refused.pushback) > 0, 'says when to come back');
  assert.ok((refused.retryAfterMs ?? 0) > 0);
  assert.match(await untilReady(admin, 503), /removed|missing|gone/);
  await untilHealth(grpc, 1);

  await mkdir(home.folder);
  await untilReady(admin, 200);
  await untilHealth(grpc, 0);
  assert.equal((await client.send(request(11, 10))).code, 0);
  assert.equal((await daemon.stop()).status, 0);
  const journal = await countJournal(home.folder, 100);
  assert.equal(journal.lines, 10, 'the lines of the folder that was removed are gone with it');
  assert.equal(journal.found.get('boiler-1')![11], 1);
  assert.match(daemon.log.at(-1)!.msg, /\(difference 0\).*\(difference 0\)/);
});

test('the disk is full: refused with a hint, nothing acknowledged is lost, and back when there is room', {
  timeout: 60_000,
  skip: tmpfsRequirement(),
}, async (t) => {
  const home = await daemonHome(t);
  await mkdir(home.folder);
  home.beforeClean(await mountTmpfs(home.folder, '4m'));
  const filler = await open(join(home.folder, 'somebody-elses-file'), 'w');
  await filler.write(Buffer.alloc(3 * 1024 * 1024));
  await filler.close();

  const daemon = home.start({ LOW_SPACE_BYTES: '0', SYNC_INTERVAL: '10ms' });
  const { grpc, admin } = await daemon.ready();
  const client = new TestClient(grpc);
  t.after(() => client.close());
  const acknowledged: number[] = [];
  let first = 1;
  let refusal = await client.send(request(first, 1000));
  while (refusal.code === 0) {
    acknowledged.push(first);
    first += 1000;
    refusal = await client.send(request(first, 1000));
  }
  assert.equal(refusal.code, UNAVAILABLE, refusal.message);
  assert.match(refusal.message, /ENOSPC|no space/i);
  assert.ok(Number(refusal.pushback) > 0);
  assert.match(await untilReady(admin, 503), /ENOSPC|no space/i);

  await rm(join(home.folder, 'somebody-elses-file'));
  await untilReady(admin, 200);
  assert.equal((await client.send(request(first, 1000))).code, 0);
  acknowledged.push(first);
  assert.equal((await daemon.stop()).status, 0);

  const journal = await countJournal(home.folder, first + 1000);
  assert.equal(
    journal.lines,
    acknowledged.length * 1000,
    'what was acknowledged, all of it, and nothing else',
  );
  const counts = journal.found.get('boiler-1')!;
  for (const from of acknowledged)
    assert.ok(counts.subarray(from, from + 1000).every((count) => count === 1));
  const verified = await runCommand(['verify', home.folder]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
});
