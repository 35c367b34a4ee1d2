/** What a TypeScript source imports, told from its text: enough for the layers check, without a compiler. */

/** The text without comments and without the insides of template literals; lines keep their numbers. */
function withoutComments(text: string): string {
  let out = '';
  let index = 0;
  const blank = (end: number): void => {
    out += text.slice(index, end).replace(/[^\n]/g, ' ');
    index = end;
  };
  while (index < text.length) {
    const two = text.slice(index, index + 2);
    const one = two[0]!;
    if (two === '//') {
      const end = text.indexOf('\n', index);
      blank(end === -1 ? text.length : end);
    } else if (two === '/*') {
      const end = text.indexOf('*/', index + 2);
      blank(end === -1 ? text.length : end + 2);
    } else if (one === "'" || one === '"') {
      const end = endOfString(text, index, one);
      out += text.slice(index, end);
      index = end;
    } else if (one === '`') {
      blank(endOfString(text, index, one));
    } else {
      out += one;
      index++;
    }
  }
  return out;
}

function endOfString(text: string, start: number, quote: string): number {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === quote) return index + 1;
    // A quote in a regular expression begins no string; a string ends with its line.
    else if (text[index] === '\n' && quote !== '`') return start + 1;
  }
  return text.length;
}

const IMPORT_FORMS = [
  /\b(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /\bimport\s*['"]([^'"]+)['"]/g,
  /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
  /\bnew\s+URL\s*\(\s*['"](\.[^'"]+\.ts)['"]/g,
];

export interface FoundImport {
  readonly specifier: string;
  readonly line: number;
  /** Erased before it runs, so it cannot make a cycle at run time. It still is a dependency. */
  readonly isTypeOnly: boolean;
}

export function importsOf(text: string): readonly FoundImport[] {
  const code = withoutComments(text);
  const found: FoundImport[] = [];
  for (const form of IMPORT_FORMS) {
    for (const match of code.matchAll(form)) {
      const line = code.slice(0, match.index).split('\n').length;
      const isTypeOnly = /^(?:import|export)\s+type\b/.test(match[0]);
      found.push({ specifier: match[1]!, line, isTypeOnly });
    }
  }
  return found;
}
