/** npm run test:sim: many seeds, or one of them again (USAGE). */
import { availableParallelism } from 'node:os';
import { addCoverage, type Coverage, coverageText } from './coverage.ts';
import { SeedThreads, seedsFrom } from './run-seeds.ts';

const USAGE = `npm run test:sim                  10,000 seeds over all cores
SEEDS=500 npm run test:sim        fewer, or more
FROM=20000 npm run test:sim       others
THREADS=2 npm run test:sim        over so many threads
SEED=4711 npm run test:sim        that run again, with its trace`;

const given = process.argv.slice(2);
if (given.length > 0) {
  const isHelp = given.every((argument) => argument === '--help' || argument === '-h');
  // 10,000 seeds are minutes that nobody asked for who asked for something else.
  if (isHelp) console.log(USAGE);
  else console.error(`test:sim: takes no arguments, got ${given.join(' ')}\n\n${USAGE}`);
  process.exit(isHelp ? 0 : 2);
}

const seed = wholeNumber('SEED', 0);
const seeds = wholeNumber('SEEDS', 1) ?? 10_000;
const fromSeed = wholeNumber('FROM', 0) ?? 1;
const threadCount = wholeNumber('THREADS', 1) ?? availableParallelism();
if (seed !== undefined) await replay(seed);
else await runMany(seedsFrom(fromSeed, seeds), threadCount);

function wholeNumber(name: string, least: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  console.error(`test:sim: ${name}=${text}: must be a whole number from ${least} on\n\n${USAGE}`);
  process.exit(2);
}

async function replay(seed: number): Promise<void> {
  await import('./replaced-modules.ts');
  const { simulate } = await import('./simulate.ts');
  const lines: string[] = [];
  const result = await simulate(seed, { onTrace: (line) => lines.push(line) });
  process.stdout.write(`${lines.join('\n')}\n\n${coverageText(coverageOfOne(result.counts))}\n`);
  console.log(`seed ${seed}: ${result.violation ?? 'no violation'} (trace ${result.traceHash})`);
  process.exitCode = result.violation === undefined ? 0 : 1;
}

function coverageOfOne(counts: Parameters<typeof addCoverage>[1]): Coverage {
  const total: Coverage = {};
  addCoverage(total, counts);
  return total;
}

async function runMany(seeds: readonly number[], threadCount: number): Promise<void> {
  const threads = new SeedThreads(threadCount);
  const startedMs = performance.now();
  const total: Coverage = {};
  const violated: number[] = [];
  let done = 0;
  await threads.run(seeds, {
    onResult: ({ seed, violation, counts }) => {
      done++;
      addCoverage(total, counts);
      if (violation !== undefined) {
        violated.push(seed);
        console.log(`seed ${seed}: ${violation}`);
      }
      if (done % 500 === 0 || done === seeds.length) {
        const perSecond = (1000 * done) / (performance.now() - startedMs);
        console.log(
          `${done} of ${seeds.length} seeds, ${perSecond.toFixed(0)}/s, ${violated.length} violated`,
        );
      }
    },
  });
  await threads.close();
  console.log(`\n${coverageText(total)}\n`);
  if (violated.length === 0) console.log(`${done} seeds, no violation`);
  else
    console.log(
      `violated: ${violated.sort((a, b) => a - b).join(' ')}; replay one with SEED=<seed> npm run test:sim`,
    );
  process.exitCode = violated.length === 0 ? 0 : 1;
}
