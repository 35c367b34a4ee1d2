/**
 * Executes a Dockerfile without a container engine, on Linux as root: each stage is an overlay over this machine's
 * own root file system, with Node 24 where the base image has it; RUN is run in it with chroot, COPY copies. The
 * result is started as a container would be: namespaces of its own, read-only root, no capabilities.
 *
 * What this proves: every instruction, and that the daemon lives within those limits. What it cannot: that the
 * packages of the real base image are the same as this machine's (the check is made on the same Debian).
 */

import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import {
  assignment,
  assignments,
  execForm,
  expand,
  isInContext,
  parseDockerfile,
  type Stage,
} from './dockerfile.ts';

export interface Image {
  /** The overlay's folders. */
  readonly room: Room;
  readonly env: ReadonlyMap<string, string>;
  readonly user: string;
  readonly workdir: string;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly stopSignal: string;
}

interface Room {
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
}

const BASE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** How this machine reaches the package registry; the build needs it, the daemon does not get it. */
const NETWORK_VARIABLES =
  /^(https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|npm_config_(registry|cache))$/i;

export function canRunRooms(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const probe = `set -e; t=$(mktemp -d); trap 'umount $t/m 2>/dev/null; rm -rf $t' EXIT; mkdir $t/u $t/w $t/m
    mount -t overlay overlay -o lowerdir=/,upperdir=$t/u,workdir=$t/w $t/m; chroot $t/m true`;
  return spawnSync('unshare', ['--mount', '--net', '--pid', '--fork', 'sh', '-c', probe]).status === 0;
}

export class Rooms {
  readonly #root: string;
  readonly #repository: string;
  readonly #nodeBinary: string;
  readonly #context: string;
  readonly #stages = new Map<string, Room>();
  readonly #log: (line: string) => void;

