import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'dotenv'
import { z } from 'zod'
import { OperatorError } from './migration/errors.ts'

/** The project's own folder: where env/ and Taskfile.yml are, from the sources and from the bundles in dist/ alike. */
export const projectFolder = findProjectFolder(dirname(fileURLToPath(import.meta.url)))

/** This program's own version, from its package.json. */
export const ownVersion = (JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as { version: string })
  .version

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
  SECRETS_BUNDLE: path.optional(),
  OUTPUT_DIR: path.default('./.output/migrate'),
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
  LIQOCTL: path.default('liqoctl'),
  LIQO_NAMESPACE: text.default('liqo'),
  LIQO_REMOTE_NAMESPACE: text.default('liqo'),
  LIQO_REMOTE_KUBECONFIG: path.optional(),
  LIQO_MESH_KUBECONFIG: path.optional(),
  LIQO_TEARDOWN: z.enum(['yes', 'no'], 'yes or no').optional(),
  LIQO_TIMEOUT: seconds.default(600),
} as const

const schema = z.object(variables)
type Variables = z.output<typeof schema>

/** What the whole program goes by: read once, checked, frozen. All paths are absolute, all times are seconds. */
export interface Settings {
  readonly cluster: string
  readonly clusterName: string
  readonly nodeName: string
  readonly nodeAddress: string
  readonly newNodeAddress: string | undefined
  readonly clusterEndpoint: string
  /** Where the Kubernetes API is after a scenario B: another URL only when the old one names the old machine. */
  readonly newClusterEndpoint: string
  readonly meshAddress: string | undefined
  /** The mesh address that the new machine will have; undefined: it keeps the old one. */
  readonly newMeshAddress: string | undefined
  readonly nebulaCert: string | undefined
  readonly nebulaNamespace: string | undefined
  readonly nebulaSecret: string | undefined
  /** The CA's certificate, in plain; undefined: the one that lies beside the node's. */
  readonly nebulaCaCert: string | undefined
  /** The CA's key, encrypted with age. */
  readonly nebulaCaKey: string | undefined
  /** ADDRESS or ADDRESS:PORT, in the mesh. */
  readonly meshPeers: readonly string[]
  readonly meshCheckImage: string
  readonly awsOldAddress: string | undefined
  readonly awsNewAddress: string | undefined
  readonly awsRegion: string | undefined
  /** Scenario C: the machines that become control planes, in this order. */
  readonly joinNodes: readonly { readonly name: string; readonly address: string }[]
  /** The one machine that migrate:join or migrate:leave is about; undefined: those of joinNodes. */
  readonly joinNode: string | undefined
  readonly joinIp: string | undefined
  readonly redundancyTest: 'ask' | 'yes' | 'no'
  readonly talosVersion: string
  readonly kubernetesVersion: string
  readonly scenario: 'A' | 'B' | 'C'
  readonly recovery: 'snapshot' | 'gitops'
  readonly homelabDir: string
  readonly talosconfig: string
  readonly kubeconfig: string
  readonly operatorTalosconfig: string
  readonly operatorKubeconfig: string
  readonly hostsFile: string
  readonly controlplaneConfig: string
  /** What the new machine's config is made from: the one that the old machine ran on, or controlplaneConfig. */
  readonly configSource: 'live' | 'file'
  /** A machine config patch for the new machine, laid over everything else. */
  readonly configPatch: string | undefined
  /** Where Talos is installed on the new machine, when that differs from the old one: a device, and an image with its extensions. */
  readonly installDisk: string | undefined
  readonly installImage: string | undefined
  /** One of the new machine's network cards, lower case: no other machine is given the config. */
  readonly newMachineMac: string | undefined
  readonly secretsBundle: string | undefined
  readonly outputDir: string
  readonly backupDir: string
  /** How many whole backups of the cluster are kept; undefined: all. */
  readonly backupKeep: number | undefined
  /** A folder, or s3://BUCKET/PREFIX. */
  readonly backupCopyTo: string | undefined
  /** RESOURCE.GROUP, or *.GROUP: what may be missing from a backup. */
  readonly backupExcuse: readonly string[]
  readonly memoryDir: string
  readonly snapshotFile: string | undefined
  readonly talosctl: string | undefined
  readonly etcdutl: string | undefined
  readonly ageRecipients: readonly string[]
  readonly ageIdentityFile: string | undefined
  readonly statefulNamespaces: readonly string[]
  /** Patterns of namespace/name: what goes down earlier, and comes back later, stands first. */
  readonly quietOrder: readonly string[]
  readonly localStorageClasses: readonly string[]
  readonly nfsStorageClasses: readonly string[]
  /** Pods with emptyDir volumes may be evicted, and their data goes with them. */
  readonly deleteEmptyDirData: boolean
  readonly jobTimeout: number
  /** Claims as NAMESPACE/NAME, with * for any part of either, whose data may be lost with the machine. */
  readonly acceptDataLoss: readonly string[]
  /** The storage class that the data of local volumes is copied to; undefined: it is not copied. */
  readonly evacuateTo: string | undefined
  /** Where evacuateTo is a local class: the other node that holds the copies. */
  readonly evacuateNode: string | undefined
  readonly evacuateImage: string
  readonly evacuatePerNode: number
  readonly evacuatePerServer: number
  readonly evacuateTimeout: number
  readonly drainTimeout: number
  readonly shutdownTimeout: number
  readonly machineTimeout: number
  readonly apiTimeout: number
  readonly convergeTimeout: number
  readonly velero: 'auto' | 'off'
  readonly veleroTimeout: number
  /** A path, or a name on PATH. */
  readonly liqoctl: string
  /** Where Liqo is installed in this cluster, and in the other. */
  readonly liqoNamespace: string
  readonly liqoRemoteNamespace: string
  /** Of the cluster that this one is peered with. */
  readonly liqoRemoteKubeconfig: string | undefined
  /** The kubeconfig with which the other cluster reaches this one. */
  readonly liqoMeshKubeconfig: string | undefined
  /** Whether the peering is torn down before the migration; undefined: ask. */
  readonly liqoTeardown: 'yes' | 'no' | undefined
  readonly liqoTimeout: number
}

