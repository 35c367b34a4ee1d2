/** A peer as a process: pinned, its lines kept, gone when the benchmark is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Cores, pinned } from '../cores.ts';

export interface PeerProcess {
  readonly pid: number;
  /** The first line that `find` makes something of; throws when the process ends before. */
  line<T>(find: (line: string) => T | undefined): Promise<T>;
  /** SIGTERM; throws unless it ends with 0. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export function startPeer(
  command: readonly string[],
  cores: Cores,
  environment: Readonly<Record<string, string>> = {},
): PeerProcess {
  const [program, ...args] = pinned(cores.daemon, command);
  const child = spawn(program!, args, {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let onLine = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      onLine();
    });
  }
  const ended = once(child, 'close').then(([status]) => status as number | null);
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  void ended.then(() => process.off('exit', kill));

  return {
    pid: child.pid!,
    async line(find) {
      const found = new Promise<NonNullable<ReturnType<typeof find>>>((resolve) => {
        let next = 0;
        onLine = () => {
          for (; next < lines.length; next++) {
            const value = find(lines[next]!);
            if (value !== undefined) resolve(value as NonNullable<typeof value>);
          }
        };
        onLine();
      });
      const over = ended.then((status) => {
        throw new Error(`${command[0]} ended with ${status}: ${lines.slice(-5).join('\n')}`);
      });
      return Promise.race([found, over]);
    },
    async stop() {
      child.kill('SIGTERM');
      const status = await ended;
      if (status !== 0) throw new Error(`${command[0]} ended with ${status}: ${lines.slice(-5).join('\n')}`);
    },
    async kill() {
      kill();
      await ended;
    },
  };
}
