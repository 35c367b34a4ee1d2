/** The systemd unit and the compose file: what they repeat of the image and of each other agrees. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseYaml } from '../../scripts/chart-render.ts';
import { assignments, parseDockerfile } from '../../scripts/dockerfile.ts';
import { parseDurationMs } from '../../src/base/duration.ts';
import { requirement } from '../support/requirements.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const UNIT = read('deploy/systemd/telemetry-sink.service');

function unitValues(key: string): readonly string[] {
  return UNIT.split('\n')
    .filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1));
}

describe('the systemd unit', () => {
  const env = new Map(unitValues('Environment').flatMap((line) => assignments(line)));

  test('waits for the drain and 10s before it kills', () => {
    const drainMs = parseDurationMs(env.get('DRAIN_DELAY')!)! + parseDurationMs(env.get('DRAIN_TIMEOUT')!)!;
    assert.deepEqual(unitValues('TimeoutStopSec'), [String(drainMs / 1000 + 10)]);
    assert.deepEqual(unitValues('KillSignal'), ['SIGTERM']);
  });

  test('writes where systemd lets it write', () => {
    assert.equal(env.get('FILE_PATH'), `/var/lib/${unitValues('StateDirectory')[0]}`);
  });

  test('starts again after a crash, but not with a wrong configuration', () => {
    assert.deepEqual(unitValues('Restart'), ['on-failure']);
    assert.deepEqual(unitValues('RestartPreventExitStatus'), ['2']);
  });

  test('is understood and rated safe by systemd', { skip: requirement('systemd-analyze') }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-unit-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // Its programs must exist to be verified, and this machine has Node elsewhere.
    const unit = join(folder, 'telemetry-sink.service');
    writeFileSync(unit, UNIT.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`));
    const verified = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    const complaints = verified.stderr.split('\n').filter((line) => line.includes('telemetry-sink.service'));
    assert.deepEqual(complaints, []);
    // 20 is an exposure of 2.0 of 10.
    execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit], {
      stdio: 'pipe',
    });
  });
});

describe('compose.yaml', { skip: requirement('helm') }, () => {
  const image = parseDockerfile(read('Dockerfile')).stages.at(-1)!;
  const imageText = (name: string) =>
    image.instructions.find((instruction) => instruction.name === name)!.text;
  const service = (): Record<string, unknown> & { environment: Record<string, string> } => {
    const [document] = parseYaml([read('compose.yaml')]);
    return document!.services['telemetry-sink'];
  };

  test('waits for the drain and 10s before it kills', () => {
    const { environment, stop_grace_period: grace } = service();
    const drainMs = parseDurationMs(environment.DRAIN_DELAY!)! + parseDurationMs(environment.DRAIN_TIMEOUT!)!;
    assert.ok(parseDurationMs(String(grace))! >= drainMs + 10_000);
  });

  test('has a read-only root, no capabilities, and the volume where the data is', () => {
    const { environment, volumes, ...rest } = service();
    assert.equal(rest.read_only, true);
    assert.deepEqual(rest.cap_drop, ['ALL']);
    assert.deepEqual(volumes, [`data:${environment.FILE_PATH}`]);
    assert.equal(environment.FILE_PATH, JSON.parse(imageText('VOLUME'))[0]);
  });

  test('publishes the ports of the image, on loopback unless told otherwise', () => {
    const ports = service().ports as string[];
    const exposed = imageText('EXPOSE').split(' ');
    assert.deepEqual(
      ports.map((port) => port.split(':').at(-1)),
      exposed,
    );
    for (const port of ports) assert.match(port, /^(\$\{LISTEN:-127\.0\.0\.1\}|127\.0\.0\.1):\d+:\d+$/);
  });

  test('asks for plaintext in plain sight', () => {
    assert.equal(service().environment.ALLOW_PLAINTEXT, 'true');
    assert.equal(service().environment.ALLOW_OPEN_ADMIN, 'true');
  });

  test('probes as the image does', () => {
    const { test: words } = service().healthcheck as { test: string[] };
    assert.ok(imageText('HEALTHCHECK').endsWith(`CMD ${JSON.stringify(words.slice(1)).replace(',', ', ')}`));
  });
});

describe('the version', () => {
  test('is the same everywhere', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const places: Readonly<Record<string, RegExp>> = {
      'k8s/telemetry-sink/charts/Chart.yaml': /^appVersion: "(.*)"$/m,
      'k8s/values/values.yaml': /^ {2}tag: "(.*)"$/m,
      'compose.yaml': /^ {4}image: telemetry-sink:(.*)$/m,
      Dockerfile: /^ARG VERSION=(.*)$/m,
    };
    for (const [file, pattern] of Object.entries(places)) {
      assert.equal(pattern.exec(read(file))?.[1], version, file);
    }
  });
});
