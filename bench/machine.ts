/** What a figure was measured on: without it a figure cannot be compared with anything. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { formatByteSize } from '../src/base/byte-size.ts';

export interface Machine {
  readonly date: string;
  /** With `+changes` when the sources differ from it. */
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly virtual: boolean;
  readonly node: string;
  /** Of the folder that the journal is written to. */
  readonly file_system: string;
}

const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x01021994, 'tmpfs'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlayfs'],
  [0x2fc12fc1, 'zfs'],
]);

export function describeMachine(folder: string): Machine {
  const fileSystem = statfsSync(folder).type;
  return {
    date: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: formatByteSize(totalmem()),
    kernel: `${type()} ${release()}`,
    virtual: isVirtual(),
    node: process.version,
    file_system: FILE_SYSTEMS.get(fileSystem) ?? `type 0x${fileSystem.toString(16)}`,
  };
}

export function machineText(machine: Machine): string {
  const kind = machine.virtual ? 'virtual machine' : 'bare metal';
  return (
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory}, ${kind}, ${machine.kernel}, Node ${machine.node}, ` +
    `journal on ${machine.file_system}, commit ${machine.commit}, ${machine.date}`
  );
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: new URL('..', import.meta.url),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changes = git('status', '--porcelain', '--', 'src', 'bin', 'bench', 'package.json', 'proto');
    const isChanged = changes.split('\n').some((line) => line !== '' && !line.includes('bench/results'));
    return `${git('rev-parse', '--short=12', 'HEAD')}${isChanged ? '+changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

function isVirtual(): boolean {
  try {
    return / hypervisor /.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
