/** What all benchmarks of the daemon understand. */
import type { BenchArguments, BenchOption } from './arguments.ts';
import { type Cores, chooseCores } from './cores.ts';
import { chooseGenerator, GENERATORS, type Generator } from './load.ts';

export const commonOptions = {
  transport: { default: '', help: 'TRANSPORT of the daemon, several separated by commas are compared' },
  connections: { default: '8', help: 'Connections of the load generator' },
  streams: { default: '50', help: 'Requests underway on each connection' },
  generator: {
    default: '',
    help: `Load generator: ${GENERATORS.join(' or ')}; h2load where it is installed`,
  },
  'daemon-cores': {
    default: '',
    help: 'Cores for the daemon, as in 0,1 or 0-3; all: nothing is pinned; none given: half',
  },
  'load-cores': { default: '', help: 'Cores for the load' },
  folder: { default: '', help: 'Where the journal is written; its disk is part of the figure' },
  note: { default: '', help: 'A sentence for the report, such as what else the machine was doing' },
  json: { default: false, help: 'Print the report as JSON' },
  write: { default: false, help: 'Keep the report in bench/results' },
} satisfies Readonly<Record<string, BenchOption>>;

export type CommonOption = keyof typeof commonOptions;

export interface CommonWish {
  /** '' leaves the choice to the daemon. */
  readonly transports: readonly string[];
  readonly connections: number;
  readonly streams: number;
  readonly generator: Generator;
  readonly cores: Cores;
  readonly json: boolean;
  readonly write: boolean;
}

export function commonWish(args: BenchArguments<CommonOption>): CommonWish {
  const [generator = ''] = args.list('generator', GENERATORS);
  const transports = args.list('transport');
  return {
    transports: transports.length > 0 ? transports : [''],
    connections: args.count('connections'),
    streams: args.count('streams'),
    generator: chooseGenerator(generator),
    cores: chooseCores({ daemon: args.text('daemon-cores'), load: args.text('load-cores') }),
    json: args.isSet('json'),
    write: args.isSet('write'),
  };
}

/** `native` is what the daemon takes when it is told nothing. */
export function transportName(transport: string): string {
  return transport === '' ? 'native' : transport;
}

export function daemonEnvironment(
  transport: string,
  ack: string,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return { ACK: ack, ...(transport === '' ? {} : { TRANSPORT: transport }), ...more };
}

export const ACKS = ['accepted', 'written', 'synced'] as const;

export function noteOf(args: BenchArguments<CommonOption>): readonly string[] {
  return args.text('note') === '' ? [] : [args.text('note')];
}
