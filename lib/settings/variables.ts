import { isIP } from 'node:net'
import * as z from 'zod'

const address = z.string().refine((text) => isIP(text) !== 0, 'an IP address, such as 192.168.1.54')
const version = z.string().regex(/^v\d+\.\d+\.\d+$/, 'a version with its v, such as v1.11.1')
const seconds = z.coerce
  .number('a whole number of seconds')
  .int('a whole number of seconds')
  .positive('more than 0 seconds')
const nodeName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'the name of a Kubernetes Node: lower case, digits, - and .')
const text = z.string().min(1, 'a text that is not empty')
const path = z.string().min(1, 'a path')
const words = z
  .string()
  .transform((list) => list.split(/[\s,]+/).filter((word) => word !== ''))
  .pipe(z.array(z.string()))
const claims = words.pipe(
  z.array(z.string().regex(/^[^/]+\/[^/]+$/, 'claims as NAMESPACE/NAME, such as monitoring/data or monitoring/*')),
)
const mac = z
  .string()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, 'the MAC address of a network card, such as 02:00:00:00:00:02')
  .transform((address) => address.toLowerCase())
const peers = words.pipe(
  z.array(z.string().refine(isPeer, 'addresses in the mesh, such as 10.42.0.1 or 10.42.0.1:6443')),
)
const endpoint = z.string().refine(isEndpoint, 'an https URL with a port, such as https://192.168.1.54:6443')
const recipient = z
  .string()
  .transform((list) => list.split(/[\s,]+/).filter((word) => word !== ''))
  .pipe(
    z.array(
      z.string().regex(/^(age1|passphrase$)/, 'age recipients, each beginning with age1, or the word passphrase'),
    ),
  )
