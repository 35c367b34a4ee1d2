/**
 * Is this Node.js new enough, and if not, what helps? Plain JavaScript that every Node.js since 12.17
 * can parse; the command line, the test runner and the build all ask here first.
 */
import fs from 'fs';
import path from 'path';

/** The oldest supported version; `engines` in package.json says the same, and a test compares them. */
export const OLDEST_NODE = '22.18.0';

/** One line with the remedy, or undefined when all is well. `root` is the folder of package.json. */
export function nodeVersionFault(root, version = process.versions.node, execPath = process.execPath) {
  if (!isOlder(version, OLDEST_NODE)) return undefined;
  const found = `telemetry-sink needs Node.js ${OLDEST_NODE} or newer, and this is ${version} (${execPath}).`;
  return `${found} ${remedy(root)}`;
}

/** The remedy depends on how far the pinned runtime, a development dependency, has come. */
function remedy(root) {
  const isCheckout = fs.existsSync(path.join(root, 'package-lock.json'));
  if (!isCheckout) return 'Install a newer one from https://nodejs.org and run this again.';
  const modules = path.join(root, 'node_modules');
  if (!fs.existsSync(path.join(modules, 'node', 'package.json'))) {
    return 'Run "npm ci" in the checkout: it brings the right one, and npm start, npm test and npx use it.';
  }
  if (!fs.existsSync(path.join(modules, 'node', 'bin'))) {
    return 'The pinned one was not unpacked, because install scripts were off: run "npm rebuild node --ignore-scripts=false" and try again.';
  }
  return 'The checkout has the right one: start this with npm start, npm test or npx telemetry-sink, which use it.';
}

function isOlder(version, than) {
  const a = version.split('.').map((part) => parseInt(part, 10));
  const b = than.split('.').map(Number);
  for (let index = 0; index < 3; index++) {
    if (a[index] !== b[index]) return a[index] < b[index];
  }
  return false;
}

/** Says the fault and ends the process, or returns. */
export function requireNode(root) {
  const fault = nodeVersionFault(root);
  if (fault === undefined) return;
  console.error(fault);
  process.exit(2);
}
