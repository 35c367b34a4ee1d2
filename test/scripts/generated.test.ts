/** What is generated from the sources is what lies in the repository, and says the truth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateAll, isStale } from '../../scripts/generate.ts';
import { daemonGroups } from '../../src/commands/option-groups.ts';
import { parseEnvFile } from '../../src/config/env-file.ts';
import { resolve, sourceText } from '../../src/config/resolve.ts';

const files = await generateAll();

test('generated files are fresh (else: npm run generate)', () => {
  assert.deepEqual(
    files.filter(isStale).map(({ path }) => path),
    [],
  );
});

test('.env.example with every default uncommented gives the defaults, read from the file', () => {
  const example = files.find(({ path }) => path === '.env.example')!.content;
  // The head shows an example of its own, which is not the default.
  const uncommented = example.slice(example.indexOf('\n# ====')).replace(/^#([A-Z_]+=)/gm, '$1');
  const given = new Map();
  const fromFile = resolve(daemonGroups, { given, env: {}, envFile: parseEnvFile('x', uncommented) });
  const fromDefaults = resolve(daemonGroups, { given, env: {}, envFile: undefined });
  assert.deepEqual(fromFile.faults, []);
  assert.deepEqual(fromFile.warnings, []);
  assert.deepEqual(fromFile.config, fromDefaults.config);
  for (const { option, source } of fromFile.options) {
    if (option.default === '' || option.env === undefined) continue;
    assert.match(sourceText(source), /^x line \d+$/, `${option.env} is in .env.example`);
  }
});

test('.env.example as it is changes nothing', () => {
  const example = files.find(({ path }) => path === '.env.example')!.content;
  assert.equal(parseEnvFile('x', example).entries.size, 0);
});