/**
 * Reads env/$CLUSTER.env and lays the process environment (and so the task's variables) over it.
 * A variable that is set to nothing counts as not set, for go-task passes empty ones.
 * @param environment normally process.env; ENV_DIR in it names another folder of env files
 * @throws OperatorError with exit code 2, naming every mistake at once
 */
export function loadSettings(environment: Record<string, string | undefined>): Settings {
  const { cluster, file, values: fromFile } = readEnvironmentFile(environment)
  const values = { ...fromFile, ...namedIn(environment) }
  const parsed = schema.safeParse(values)
  if (!parsed.success) throw mistakes(file, values, fromFile, parsed.error)
  return Object.freeze(settingsFrom(cluster, parsed.data))
}

function readEnvironmentFile(environment: Record<string, string | undefined>) {
  const folder = resolve(environment.ENV_DIR || join(projectFolder, 'env'))
  const cluster = environment.CLUSTER
  const known = clustersIn(folder)
  const choose = known.length > 0 ? `There is: ${known.join(', ')}.` : `There is no .env file in ${folder}.`
  if (!cluster) {
    throw new OperatorError('No cluster is chosen: CLUSTER is not set.', {
      means: choose,
      next: `Name one: task migrate:plan CLUSTER=${known[0] ?? 'NAME'}`,
      exitCode: 2,
    })
  }
  const file = join(folder, `${cluster}.env`)
  if (!known.includes(cluster)) {
    throw new OperatorError(`Unknown cluster: CLUSTER=${cluster}, and there is no ${file}.`, {
      means: choose,
      next: `Correct CLUSTER, or copy ${join(folder, 'example.env')} to ${basename(file)} and fill it in.`,
      exitCode: 2,
    })
  }
  return { cluster, file, values: withoutEmpty(parse(readFileSync(file, 'utf8'))) }
}

function clustersIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.env') && name !== 'example.env')
    return names.map((name) => name.slice(0, -'.env'.length)).sort()
  } catch {
    return []
  }
}

function namedIn(environment: Record<string, string | undefined>): Record<string, string> {
  const named = Object.keys(variables).map((name) => [name, environment[name]] as const)
  return withoutEmpty(Object.fromEntries(named))
}

function withoutEmpty(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value?.trim())) as Record<string, string>
}

function mistakes(file: string, values: Record<string, string>, fromFile: Record<string, string>, error: z.ZodError) {
  const lines = error.issues.map((issue) => {
    const name = String(issue.path[0])
    const value = values[name]
    if (value === undefined) return `  ${name} is not set; see env/example.env for what it is`
    const origin = value === fromFile[name] ? basename(file) : 'the environment'
    return `  ${name}=${value} (from ${origin}): expected ${issue.message}`
  })
  const unique = [...new Set(lines)]
  const count = unique.length === 1 ? 'One setting is' : `${unique.length} settings are`
  return new OperatorError(`${count} wrong or missing:\n${unique.join('\n')}`, {
    means: 'Nothing was read or changed.',
    next: `Correct ${file}, or give the variable on the command line: task migrate:plan NAME=VALUE`,
    exitCode: 2,
  })
}

function settingsFrom(cluster: string, v: Variables): Settings {
  const homelabDir = resolve(expandHome(v.HOMELAB_DIR))
  const at = (file: string) => resolve(homelabDir, expandHome(file))
  const optional = (file: string | undefined) => (file === undefined ? undefined : at(file))
  return {
    cluster,
    clusterName: v.CLUSTER_NAME,
    nodeName: v.NODE_NAME,
    nodeAddress: v.TALOS_NODE,
    newNodeAddress: v.NEW_TALOS_NODE,
    ...endpointsFrom(v),
    meshAddress: v.MESH_ADDRESS,
    newMeshAddress: v.NEW_MESH_ADDRESS,
    nebulaCert: optional(v.NEBULA_CERT),
    nebulaNamespace: v.NEBULA_NAMESPACE,
    nebulaSecret: v.NEBULA_SECRET,
    nebulaCaCert: optional(v.NEBULA_CA_CERT),
    nebulaCaKey: optional(v.NEBULA_CA_KEY),
    meshPeers: v.MESH_PEERS,
    meshCheckImage: v.MESH_CHECK_IMAGE,
    awsOldAddress: v.AWS_OLD_ADDRESS,
    awsNewAddress: v.AWS_NEW_ADDRESS,
    awsRegion: v.AWS_REGION,
    joinNodes: v.JOIN_NODES,
    joinNode: v.JOIN_NODE,
    joinIp: v.JOIN_IP,
    redundancyTest: v.REDUNDANCY_TEST,
    talosVersion: v.TALOS_VERSION,
    kubernetesVersion: v.KUBERNETES_VERSION,
    scenario: v.SCENARIO,
    recovery: v.RECOVERY,
    homelabDir,
    talosconfig: at(v.TALOSCONFIG),
    kubeconfig: at(v.KUBECONFIG),
    operatorTalosconfig: at(v.OPERATOR_TALOSCONFIG),
    operatorKubeconfig: at(v.OPERATOR_KUBECONFIG),
    hostsFile: at(v.HOSTS_FILE),
    controlplaneConfig: at(v.CONTROLPLANE_CONFIG ?? usualControlplaneConfig(homelabDir)),
    configSource: v.CONFIG_SOURCE ?? (v.SCENARIO === 'B' ? 'live' : 'file'),
    configPatch: optional(v.CONFIG_PATCH),
    installDisk: v.INSTALL_DISK,
    installImage: v.INSTALL_IMAGE,
    newMachineMac: v.NEW_MACHINE_MAC,
    secretsBundle: optional(v.SECRETS_BUNDLE),
    outputDir: at(v.OUTPUT_DIR),
    backupDir: at(v.BACKUP_DIR),
    backupKeep: v.BACKUP_KEEP,
    backupCopyTo: v.BACKUP_COPY_TO?.startsWith('s3://') ? v.BACKUP_COPY_TO : optional(v.BACKUP_COPY_TO),
    backupExcuse: v.BACKUP_EXCUSE,
    memoryDir: at(v.MEMORY_DIR),
    snapshotFile: optional(v.SNAPSHOT),
    talosctl: optional(v.TALOSCTL),
    etcdutl: optional(v.ETCDUTL),
    ageRecipients: v.AGE_RECIPIENTS,
    ageIdentityFile: optional(v.AGE_IDENTITY_FILE),
    statefulNamespaces: v.STATEFUL_NAMESPACES,
    quietOrder: v.QUIET_ORDER,
    localStorageClasses: v.LOCAL_STORAGE_CLASSES,
    nfsStorageClasses: v.NFS_STORAGE_CLASSES,
    deleteEmptyDirData: v.EMPTYDIR_DATA === 'delete',
    jobTimeout: v.JOB_TIMEOUT,
    acceptDataLoss: v.ACCEPT_DATA_LOSS,
    evacuateTo: v.EVACUATE_TO,
    evacuateNode: v.EVACUATE_NODE,
    evacuateImage: v.EVACUATE_IMAGE,
    evacuatePerNode: v.EVACUATE_PER_NODE,
    evacuatePerServer: v.EVACUATE_PER_SERVER,
    evacuateTimeout: v.EVACUATE_TIMEOUT,
    drainTimeout: v.DRAIN_TIMEOUT,
    shutdownTimeout: v.SHUTDOWN_TIMEOUT,
    machineTimeout: v.MACHINE_TIMEOUT,
    apiTimeout: v.API_TIMEOUT,
    convergeTimeout: v.CONVERGE_TIMEOUT,
    velero: v.VELERO,
    veleroTimeout: v.VELERO_TIMEOUT,
    liqoctl: v.LIQOCTL.includes('/') ? at(v.LIQOCTL) : v.LIQOCTL,
    liqoNamespace: v.LIQO_NAMESPACE,
    liqoRemoteNamespace: v.LIQO_REMOTE_NAMESPACE,
    liqoRemoteKubeconfig: optional(v.LIQO_REMOTE_KUBECONFIG),
    liqoMeshKubeconfig: optional(v.LIQO_MESH_KUBECONFIG),
    liqoTeardown: v.LIQO_TEARDOWN,
    liqoTimeout: v.LIQO_TIMEOUT,
  }
}

