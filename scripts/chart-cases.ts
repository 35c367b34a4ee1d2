/**
 * The renderings that are checked: the defaults, the deployment's values, every optional part switched the other
 * way by itself, all of them on, all of them off; and values that must be refused, each with a word of the reason.
 */
import { DEPLOYMENT_VALUES, type RenderCase } from './chart-render.ts';

export type Values = { readonly [key: string]: unknown };

const PEER = [{ namespaceSelector: { matchLabels: { team: 'sensors' } } }];

/** Every optional part, set to what it is not by default. */
export const SWITCHES: ReadonlyMap<string, Values> = new Map<string, Values>([
  ['another name', { nameOverride: 'sink' }],
  ['another full name', { fullnameOverride: 'telemetry' }],
  ['image by digest', { image: { digest: `sha256:${'0a'.repeat(32)}`, pullPolicy: 'Always' } }],
  ['pull secrets', { imagePullSecrets: [{ name: 'registry' }] }],
  ['three replicas', { replicas: 3 }],
  ['every interface', { listenHost: '::' }],
  ['TLS', { tls: { existingSecret: 'telemetry-sink-tls' }, allowPlaintext: false }],
  ['mutual TLS', { tls: { existingSecret: 'telemetry-sink-tls', clientCertificates: true } }],
  ['tokens', { tokens: { existingSecret: 'telemetry-sink-tokens' } }],
  ['a token for the admin port', { adminToken: { existingSecret: 'telemetry-sink-admin' } }],
  ['other ports', { ports: { grpc: 8000, admin: 8080 } }],
  ['another drain', { drain: { delaySeconds: 0, timeoutSeconds: 120 } }],
  ['no options', { config: { LOG_FORMAT: null, LOGGER_MIN_LOG_LEVEL: null } }],
  [
    'options of every kind',
    { config: { ROTATE_BYTES: 268435456000, ROTATE_INTERVAL: '1h', COMPRESS: 'zstd', BUFFER_SIZE: 5000 } },
  ],
  ['an existing ConfigMap', { existingConfigMap: 'telemetry-sink-env' }],
  ['an existing Secret', { existingSecret: 'telemetry-sink-secret' }],
  [
    'more environment',
    {
      extraEnv: [
        { name: 'NODE_OPTIONS', value: '--max-old-space-size=512' },
        { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
    },
  ],
  ['emptyDir', { persistence: { enabled: false } }],
  ['emptyDir with a limit', { persistence: { enabled: false, emptyDirSizeLimit: '10Gi' } }],
  [
    'a storage class',
    {
      persistence: {
        storageClassName: 'fast',
        annotations: { 'backup.example/keep': 'yes' },
        whenDeleted: 'Delete',
      },
    },
  ],
  ['no dynamic provisioning', { persistence: { storageClassName: '' } }],
  ['no resources', { resources: { requests: null, limits: null } }],
  [
    'LoadBalancer',
    {
      service: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        loadBalancerSourceRanges: ['10.0.0.0/8'],
        annotations: { 'lb.example/internal': 'true' },
      },
    },
  ],
  ['admin port in the Service', { service: { admin: true } }],
  ['HTTP probes', { probes: { type: 'http' } }],
  ['no disruption budget', { podDisruptionBudget: { enabled: false } }],
  ['a budget in percent', { podDisruptionBudget: { maxUnavailable: null, minAvailable: '50%' } }],
  ['a budget of none', { podDisruptionBudget: { maxUnavailable: 0 } }],
  ['ServiceMonitor', { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } }],
  ['NetworkPolicy', { networkPolicy: { enabled: true } }],
  [
    'NetworkPolicy with peers',
    { networkPolicy: { enabled: true, grpcFrom: PEER, adminFrom: PEER, egress: [{ to: PEER }] } },
  ],
  ['no service account', { serviceAccount: { create: false } }],
  ['a service account of theirs', { serviceAccount: { create: false, name: 'theirs' } }],
  ['annotations of the service account', { serviceAccount: { annotations: { 'iam.example/role': 'sink' } } }],
  [
    'scheduling',
    {
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }],
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            {
              topologyKey: 'kubernetes.io/hostname',
              labelSelector: { matchLabels: { app: 'telemetry-sink' } },
            },
          ],
        },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'topology.kubernetes.io/zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { app: 'telemetry-sink' } },
        },
      ],
      priorityClassName: 'high',
    },
  ],
  ['labels and annotations', { podLabels: { team: 'sensors' }, podAnnotations: { 'note.example/a': 'b' } }],
  [
    'more volumes',
    {
      extraVolumes: [{ name: 'certificates', secret: { secretName: 'ca' } }],
      extraVolumeMounts: [{ name: 'certificates', mountPath: '/etc/certificates', readOnly: true }],
    },
  ],
]);

