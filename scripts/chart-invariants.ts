/**
 * What must hold of every rendering of the chart, whatever the values. Each check is one sentence; a violated one
 * is returned, not thrown, so that one run shows them all.
 */
import { formatByteSize } from '../src/base/byte-size.ts';
import { parseDurationMs } from '../src/base/duration.ts';
import { isLoopback, parseListenAddress } from '../src/base/listen-address.ts';
import { checkDaemonConfig, type DaemonConfig, daemonGroups } from '../src/commands/option-groups.ts';
import { memoryLimits, runtimeBytes } from '../src/commands/serve/memory-limits.ts';
import { resolve } from '../src/config/resolve.ts';
import { ingestThreadCount } from '../src/ingest/config.ts';
import { duplicateKeys, type Manifest } from './chart-render.ts';

export interface Rendering {
  readonly texts: readonly string[];
  readonly manifests: readonly Manifest[];
  readonly namespace: string;
  /** ConfigMaps and Secrets that the values say exist already. */
  readonly existing: readonly string[];
}

type Labels = Readonly<Record<string, string>>;
type Check = (that: (holds: boolean, sentence: string) => void) => void;

/** The sentences that do not hold. */
export function violations(rendering: Rendering): readonly string[] {
  const broken: string[] = [];
  const run = (check: Check) => check((holds, sentence) => holds || broken.push(sentence));
  const statefulSets = rendering.manifests.filter((manifest) => manifest.kind === 'StatefulSet');
  if (statefulSets.length !== 1) return [`there is one StatefulSet, not ${statefulSets.length}`];
  const set = statefulSets[0]!;
  run(texts(rendering));
  run(names(rendering));
  run(selectors(rendering, set));
  run(environment(rendering, set));
  run(ports(rendering, set));
  run(stop(set));
  run(confinement(rendering, set));
  run(volumes(set));
  run(resources(rendering, set));
  return broken;
}

export function container(set: Manifest): Manifest {
  return set.spec.template.spec.containers[0];
}

/** The environment as the daemon gets it: envFrom first, `env` overrides. References to other objects are left out. */
export function environmentOf(rendering: Rendering, set: Manifest): Map<string, string> {
  const result = new Map<string, string>();
  for (const from of container(set).envFrom ?? []) {
    const map = find(rendering, 'ConfigMap', from.configMapRef?.name);
    for (const [name, value] of Object.entries((map?.data ?? {}) as Labels)) result.set(name, value);
  }
  for (const { name, value } of container(set).env) if (typeof value === 'string') result.set(name, value);
  return result;
}

