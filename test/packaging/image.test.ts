/** The Dockerfile and what reaches the builder, as far as it can be told without running it; .ci/run runs it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assignments, execForm, expand, isInContext, parseDockerfile } from '../../scripts/dockerfile.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const { args, stages } = parseDockerfile(read('Dockerfile'));
const image = stages.at(-1)!;
const dockerignore = read('.dockerignore');

const all = (name: string) => image.instructions.filter((instruction) => instruction.name === name);
const only = (name: string) => {
  const [found, ...more] = all(name);
  assert.ok(found !== undefined && more.length === 0, `one ${name}`);
  return found;
};
const env = new Map(all('ENV').flatMap(({ text }) => assignments(text)));

describe('the Dockerfile', () => {
  test('builds every stage on Node 24 of bookworm-slim', () => {
    assert.equal(args.get('NODE_IMAGE'), 'node:24-bookworm-slim');
    for (const stage of stages) assert.equal(stage.base, args.get('NODE_IMAGE'));
  });

  test('runs as a number that is not root', () => {
    assert.match(only('USER').text, /^[1-9]\d{3,}:[1-9]\d{3,}$/);
  });

  test('starts node without a shell in front, and stops by SIGTERM', () => {
    assert.deepEqual(
      [...execForm(only('ENTRYPOINT')), ...execForm(only('CMD'))],
      ['node', '/app/bin/telemetry-sink.js', 'serve'],
    );
    assert.equal(only('STOPSIGNAL').text, 'SIGTERM');
    assert.match(only('HEALTHCHECK').text, /CMD \["telemetry-sink", "health"\]$/);
  });

  test('keeps the data on the volume', () => {
    assert.deepEqual(execForm(only('VOLUME')), [env.get('FILE_PATH')]);
    assert.equal(env.get('FILE_PATH'), '/app/data');
  });

  test('exposes the ports that the daemon listens on, and says that they are plaintext', () => {
    const ports = ['GRPC_SERVER_SOCKET', 'ADMIN_SOCKET'].map((name) => env.get(name)!.split(':').at(-1));
    assert.deepEqual(only('EXPOSE').text.split(' '), ports);
    assert.equal(env.get('ALLOW_PLAINTEXT'), 'true');
    assert.equal(env.get('ALLOW_OPEN_ADMIN'), 'true');
  });

  test('sets an environment that the daemon accepts', () => {
    const entry = join(ROOT, 'bin/telemetry-sink.js');
    const result = spawnSync(process.execPath, [entry, 'validate'], {
      env: Object.fromEntries(env),
      cwd: tmpdir(),
      encoding: 'utf8',
    });
    assert.equal(result.status, 0, result.stdout + result.stderr);
  });

  test('puts only production packages into the image', () => {
    const installs = stages
      .find(({ name }) => name === 'dependencies')!
      .instructions.filter(({ name, text }) => name === 'RUN' && text.startsWith('npm'));
    assert.equal(installs.length, 1);
    assert.match(installs[0]!.text, /^npm ci --omit=dev /);
    const copied = all('COPY').find(({ text }) => text.includes('node_modules'))!;
    assert.equal(copied.flags.get('from'), 'dependencies');
    for (const run of all('RUN')) assert.doesNotMatch(run.text, /\bnpm\b/);
  });

  test('copies nothing that .dockerignore keeps away', () => {
    for (const { name, text, flags } of stages.flatMap((stage) => stage.instructions)) {
      if (name !== 'COPY' || flags.has('from')) continue;
      for (const source of text.split(' ').slice(0, -1)) {
        assert.ok(isInContext(source, dockerignore), `${source} is ignored`);
      }
    }
  });
});

describe('.dockerignore', () => {
  test('keeps settings, data and history of this machine away from the builder', () => {
    for (const entry of ['.env', '.git', 'data', 'node_modules', 'dist', 'test', '.ci-cache', '.npmrc']) {
      assert.equal(isInContext(entry, dockerignore), false, entry);
    }
  });
});

describe('the reader of Dockerfiles', () => {
  test('joins continuation lines and skips comments between them', () => {
    const text = 'FROM a AS b\nRUN one \\\n# why\n && two\n';
    assert.equal(parseDockerfile(text).stages[0]!.instructions[0]!.text.replace(/\s+/g, ' '), 'one && two');
  });

  test('takes flags off and keeps lines', () => {
    const text = 'FROM a\n\nCOPY --from=b --chown=1:1 /x ./x\n';
    const [copy] = parseDockerfile(text).stages[0]!.instructions;
    assert.deepEqual([...copy!.flags], Object.entries({ from: 'b', chown: '1:1' }));
    assert.equal(copy!.text, '/x ./x');
    assert.equal(copy!.line, 3);
  });

  test('refuses what it does not know', () => {
    assert.throws(() => parseDockerfile('FROM a\nADD x y\n'), /line 2/);
    assert.throws(() => parseDockerfile('FROM a\nONBUILD RUN x\n'), /line 2/);
    assert.throws(() => isInContext('x', '**/*.ts\n'), /not checked/);
  });

  test('expands variables and reads quoted assignments', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile's notation.
    assert.equal(expand('a ${B}$C', new Map(Object.entries({ B: '1', C: '2' }))), 'a 12');
    assert.deepEqual(assignments('A=1 b.c="x y"'), Object.entries({ A: '1', 'b.c': 'x y' }));
  });
});
