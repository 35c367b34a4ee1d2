/**
 * npm run test:sim: many seeds, or one of them again.
 *
 *   npm run test:sim                     10,000 seeds over all cores
 *   SEEDS=500 FROM=20000 npm run test:sim
 *   SEED=4711 npm run test:sim           that run again, with its trace
 */
import { availableParallelism } from 'node:os';
import { addCoverage, type Coverage, coverageText } from './coverage.ts';
import { SeedThreads, seedsFrom } from './run-seeds.ts';

const { SEED, SEEDS = '10000', FROM = '1', THREADS } = process.env;

if (SEED !== undefined) await replay(Number(SEED));
else await runMany(seedsFrom(Number(FROM), Number(SEEDS)), Number(THREADS ?? availableParallelism()));

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
