/** Runs the command line in this process and gives back what it wrote and its exit status. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { CommandIo } from '../../src/commands/command.ts';
import { main } from '../../src/main.ts';

export interface CommandRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandRunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Content of the .env file; without it there is none, whatever lies in the working directory. */
  readonly envFile?: string;
  readonly isColour?: boolean;
  readonly stdin?: string;
}

export async function runCommandLine(
  args: readonly string[],
  { env = {}, envFile = '', isColour = false, stdin = '' }: CommandRunOptions = {},
): Promise<CommandRun> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const io: CommandIo = { stdin: new PassThrough().end(stdin), stdout, stderr, isTty: false, isColour, env };
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-command-'));
  try {
    const path = join(folder, 'test.env');
    writeFileSync(path, envFile);
    const [command, ...rest] = args;
    const isWhole = command === undefined || command.startsWith('-') || ['help', 'version'].includes(command);
    const written = Promise.all([text(stdout), text(stderr)]);
    const status = await main({
      args: isWhole ? args : [command, '--dotenv', path, ...rest],
      io,
      columns: 100,
    });
    stdout.end();
    stderr.end();
    const [out, err] = await written;
    return { status, stdout: out.replaceAll(path, 'test.env'), stderr: err.replaceAll(path, 'test.env') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
