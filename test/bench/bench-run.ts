/** Runs a benchmark as a user does, small, and hands back its JSON report. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A machine that stands still for seconds leaves nothing of so short a measurement. What is broken is broken every time. */
const TRIES = 3;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface BenchRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function runBench(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<BenchRun> {
  return new Promise((resolve) => {
    const command = [`bench/${script}.ts`, ...args];
    execFile(process.execPath, command, { cwd: ROOT, env, timeout: 120_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

export async function benchReport<T>(
  script: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<T & Described> {
  let run = await runBench(script, [...args, '--json'], env);
  for (let tries = 1; tries < TRIES && run.status !== 0; tries++) {
    console.log(`bench/${script}.ts ended with ${run.status}, and is tried again: ${run.stderr}`);
    run = await runBench(script, [...args, '--json'], env);
  }
  assert.equal(run.status, 0, run.stderr);
  const report = JSON.parse(run.stdout) as T & Described;
  assertDescribed(report);
  return report;
}

export interface Described {
  readonly command: string;
  readonly machine: Readonly<Record<string, unknown>>;
  readonly conditions: readonly string[];
}

/** A figure without its machine, its payload, its pinning and its command is no figure. */
export function assertDescribed(report: Described): void {
  for (const fact of ['date', 'commit', 'cpu', 'cores', 'kernel', 'node', 'file_system']) {
    assert.ok(report.machine[fact], `the report names its ${fact}`);
  }
  assert.match(report.command, /^npm run bench/);
  assert.match(report.conditions.join('\n'), /pinned|Pinned/);
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function assertSpread(spread: Spread, what: string): void {
  assert.ok(spread.min > 0, `${what} is above 0: ${JSON.stringify(spread)}`);
  assert.ok(spread.min <= spread.median && spread.median <= spread.max, `${what} is ordered`);
}
