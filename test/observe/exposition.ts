/** A reader of the Prometheus text format, strict enough to notice what a scraper would refuse. */

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([+-]Inf|[-+0-9.e]+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;

export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  const families = new Map<string, Family>();
  let family: Family | undefined;
  let help = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') {
      help = comment[3]!;
    } else if (comment !== null) {
      family = { name: comment[2]!, type: comment[3]!, help, samples: [] };
      if (families.has(family.name)) throw new Error(`two families named ${family.name}`);
      families.set(family.name, family);
    } else {
      const sample = SAMPLE.exec(line);
      if (sample === null || family === undefined) throw new Error(`not a sample: ${line}`);
      const suffix = sample[1]!.slice(family.name.length);
      const isOfFamily = sample[1]!.startsWith(family.name) && /^(|_bucket|_sum|_count)$/.test(suffix);
      if (!isOfFamily) throw new Error(`${sample[1]} under ${family.name}`);
      const value = Number(sample[3]!.replace('Inf', 'Infinity'));
      family.samples.push({ name: sample[1]!, labels: parseLabels(sample[2] ?? ''), value });
    }
  }
  return families;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`not labels: ${text}`);
    labels[match[1]!] = match[2]!;
  }
  return labels;
}

/** The one sample of that name and labels; throws when there is none. */
export function sampleValue(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  const family = families.get(name) ?? families.get(base);
  const found = family?.samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found?.length !== 1)
    throw new Error(`${found?.length ?? 0} samples of ${name} ${JSON.stringify(labels)}`);
  return found[0]!.value;
}
