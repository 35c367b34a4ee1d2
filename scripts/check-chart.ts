/**
 * The chart against a real helm: lints it, renders every optional part on and off, checks what must hold of each
 * rendering, and that wrong values are refused. With `--write <folder>` the renderings are kept for other checks.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CASES, REFUSED } from './chart-cases.ts';
import { type Rendering, violations } from './chart-invariants.ts';
import {
  CHART,
  DEPLOYMENT_VALUES,
  helm,
  parseYaml,
  type RenderCase,
  render,
  splitDocuments,
} from './chart-render.ts';

/** What is wrong with the chart, one line each; empty when nothing is. */
export function checkChart(writeTo?: string): readonly string[] {
  return [...lint(), ...checkRenderings(writeTo), ...checkRefusals()];
}

function lint(): readonly string[] {
  return [[], ['-f', DEPLOYMENT_VALUES]].flatMap((files) => {
    const result = helm('lint', '--strict', CHART, ...files);
    return result.ok ? [] : [`helm lint --strict: ${result.stdout}${result.stderr}`];
  });
}

/** All cases are rendered first and parsed together: one run of helm instead of one per case. */
export function renderCases(cases: readonly RenderCase[]): {
  readonly faults: readonly string[];
  readonly renderings: ReadonlyMap<string, Rendering>;
} {
  const faults: string[] = [];
  const textsByCase = new Map<RenderCase, readonly string[]>();
  for (const renderCase of cases) {
    const result = render(renderCase);
    if (result.ok) textsByCase.set(renderCase, splitDocuments(result.stdout));
    else faults.push(`${renderCase.name}: does not render: ${result.stderr}`);
  }
  const manifests = parseYaml([...textsByCase.values()].flat());
  const renderings = new Map<string, Rendering>();
  let first = 0;
  for (const [renderCase, texts] of textsByCase) {
    const values = renderCase.values as { existingConfigMap?: string; existingSecret?: string };
    renderings.set(renderCase.name, {
      texts,
      manifests: manifests.slice(first, (first += texts.length)),
      namespace: renderCase.namespace ?? 'telemetry',
      existing: [values.existingConfigMap ?? '', values.existingSecret ?? ''],
    });
  }
  return { faults, renderings };
}

function checkRenderings(writeTo: string | undefined): readonly string[] {
  const { faults, renderings } = renderCases(CASES);
  const found = [...faults];
  if (writeTo !== undefined) mkdirSync(writeTo, { recursive: true });
  for (const [name, rendering] of renderings) {
    for (const sentence of violations(rendering)) found.push(`${name}: does not hold: ${sentence}`);
    if (writeTo === undefined) continue;
    writeFileSync(join(writeTo, `${name.replaceAll(' ', '-')}.yaml`), rendering.texts.join('\n---\n'));
  }
  return found;
}

function checkRefusals(): readonly string[] {
  return REFUSED.flatMap(([values, message]) => {
    const result = render({ name: 'refused', values });
    const shown = JSON.stringify(values);
    if (result.ok) return [`${shown} is not refused`];
    return message.test(result.stderr)
      ? []
      : [`${shown} is refused, but not for ${message}: ${result.stderr}`];
  });
}

if (process.argv[1] === import.meta.filename) {
  const at = process.argv.indexOf('--write');
  const faults = checkChart(at === -1 ? undefined : process.argv[at + 1]);
  for (const fault of faults) console.error(fault);
  console.log(`chart: ${CASES.length} renderings, ${REFUSED.length} refusals, ${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
