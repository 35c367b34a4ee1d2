/**
 * Builds dist/: the JavaScript that is published and put in the image, and proves that it starts.
 *
 * The compiler rewrites `.ts` in imports only. A path in a string (the entry file of a worker thread) has
 * to choose its ending at run time; one that was written out would work in a checkout and fail here,
 * so it fails the build.
 */
import childProcess from 'child_process';
import fs from 'fs';
import path from 'path';
import { fileURLToPath } from 'url';
import { requireNode } from '../bin/node-version.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
requireNode(root);
const dist = path.join(root, 'dist');

fs.rmSync(dist, { recursive: true, force: true });
run('node_modules/typescript/bin/tsc', ['-p', 'tsconfig.build.json']);

const left = [];
for (const name of fs.readdirSync(dist, { recursive: true })) {
  if (!name.endsWith('.js')) continue;
  const lines = fs.readFileSync(path.join(dist, name), 'utf8').split('\n');
  lines.forEach((line, index) => {
    if (/['"`][^'"`]*[\w-]\.ts['"`]/.test(line) && !/^\s*(\*|\/\/)/.test(line)) {
      left.push(`dist/${name}:${index + 1}: ${line.trim()}`);
    }
  });
}
if (left.length > 0) {
  console.error(`TypeScript paths left in the build:\n${left.join('\n')}`);
  process.exit(1);
}
run('dist/main.js', ['--help'], 'ignore');

function run(script, args, stdout = 'inherit') {
  const result = childProcess.spawnSync(process.execPath, [path.join(root, script), ...args], {
    cwd: root,
    stdio: ['ignore', stdout, 'inherit'],
  });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error(`${script} ${args.join(' ')} ended with ${result.status}`);
    process.exit(1);
  }
}
