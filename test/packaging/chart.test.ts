/** The chart as helm renders it, and the checks themselves: each must notice what it is for. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CASES, REFUSED } from '../../scripts/chart-cases.ts';
import { container, environmentOf, type Rendering, violations } from '../../scripts/chart-invariants.ts';
import { daemonOptions, schemaTexts } from '../../scripts/chart-options.ts';
import {
  duplicateKeys,
  helm,
  type Manifest,
  type RenderCase,
  render,
  renderNotes,
} from '../../scripts/chart-render.ts';
import { renderCases } from '../../scripts/check-chart.ts';
import { requirement } from '../support/requirements.ts';

const ROOT = join(import.meta.dirname, '../..');
const skip = requirement('helm');
const { faults, renderings } = skip === false ? renderCases(CASES) : { faults: [], renderings: new Map() };

function one(renderCase: RenderCase): Rendering {
  const rendered = renderCases([renderCase]);
  assert.deepEqual(rendered.faults, []);
  return rendered.renderings.get(renderCase.name)!;
}

function statefulSet(rendering: Rendering): Manifest {
  return rendering.manifests.find((manifest) => manifest.kind === 'StatefulSet')!;
}

describe('the chart', { skip }, () => {
  test('passes helm lint --strict', () => {
    const result = helm('lint', '--strict', join(ROOT, 'k8s/telemetry-sink/charts'));
    assert.ok(result.ok, result.stdout);
  });

  test('is installed by the command in the documentation', () => {
    const words = 'template telemetry-sink ./charts -f ../values/values.yaml'.split(' ');
    execFileSync('helm', words, { cwd: join(ROOT, 'k8s/telemetry-sink'), stdio: 'pipe' });
  });

  test('renders every optional part on and off', () => {
    assert.deepEqual(faults, []);
    assert.equal(renderings.size, CASES.length);
  });

  for (const [name, rendering] of renderings) {
    test(`holds its invariants: ${name}`, () => assert.deepEqual(violations(rendering), []));
  }

  for (const [values, message] of REFUSED) {
    test(`refuses ${JSON.stringify(values)}`, () => {
      const result = render({ name: 'refused', values });
      assert.equal(result.ok, false);
      assert.match(result.stderr, message);
    });
  }

  test('rolls the pods when an option changes, and only then', () => {
    const sum = (values: object) =>
      statefulSet(one({ name: 'sum', values })).spec.template.metadata.annotations['checksum/config'];
    assert.equal(sum({}), sum({ replicas: 3 }));
    assert.notEqual(sum({}), sum({ config: { COMPRESS: 'zstd' } }));
  });

  test('prints numbers as the daemon reads them', () => {
    const values = { config: { RETAIN_BYTES: 42949672960, BUFFER_SIZE: 5000, ROTATE_INTERVAL: 0 } };
    const rendering = one({ name: 'numbers', values });
    const env = environmentOf(rendering, statefulSet(rendering));
    assert.equal(env.get('RETAIN_BYTES'), '42949672960');
    assert.equal(env.get('BUFFER_SIZE'), '5000');
    assert.equal(env.get('ROTATE_INTERVAL'), '0');
  });

  test('gives a drain of 0s and 120s a grace period of 130s', () => {
    const set = statefulSet(renderings.get('another drain')!);
    assert.equal(set.spec.template.spec.terminationGracePeriodSeconds, 130);
  });

  test('reads an existing ConfigMap instead of making one', () => {
    const rendering = renderings.get('an existing ConfigMap')!;
    assert.equal(rendering.manifests.filter(({ kind }: Manifest) => kind === 'ConfigMap').length, 0);
    const [from] = container(statefulSet(rendering)).envFrom;
    assert.equal(from.configMapRef.name, 'telemetry-sink-env');
  });

  for (const name of ['defaults', 'the deployment', 'every interface', 'options of every kind']) {
    test(`the daemon itself accepts the environment: ${name}`, () => {
      const rendering = renderings.get(name)!;
      const env = Object.fromEntries(environmentOf(rendering, statefulSet(rendering)));
      const entry = join(ROOT, 'bin/telemetry-sink.js');
      const result = spawnSync(process.execPath, [entry, 'validate'], {
        env,
        cwd: tmpdir(),
        encoding: 'utf8',
      });
      assert.equal(result.status, 0, result.stdout + result.stderr);
    });
  }
});

describe('the schema', () => {
  test('lists the options that the daemon has', async () => {
    const { present, fresh } = await schemaTexts();
    assert.ok(present === fresh, 'values.schema.json is stale; run "npm run generate"');
    assert.ok((await daemonOptions()).size > 30);
  });
});

describe('NOTES.txt', { skip }, () => {
  const notes = skip === false ? renderNotes({ name: 'notes', values: {}, release: 'plant-7' }) : '';

  test('names the addresses of the release', () => {
    assert.match(notes, /plant-7-telemetry-sink\.telemetry\.svc:50051/);
    assert.match(notes, /plant-7-telemetry-sink-0\.plant-7-telemetry-sink-headless\.telemetry\.svc:50051/);
  });

  test('copies out each replica into a folder of its own', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-notes-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // Stands for the cluster: two pods, whose copy-out is a tar with one file that names the pod.
    writeFileSync(
      join(folder, 'kubectl'),
      `#!/bin/sh
shift 2
case $1 in
  get) echo "sink-0 sink-1" ;;
  exec) [ "$*" = "exec $2 -c telemetry-sink -- telemetry-sink copy-out --tar" ] || exit 9
    mkdir -p "$POD_FOLDER/$2" && echo "$2" > "$POD_FOLDER/$2/a.jsonl" && tar c -C "$POD_FOLDER/$2" a.jsonl ;;
esac
`,
    );
    chmodSync(join(folder, 'kubectl'), 0o755);
    const script = /^ {2}for pod in [\s\S]*?^ {2}done$/m.exec(notes)![0];
    const env = { PATH: `${folder}:${process.env.PATH}`, POD_FOLDER: join(folder, 'pods') };
    execFileSync('sh', ['-euc', script], { cwd: folder, env });
    for (const pod of ['sink-0', 'sink-1']) {
      assert.equal(readFileSync(join(folder, 'telemetry', pod, 'a.jsonl'), 'utf8'), `${pod}\n`);
    }
  });

  test('warns that an emptyDir does not last', () => {
    const values = { persistence: { enabled: false } };
    assert.match(renderNotes({ name: 'notes', values }), /gone with the pod/);
  });
});

describe('the invariants', { skip }, () => {
  type Change = (set: Manifest, rendering: Rendering) => void;
  const kindOf = (rendering: Rendering, kind: string): Manifest =>
    rendering.manifests.find((manifest) => manifest.kind === kind)!;
  const env = (set: Manifest, name: string): { value: string } =>
    container(set).env.find((entry: { name: string }) => entry.name === name);
  const changes: Readonly<Record<string, readonly [change: Change, sentence: RegExp]>> = {
    'a selector that misses the pods': [
      (_, rendering) => {
        kindOf(rendering, 'Service').spec.selector.app = 'sink';
      },
      /selects the pods/,
    ],
    'a selector that takes everything': [
      (_, rendering) => {
        kindOf(rendering, 'PodDisruptionBudget').spec.selector.matchLabels = {};
      },
      /selects the pods/,
    ],
    'a grace period that is too short': [
      (set) => {
        set.spec.template.spec.terminationGracePeriodSeconds = 30;
      },
      /grace period/,
    ],
    'a listener on loopback': [
      (set) => {
        env(set, 'GRPC_SERVER_SOCKET').value = 'localhost:50051';
      },
      /GRPC_SERVER_SOCKET answers beyond loopback/,
    ],
    'a listener on another port': [
      (set) => {
        env(set, 'ADMIN_SOCKET').value = '0.0.0.0:9999';
      },
      /ADMIN_SOCKET is the container port/,
    ],
    'plaintext that nobody asked for': [
      (set) => {
        env(set, 'ALLOW_PLAINTEXT').value = 'false';
      },
      /ALLOW_PLAINTEXT/,
    ],
    'a probe of a port that does not exist': [
      (set) => {
        Object.assign(container(set), { livenessProbe: { httpGet: { path: '/healthz', port: 'web' } } });
      },
      /livenessProbe/,
    ],
    'a Service port without a container port': [
      (_, rendering) => {
        kindOf(rendering, 'Service').spec.ports[0].targetPort = 'http';
      },
      /goes to a port of the container/,
    ],
    'a root file system that can be written': [
      (set) => {
        container(set).securityContext.readOnlyRootFilesystem = false;
      },
      /read-only/,
    ],
    'a mount of a volume that does not exist': [
      (set) => {
        container(set).volumeMounts.push({ name: 'other', mountPath: '/other' });
      },
      /volume other exists/,
    ],
    'a folder that is not the volume': [
      (set) => {
        env(set, 'FILE_PATH').value = '/app';
      },
      /FILE_PATH/,
    ],
    'a memory limit that the queue would fill': [
      (set) => {
        container(set).resources.limits.memory = '64Mi';
      },
      /the memory limit holds/,
    ],
    'a variable that stands twice': [
      (set) => {
        container(set).env.push({ name: 'FILE_PATH', value: '/app/data' });
      },
      /stands twice in env/,
    ],
    'a ConfigMap that nobody makes': [
      (set) => {
        container(set).envFrom[0].configMapRef.name = 'other';
      },
      /ConfigMap other/,
    ],
    'a headless Service that is missing': [
      (set) => {
        set.spec.serviceName = 'telemetry-sink';
      },
      /headless/,
    ],
    'a label that is missing': [
      (_, rendering) => {
        delete (kindOf(rendering, 'Service').metadata.labels as Record<string, string>).app;
      },
      /app=telemetry-sink/,
    ],
  };
  for (const [name, [change, sentence]] of Object.entries(changes)) {
    test(`notice ${name}`, () => {
      const rendering = structuredClone(renderings.get('defaults')!) as Rendering;
      change(statefulSet(rendering), rendering);
      assert.match(violations(rendering).join('\n'), sentence);
    });
  }

  test('notice a key that stands twice, and no other', () => {
    assert.deepEqual(duplicateKeys('a: 1\nb:\n  a: 2\n  c:\n    - a: 3\n      b: 4\n    - a: 5\n'), []);
    assert.deepEqual(duplicateKeys('a: 1\nb:\n  c: 2\n  d: 1\n  c: 3\n'), ['c']);
    assert.deepEqual(duplicateKeys('list:\n  - a: 3\n    a: 4\n'), ['a']);
    assert.deepEqual(duplicateKeys('a: 1\nb: 2\na: 3\n'), ['a']);
  });
});
