/**
 * Every call site of the file system x every fault its methods can have x how long it lasts. Each site is
 * tried in the first story that comes past it.
 *
 *   npm run test:faults                      everything, in as many processes as there are cores; prints the table
 *   npm run test:faults -- rename            only the sites whose label holds the text
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { CallSite } from '../../scripts/file-system-calls.ts';
import { fileSystemCallSites, siteLabel } from '../../scripts/file-system-calls.ts';
import { CallSites } from '../support/call-site-of.ts';
import type { FileSystemMethod } from '../support/faulty-file-system.ts';
import { durationsOf, FAULTS_OF, faultText } from './fault-plan.ts';
import type { Target } from './fault-run.ts';
import { runStory } from './fault-run.ts';
import type { Story } from './stories.ts';
import { CLOCK_STORIES, STORIES } from './stories.ts';

export interface Trial {
  readonly story: Story;
  readonly target: Target | undefined;
}

export interface TrialReport {
  readonly site: string;
  readonly method: string;
  readonly fault: string;
  readonly story: string;
  readonly outcome: string;
  readonly violations: readonly string[];
}

interface Reached {
  readonly story: Story;
  readonly calls: number;
  readonly isMeant: boolean;
}

export interface Recording {
  /** `site method` to the first story that comes past it. */
  readonly reached: ReadonlyMap<string, Reached>;
  /** Sites that no story comes past. */
  readonly missed: readonly string[];
  readonly violations: readonly string[];
}

/** Plays every story undisturbed, and notes which call sites it comes past. */
export async function record(sites: readonly CallSite[]): Promise<Recording> {
  const callSites = new CallSites(sites);
  const reached = new Map<string, Reached>();
  const violations: string[] = [];
  for (const story of [...STORIES, ...CLOCK_STORIES]) {
    const result = await runStory(story, callSites);
    for (const violation of result.violations) violations.push(`${story.name}: ${violation}`);
    for (const [key, calls] of result.calls) {
      const isMeant = story.meantFor !== undefined && key.includes(story.meantFor);
      if (!reached.has(key) || (isMeant && !reached.get(key)!.isMeant))
        reached.set(key, { story, calls, isMeant });
    }
  }
  const missed = sites.flatMap((site) =>
    site.methods.map((method) => `${siteLabel(site)} ${method}`).filter((key) => !reached.has(key)),
  );
  return { reached, missed, violations };
}

/** All trials, in a fixed order. */
export function plan(sites: readonly CallSite[], { reached }: Recording): readonly Trial[] {
  const trials: Trial[] = [];
  for (const site of sites) {
    for (const method of site.methods) {
      const label = siteLabel(site);
      const found = reached.get(`${label} ${method}`);
      if (found === undefined) continue;
      for (const fault of FAULTS_OF[method as FileSystemMethod]) {
        for (const duration of durationsOf(fault, method as FileSystemMethod)) {
          const occurrences = found.calls > 2 ? [1, Math.ceil(found.calls / 2)] : [1];
          for (const occurrence of occurrences) {
            trials.push({ story: found.story, target: { site: label, method, occurrence, fault, duration } });
          }
        }
      }
    }
  }
  return trials;
}

export async function tryOne(trial: Trial, callSites: CallSites): Promise<TrialReport> {
  const { story, target } = trial;
  let result = await runStory(story, callSites, target);
  // Steps of the archiver fall differently among the writer's from run to run, and some calls come only with luck.
  for (let again = 0; target !== undefined && !result.wasHit && again < 4; again++) {
    result = await runStory(story, callSites, { ...target, occurrence: 1 });
  }
  const violations = [...result.violations];
  if (target !== undefined && !result.wasHit) violations.push('the call it was meant for never came');
  return {
    site: target?.site ?? '',
    method: target?.method ?? '',
    fault: target === undefined ? '' : `${faultText(target.fault)} ${target.duration} #${target.occurrence}`,
    story: story.name,
    outcome: violations.length > 0 ? 'VIOLATION' : result.outcome,
    violations,
  };
}

/** Runs the trials of this process: its parent sends them, so that all have the same plan. */
async function shard(): Promise<void> {
  const callSites = new CallSites(fileSystemCallSites());
  const stories = new Map([...STORIES, ...CLOCK_STORIES].map((story) => [story.name, story]));
  const [trials] = (await once(process, 'message')) as [{ story: string; target: Target }[]];
  for (const { story, target } of trials) {
    process.send!(await tryOne({ story: stories.get(story)!, target }, callSites));
  }
  process.disconnect();
}

async function main(filter: string): Promise<number> {
  const sites = fileSystemCallSites();
  const recording = await record(sites);
  const trials = plan(sites, recording).filter(({ target }) => target!.site.includes(filter));
  const count = Number(process.env.PROCESSES ?? availableParallelism());
  const reports: TrialReport[] = [];
  await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const child = fork(import.meta.filename, ['--shard']);
      const share = trials.filter((_, at) => at % count === index);
      child.send(share.map(({ story, target }) => ({ story: story.name, target })));
      child.on('message', (message) => {
        const report = message as TrialReport;
        reports.push(report);
        // At once: a run that hangs in the end must not take with it what was found.
        for (const line of violationText(report)) console.log(line);
      });
      return new Promise<void>((resolve, reject) => {
        child.once('exit', (code) =>
          code === 0 ? resolve() : reject(new Error(`a shard ended with ${code}`)),
        );
      });
    }),
  );
  const byPlace = new Map<string, TrialReport[]>();
  for (const report of reports) {
    const key = `${report.site}  [${report.method}]`;
    byPlace.set(key, [...(byPlace.get(key) ?? []), report]);
  }
  for (const [place, tried] of [...byPlace].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const outcomes = new Map<string, number>();
    for (const { outcome } of tried) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const faults = new Set(tried.map(({ fault }) => fault.replace(/ \w+ #\d+$/, '')));
    console.log(`${place}\n    ${[...faults].join(', ')}: ${tried.length} runs`);
    console.log(`    ${[...outcomes].map(([outcome, times]) => `${outcome} ${times}x`).join('; ')}`);
  }
  let failures = 0;
  for (const { violations } of reports) if (violations.length > 0) failures++;
  for (const missed of recording.missed) console.log(`NEVER REACHED ${missed}`);
  for (const violation of recording.violations) console.log(`VIOLATION without a fault: ${violation}`);
  console.log(
    `\n${byPlace.size} places, ${reports.length} runs, ${failures} with a violation, ${recording.missed.length} places never reached`,
  );
  return failures + recording.missed.length + recording.violations.length === 0 ? 0 : 1;
}

function violationText({ site, method, fault, story, violations }: TrialReport): string[] {
  if (violations.length === 0) return [];
  return [
    `VIOLATION ${site} [${method}], ${fault}, in "${story}":`,
    ...violations.map((line) => `  ${line}`),
  ];
}

if (import.meta.filename === process.argv[1]) {
  if (process.argv[2] === '--shard') {
    await shard();
  } else {
    process.exitCode = await main(process.argv[2] ?? '');
  }
}
