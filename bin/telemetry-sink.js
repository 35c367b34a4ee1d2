#!/usr/bin/env node
/**
 * The door: plain JavaScript that every Node.js since 12.17 can parse, so that an old one is told what
 * is wrong in one line instead of a syntax error. Then the command line itself: the sources in a
 * checkout, the built files in a package.
 */
import fs from 'fs';
import path from 'path';
import { fileURLToPath, pathToFileURL } from 'url';
import { requireNode } from './node-version.js';

const root = path.dirname(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))));

if (process.argv[2] === 'serve') heedEarlySignals();
requireNode(root);
quietKnownWarnings();

// The build may be older than the sources, so in a checkout the sources are it.
const source = path.join(root, 'src', 'main.ts');
const entry = fs.existsSync(source) ? source : path.join(root, 'dist', 'main.js');

import(pathToFileURL(entry).href)
  .then((main) => main.runProcess())
  .catch((error) => {
    console.error(startFault(error));
    process.exit(2);
  });

/**
 * As process 1 of a container we get only the signals that we have handlers for. Until `serve` takes over
 * with its own there is nothing to drain: a stop is an exit, with the status of one that died of the signal.
 */
function heedEarlySignals() {
  process.once('SIGTERM', () => process.exit(128 + 15));
  process.once('SIGINT', () => process.exit(128 + 2));
}

/** node:sqlite and type stripping are used on purpose, and tested; every other warning still shows. */
function quietKnownWarnings() {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const text = String(warning && warning.message ? warning.message : warning);
    const type = typeof rest[0] === 'object' && rest[0] !== null ? rest[0].type : rest[0];
    const isExperimental =
      type === 'ExperimentalWarning' || (warning && warning.name === 'ExperimentalWarning');
    if (isExperimental && /SQLite|Type Stripping/i.test(text)) return;
    emitWarning.call(process, warning, ...rest);
  };
}

function startFault(error) {
  if (!fs.existsSync(entry)) return `telemetry-sink is not built: ${entry} is missing; run "npm run build".`;
  const missing = /^Cannot find package '([^']+)'/.exec(error && error.message);
  if (missing) {
    return `telemetry-sink misses the package ${missing[1]}; run "npm ci" in ${root} and try again.`;
  }
  return error && error.stack ? error.stack : String(error);
}