/** A DNS name and a virtual address outlive the machine that answered to them. */
function endpointsFrom(v: Variables): Pick<Settings, 'clusterEndpoint' | 'newClusterEndpoint'> {
  const clusterEndpoint = v.CLUSTER_ENDPOINT ?? `https://${inUrl(v.TALOS_NODE)}:6443`
  const { hostname, port } = new URL(clusterEndpoint)
  const moves = v.SCENARIO === 'B' && v.NEW_TALOS_NODE !== undefined && hostname === inUrl(v.TALOS_NODE)
  const moved = moves ? `https://${inUrl(v.NEW_TALOS_NODE ?? '')}:${port || 443}` : clusterEndpoint
  return { clusterEndpoint, newClusterEndpoint: v.NEW_CLUSTER_ENDPOINT ?? moved }
}

/** An IPv6 address stands in brackets (RFC 3986). */
function inUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}

/** Homelabs keep it in one of two places; the one for the node wins. */
function usualControlplaneConfig(homelabDir: string): string {
  const forNode = './configs/nodes/controlplane.yaml'
  return existsSync(resolve(homelabDir, forNode)) ? forNode : './configs/controlplane.yaml'
}

function expandHome(file: string): string {
  return file === '~' || file.startsWith('~/') ? join(homedir(), file.slice(1)) : file
}

function isEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  return url?.protocol === 'https:' && /:\d+\/?$/.test(text)
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

function findProjectFolder(from: string): string {
  let folder = from
  while (!readdirSync(folder).includes('Taskfile.yml') && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}
