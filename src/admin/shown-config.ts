/** The configuration as it may be shown: by variable name, values as people write them, secrets hidden. */
import { formatByteSize, parseByteSize } from '../base/byte-size.ts';
import { formatDurationMs } from '../base/duration.ts';
import { formatListenAddress, type ListenAddress } from '../base/listen-address.ts';
import type { AnyOptionGroup, Option } from '../base/option.ts';

const HIDDEN = '(hidden)';

export type ConfiguredGroup = readonly [group: AnyOptionGroup, values: Readonly<Record<string, unknown>>];

export function shownConfig(groups: readonly ConfiguredGroup[]): Readonly<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (const [group, values] of groups) {
    for (const [key, option] of Object.entries<Option>(group.options)) {
      shown[option.env ?? key] = shownValue(option, values[key]);
    }
  }
  return shown;
}

function shownValue(option: Option, value: unknown): string {
  if (value === undefined || value === '') return '';
  if (option.secret === true) return HIDDEN;
  switch (option.type) {
    case 'bytes':
      return value === 0 ? (option.zero ?? '0') : exactByteSize(value as number);
    case 'duration':
      return value === 0 ? (option.zero ?? '0s') : formatDurationMs(value as number);
    case 'integer':
      return value === 0 ? (option.zeroWord ?? option.zero ?? '0') : String(value);
    case 'address': {
      const { host, port } = value as ListenAddress;
      return formatListenAddress(host, port);
    }
    case 'list':
      return (value as readonly string[]).join(',');
    default:
      return String(value);
  }
}

/** A rounded size would be read as the configured one. */
function exactByteSize(bytes: number): string {
  const text = formatByteSize(bytes);
  return parseByteSize(text) === bytes ? text : `${bytes}B`;
}
