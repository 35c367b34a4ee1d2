/**
 * The Dockerfile without a container engine: builds every stage, looks at what ended up in the image, then runs it
 * read-only, unprivileged and without network: healthy, takes readings, lets its folder be copied with tar, stops
 * with everything written. Needs Linux and root; says so and ends with 1 otherwise.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { type Container, canRunRooms, type Image, Rooms } from './image-rooms.ts';

const ROOT = join(import.meta.dirname, '..');
const READINGS = 20_000;
const faults: string[] = [];

function that(holds: boolean, sentence: string): void {
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${sentence}`);
  if (!holds) faults.push(sentence);
}

if (!canRunRooms()) {
  console.error('check-image needs Linux, root, overlayfs, unshare, nsenter, setpriv and ip');
  process.exit(1);
}
const rooms = new Rooms(ROOT, process.execPath, console.log);
let container: Container | undefined;
try {
  const image = rooms.build(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
  checkContents(image);
  // Small segments, so that there are closed and compressed ones to copy.
  container = rooms.start(image, { ROTATE_BYTES: '256KiB', COMPRESS: 'zstd' });
  await checkRun(image, container);
} catch (error) {
  faults.push(String(error));
  console.error(error);
  if (container !== undefined) console.error(container.output.join(''));
} finally {
  container?.kill();
  await container?.ended;
  rooms.dispose();
}
console.log(`image: ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function checkContents(image: Image): void {
  const app = join(rooms.filesOf(image), 'app');
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
  };
  const installed = ([path]: [string, unknown]) => existsSync(join(app, path));
  const listed = Object.entries(packages).filter(([path]) => path !== '');
  const dev = listed.filter(([, { dev }]) => dev === true).filter(installed);
  that(dev.length === 0, `no development package is in the image (${dev.map(([path]) => path)})`);
  const needed = listed.filter(([, entry]) => !entry.dev && !entry.optional && !entry.devOptional);
  that(needed.every(installed), `all ${needed.length} packages that the daemon needs are`);
  that(existsSync(join(app, 'dist/main.js')), 'dist is built');
  const sources = readdirSync(app, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('node_modules'),
  );
  that(sources.length === 0, `no sources, tests or scripts are (${sources})`);
  const owned = spawnSync('find', [app, '-uid', image.user.split(':')[0]!], {
    encoding: 'utf8',
  }).stdout.trim();
  that(owned === join(app, 'data'), `of /app only the data folder belongs to the daemon (${owned})`);
  const hidden = readdirSync(app).filter((entry) => entry.startsWith('.'));
  that(hidden.length === 0, `no .env, .git or other hidden file is (${hidden})`);
  that(image.entrypoint[0] === 'node' && image.command[0] === 'serve', 'node is process 1 and runs serve');
  const size = spawnSync('du', ['-sm', app], { encoding: 'utf8' }).stdout.split('\t')[0];
  console.log(`     /app takes ${size} MiB`);
}

async function checkRun(image: Image, container: Container): Promise<void> {
  const healthy = await becomesHealthy(image, container);
  that(healthy, `HEALTHCHECK passes: ${image.healthcheck.join(' ')}`);
  if (!healthy) throw new Error('not healthy');
  const status = container.status();
  that(
    status
      .get('Uid')!
      .split('\t')
      .every((uid) => uid === image.user.split(':')[0]),
    `uid is ${image.user}`,
  );
  that(/^0+$/.test(status.get('CapEff')! + status.get('CapBnd')!), 'it has no capabilities and can get none');
  const writable = container.exec([
    'find',
    '/',
    '-xdev',
    '-writable',
    '-not',
    '-type',
    'l',
    '-not',
    '-path',
    '/proc/*',
  ]);
  const places = writable.stdout.trim().split('\n').sort();
  that(places.join(' ') === '/app/data /tmp', `nothing but /app/data and /tmp can be written (${places})`);
  const touch = container.exec(['sh', '-c', 'touch /tmp/a && touch /app/data/a && rm /tmp/a /app/data/a']);
  that(touch.status === 0, `/tmp and /app/data can be ${touch.stderr}`);
  that(container.exec(['telemetry-sink', '--help']).status === 0, 'telemetry-sink is on the PATH');

  const input = Array.from(
    { length: READINGS },
    (_, index) => `{"sensor_name":"boiler-1","sensor_value":${index}}\n`,
  );
  const send = container.exec(['telemetry-sink', 'send', '--stdin'], input.join(''));
  that(send.status === 0, `${READINGS} readings are acknowledged ${send.status === 0 ? '' : send.stderr}`);
  const load = `telemetry-sink send --quiet --count ${READINGS} >/dev/null & telemetry-sink copy-out --tar >/tmp/tar
    echo "copied $?"; wait $! && echo sent; tar tf /tmp/tar | grep -c 'telemetry-.*zst$'; rm /tmp/tar`;
  const copied = /copied 0\nsent\n(\d+)\n/.exec(container.exec(['sh', '-c', load]).stdout)?.[1];
  that(Number(copied) > 0, `copy-out --tar under load ends with 0 and has ${copied} compressed segments`);
  for (const folder of ['/app/data', '/app']) {
    const tar = container.exec(['sh', '-c', `tar cf - ${folder} | tar tf - | grep -c jsonl`]);
    that(Number(tar.stdout) > 0, `tar reads ${folder}, as kubectl cp does`);
  }
  container.signal(image.stopSignal);
  const { code, signal } = await container.ended;
  that(code === 0, `${image.stopSignal} to process 1: ends with ${code ?? signal}`);
  const lines = countLines(container);
  that(lines === 2 * READINGS, `${lines} lines are in the files: every acknowledged reading once`);
  const last = container.output.join('').trim().split('\n').at(-1)!;
  that(
    /\(difference 0\).*\(difference 0\)/.test(last),
    `the last log line is the balance: ${last.slice(0, 200)}`,
  );
}

async function becomesHealthy(image: Image, container: Container): Promise<boolean> {
  for (let attempt = 0; attempt < 60; attempt++) {
    if (container.hasProcessOne() && container.exec(image.healthcheck).status === 0) return true;
    await delay(250);
  }
  return false;
}

/** After the stop, so that no segment is being compressed. */
function countLines(container: Container): number {
  let lines = 0;
  for (const file of readdirSync(container.volume)) {
    if (!file.startsWith('telemetry-')) continue;
    const content = readFileSync(join(container.volume, file));
    for (const byte of file.endsWith('.zst') ? zstdDecompressSync(content) : content) {
      if (byte === 0x0a) lines += 1;
    }
  }
  return lines;
}
