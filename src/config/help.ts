/** The options part of `--help`, from the declarations. Plain text in; the caller says whether colour is welcome. */
import { styleText } from 'node:util';
import { flagOf, type Option } from '../base/option.ts';
import { defaultText, placeholderText, rangeOnlyText } from './accepted.ts';
import type { OptionGroups } from './resolve.ts';

export interface HelpLayout {
  readonly columns: number;
  readonly isColour: boolean;
}

type Style = Parameters<typeof styleText>[0];

export function paint(layout: HelpLayout, style: Style, text: string): string {
  return layout.isColour ? styleText(style, text, { validateStream: false }) : text;
}

/** Words onto lines of at most `columns`; a blank line in the text stays one. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split(/\n\s*\n/)) {
    if (lines.length > 0) lines.push('');
    let line = '';
    for (const word of paragraph.split(/\s+/).filter((part) => part !== '')) {
      if (line !== '' && line.length + 1 + word.length > columns) {
        lines.push(line);
        line = '';
      }
      line = line === '' ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}

const LEFT_COLUMNS = 32;

/** Two columns: `left` may be painted and is measured plain; a long one gets a line of its own. */
export function twoColumns(layout: HelpLayout, left: string, style: Style, right: readonly string[]): string {
  const painted = `  ${paint(layout, style, left)}`;
  const indent = ' '.repeat(LEFT_COLUMNS);
  const isLong = left.length + 4 > LEFT_COLUMNS;
  const first = isLong
    ? `${painted}\n${indent}${right[0] ?? ''}`
    : `${painted}${' '.repeat(LEFT_COLUMNS - left.length - 2)}${right[0] ?? ''}`;
  return [first, ...right.slice(1).map((line) => indent + line)].join('\n');
}

/** Every group with a heading; `<folder>` arguments stand with the flags of their group. */
export function optionsHelp(groups: OptionGroups, layout: HelpLayout): string {
  const sections: string[] = [];
  for (const group of Object.values(groups)) {
    const lines = [paint(layout, 'bold', `${group.title}:`)];
    for (const option of Object.values(group.options as Record<string, Option>)) {
      lines.push(optionHelp(option, layout));
    }
    sections.push(lines.join('\n'));
  }
  return sections.join('\n\n');
}

export function optionHelp(option: Option, layout: HelpLayout): string {
  const width = layout.columns - LEFT_COLUMNS;
  const text = optionNotes(option);
  const notes = text === '' ? [] : wrap(text, width).map((line) => paint(layout, 'dim', line));
  return twoColumns(layout, optionUsage(option), 'cyan', [...wrap(option.help, width), ...notes]);
}

function optionUsage(option: Option): string {
  const flag = flagOf(option);
  const parts: string[] = [];
  if (option.positional !== undefined) {
    parts.push(option.type === 'list' ? `<${option.positional}>...` : `<${option.positional}>`);
  }
  if (flag !== undefined) {
    const short = option.short === undefined ? '' : `-${option.short}, `;
    const isOnByDefault = option.type === 'boolean' && option.default === 'true';
    const name = `${short}--${isOnByDefault ? `no-${flag}` : flag}`;
    parts.push(`${name} ${placeholderText(option)}`.trim());
  }
  return parts.join(', ');
}

function optionNotes(option: Option): string {
  const isPlainSwitch = option.type === 'boolean' && option.default === 'false';
  const notes = [
    option.env === undefined ? '' : option.env,
    option.required === true ? 'required' : '',
    option.required === true || (isPlainSwitch && option.env === undefined) || option.default === ''
      ? ''
      : `default ${defaultText(option)}`,
    rangeOnlyText(option),
    option.type === 'list' && option.positional === undefined ? 'may be repeated' : '',
  ];
  const text = notes.filter((note) => note !== '').join(', ');
  return text === '' ? '' : `[${text}]`;
}

/** `[options] [folder]` for the usage line. */
export function usageArguments(groups: OptionGroups): string {
  const parts = ['[options]'];
  for (const group of Object.values(groups)) {
    for (const option of Object.values(group.options as Record<string, Option>)) {
      if (option.positional === undefined) continue;
      const name = option.type === 'list' ? `${option.positional}...` : option.positional;
      parts.push(option.required === true ? `<${name}>` : `[${name}]`);
    }
  }
  return parts.join(' ');
}