const OFF: Values = {
  config: { LOG_FORMAT: null, LOGGER_MIN_LOG_LEVEL: null },
  persistence: { enabled: false },
  podDisruptionBudget: { enabled: false },
  serviceAccount: { create: false },
  resources: { requests: null, limits: null },
};

export const CASES: readonly RenderCase[] = [
  { name: 'defaults', values: {} },
  { name: 'the deployment', values: {}, valuesFiles: [DEPLOYMENT_VALUES], namespace: 'default' },
  { name: 'a release of another name', values: {}, release: 'plant-7', namespace: 'prod' },
  { name: 'a release of the longest name', values: {}, release: `r${'0123456789'.repeat(5)}zz` },
  ...[...SWITCHES].map(([name, values]) => ({ name, values })),
  { name: 'everything on', values: [...SWITCHES.values()].reduce(merge, {}) },
  { name: 'everything off', values: OFF },
];

/** Values that must be refused, and what the message must contain. */
export const REFUSED: readonly (readonly [values: Values, message: RegExp])[] = [
  [{ replica: 2 }, /replica/],
  [{ replicas: '2' }, /replicas/],
  [{ image: { repo: 'x' } }, /repo/],
  [{ image: { tag: 1.2 } }, /tag/],
  [{ config: { ROTATE_BITES: '1GiB' } }, /ROTATE_BITES/],
  [{ config: { ROTATE_BYTES: '1 gigabyte' } }, /ROTATE_BYTES/],
  [{ config: { ROTATE_INTERVAL: 30 } }, /ROTATE_INTERVAL/],
  [{ config: { COMPRESS: 'lz4' } }, /COMPRESS/],
  [{ config: { BUFFER_SIZE: 0 } }, /BUFFER_SIZE/],
  [{ config: { DRAIN_TIMEOUT: '5s' } }, /set drain\.timeoutSeconds instead/],
  [{ config: { GRPC_SERVER_SOCKET: ':8000' } }, /set listenHost and ports\.grpc instead/],
  [{ extraEnv: [{ name: 'FILE_PATH', value: '/elsewhere' }] }, /set persistence .* instead/],
  [{ config: { TLS_CERT: '/tls.crt' } }, /set tls\.existingSecret instead/],
  [{ tls: { clientCertificates: true } }, /set tls\.existingSecret too/],
  [{ config: { TOKENS_FILE: '/tokens' } }, /set tokens\.existingSecret instead/],
  [{ config: { ALLOW_OPEN_ADMIN: true } }, /set adminToken\.existingSecret instead/],
  [{ tokens: { secret: 'x' } }, /secret/],
  [{ drain: { timeout: 30 } }, /timeout/],
  [{ drain: { timeoutSeconds: '30s' } }, /timeoutSeconds/],
  [{ listenHost: '127.0.0.1' }, /listenHost/],
  [{ listenHost: 'localhost' }, /listenHost/],
  [{ allowPlaintext: false }, /refuse to listen beyond loopback/],
  [{ ports: { grpc: 9464 } }, /both 9464/],
  [{ ports: { grpc: 80 } }, /grpc/],
  [{ probes: { type: 'tcp' } }, /type/],
  [{ probes: { readiness: { period: 5 } } }, /period/],
  [{ persistence: { size: 'plenty' } }, /size/],
  [{ persistance: { enabled: false } }, /persistance/],
  [{ podDisruptionBudget: { minAvailable: 1 } }, /set one of/],
  [{ resources: { limits: { mem: '1Gi' } } }, /mem/],
  [{ service: { type: 'Loadbalancer' } }, /type/],
];

/** Later values win; lists are replaced. */
function merge(first: Values, second: Values): Values {
  const result: Record<string, unknown> = { ...first };
  for (const [key, value] of Object.entries(second)) {
    const present = result[key];
    result[key] = isMap(present) && isMap(value) ? merge(present, value) : value;
  }
  return result;
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
