import { mistakes, namedIn, readEnvironmentFile } from './settings/environment.ts'
import { absolute, settingsFrom } from './settings/from-variables.ts'
import { schema, variables } from './settings/variables.ts'

export { ownVersion, projectFolder } from './settings/project.ts'

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
  /** What the new machine is, in the operator's words. */
  readonly newHardware: string | undefined
  /** When it may be done, and how many seconds that is. */
  readonly maintenanceWindow: { readonly text: string; readonly seconds: number } | undefined
  /** A command line for sh, and a webhook: who is told at pauses and at the end. */
  readonly notifyCommand: string | undefined
  readonly notifyUrl: string | undefined
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
  /** where the new machine waits before the evening */
  readonly newMachineAddress: string | undefined
  readonly secretsBundle: string | undefined
  readonly outputDir: string
  /** Where the journals of earlier runs and rehearsals are kept. */
  readonly earlierRunsDir: string
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
  /** Scenario B: what is changed beyond what it changes unasked; each is a flag of rewrite-ip or repeer, too. */
  readonly alsoChange: readonly ('secrets' | 'cluster' | 'hosts' | 'aws')[]
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

/** Where the journals of earlier runs and rehearsals are kept, when no cluster is chosen: EARLIER_RUNS_DIR of the environment, or its default. */
export function earlierRunsDir(environment: Record<string, string | undefined>): string {
  return absolute(variables.EARLIER_RUNS_DIR.parse(environment.EARLIER_RUNS_DIR || undefined), '.')
}
