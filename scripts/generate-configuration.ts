/** .env.example and docs/configuration.md, from the declarations of the options. */
import { flagOf, type Option } from '../src/base/option.ts';
import { catalogue } from '../src/commands/catalogue.ts';
import type { AnyCommand } from '../src/commands/command.ts';
import { daemonGroups } from '../src/commands/option-groups.ts';
import { acceptedShortText, acceptedText, defaultText } from '../src/config/accepted.ts';
import type { OptionGroups } from '../src/config/resolve.ts';
import type { GeneratedFile } from './generate-descriptors.ts';

export async function generateConfiguration(): Promise<readonly GeneratedFile[]> {
  const commands = await Promise.all(catalogue.map((entry) => entry.load()));
  return [
    { path: '.env.example', content: envExample() },
    { path: 'docs/configuration.md', content: configurationPage(commands) },
  ];
}

const ENV_HEAD = `# The options of the daemon, each with its default. Copy this file to .env and uncomment what you change.
# A flag wins over an environment variable, that over .env, that over the default. An empty value is no value.
# Check the result with: telemetry-sink validate
#
# Generated from the sources by "npm run generate"; docs/configuration.md has the same as a table.

# To be reached from other machines, without TLS, in a network that is trusted: both lines together.
#GRPC_SERVER_SOCKET=0.0.0.0:8000
#ALLOW_PLAINTEXT=true
`;

function envExample(): string {
  const parts = [ENV_HEAD];
  for (const group of Object.values(daemonGroups) as OptionGroups[string][]) {
    parts.push(`\n# ==== ${group.title} ====\n`);
    for (const option of Object.values(group.options as Record<string, Option>)) {
      if (option.env === undefined) continue;
      const text = option.secret === true ? '' : option.default;
      parts.push(`\n# ${option.help}\n# Accepts ${acceptedText(option)}\n#${option.env}=${quoted(text)}\n`);
    }
  }
  return parts.join('');
}

/** Bare where the parser of .env files takes it as it stands. */
function quoted(text: string): string {
  return /^[\w.:/,@+-]*$/.test(text) ? text : `"${text}"`;
}

function configurationPage(commands: readonly AnyCommand[]): string {
  const parts = [
    PAGE_HEAD,
    '\n## The daemon\n\nFor `serve`, and for `validate`, which checks them without starting.\n',
  ];
  for (const group of Object.values(daemonGroups) as OptionGroups[string][]) {
    const options = Object.values(group.options as Record<string, Option>);
    parts.push(`\n### ${group.title}\n\n${table(options)}`);
  }
  parts.push('\n## The other commands\n');
  for (const command of commands) {
    const groups = Object.entries(command.groups as OptionGroups).filter(([name]) => !(name in daemonGroups));
    const options = groups.flatMap(([, group]) => Object.values(group.options as Record<string, Option>));
    if (options.length === 0) continue;
    parts.push(`\n### \`telemetry-sink ${command.name}\`\n\n${command.summary}.\n\n${table(options)}`);
  }
  return parts.join('');
}

const PAGE_HEAD = `# Configuration

<!-- Generated from the sources by "npm run generate". A test fails when it is stale. -->

Every option can be given in four places. The first that has it wins:

1. a flag: \`telemetry-sink serve --rotate-bytes 64MiB\` (through npm: \`npm start -- --rotate-bytes 64MiB\`)
2. an environment variable: \`ROTATE_BYTES=64MiB\`
3. a \`.env\` file in the working directory, or the file that \`--dotenv\` names
4. the default

An empty variable is the same as none. Wrong values are all reported at once, each with the place it came from and what is accepted, and the command exits with 2. A variable that looks like a misspelt one gets a warning.

\`telemetry-sink validate\` prints what would be in force and where each value came from; \`.env.example\` is this page as a file to copy.

Sizes are written as \`4096\`, \`64KiB\`, \`4MiB\`, \`1.5GiB\` (or \`64kB\`, \`4MB\`, with 1000 instead of 1024), durations as \`500ms\`, \`5s\`, \`1m\`, \`1h30m\`, \`7d\`.
`;

function table(options: readonly Option[]): string {
  const rows = options.map((option) => {
    const meaning =
      option.positional === undefined
        ? option.help
        : `${option.help} (also as the argument \`${option.positional}\`)`;
    const cells = [
      option.env === undefined ? '' : `\`${option.env}\``,
      flagCell(option),
      option.required === true
        ? 'required'
        : option.default === ''
          ? defaultText(option)
          : `\`${option.default}\``,
      acceptedShortText(option),
      meaning,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  });
  return `| Variable | Flag | Default | Accepts | Meaning |\n|---|---|---|---|---|\n${rows.join('')}`;
}

function flagCell(option: Option): string {
  const flag = flagOf(option);
  const parts = [];
  if (option.short !== undefined) parts.push(`\`-${option.short}\``);
  if (flag !== undefined) parts.push(`\`--${flag}\``);
  return parts.join(', ');
}
