/** The layers hold in the sources, and the check finds what breaks them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkLayers, readSources } from '../../scripts/check-layers.ts';
import { importsOf } from '../../scripts/source-imports.ts';

function messagesOf(files: Record<string, string>): string[] {
  return checkLayers(new Map(Object.entries(files))).map(
    ({ file, line, message }) => `${file}:${line} ${message}`,
  );
}

function assertFinds(files: Record<string, string>, expected: RegExp): void {
  const messages = messagesOf(files);
  assert.equal(messages.length, 1, `expected one violation, got:\n${messages.join('\n')}`);
  assert.match(messages[0]!, expected);
}

test('the sources of telemetry-sink keep to the layers', () => {
  const sources = readSources(join(import.meta.dirname, '../..'));
  assert.ok(sources.size > 20 && sources.has('src/main.ts'), 'the sources were found');
  assert.deepEqual(checkLayers(sources), []);
});

test('imports downwards and within a room are fine', () => {
  assert.deepEqual(
    messagesOf({
      'src/main.ts':
        "import { commands } from './commands/catalogue.ts';\nimport { Command } from 'commander';",
      'src/commands/catalogue.ts':
        "import { A } from '../journal/a.ts';\nconst b = () => import('./serve/b.ts');",
      'src/journal/a.ts': "import { b } from './b.ts';\nimport { readFile } from 'node:fs/promises';",
      'src/journal/config.ts': "import { optionGroup } from '../base/option.ts';",
    }),
    [],
  );
});

test('an import upwards is found, whatever form it has', () => {
  const expected = /^src\/base\/a\.ts:3 base is below journal and must not import it/;
  for (const form of [
    "import { x } from '../journal/b.ts';",
    "import type { X } from '../journal/b.ts';",
    "import {\n  x,\n} from '../journal/b.ts';",
    "import '../journal/b.ts';",
    "export * from '../journal/b.ts';",
    "const b = await import('../journal/b.ts');",
    "const url = new URL('../journal/b.ts', import.meta.url);",
  ]) {
    assertFinds({ 'src/base/a.ts': `// head\n\n${form}\n` }, expected);
  }
});

test('rooms of one rank do not know each other', () => {
  assertFinds(
    { 'src/grpc/a.ts': "import { x } from '../journal/b.ts';" },
    /grpc and journal are of one rank/,
  );
  assertFinds(
    { 'src/observe/a.ts': "import { x } from '../config/b.ts';" },
    /observe and config are of one rank/,
  );
});

test('a config.ts imports only base', () => {
  assertFinds(
    { 'src/admin/config.ts': "import { x } from '../journal/b.ts';" },
    /only base, not src\/journal\/b\.ts/,
  );
  assertFinds({ 'src/admin/config.ts': "import { x } from './b.ts';" }, /only base, not src\/admin\/b\.ts/);
  assertFinds({ 'src/observe/config.ts': "import pino from 'pino';" }, /only base, not pino/);
});

test('a client library stays in its folder, and an unlisted one is asked about', () => {
  assertFinds(
    { 'src/journal/a.ts': "import pino from 'pino';" },
    /pino may be imported only in src\/observe/,
  );
  assertFinds(
    { 'src/journal/a.ts': "import x from '@grpc/grpc-js/build/src/x.js';" },
    /@grpc\/grpc-js may be imported/,
  );
  assertFinds({ 'src/journal/a.ts': "import _ from 'lodash';" }, /lodash is not among LIBRARIES/);
});

test('a cycle is found, once', () => {
  assertFinds(
    {
      'src/base/a.ts': "import { b } from './b.ts';",
      'src/base/b.ts': "import type { C } from './c.ts';",
      'src/base/c.ts': "export { a } from './a.ts';",
    },
    /import cycle: src\/base\/a\.ts -> src\/base\/b\.ts -> src\/base\/c\.ts -> src\/base\/a\.ts/,
  );
});

test('long files, empty names, unknown rooms and paths out of src are found', () => {
  assertFinds({ 'src/base/a.ts': '\n'.repeat(401) }, /401 lines/);
  assert.deepEqual(messagesOf({ 'src/base/a.generated.ts': '\n'.repeat(401) }), []);
  assertFinds({ 'src/base/utils.ts': '' }, /"utils" does not say/);
  assertFinds({ 'src/attic/a.ts': '' }, /room "attic" has no rank/);
  assertFinds({ 'src/base/a.ts': "import x from '../../test/x.ts';" }, /outside src/);
  assertFinds({ 'src/base/a.ts': "import x from './b';" }, /without its \.ts ending/);
});

test('what only looks like an import is none', () => {
  const text = [
    "// import x from '../journal/b.ts';",
    "/* export * from '../journal/b.ts'; */",
    "const text = `import x from '../journal/b.ts'`;",
    "const quote = /'/;",
    "import { real } from './real.ts';",
  ].join('\n');
  assert.deepEqual(importsOf(text), [{ specifier: './real.ts', line: 5, isTypeOnly: false }]);
});