const joining = words.pipe(
  z.array(
    z.string().refine(isJoining, 'machines as NAME=ADDRESS, such as talos01=192.168.1.55').transform(nameAndAddress),
  ),
)
const window = z
  .string()
  .regex(
    /^(\d{4}-\d\d-\d\d )?([01]\d|2[0-4]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$/,
    'from when to when, such as 22:00-02:00',
  )
  .transform(windowOf)
const webhook = z.string().refine(isWebhook, 'an http or https URL, such as https://ntfy.example/my-topic')
const consents = words.pipe(
  z.array(z.enum(['secrets', 'cluster', 'hosts', 'aws'], 'some of secrets, cluster, hosts and aws, with commas')),
)
const count = z.coerce.number('a whole number').int('a whole number').positive('1 or more')

/**
 * Every variable there is, with its default. What is documented in env/example.env is held against this list by a test.
 * A variable without a default and not optional must be in the environment file, the process environment or the task's variables.
 */
export const variables = {
  CLUSTER_NAME: text,
  NODE_NAME: nodeName,
  TALOS_NODE: address,
  NEW_TALOS_NODE: address.optional(),
  CLUSTER_ENDPOINT: endpoint.optional(),
  NEW_CLUSTER_ENDPOINT: endpoint.optional(),
  MESH_ADDRESS: address.optional(),
  NEW_MESH_ADDRESS: address.optional(),
  NEBULA_CERT: path.optional(),
  NEBULA_NAMESPACE: text.optional(),
  NEBULA_SECRET: text.optional(),
  NEBULA_CA_CERT: path.optional(),
  NEBULA_CA_KEY: path.optional(),
  MESH_PEERS: peers.default([]),
  MESH_CHECK_IMAGE: text.default('busybox:1.37'),
  AWS_OLD_ADDRESS: address.optional(),
  AWS_NEW_ADDRESS: address.optional(),
  AWS_REGION: text.optional(),
  JOIN_NODES: joining.default([]),
  JOIN_NODE: nodeName.optional(),
  JOIN_IP: address.optional(),
  REDUNDANCY_TEST: z.enum(['ask', 'yes', 'no'], 'ask, yes or no').default('ask'),
  TALOS_VERSION: version,
  KUBERNETES_VERSION: version,
  SCENARIO: z.enum(['A', 'B', 'C'], 'A (same address), B (new address) or C (one node to three)').default('A'),
  RECOVERY: z.enum(['snapshot', 'gitops'], 'snapshot or gitops').default('snapshot'),
  NEW_HARDWARE: text.optional(),
  MAINTENANCE_WINDOW: window.optional(),
  NOTIFY_CMD: text.optional(),
  NOTIFY_URL: webhook.optional(),
  HOMELAB_DIR: path.default('.'),
  TALOSCONFIG: path.default('./configs/talosconfig'),
  KUBECONFIG: path.default('./.output/kubeconfig'),
  OPERATOR_TALOSCONFIG: path.default('~/.talos/config'),
  OPERATOR_KUBECONFIG: path.default('~/.kube/config'),
  HOSTS_FILE: path.default('/etc/hosts'),
  CONTROLPLANE_CONFIG: path.optional(),
  CONFIG_SOURCE: z.enum(['live', 'file'], 'live or file').optional(),
  CONFIG_PATCH: path.optional(),
  INSTALL_DISK: path.optional(),
  INSTALL_IMAGE: text.optional(),
  NEW_MACHINE_MAC: mac.optional(),
  NEW_MACHINE_ADDRESS: address.optional(),
  SECRETS_BUNDLE: path.optional(),
  OUTPUT_DIR: path.default('./.output/migrate'),
  EARLIER_RUNS_DIR: path.default('~/.cache/talos-migrate/runs'),
  BACKUP_DIR: path,
  BACKUP_KEEP: count.optional(),
  BACKUP_COPY_TO: path.optional(),
  BACKUP_EXCUSE: words.default([]),
  MEMORY_DIR: path.default('/dev/shm'),
  SNAPSHOT: path.optional(),
  TALOSCTL: path.optional(),
  ETCDUTL: path.optional(),
  AGE_RECIPIENTS: recipient.default([]),
  AGE_IDENTITY_FILE: path.optional(),
  STATEFUL_NAMESPACES: words.default([]),
  QUIET_ORDER: words.default([]),
  LOCAL_STORAGE_CLASSES: words.default(['local-path']),
  NFS_STORAGE_CLASSES: words.default([]),
  EMPTYDIR_DATA: z.enum(['keep', 'delete'], 'keep or delete').default('keep'),
  JOB_TIMEOUT: seconds.default(300),
  ACCEPT_DATA_LOSS: claims.default([]),
  EVACUATE_TO: text.optional(),
  EVACUATE_NODE: nodeName.optional(),
  EVACUATE_IMAGE: text.default('instrumentisto/rsync-ssh:alpine3.18-r3'),
  EVACUATE_PER_NODE: count.default(2),
  EVACUATE_PER_SERVER: count.default(4),
  EVACUATE_TIMEOUT: seconds.default(21_600),
  DRAIN_TIMEOUT: seconds.default(600),
  SHUTDOWN_TIMEOUT: seconds.default(600),
  MACHINE_TIMEOUT: seconds.default(7200),
  API_TIMEOUT: seconds.default(600),
  CONVERGE_TIMEOUT: seconds.default(1800),
  VELERO: z.enum(['auto', 'off'], 'auto or off').default('auto'),
  VELERO_TIMEOUT: seconds.default(7200),
  ALSO_CHANGE: consents.default([]),
  LIQOCTL: path.default('liqoctl'),
  LIQO_NAMESPACE: text.default('liqo'),
  LIQO_REMOTE_NAMESPACE: text.default('liqo'),
  LIQO_REMOTE_KUBECONFIG: path.optional(),
  LIQO_MESH_KUBECONFIG: path.optional(),
  LIQO_TEARDOWN: z.enum(['yes', 'no'], 'yes or no').optional(),
  LIQO_TIMEOUT: seconds.default(600),
} as const

export const schema = z.object(variables)
export type Variables = z.output<typeof schema>

function isEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  return url?.protocol === 'https:' && /:\d+\/?$/.test(text)
}

function isWebhook(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

function windowOf(text: string): { text: string; seconds: number } {
  const [from = 0, to = 0] = [...text.matchAll(/(\d\d):(\d\d)/g)].map(
    ([, hour, minute]) => Number(hour) * 60 + Number(minute),
  )
  const minutes = (to - from + 24 * 60) % (24 * 60)
  return { text, seconds: (minutes || 24 * 60) * 60 }
}

function isPeer(text: string): boolean {
  const [host = '', port, ...rest] = text.split(':')
  return isIP(host) === 4 && rest.length === 0 && (port === undefined || /^[1-9]\d{0,4}$/.test(port))
}

function isJoining(text: string): boolean {
  const { name, address } = nameAndAddress(text)
  return nodeName.safeParse(name).success && isIP(address) !== 0
}

function nameAndAddress(text: string): { name: string; address: string } {
  const [name = '', address = ''] = text.split('=')
  return { name, address }
}
