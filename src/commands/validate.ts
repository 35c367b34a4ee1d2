/**
 * `validate`: resolves the daemon's options exactly as `serve` would and says what came of it. By
 * default it touches nothing, so that a new configuration can be tried beside a running daemon;
 * `--preflight` also tries the folder and the ports.
 */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { bindHosts, formatListenAddress, type ListenAddress } from '../base/listen-address.ts';
import { makeFolders } from '../base/make-folders.ts';
import { type Option, optionGroup } from '../base/option.ts';
import { paint } from '../config/help.ts';
import type { Fault, Resolution, ResolvedOption } from '../config/resolution.ts';
import { nameOf, sourceText } from '../config/resolve.ts';
import { type CommandIo, command } from './command.ts';
import { checkDaemonConfig, type DaemonConfig, daemonGroups } from './option-groups.ts';
import { tlsFaults } from './serve/tls-source.ts';

const validateOptions = optionGroup({
  title: 'Validate',
  options: {
    preflight: {
      flag: 'preflight',
      type: 'boolean',
      default: 'false',
      help: 'Also try what needs this machine: that the folder is writable and the ports are free',
    },
    json: {
      flag: 'json',
      type: 'boolean',
      default: 'false',
      help: 'Print one JSON object: ok, faults, warnings and every option with its value and source',
    },
  },
});

export const validateCommand = command({
  name: 'validate',
  summary: 'Check the configuration of the daemon without starting it',
  description:
    'Takes the same flags, variables and .env file as serve, and prints the configuration that would be in force, with the place each value came from, or every fault at once.',
  examples: [
    { line: 'telemetry-sink validate', help: 'what would be in force here' },
    { line: 'telemetry-sink validate --preflight', help: 'on the machine, before the first start' },
    {
      line: 'telemetry-sink validate --dotenv next.env --json | jq .faults',
      help: 'in a deployment script',
    },
  ],
  exitStatuses: { 0: 'serve would start with this', 2: 'it would not' },
  groups: { validate: validateOptions, ...daemonGroups },
  check: checkDaemonConfig,
  reportFaults(faults, resolution, io) {
    report(faults, resolution, io);
    return 2;
  },
  async run(config, io, resolution) {
    const faults = [
      ...(await tlsFaults(config.grpc)).map((message) => ({ name: undefined, message, source: undefined })),
      ...(config.validate.preflight ? await preflight(config) : []),
    ];
    report(faults, resolution, io);
    return faults.length === 0 ? 0 : 2;
  },
});

function report(faults: readonly Fault[], resolution: Resolution, io: CommandIo): void {
  const options = resolution.options.filter(({ group }) => group !== 'validate');
  if (resolution.options.some(({ group, key, value }) => group === 'validate' && key === 'json' && value)) {
    io.stdout.write(`${JSON.stringify(asJson(faults, resolution, options), null, 2)}\n`);
    return;
  }
  for (const warning of resolution.warnings) io.stderr.write(`warning: ${warning}\n`);
  if (faults.length > 0) {
    io.stdout.write(`${faults.map(({ message }) => message).join('\n')}\n`);
    io.stdout.write(
      `${faults.length === 1 ? '1 fault' : `${faults.length} faults`}: serve would not start\n`,
    );
    return;
  }
  io.stdout.write(`${asTable(options, io)}no fault: serve would start with this\n`);
}

function asJson(
  faults: readonly Fault[],
  resolution: Resolution,
  options: readonly ResolvedOption[],
): object {
  return {
    ok: faults.length === 0,
    faults: faults.map(({ name, message, source }) => ({
      name: name ?? null,
      message,
      source: source === undefined ? null : sourceText(source),
    })),
    warnings: resolution.warnings,
    options: options.map(({ option, text, value, source }) => ({
      name: nameOf(option),
      text: option.secret === true ? null : text,
      // In bytes and milliseconds; null where the text was at fault or is secret.
      value: option.secret === true ? null : (value ?? null),
      source: sourceText(source),
    })),
  };
}

function asTable(options: readonly ResolvedOption[], io: CommandIo): string {
  const layout = { columns: 110, isColour: io.isColour };
  const rows = options.map(({ option, text, value, source }) => ({
    name: nameOf(option),
    text: option.secret === true ? '(not shown)' : shownText(option, text, value),
    source: sourceText(source),
  }));
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  // One long value pushes its own source aside, not everybody's.
  const textWidth = Math.min(32, Math.max(...rows.map(({ text }) => text.length)));
  return rows
    .map(({ name, text, source }) => {
      const isDefault = source === 'default';
      const value = text.padEnd(textWidth);
      return `${name.padEnd(nameWidth)}  ${isDefault ? value : paint(layout, 'bold', value)}  ${paint(layout, 'dim', source)}\n`;
    })
    .join('');
}

/** What a 0 means is said beside it. */
function shownText(option: Option, text: string, value: unknown): string {
  if (text === '') return '(none)';
  return value === 0 && 'zero' in option && option.zero !== undefined ? `${text} (${option.zero})` : text;
}

/** Tries what `serve` would need, and leaves nothing behind but the folder itself. */
async function preflight(config: DaemonConfig): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  const add = (name: string, problem: string | undefined): void => {
    if (problem !== undefined) faults.push({ name, message: `${name}: ${problem}`, source: undefined });
  };
  add('FILE_PATH', await folderProblem(config.journal.filePath));
  add('GRPC_SERVER_SOCKET', await addressProblem(config.grpc.grpcServerSocket));
  add('ADMIN_SOCKET', await addressProblem(config.admin.adminSocket));
  return faults;
}

async function folderProblem(folder: string): Promise<string | undefined> {
  const probe = join(folder, `.preflight-${randomUUID()}`);
  try {
    await makeFolders(folder);
    await writeFile(probe, '');
    await rm(probe);
    return undefined;
  } catch (error) {
    return `${folder} is not writable: ${errorMessage(error)}`;
  }
}

const ADDRESS_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use; stop what listens there (a running daemon?) or choose another port',
  EADDRNOTAVAIL: 'is not an address of this machine',
  EACCES: 'needs privileges, as ports below 1024 do',
  ENOTFOUND: 'cannot be resolved',
};

async function addressProblem(address: ListenAddress): Promise<string | undefined> {
  for (const host of bindHosts(address)) {
    const code = await bindFault(host, address.port);
    // A machine without IPv6 still serves on the other loopback.
    if (code === undefined || (address.host === 'localhost' && code === 'EADDRNOTAVAIL')) continue;
    const problem = ADDRESS_PROBLEMS[code] ?? `cannot be listened on (${code})`;
    return `${formatListenAddress(host, address.port)} ${problem}`;
  }
  return undefined;
}

function bindFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemErrorCode(error)));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}
