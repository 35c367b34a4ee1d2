/**
 * Reads a Dockerfile of plain instructions, and the .dockerignore beside it. What it does not know it refuses, so
 * that nothing in the Dockerfile escapes the check that is built on this.
 */

export interface Instruction {
  readonly name: string;
  readonly line: number;
  /** Flags such as --from=build. */
  readonly flags: ReadonlyMap<string, string>;
  /** The rest of the line, continuation lines joined. */
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

const KNOWN = new Set([
  ...['ARG', 'FROM', 'LABEL', 'ENV', 'RUN', 'COPY', 'USER', 'WORKDIR'],
  ...['VOLUME', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'],
]);

export function parseDockerfile(text: string): {
  readonly args: ReadonlyMap<string, string>;
  readonly stages: readonly Stage[];
} {
  const args = new Map<string, string>();
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (instruction.name === 'FROM') {
      const match = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(expand(instruction.text, args));
      if (match === null) throw new Error(`line ${instruction.line}: FROM ${instruction.text}`);
      stages.push({ name: match[2] ?? String(stages.length), base: match[1]!, instructions: [] });
    } else if (stage !== undefined) {
      stage.instructions.push(instruction);
    } else if (instruction.name === 'ARG') {
      const [name, value = ''] = assignment(instruction.text);
      args.set(name, value);
    } else {
      throw new Error(`line ${instruction.line}: ${instruction.name} before FROM`);
    }
  }
  return { args, stages };
}

function instructionsOf(text: string): readonly Instruction[] {
  const result: Instruction[] = [];
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    if (/^\s*(#|$)/.test(lines[index]!)) continue;
    let joined = lines[index]!;
    while (joined.endsWith('\\')) {
      joined = joined.slice(0, -1);
      const next = lines[++index] ?? '';
      if (!/^\s*#/.test(next)) joined += next;
      else joined += '\\';
    }
    const match = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(joined);
    const name = match?.[1]?.toUpperCase() ?? '';
    if (!KNOWN.has(name)) throw new Error(`line ${line}: an instruction that is not checked: ${joined}`);
    const flags = new Map<string, string>();
    const rest = match![2]!.replace(/^(--[a-z-]+=\S+\s+)+/, (found) => {
      for (const flag of found.trim().split(/\s+/)) {
        const [key, value = ''] = assignment(flag.slice(2));
        flags.set(key, value);
      }
      return '';
    });
    result.push({ name, line, flags, text: rest });
  }
  return result;
}

/** `NAME=value` pairs of ENV and LABEL. */
export function assignments(text: string): readonly (readonly [string, string])[] {
  return [...text.matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g)].map((match) => [
    match[1]!,
    match[2]!.startsWith('"') ? match[2]!.slice(1, -1) : match[2]!,
  ]);
}

export function assignment(text: string): readonly [string, string | undefined] {
  const at = text.indexOf('=');
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** `${NAME}` and `$NAME`. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced, bare) => variables.get(braced ?? bare) ?? '');
}

/** The exec form, `["node", "main.js"]`; the shell form would put a shell in front of the daemon. */
export function execForm(instruction: Instruction): readonly string[] {
  const words: unknown = JSON.parse(instruction.text);
  if (!Array.isArray(words)) throw new Error(`line ${instruction.line}: not the exec form`);
  return words as string[];
}

/**
 * Whether a top-level entry of the repository reaches the builder. Of .dockerignore's patterns only what ours uses
 * is known: `*`, a plain name, and either with `!`; the last one that matches decides.
 */
export function isInContext(entry: string, dockerignore: string): boolean {
  let isIgnored = false;
  for (const line of dockerignore.split('\n')) {
    const pattern = line.trim();
    if (pattern === '' || pattern.startsWith('#')) continue;
    const match = /^(!?)(\*|[\w.-]+)$/.exec(pattern);
    if (match === null) throw new Error(`.dockerignore: a pattern that is not checked: ${pattern}`);
    if (match[2] === '*' || match[2] === entry) isIgnored = match[1] !== '!';
  }
  return !isIgnored;
}
