/**
 * Builds the peers from source: the grpc-go server from bench/peers/grpc-go (a minute the first time, a second later), the
 * OpenTelemetry Collector with its own builder (some minutes the first time, then kept). Modules come through
 * the Go command, so GOPROXY and GOFLAGS of the user hold. What is built lies in BENCH_PEERS_CACHE.
 *
 *   node bench/peers/build.ts [grpc-go] [otel-collector]      both when none is named; prints the paths
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isOnPath } from '../../test/support/requirements.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '..', '..');
const PROTO_GEN_GO = 'google.golang.org/protobuf/cmd/protoc-gen-go';
const GO_PACKAGE = 'telemetry-sink/bench/peers/grpc-go';

/** Why nothing can be built here. */
export function missingToolchain(): string | undefined {
  return isOnPath('go') ? undefined : 'go is not installed';
}

function cacheFolder(): string {
  const folder = process.env.BENCH_PEERS_CACHE ?? join(HERE, '.cache');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Output goes to standard error: standard output belongs to the report. */
function run(cwd: string, program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 2, 2] });
}

/** Returns the path of the program. */
export function buildGrpcGo(): string {
  const sources = join(HERE, 'grpc-go');
  const cache = cacheFolder();
  const plugin = join(cache, 'protoc-gen-go');
  // At the version that the sources' go.mod pins.
  run(sources, 'go', 'build', '-o', plugin, PROTO_GEN_GO);
  const opt = [`module=${GO_PACKAGE}`, `Msensor/v1/sensor.proto=${GO_PACKAGE}/sensorv1`];
  const template = JSON.stringify({ version: 'v2', plugins: [{ local: plugin, out: sources, opt }] });
  run(ROOT, join(ROOT, 'node_modules', '.bin', 'buf'), 'generate', 'proto', '--template', template);
  const program = join(cache, 'grpc-go');
  run(sources, 'go', 'build', '-o', program, '.');
  return program;
}

export function collectorVersion(): string {
  const manifest = readFileSync(join(HERE, 'otel-collector', 'builder.yaml'), 'utf8');
  return /^ {2}version: (\S+)$/m.exec(manifest)![1]!;
}

/** Where the Collector of this version lies, if it was built before. */
export function builtCollector(): string | undefined {
  const program = join(cacheFolder(), `otel-collector-${collectorVersion()}`);
  return existsSync(program) ? program : undefined;
}

/** Returns the path of the program. */
export function buildCollector(): string {
  const built = builtCollector();
  if (built !== undefined) return built;
  const version = collectorVersion();
  const folder = join(cacheFolder(), `otel-collector-${version}-sources`);
  const sources = join(folder, 'sources');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  copyFileSync(join(HERE, 'otel-collector', 'builder.yaml'), join(folder, 'builder.yaml'));
  const builder = `go.opentelemetry.io/collector/cmd/builder@v${version}`;
  try {
    run(folder, 'go', 'run', builder, '--config', 'builder.yaml', '--skip-compilation');
  } catch (error) {
    // The builder insists on the modules that only tests of its parts need; the program is built without them.
    if (!existsSync(join(sources, 'go.mod'))) throw error;
    run(sources, 'go', 'mod', 'tidy', '-e', '-compat=1.25');
  }
  run(sources, 'go', 'build', '-trimpath', '-o', join(folder, 'program'), '.');
  const program = join(cacheFolder(), `otel-collector-${version}`);
  renameSync(join(folder, 'program'), program);
  rmSync(folder, { recursive: true, force: true });
  return program;
}

if (import.meta.filename === process.argv[1]) {
  const missing = missingToolchain();
  if (missing !== undefined) {
    console.error(missing);
    process.exit(1);
  }
  const wanted = process.argv.slice(2);
  for (const [name, build] of [
    ['grpc-go', buildGrpcGo],
    ['otel-collector', buildCollector],
  ] as const) {
    if (wanted.length === 0 || wanted.includes(name)) console.log(build());
  }
}
