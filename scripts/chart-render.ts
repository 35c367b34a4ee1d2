/**
 * Renders the chart with the real helm and turns the YAML into objects, by helm as well: a throwaway chart whose one
 * template reads the files and prints them as JSON. So what is checked is what Kubernetes' own parser sees, and no
 * second YAML parser is needed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const CHART = join(import.meta.dirname, '../k8s/telemetry-sink/charts');
export const DEPLOYMENT_VALUES = join(import.meta.dirname, '../k8s/values/values.yaml');

export interface RenderCase {
  readonly name: string;
  /** As in a values file; JSON is YAML. */
  readonly values: object;
  readonly valuesFiles?: readonly string[];
  readonly release?: string;
  readonly namespace?: string;
}

export interface HelmResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: the rest differs by kind; the assertions name what they read.
  readonly [key: string]: any;
}

export function helm(...args: readonly string[]): HelmResult {
  const result = spawnSync('helm', args, { encoding: 'utf8' });
  if (result.error !== undefined) throw result.error;
  return { ok: result.status === 0, stdout: result.stdout, stderr: result.stderr };
}

/** `helm template` of one case. */
export function render(renderCase: RenderCase, chart: string = CHART): HelmResult {
  return inTempFolder((folder) => {
    const overrides = join(folder, 'values.json');
    writeFileSync(overrides, JSON.stringify(renderCase.values));
    const files = [...(renderCase.valuesFiles ?? []), overrides].flatMap((file) => ['-f', file]);
    const { release = 'telemetry-sink', namespace = 'telemetry' } = renderCase;
    return helm('template', release, chart, '--namespace', namespace, ...files);
  });
}

/** The text of NOTES.txt, which `helm template` leaves out: rendered as the value of a ConfigMap. */
export function renderNotes(renderCase: RenderCase): string {
  return inTempFolder((folder) => {
    const chart = join(folder, 'chart');
    cpSync(CHART, chart, { recursive: true });
    cpSync(join(CHART, 'templates/NOTES.txt'), join(chart, 'notes.txt'));
    writeFileSync(
      join(chart, 'templates/zz-notes.yaml'),
      'kind: NotesText\napiVersion: v1\ntext: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n',
    );
    const result = render(renderCase, chart);
    if (!result.ok) throw new Error(result.stderr);
    const notes = parseYaml(splitDocuments(result.stdout)).find((document) => document.kind === 'NotesText');
    return String(notes!.text);
  });
}

export function splitDocuments(text: string): readonly string[] {
  return text.split(/^---\s*$/m).filter((document) => document.replace(/^\s*#.*$/gm, '').trim() !== '');
}

/** YAML mappings to objects, in order. Throws where one does not parse. */
export function parseYaml(documents: readonly string[]): readonly Manifest[] {
  return inTempFolder((folder) => {
    mkdirSync(join(folder, 'templates'));
    mkdirSync(join(folder, 'documents'));
    writeFileSync(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: yaml-to-json\nversion: 0.0.0\n');
    for (const [index, document] of documents.entries()) {
      writeFileSync(join(folder, 'documents', `${String(index).padStart(6, '0')}.yaml`), document);
    }
    writeFileSync(
      join(folder, 'templates/json.yaml'),
      `{{- $all := list -}}
{{- range $path, $_ := .Files.Glob "documents/*" -}}
{{- $all = append $all ($.Files.Get $path | fromYaml) -}}
{{- end -}}
{{ dict "kind" "Json" "apiVersion" "v1" "documents" $all | toJson }}
`,
    );
    const result = helm('template', 'yaml-to-json', folder);
    const line = result.stdout.split('\n').find((candidate) => candidate.startsWith('{'));
    if (!result.ok || line === undefined) throw new Error(`YAML to JSON: ${result.stderr}`);
    const parsed = (JSON.parse(line) as { documents: Manifest[] }).documents;
    for (const [index, document] of parsed.entries()) {
      if (Object.keys(document).length === 1 && typeof document.Error === 'string') {
        throw new Error(`${document.Error}\n${documents[index]}`);
      }
    }
    return parsed;
  });
}

/**
 * Keys that stand twice in one mapping of a block-style document: parsers keep the last one silently. Knows what
 * rendered charts consist of, not all of YAML.
 */
export function duplicateKeys(document: string): readonly string[] {
  const duplicates: string[] = [];
  const open: { indent: number; keys: Set<string> }[] = [];
  for (const line of document.split('\n')) {
    const match = /^(\s*)((?:- )*)(?:"([^"]+)"|([^\s#"'{}[\]-][^:#]*)):(?:\s|$)/.exec(line);
    if (match === null) continue;
    const isItem = match[2] !== '';
    const indent = match[1]!.length + match[2]!.length;
    const key = match[3] ?? match[4]!;
    while (open.length > 0 && open.at(-1)!.indent > indent) open.pop();
    if (isItem && open.at(-1)?.indent === indent) open.pop();
    if (open.at(-1)?.indent !== indent) open.push({ indent, keys: new Set() });
    const { keys } = open.at(-1)!;
    if (keys.has(key)) duplicates.push(key);
    keys.add(key);
  }
  return duplicates;
}

function inTempFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-chart-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