  constructor(repository: string, nodeBinary: string, log: (line: string) => void) {
    this.#repository = repository;
    this.#log = log;
    this.#root = mkdtempSync(join(tmpdir(), 'telemetry-sink-image-'));
    this.#context = join(this.#root, 'context');
    this.#nodeBinary = nodeBinary;
    mkdirSync(this.#context);
    const ignore = readFileSync(join(repository, '.dockerignore'), 'utf8');
    for (const entry of readdirSync(repository)) {
      if (!isInContext(entry, ignore)) continue;
      cpSync(join(repository, entry), join(this.#context, entry), { recursive: true });
    }
  }

  get contextEntries(): readonly string[] {
    return readdirSync(this.#context).sort();
  }

  dispose(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** Every stage in order; the last one is the image. */
  build(dockerfile: string): Image {
    const { args, stages } = parseDockerfile(dockerfile);
    let image: Image | undefined;
    for (const stage of stages) image = this.#buildStage(stage, args);
    return image!;
  }

  #buildStage(stage: Stage, globalArgs: ReadonlyMap<string, string>): Image {
    if (stage.base !== globalArgs.get('NODE_IMAGE'))
      throw new Error(`stage ${stage.name} is not on NODE_IMAGE`);
    const room = this.#newRoom(stage.name);
    const args = new Map<string, string>();
    const env = new Map([['PATH', BASE_PATH]]);
    let { user, workdir, stopSignal } = { user: '0:0', workdir: '/', stopSignal: 'SIGTERM' };
    const lists = { VOLUME: [] as string[], ENTRYPOINT: [] as string[], CMD: [] as string[] };
    let ports: string[] = [];
    let healthcheck: readonly string[] = [];
    for (const instruction of stage.instructions) {
      const { name, text, flags, line } = instruction;
      this.#log(`${stage.name}: ${name} ${text}`.slice(0, 150));
      const variables = new Map([...args, ...env]);
      if (name === 'ARG') args.set(assignment(text)[0], assignment(text)[1] ?? globalArgs.get(text) ?? '');
      else if (name === 'ENV')
        for (const [key, value] of assignments(text)) env.set(key, expand(value, variables));
      else if (name === 'LABEL') expand(text, variables);
      else if (name === 'WORKDIR') {
        workdir = text;
        this.#inside(room, `mkdir -p ${workdir}`, new Map(env), '/');
      } else if (name === 'USER') user = text;
      else if (name === 'EXPOSE') ports = text.split(/\s+/);
      else if (name === 'STOPSIGNAL') stopSignal = text;
      else if (name === 'RUN') this.#run(room, text, new Map([...args, ...env]), workdir, line);
      else if (name === 'COPY') this.#copy(room, text, flags.get('from'), workdir, line);
      else if (name === 'HEALTHCHECK') {
        healthcheck = execForm({ ...instruction, text: text.replace(/^.*?CMD\s+/, '') });
      } else lists[name as keyof typeof lists] = [...execForm(instruction)];
    }
    const { VOLUME: volumes, ENTRYPOINT: entrypoint, CMD: command } = lists;
    return { room, env, user, workdir, volumes, ports, entrypoint, command, healthcheck, stopSignal };
  }

  #newRoom(name: string): Room {
    const at = (part: string) => join(this.#root, 'stages', name, part);
    const room = { upper: at('upper'), work: at('work'), merged: at('merged') };
    for (const folder of Object.values(room)) mkdirSync(folder, { recursive: true });
    const programs = join(room.upper, 'usr/local/bin');
    mkdirSync(programs, { recursive: true });
    try {
      linkSync(this.#nodeBinary, join(programs, 'node'));
    } catch {
      // Another file system.
      cpSync(this.#nodeBinary, join(programs, 'node'));
    }
    this.#stages.set(name, room);
    return room;
  }

  #run(room: Room, command: string, env: Map<string, string>, workdir: string, line: number): void {
    for (const [name, value] of Object.entries(process.env)) {
      if (NETWORK_VARIABLES.test(name)) env.set(name, value!);
    }
    env.set('HOME', '/root');
    const { status, stdout, stderr } = this.#inside(room, command, env, workdir);
    if (status !== 0) throw new Error(`Dockerfile line ${line}: RUN ends with ${status}\n${stdout}${stderr}`);
  }

  /** A shell command in the stage, as root. */
  #inside(
    room: Room,
    command: string,
    env: ReadonlyMap<string, string>,
    workdir: string,
  ): SpawnSyncReturns<string> {
    const script = `${this.#mountScript(room)}
      mount --rbind /dev ${room.merged}/dev; mount -t proc proc ${room.merged}/proc
      exec chroot ${room.merged} /usr/bin/env -i "$@" /bin/sh -c 'cd "$0" && eval "$1"' "$WORKDIR" "$COMMAND"`;
    const variables = [...env].map(([name, value]) => `${name}=${value}`);
    return spawnSync('unshare', ['--mount', '--pid', '--fork', 'sh', '-ec', script, 'sh', ...variables], {
      encoding: 'utf8',
      env: { PATH: BASE_PATH, WORKDIR: workdir, COMMAND: command },
      maxBuffer: 64 * 1024 * 1024,
    });
  }

  /** The repository and the packages of this machine's checkout are covered: an image does not see them. */
  #mountScript({ upper, work, merged }: Room): string {
    const layers = `lowerdir=/,upperdir=${upper},workdir=${work}`;
    return `mount -t overlay overlay -o ${layers} ${merged}; mkdir -p ${merged}${this.#repository}; mount -t tmpfs -o mode=0755 tmpfs ${merged}${this.#repository}`;
  }

  #copy(room: Room, text: string, from: string | undefined, workdir: string, line: number): void {
    const words = text.split(/\s+/);
    const target = join(room.upper, resolve(workdir, words.pop()!));
    for (const word of words) {
      const stage = from === undefined ? undefined : this.#stages.get(from);
      if (from !== undefined && stage === undefined) throw new Error(`line ${line}: no stage ${from}`);
      const source = join(stage?.upper ?? this.#context, word);
      const isFolder = statSync(source).isDirectory();
      const isIntoFolder = words.length > 1 || text.endsWith('/');
      // Like the builder: of a folder its contents are copied, of a file the file.
      const destination = !isFolder && isIntoFolder ? join(target, basename(word)) : target;
      mkdirSync(isFolder ? destination : dirname(destination), { recursive: true });
      cpSync(source, destination, { recursive: true, verbatimSymlinks: true });
      if (stage === undefined) spawnSync('chown', ['-R', '0:0', destination]);
    }
  }

  /** The stage's files as the builder left them; only what differs from the base. */
  filesOf(image: Image): string {
    return image.room.upper;
  }

  /**
   * Starts the image as `docker run --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp -v ...`
   * would, process 1 being the image's entrypoint, with a network of its own that has only loopback. `settings` are
   * its `-e NAME=value`.
   */
  start(image: Image, settings: Readonly<Record<string, string>> = {}): Container {
    const env = [...new Map([...image.env, ...Object.entries(settings)])].map(
      ([name, value]) => `${name}=${value}`,
    );
    const volume = join(this.#root, 'volume');
    mkdirSync(volume, { recursive: true });
    const merged = image.room.merged;
    const [owner] = image.volumes;
    const script = `${this.#mountScript(image.room)}
      mount --make-rprivate /; ip link set lo up
      chown --reference=${merged}${owner} ${volume}; chmod --reference=${merged}${owner} ${volume}
      mount -o remount,bind,ro ${merged}
      mount --bind ${volume} ${merged}${owner}
      mount -t tmpfs -o mode=1777,size=64m tmpfs ${merged}/tmp
      mount --rbind /dev ${merged}/dev; mount -t proc proc ${merged}/proc
      exec chroot ${merged} ${this.#asUser(image)} /usr/bin/env -i -C ${image.workdir} "$@"`;
    const child = spawn(
      'unshare',
      [
        ...['--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-ec'],
        ...[script, 'sh', ...env, ...image.entrypoint, ...image.command],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: BASE_PATH } },
    );
    return new Container(child, image, env, volume);
  }

  #asUser(image: Image): string {
    const [uid, gid] = image.user.split(':');
    return `setpriv --reuid ${uid} --regid ${gid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all`;
  }
}

export class Container {
  readonly volume: string;
  readonly output: string[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #child: ChildProcess;
  readonly #image: Image;
  readonly #env: readonly string[];

  constructor(child: ChildProcess, image: Image, env: readonly string[], volume: string) {
    this.#child = child;
    this.#image = image;
    this.#env = env;
    this.volume = volume;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => this.output.push(text));
    }
    this.ended = new Promise((resolvePromise) => {
      child.once('close', (code, signal) => resolvePromise({ code, signal }));
    });
  }

  /** As `docker exec`: in the container's namespaces, as its user. */
  exec(words: readonly string[], input = ''): SpawnSyncReturns<string> {
    const [uid, gid] = this.#image.user.split(':');
    const enter = [
      '--target',
      String(this.#processOne()),
      '--mount',
      '--net',
      '--pid',
      '--ipc',
      '--uts',
      '--root',
    ];
    const env = ['/usr/bin/env', '-i', '-C', this.#image.workdir, ...this.#env];
    return spawnSync('nsenter', [...enter, `--setuid=${uid}`, `--setgid=${gid}`, ...env, ...words], {
      encoding: 'utf8',
      input,
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    });
  }

  signal(name: string): void {
    process.kill(this.#processOne(), name as NodeJS.Signals);
  }

  /** Whatever state it is in. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** The kernel's view of process 1: its uid, capabilities, and whether it can gain privileges. */
  status(): ReadonlyMap<string, string> {
    const text = readFileSync(`/proc/${this.#processOne()}/status`, 'utf8');
    return new Map(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]));
  }

  /** False before unshare has forked, and after the end. */
  hasProcessOne(): boolean {
    return this.#children() !== '';
  }

  /** unshare's only child. */
  #processOne(): number {
    const children = this.#children();
    if (children === '') throw new Error(`the container has ended:\n${this.output.join('')}`);
    return Number(children.split(' ')[0]);
  }

  #children(): string {
    const pid = this.#child.pid!;
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    } catch {
      return '';
    }
  }
}
