/** Files of tokens: what is understood, what is refused, and that no fault tells a secret. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_TOKENS, parseTokenFile, tokenDigest } from '../../src/base/token-file.ts';
import { TokenSet } from '../../src/base/token-set.ts';

const SECRET = 'kq3VZ0o1c2mB9yTt8sWfXw==';
const OTHER = 'Zz9_another-token.1';

function entriesOf(text: string, names: 'required' | 'optional' = 'required') {
  const parsed = parseTokenFile(text, names);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
  return parsed.entries;
}

function faultOf(text: string): string {
  const parsed = parseTokenFile(text, 'required');
  assert.ok(!parsed.ok, `accepted: ${text}`);
  return parsed.reason;
}

test('names, tokens, hashed tokens, quotas, comments, blank lines and either line ending', () => {
  const entries = entriesOf(
    `# who sends\r\n\r\n  boiler-house\t ${SECRET}\r\ngateway_7.a sha256:${tokenDigest(OTHER).toUpperCase()} rate=1MiB burst=4MiB\n`,
  );
  assert.deepEqual(entries, [
    { name: 'boiler-house', digest: tokenDigest(SECRET), quota: undefined },
    {
      name: 'gateway_7.a',
      digest: tokenDigest(OTHER),
      quota: { ratePerSecondBytes: 1_048_576, burstBytes: 4_194_304 },
    },
  ]);
});

test('a name may have two tokens while one is exchanged, but not two quotas', () => {
  assert.equal(entriesOf(`a ${SECRET}\na ${OTHER}`).length, 2);
  assert.match(faultOf(`a ${SECRET} rate=1\na ${OTHER}`), /line 2: another rate/);
});

test('an admin file takes bare tokens', () => {
  assert.deepEqual(
    entriesOf(`${SECRET}\nops ${OTHER}`, 'optional').map(({ name }) => name),
    ['admin', 'ops'],
  );
});

test('faults name the line and never what is in it', () => {
  const hostile = [
    `a`,
    `a short`,
    `a ${'x'.repeat(513)}`,
    `a ${SECRET}\nb ${SECRET}`,
    `a ${SECRET} rate=fast`,
    `a ${SECRET} burst=1MiB`,
    `a ${SECRET} colour=red`,
    `a sha256:1234`,
    `"quoted" ${SECRET}`,
    `${'n'.repeat(64)} ${SECRET}`,
    `bell\u0007 ${SECRET}`,
    `esc\u001b[31m ${SECRET}`,
    `bidi\u202e ${SECRET}`,
    `a ${SECRET}\u0000`,
    `a ünïcödé-token-of-some-length`,
    `${'y'.repeat(65_536)}`,
  ];
  for (const text of hostile) {
    const reason = faultOf(text);
    assert.match(reason, /^line \d+: /);
    assert.doesNotMatch(reason, /kq3V|xxxx|yyyy|quoted|nnnn|bell|bidi/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    assert.doesNotMatch(reason, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  }
});

test('an empty file locks nobody out, and a huge one is not read into memory whole', () => {
  assert.match(faultOf(''), /no token/);
  assert.match(faultOf('# all commented out\n'), /no token/);
  assert.match(faultOf('#'.repeat(1_048_577)), /more than 1048576 bytes/);
  const digest = (i: number): string => i.toString(16).padStart(64, '0');
  const many = Array.from({ length: MAX_TOKENS + 1 }, (_, i) => `n${i} sha256:${digest(i)}`).join('\n');
  assert.match(faultOf(many), /more than 10000 tokens/);
});

test('a set knows its own tokens, whole and as bearer tokens only', () => {
  const set = new TokenSet(entriesOf(`a ${SECRET}\nb sha256:${tokenDigest(OTHER)}`), ({ name }) => name);
  assert.equal(set.ownerOf(`Bearer ${SECRET}`), 'a');
  assert.equal(set.ownerOf(`bearer  ${OTHER}`), 'b');
  for (const wrong of [
    '',
    SECRET,
    `Basic ${SECRET}`,
    `Bearer ${SECRET.slice(0, -1)}`,
    `Bearer ${SECRET}=`,
    `Bearer ${SECRET} `,
    `Bearer ${SECRET},Bearer ${OTHER}`,
    // The digest is no password.
    `Bearer sha256:${tokenDigest(OTHER)}`,
    `Bearer ${tokenDigest(OTHER)}`,
    `Bearer ${'a'.repeat(65_536)}`,
  ]) {
    assert.equal(set.ownerOf(wrong), undefined, wrong.slice(0, 40));
  }
});
