/**
 * What a process and each of its threads used, from /proc: the same truth for the daemon and for whatever
 * loads it, with no cost inside either. Linux only; elsewhere the figures are missing, which is said.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { coreList } from './cores.ts';

/** A tick of /proc/<pid>/stat; Linux has shown 100 per second to programs on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;

interface ThreadUsage {
  readonly name: string;
  readonly cpuSeconds: number;
  /** Ready to run, but another thread had the core. */
  readonly waitSeconds: number;
}

export interface Usage {
  readonly atMs: number;
  /** User and system time of all threads, ended ones included. */
  readonly cpuSeconds: number;
  readonly threads: ReadonlyMap<string, ThreadUsage>;
  /** All cores of the machine, whoever used them; time stolen by the host included. */
  readonly machineCpuSeconds: number;
  /** How long the cores that the process is held to had nothing to do; waiting for the disk included. */
  readonly ownCores: { readonly count: number; readonly idleSeconds: number } | undefined;
}

export interface ThreadShare {
  readonly name: string;
  /** Of one core, 0 to 1. */
  readonly busy: number;
  readonly waiting: number;
}

export interface UsageBetween {
  readonly elapsedSeconds: number;
  readonly cpuSeconds: number;
  readonly machineCpuSeconds: number;
  /** Of the cores it is held to, 0 to 1; undefined when it is held to none. */
  readonly idleShare?: number;
  /** Of the cores it is held to: used by others, 0 to 1. */
  readonly strangersShare?: number;
  /** Busiest first. */
  readonly threads: readonly ThreadShare[];
}

export const hasProc = process.platform === 'linux';

export function readUsage(pid: number, cores?: string): Usage | undefined {
  if (!hasProc) return undefined;
  const threads = new Map<string, ThreadUsage>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const thread = readThread(pid, tid);
    if (thread !== undefined) threads.set(tid, thread);
  }
  return {
    atMs: Date.now(),
    cpuSeconds: ticksOf(readFileSync(`/proc/${pid}/stat`, 'latin1')) / TICKS_PER_SECOND,
    threads,
    machineCpuSeconds: machineCpuSeconds(),
    ownCores: cores === undefined ? undefined : idleOf(coreList(cores)),
  };
}

function idleOf(cores: readonly number[]): { readonly count: number; readonly idleSeconds: number } {
  let ticks = 0;
  for (const line of readFileSync('/proc/stat', 'latin1').split('\n')) {
    const [name, , , , idle, ioWait] = line.split(' ');
    if (cores.some((core) => name === `cpu${core}`)) ticks += Number(idle) + Number(ioWait);
  }
  return { count: cores.length, idleSeconds: ticks / TICKS_PER_SECOND };
}

function readThread(pid: number, tid: string): ThreadUsage | undefined {
  const folder = `/proc/${pid}/task/${tid}`;
  try {
    const name = String(pid) === tid ? 'main' : readFileSync(`${folder}/comm`, 'utf8').trim();
    try {
      const [runNs, waitNs] = readFileSync(`${folder}/schedstat`, 'latin1').split(' ').map(Number);
      return { name, cpuSeconds: runNs! / 1e9, waitSeconds: waitNs! / 1e9 };
    } catch {
      // A kernel built without scheduler statistics.
      const cpuSeconds = ticksOf(readFileSync(`${folder}/stat`, 'latin1')) / TICKS_PER_SECOND;
      return { name, cpuSeconds, waitSeconds: 0 };
    }
  } catch {
    return undefined; // ended meanwhile
  }
}

/** utime + stime; the name before them may hold spaces and brackets. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function machineCpuSeconds(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))![1]!;
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').map(Number);
  return (user! + nice! + system! + irq! + softirq! + (steal ?? 0)) / TICKS_PER_SECOND;
}

export function usageBetween(before: Usage, after: Usage): UsageBetween {
  const elapsedSeconds = (after.atMs - before.atMs) / 1000;
  const threads: ThreadShare[] = [];
  for (const [tid, { name, cpuSeconds, waitSeconds }] of after.threads) {
    const start = before.threads.get(tid);
    threads.push({
      name,
      busy: (cpuSeconds - (start?.cpuSeconds ?? 0)) / elapsedSeconds,
      waiting: (waitSeconds - (start?.waitSeconds ?? 0)) / elapsedSeconds,
    });
  }
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    ...sharesOfOwnCores(before, after, elapsedSeconds, cpuSeconds),
    elapsedSeconds,
    cpuSeconds,
    machineCpuSeconds: after.machineCpuSeconds - before.machineCpuSeconds,
    threads: threads.toSorted((a, b) => b.busy - a.busy),
  };
}

function sharesOfOwnCores(
  before: Usage,
  after: Usage,
  elapsedSeconds: number,
  cpuSeconds: number,
): { readonly idleShare?: number; readonly strangersShare?: number } {
  if (before.ownCores === undefined || after.ownCores === undefined) return {};
  const coreSeconds = elapsedSeconds * after.ownCores.count;
  const idleShare = (after.ownCores.idleSeconds - before.ownCores.idleSeconds) / coreSeconds;
  return { idleShare, strangersShare: Math.max(0, 1 - idleShare - cpuSeconds / coreSeconds) };
}

export interface Memory {
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

export function readMemory(pid: number): Memory | undefined {
  if (!hasProc) return undefined;
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024;
  return { rssBytes: bytes('VmRSS'), peakRssBytes: bytes('VmHWM') };
}

export function countFileDescriptors(pid: number): number | undefined {
  return hasProc ? readdirSync(`/proc/${pid}/fd`).length : undefined;
}
