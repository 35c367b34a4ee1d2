/** The version check in front of everything: plain enough for an old Node.js, with the remedy that fits. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');
// In a variable, because the compiler knows only the TypeScript sources.
const modulePath = '../../bin/node-version.js';
const { nodeVersionFault, OLDEST_NODE } = (await import(modulePath)) as {
  OLDEST_NODE: string;
  nodeVersionFault(root: string, version?: string, execPath?: string): string | undefined;
};

test('the oldest version is the one package.json asks for', () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.equal(engines.node, `>=${OLDEST_NODE}`);
});

test('this Node.js and newer ones pass, older ones get one line with what was found', () => {
  assert.equal(nodeVersionFault(root), undefined);
  for (const version of ['22.18.0', '22.18.1', '24.0.0', '100.0.0', '25.0.0-nightly']) {
    assert.equal(nodeVersionFault(root, version), undefined, version);
  }
  for (const version of ['22.17.9', '20.20.2', '9.0.0', '12.17.0']) {
    const fault = nodeVersionFault(root, version, '/usr/bin/node')!;
    assert.match(
      fault,
      new RegExp(`needs Node.js 22.18.0 or newer, and this is ${version} \\(/usr/bin/node\\)`),
    );
    assert.doesNotMatch(fault, /\n/);
  }
});

test('the remedy follows the state of the folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-root-'));
  const remedy = (): string => nodeVersionFault(folder, '20.0.0')!;
  try {
    assert.match(remedy(), /nodejs\.org/);
    writeFileSync(join(folder, 'package-lock.json'), '{}');
    assert.match(remedy(), /"npm ci"/);
    mkdirSync(join(folder, 'node_modules/node'), { recursive: true });
    writeFileSync(join(folder, 'node_modules/node/package.json'), '{}');
    assert.match(remedy(), /"npm rebuild node --ignore-scripts=false"/);
    mkdirSync(join(folder, 'node_modules/node/bin'));
    assert.match(remedy(), /npm start, npm test or npx/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the door uses no syntax that Node.js 12 cannot parse', () => {
  for (const name of [
    'bin/telemetry-sink.js',
    'bin/node-version.js',
    'scripts/test.js',
    'scripts/build.js',
  ]) {
    const text = readFileSync(join(root, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'/g, '');
    for (const [syntax, what] of [
      [/\?\./, 'optional chaining'],
      [/\?\?/, 'nullish coalescing'],
      [/(\|\||&&)=/, 'logical assignment'],
      [/^await /m, 'top-level await'],
      [/^\s*(static|#)\w* *[{=(]/m, 'class fields'],
    ] as const) {
      assert.doesNotMatch(text, syntax, `${name}: ${what}`);
    }
  }
});
