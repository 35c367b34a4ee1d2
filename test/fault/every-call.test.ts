/** The short form of `npm run test:faults`: every call site with a fault or two, and that none is left out. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileSystemCallSites, sitesIn } from '../../scripts/file-system-calls.ts';
import { CallSites } from '../support/call-site-of.ts';
import type { Trial } from './sweep.ts';
import { plan, record, tryOne } from './sweep.ts';

const sites = fileSystemCallSites();
const recording = await record(sites);

test('the stories without a fault end well', () => {
  assert.deepEqual(recording.violations, []);
});

test('every place that calls the file system is come past by a story (else: add one to stories.ts)', () => {
  assert.deepEqual(recording.missed, []);
});

test('every place stands a fault', { timeout: 300_000 }, async () => {
  const byPlace = new Map<string, Trial[]>();
  for (const trial of plan(sites, recording)) {
    const { site, method, occurrence } = trial.target!;
    if (occurrence > 1) continue;
    byPlace.set(`${site} ${method}`, [...(byPlace.get(`${site} ${method}`) ?? []), trial]);
  }
  const callSites = new CallSites(sites);
  const failures: unknown[] = [];
  let at = 0;
  for (const trials of byPlace.values()) {
    // Another one for each place, so that over all of them every fault has its turn.
    const report = await tryOne(trials[at++ % trials.length]!, callSites);
    if (report.violations.length > 0) failures.push(report);
  }
  assert.deepEqual(failures, []);
  assert.ok(byPlace.size >= 120);
});

/** Who may speak to the disk beside the door of the journal, and why. */
const BESIDE_THE_DOOR: Readonly<Record<string, string>> = {
  'src/base/make-folders.ts': 'the door itself uses it',
  'src/journal/file-system.ts': 'the door',
  'src/journal/archive-recovery.ts': 'reads a compressed segment that lost its record',
  'src/journal/folder-view.ts': 'reader',
  'src/journal/follow.ts': 'reader',
  'src/journal/linked-copy.ts': 'copy-out',
  'src/journal/reader.ts': 'reader',
  'src/journal/segment-stream.ts': 'reader; types only',
  'src/journal/verify.ts': 'reader',
  'src/journal/verify-segment.ts': 'reader',
};

test('in the journal nobody but its readers goes around the door', () => {
  const found = globSync('src/{journal,pipeline,ingest}/**/*.ts').filter((file) =>
    /from 'node:fs(?:\/promises)?'/.test(readFileSync(file, 'utf8')),
  );
  assert.deepEqual(
    found.filter((file) => !(file in BESIDE_THE_DOOR)),
    [],
  );
});

test('a use of the file system that cannot be listed is an error', () => {
  for (const text of [
    'const { open } = this.#fileSystem;',
    'const open = fileSystem.open;',
    "fileSystem['open'](1)",
  ]) {
    assert.throws(() => sitesIn('x.ts', text, new Map()), /otherwise than by/);
  }
  const [site] = sitesIn(
    'x.ts',
    'class A {\n  async #cut(): void {\n    await this.#fileSystem.truncate(\n      fd,\n      1,\n    );\n  }\n}\n',
    new Map(),
  );
  assert.deepEqual(
    { ...site },
    {
      file: 'x.ts',
      within: '#cut',
      call: 'truncate(fd, 1)',
      methods: ['truncate'],
      line: 3,
      column: 28,
      endLine: 6,
    },
  );
});
