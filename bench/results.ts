/** Result files: one JSON for programs and one Markdown for people, from the same figures. Written only when asked for. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Machine, machineText } from './machine.ts';

export const RESULTS_FOLDER = fileURLToPath(new URL('results/', import.meta.url));

export interface Report {
  /** Part of the file's name. */
  readonly name: string;
  readonly title: string;
  /** The command that reprints it. */
  readonly command: string;
  readonly machine: Machine;
  /** What the reader has to know before comparing, one sentence each. */
  readonly conditions: readonly string[];
  /** Markdown. */
  readonly body: string;
  readonly figures: Readonly<Record<string, unknown>>;
}

/** The command line as it was typed, for the result to repeat. */
export function reprintCommand(script: string): string {
  const args = process.argv
    .slice(2)
    .filter((arg) => arg !== '--write')
    .map((arg) => (/^[\w./,:=-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`));
  return `npm run ${script}${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`;
}

export function reportText(report: Report): string {
  return [
    `# ${report.title}`,
    '',
    machineText(report.machine),
    '',
    `Reprint: \`${report.command}\``,
    '',
    ...report.conditions.map((condition) => `- ${condition}`),
    '',
    report.body,
    '',
  ].join('\n');
}

export function reportJson(report: Report): string {
  const { name, command, machine, conditions, figures } = report;
  return `${JSON.stringify({ name, command, machine, conditions, ...figures }, null, 2)}\n`;
}

/** Returns the paths. */
export function writeReport(report: Report, folder = RESULTS_FOLDER): readonly string[] {
  const stem = `${folder}${report.machine.date.slice(0, 10)}-${report.name}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${stem}.json`, reportJson(report));
  writeFileSync(`${stem}.md`, reportText(report));
  return [`${stem}.json`, `${stem}.md`];
}

/** Prints the report as asked for, and writes it when asked to. */
export function deliver(report: Report, wish: { readonly json: boolean; readonly write: boolean }): void {
  console.log(wish.json ? reportJson(report) : `\n${reportText(report)}`);
  if (!wish.write) return;
  for (const path of writeReport(report)) console.error(`written to ${path}`);
}