function texts({ texts, manifests }: Rendering): Check {
  return (that) => {
    for (const [index, text] of texts.entries()) {
      const where = `${manifests[index]?.kind} ${manifests[index]?.metadata?.name}`;
      that(duplicateKeys(text).length === 0, `${where}: no key stands twice (${duplicateKeys(text)})`);
      that(!/<no value>|map\[|%!|<nil>/.test(text), `${where}: no value is printed in Go's notation`);
      that(!/:\s*"?[\d.]+e\+\d+/.test(text), `${where}: no number is in scientific notation`);
      that(!text.includes('\t'), `${where}: no tabs`);
    }
  };
}

function names({ manifests, namespace }: Rendering): Check {
  return (that) => {
    const seen = new Set<string>();
    for (const manifest of manifests) {
      const { name, labels = {} } = manifest.metadata;
      const where = `${manifest.kind} ${name}`;
      that(!seen.has(where), `${where} is rendered once`);
      seen.add(where);
      that(
        /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) && name.length <= 63,
        `${where}: the name is a DNS label`,
      );
      that(manifest.metadata.namespace === namespace, `${where}: namespace is the release's`);
      const isTest = manifest.metadata.annotations?.['helm.sh/hook'] === 'test';
      that(isTest || labels.app === 'telemetry-sink', `${where}: app=telemetry-sink`);
      for (const key of ['name', 'instance', 'managed-by']) {
        that((labels[`app.kubernetes.io/${key}`] ?? '') !== '', `${where}: app.kubernetes.io/${key} is set`);
      }
      for (const [key, value] of Object.entries(labels)) {
        that(
          value.length <= 63 && /^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$/.test(value),
          `${where}: label ${key} is valid`,
        );
      }
    }
    // A hash of 10 characters is appended in a label of its pods.
    const set = manifests.find((manifest) => manifest.kind === 'StatefulSet')!;
    that(set.metadata.name.length <= 52, 'the name of the StatefulSet leaves room for its revision hash');
  };
}

function selectors(rendering: Rendering, set: Manifest): Check {
  return (that) => {
    const podLabels = set.spec.template.metadata.labels as Labels;
    const selects = (selector: Labels, what: string) =>
      that(
        Object.keys(selector ?? {}).length > 0 && isWithin(selector, podLabels),
        `${what} selects the pods`,
      );
    selects(set.spec.selector.matchLabels, 'the StatefulSet');
    for (const manifest of rendering.manifests) {
      const { kind } = manifest;
      if (kind === 'Service') selects(manifest.spec.selector, `Service ${manifest.metadata.name}`);
      if (kind === 'PodDisruptionBudget') selects(manifest.spec.selector.matchLabels, kind);
      if (kind === 'NetworkPolicy') selects(manifest.spec.podSelector.matchLabels, kind);
      if (kind === 'Pod') {
        const taken = isWithin(set.spec.selector.matchLabels, manifest.metadata.labels ?? {});
        that(!taken, 'the test pod is not taken for a replica');
      }
      if (kind === 'ServiceMonitor') {
        const matched = rendering.manifests.filter(
          (other) =>
            other.kind === 'Service' &&
            isWithin(manifest.spec.selector.matchLabels, other.metadata.labels ?? {}),
        );
        that(matched.length === 1, `the ServiceMonitor finds one Service, not ${matched.length}`);
        const asksForToken = environmentOf(rendering, set).has('ADMIN_TOKEN_FILE');
        const { authorization } = manifest.spec.endpoints[0];
        that(
          (authorization !== undefined) === asksForToken,
          'the ServiceMonitor has the token that it needs',
        );
        const port = manifest.spec.endpoints[0].port as string;
        that(hasPort(matched[0], port), `its port ${port} is one of that Service`);
      }
    }
    const headless = find(rendering, 'Service', set.spec.serviceName);
    that(headless?.spec.clusterIP === 'None', 'serviceName is a headless Service of the chart');
  };
}

function environment(rendering: Rendering, set: Manifest): Check {
  return (that) => {
    const { env, envFrom } = container(set);
    const inline = env.map((entry: { name: string }) => entry.name) as string[];
    that(new Set(inline).size === inline.length, `no variable stands twice in env (${inline})`);
    for (const from of envFrom) {
      const name = from.configMapRef?.name ?? from.secretRef?.name;
      const kind = from.configMapRef === undefined ? 'Secret' : 'ConfigMap';
      const known = find(rendering, kind, name) !== undefined || rendering.existing.includes(name);
      that(known, `envFrom: ${kind} ${name} is rendered or named as existing`);
    }
    for (const manifest of rendering.manifests.filter((other) => other.kind === 'ConfigMap')) {
      for (const [name, value] of Object.entries(manifest.data)) {
        that(typeof value === 'string', `ConfigMap: ${name} is text`);
      }
    }
    const own = rendering.manifests.some((manifest) => manifest.kind === 'ConfigMap');
    const checksum = set.spec.template.metadata.annotations?.['checksum/config'];
    that(!own || /^[0-9a-f]{64}$/.test(checksum), 'a change of the ConfigMap rolls the pods');
  };
}

function ports(rendering: Rendering, set: Manifest): Check {
  return (that) => {
    const env = environmentOf(rendering, set);
    const main = container(set);
    for (const [variable, portName] of [
      ['GRPC_SERVER_SOCKET', 'grpc'],
      ['ADMIN_SOCKET', 'admin'],
    ] as const) {
      const address = parseListenAddress(env.get(variable) ?? '');
      that(address !== undefined && !isLoopback(address), `${variable} answers beyond loopback`);
      that(address?.port === containerPort(main, portName), `${variable} is the container port ${portName}`);
    }
    const hasTls = env.has('TLS_CERT') && env.has('TLS_KEY');
    that(
      hasTls || env.get('ALLOW_PLAINTEXT') === 'true',
      'listeners beyond loopback come with TLS or ALLOW_PLAINTEXT=true',
    );
    for (const kind of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const { grpc, httpGet } = main[kind];
      that(!hasTls || grpc === undefined, `${kind}: the kubelet speaks no TLS to gRPC`);
      if (grpc !== undefined) that(grpc.port === containerPort(main, 'grpc'), `${kind}: the grpc port`);
      else that(containerPort(main, httpGet?.port) !== undefined, `${kind}: its port exists`);
    }
    for (const service of rendering.manifests.filter((manifest) => manifest.kind === 'Service')) {
      for (const { name, port, targetPort } of service.spec.ports) {
        const where = `Service ${service.metadata.name}, port ${name}`;
        that(containerPort(main, targetPort) === port, `${where}: goes to a port of the container`);
      }
    }
  };
}

/** DRAIN_DELAY + DRAIN_TIMEOUT + 10s, read from what the daemon is given. */
function stop(set: Manifest): Check {
  return (that) => {
    const value = (name: string) =>
      parseDurationMs(container(set).env.find((entry: { name: string }) => entry.name === name)?.value ?? '');
    const delayMs = value('DRAIN_DELAY');
    const timeoutMs = value('DRAIN_TIMEOUT');
    const graceMs = set.spec.template.spec.terminationGracePeriodSeconds * 1000;
    that(delayMs !== undefined && timeoutMs !== undefined, 'DRAIN_DELAY and DRAIN_TIMEOUT are durations');
    that(
      graceMs === delayMs! + timeoutMs! + 10_000,
      `the grace period is the drain's and 10s, not ${graceMs}ms`,
    );
  };
}

function confinement(rendering: Rendering, set: Manifest): Check {
  return (that) => {
    const pods = rendering.manifests
      .filter((manifest) => manifest.kind === 'Pod')
      .map((pod) => pod.spec)
      .concat([set.spec.template.spec]);
    for (const pod of pods) {
      that(pod.automountServiceAccountToken === false, 'no pod gets a token of the API server');
      that(pod.securityContext.runAsNonRoot === true, 'pods run as non-root');
      that(pod.securityContext.seccompProfile.type === 'RuntimeDefault', 'pods use the seccomp profile');
      for (const { name, securityContext } of pod.containers) {
        that(securityContext.readOnlyRootFilesystem === true, `${name}: the root file system is read-only`);
        that(securityContext.allowPrivilegeEscalation === false, `${name}: no privilege escalation`);
        that(securityContext.capabilities.drop.includes('ALL'), `${name}: no capabilities`);
      }
    }
    that(set.spec.template.spec.securityContext.fsGroup > 0, 'the volume belongs to the group of the daemon');
    that(set.spec.template.spec.enableServiceLinks === false, 'no TELEMETRY_SINK_* variables from Services');
  };
}

function volumes(set: Manifest): Check {
  return (that) => {
    const pod = set.spec.template.spec;
    const claims = (set.spec.volumeClaimTemplates ?? []) as Manifest[];
    const sources = [
      ...pod.volumes.map((volume: { name: string }) => volume.name),
      ...claims.map((claim) => claim.metadata.name),
    ];
    that(new Set(sources).size === sources.length, `no volume stands twice (${sources})`);
    const mounts = container(set).volumeMounts as { name: string; mountPath: string }[];
    for (const mount of mounts) that(sources.includes(mount.name), `volume ${mount.name} exists`);
    const paths = mounts.map((mount) => mount.mountPath);
    that(new Set(paths).size === paths.length, `no path is mounted twice (${paths})`);
    const filePath = container(set).env.find((entry: { name: string }) => entry.name === 'FILE_PATH')?.value;
    that(filePath === '/app/data' && paths.includes(filePath), 'FILE_PATH is the mounted volume');
    that(paths.includes('/tmp'), '/tmp can be written');
    for (const { name, value } of container(set).env as { name: string; value?: string }[]) {
      if (!name.endsWith('_FILE') || value === undefined) continue;
      const mount = mounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`));
      // A file by itself (subPath) never changes when its Secret does.
      that(mount !== undefined && !('subPath' in mount), `${name} lies in a mounted folder`);
    }
  };
}

function resources(rendering: Rendering, set: Manifest): Check {
  return (that) => {
    const { requests = {}, limits = {} } = container(set).resources;
    for (const quantity of [...Object.values(requests), ...Object.values(limits)]) {
      that(quantityNumber(quantity) !== undefined, `${quantity} is a quantity`);
    }
    const env = Object.fromEntries(environmentOf(rendering, set));
    const { config, faults } = resolve(daemonGroups, { given: new Map(), env, envFile: undefined });
    for (const { message } of faults) that(false, `the daemon accepts its environment: ${message}`);
    if (faults.length > 0 || limits.memory === undefined) return;
    const daemon = config as unknown as DaemonConfig;
    for (const fault of checkDaemonConfig(daemon))
      that(false, `the daemon accepts its environment: ${fault}`);
    const limitBytes = quantityNumber(limits.memory) ?? 0;
    that((quantityNumber(requests.memory) ?? 0) <= limitBytes, 'the memory request is within the limit');
    // As many threads as `auto` ever makes: the node's cores are not known here.
    const threads = ingestThreadCount(daemon.ingest.ingestThreads, Number.POSITIVE_INFINITY);
    const heldBytes = memoryLimits(daemon, daemon.journal, threads).reduce(
      (sum, { bytes }) => sum + bytes,
      runtimeBytes(threads),
    );
    that(
      limitBytes >= heldBytes,
      `the memory limit holds all buffers and Node: ${formatByteSize(heldBytes)}`,
    );
  };
}

/** A Kubernetes quantity: `500m`, `1Gi`. */
function quantityNumber(quantity: unknown): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(m|k|[KMGTPE]i?)?$/.exec(String(quantity));
  if (match === null) return undefined;
  const suffix = match[2] ?? '';
  if (suffix === 'm') return Number(match[1]) / 1000;
  const power = ' kmgtpe'.indexOf(suffix.charAt(0).toLowerCase() || ' ');
  return Number(match[1]) * (suffix.endsWith('i') ? 1024 : 1000) ** power;
}

function find(rendering: Rendering, kind: string, name: string | undefined): Manifest | undefined {
  return rendering.manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
}

function isWithin(part: Labels, whole: Labels): boolean {
  return Object.entries(part).every(([key, value]) => whole[key] === value);
}

function hasPort(service: Manifest | undefined, name: string): boolean {
  return service?.spec.ports.some((port: { name: string }) => port.name === name) ?? false;
}

function containerPort(main: Manifest, nameOrNumber: string | number): number | undefined {
  const found = main.ports.find(
    (port: { name: string; containerPort: number }) =>
      port.name === nameOrNumber || port.containerPort === nameOrNumber,
  );
  return found?.containerPort;
}
