/** `telemetry-sink verify` on a folder that a benchmark left. */
import { runCommand } from '../test/support/command-line.ts';

export interface Verified {
  readonly status: number | null;
  readonly text: string;
}

export async function verify(folder: string): Promise<Verified> {
  const { status, stdout, stderr } = await runCommand(['verify', folder]);
  const lines = `${stdout}${stderr}`.trim().split('\n');
  return { status, text: lines.at(-1) ?? '' };
}
