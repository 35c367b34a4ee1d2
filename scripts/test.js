/**
 * Runs the tests: all of them, or what is named.
 *
 *   npm test                                            everything
 *   npm test -- test/journal                            a folder
 *   npm test -- test/base/duration.test.ts              a file
 *   npm test -- --test-name-pattern=rotation            by name; every flag of the runner passes through
 *
 * Plain JavaScript, so that an old Node.js is told what is wrong in one line.
 */
import childProcess from 'child_process';
import fs from 'fs';
import os from 'os';
import path from 'path';
import { fileURLToPath } from 'url';
import { requireNode } from '../bin/node-version.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
requireNode(root);

/** Flags of the runner that take the next argument as their value when they are written without `=`. */
const TAKES_VALUE = new Set([
  '-C',
  '--test-concurrency',
  '--test-name-pattern',
  '--test-reporter',
  '--test-reporter-destination',
  '--test-shard',
  '--test-skip-pattern',
  '--test-timeout',
]);

const flags = [];
const files = [];
const given = process.argv.slice(2);
while (given.length > 0) {
  const arg = given.shift();
  if (!arg.startsWith('-')) {
    const isFolder = fs.existsSync(arg) && fs.statSync(arg).isDirectory();
    // The runner reads its arguments as patterns, with / on every system.
    files.push(isFolder ? path.posix.join(arg.split(path.sep).join('/'), '**/*.test.ts') : arg);
  } else if (TAKES_VALUE.has(arg) && given.length > 0) {
    flags.push(`${arg}=${given.shift()}`);
  } else {
    flags.push(arg);
  }
}

const isGiven = (name) => flags.some((flag) => flag === name || flag.startsWith(`${name}=`));
// Many tests start servers, threads and processes of their own: half of the cores keeps them honest.
if (!isGiven('--test-concurrency')) {
  flags.push(`--test-concurrency=${Math.max(2, Math.ceil(os.cpus().length / 2))}`);
}
// One that hangs fails by name instead of holding up the run.
if (!isGiven('--test-timeout')) flags.push('--test-timeout=180000');

const result = childProcess.spawnSync(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--test',
    ...flags,
    ...(files.length > 0 ? files : ['test/**/*.test.ts']),
  ],
  { cwd: root, stdio: 'inherit' },
);
if (result.error) throw result.error;
process.exitCode = result.status === null ? 1 : result.status;
