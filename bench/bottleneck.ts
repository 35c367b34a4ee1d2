/**
 * Which side held the other back. A figure for the daemon is one only when it was the daemon that was
 * busy; otherwise it is a lower bound, and the report says so.
 */
import type { LoadWindow } from './load.ts';
import type { UsageBetween } from './process-usage.ts';

/** A thread that is on a core or waits for one this much of the time has no time left for more. */
const SATURATED = 0.9;

/** Cores that rest less than this have no time left either, however many threads share them. */
const RESTING = 0.1;

export interface Bottleneck {
  readonly text: string;
  /** The daemon had no time left: the figure is its maximum under these conditions. */
  readonly isDaemon: boolean;
  /** Cores that programs other than the two kept busy meanwhile; stolen time included. */
  readonly coresUsedByOthers: number;
}

export function findBottleneck({ daemon, generator }: LoadWindow): Bottleneck {
  if (daemon === undefined || generator === undefined) {
    return { text: 'unknown (no /proc)', isDaemon: false, coresUsedByOthers: Number.NaN };
  }
  const inDaemon = saturatedThread(daemon) ?? saturatedCores(daemon);
  const inGenerator = saturatedThread(generator);
  const others = daemon.machineCpuSeconds - daemon.cpuSeconds - generator.cpuSeconds;
  const text =
    [
      inDaemon && `daemon (${inDaemon})`,
      inGenerator && `load generator (${inGenerator}): the daemon may be capable of more`,
    ]
      .filter(Boolean)
      .join(' and ') || 'neither: both waited, for the disk or for each other';
  return {
    text,
    isDaemon: inDaemon !== undefined,
    coresUsedByOthers: Math.max(0, others / daemon.elapsedSeconds),
  };
}

function saturatedThread(usage: UsageBetween): string | undefined {
  const thread = usage.threads.find(({ busy, waiting }) => busy + waiting >= SATURATED);
  if (thread === undefined) return undefined;
  const waited = thread.waiting >= 0.05 ? `, ${percent(thread.waiting)} waiting for a core` : '';
  return `thread ${thread.name} ${percent(thread.busy)} busy${waited}`;
}

/** A runtime that moves its work from thread to thread never has a busy one. */
function saturatedCores({ idleShare, strangersShare }: UsageBetween): string | undefined {
  if (idleShare === undefined || idleShare >= RESTING) return undefined;
  const strangers = strangersShare! >= 0.05 ? `, ${percent(strangersShare!)} used by others` : '';
  return `its cores ${percent(1 - idleShare)} busy${strangers}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
