/**
 * Every command by name. A command's file is imported only when it is asked for: `--help` stays quick,
 * and one that cannot be loaded takes none of the others with it.
 */
import type { AnyCommand } from './command.ts';

export interface CatalogueEntry {
  readonly name: string;
  /** The same line as the command's own `summary`; a test compares them. */
  readonly summary: string;
  readonly load: () => Promise<AnyCommand>;
}

export const catalogue: readonly CatalogueEntry[] = [
  {
    name: 'serve',
    summary: 'Run the daemon: receive readings over gRPC and append them to files',
    load: async () => (await import('./serve/command.ts')).serveCommand,
  },
  {
    name: 'send',
    summary: 'Simulate a fleet of sensors, generate load, or send JSON lines of your own',
    load: async () => (await import('./send/command.ts')).sendCommand,
  },
  {
    name: 'tail',
    summary: 'Follow the newest readings in a journal folder',
    load: async () => (await import('./tail.ts')).tailCommand,
  },
  {
    name: 'verify',
    summary: 'Check a journal folder and name every fault',
    load: async () => (await import('./verify.ts')).verifyCommand,
  },
  {
    name: 'copy-out',
    summary: 'Copy segments out of a journal folder, beside the daemon too',
    load: async () => (await import('./copy-out.ts')).copyOutCommand,
  },
  {
    name: 'validate',
    summary: 'Check the configuration of the daemon without starting it',
    load: async () => (await import('./validate.ts')).validateCommand,
  },
  {
    name: 'health',
    summary: 'Ask a running daemon whether it serves; for container probes',
    load: async () => (await import('./health/command.ts')).healthCommand,
  },
];
