/**
 * Which cores the daemon and its load run on. Apart from each other, so that a faster load generator does
 * not show as a slower daemon, and fixed, so that no run is lucky.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { isOnPath } from '../test/support/requirements.ts';

export interface Cores {
  /** Undefined: not pinned. */
  readonly daemon: string | undefined;
  readonly load: string | undefined;
  /** Threads of the load generator. */
  readonly loadThreads: number;
  readonly text: string;
}

export interface CoresWish {
  /** `0,1` or `0-3`; empty for half of what there is; `all` for no pinning. */
  readonly daemon: string;
  readonly load: string;
}

export function chooseCores(wish: CoresWish): Cores {
  const count = availableParallelism();
  const notPinned = (why: string): Cores => ({
    daemon: undefined,
    load: undefined,
    loadThreads: Math.max(1, Math.min(2, count >> 1)),
    text: `nothing pinned (${why})`,
  });
  if (wish.daemon === 'all' || wish.load === 'all') return notPinned('as asked');
  if (!isOnPath('taskset')) return notPinned('no taskset here');
  if (count < 2) return notPinned('one core');
  const allowed = allowedCores();
  const daemon = wish.daemon === '' ? allowed.slice(0, allowed.length >> 1).join(',') : wish.daemon;
  const load = wish.load === '' ? allowed.slice(allowed.length >> 1).join(',') : wish.load;
  return {
    daemon,
    load,
    loadThreads: Math.max(1, Math.min(8, coreList(load).length)),
    text: `daemon on cores ${daemon}, load on cores ${load} (taskset)`,
  };
}

/** One core for a server, the others for the load: what one core does, compared with what it does for others. */
export function chooseOneCore(wish: CoresWish): Cores {
  if (wish.daemon === 'all' || !isOnPath('taskset') || availableParallelism() < 2) return chooseCores(wish);
  const [first, ...others] = allowedCores();
  return chooseCores({ daemon: wish.daemon || String(first), load: wish.load || others.join(',') });
}

/** Holds this process, and what it does itself, to the last of the cores for the load; the others remain for it. */
export function holdThisProcess(cores: Cores): { readonly cores: Cores; readonly own: string } {
  const list = cores.load === undefined ? [] : coreList(cores.load);
  if (list.length < 2) return { cores, own: cores.load === undefined ? 'any core' : `core ${cores.load}` };
  const own = String(list.at(-1));
  execFileSync('taskset', ['-a', '-c', '-p', own, String(process.pid)], { stdio: 'ignore' });
  const load = list.slice(0, -1).join(',');
  const text = `daemon on cores ${cores.daemon}, load on cores ${load} (taskset)`;
  return { cores: { ...cores, load, loadThreads: list.length - 1, text }, own: `core ${own}` };
}

/** A program and its arguments, on `cores`. */
export function pinned(cores: string | undefined, command: readonly string[]): readonly string[] {
  return cores === undefined ? command : ['taskset', '-c', cores, ...command];
}

/** What this process may use: in a container not always every core. */
function allowedCores(): readonly number[] {
  const answer = execFileSync('taskset', ['-c', '-p', String(process.pid)], { encoding: 'utf8' });
  return coreList(answer.slice(answer.lastIndexOf(':') + 1));
}

/** `0-2,5` -> 0, 1, 2, 5. */
export function coreList(text: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [first, last] = part.trim().split('-').map(Number);
    return Array.from({ length: (last ?? first!) - first! + 1 }, (_, index) => first! + index);
  });
}
