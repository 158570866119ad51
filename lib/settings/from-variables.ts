import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Settings } from '../settings.ts'
import type { Variables } from './variables.ts'

export function settingsFrom(cluster: string, v: Variables): Settings {
  const homelabDir = resolve(expandHome(v.HOMELAB_DIR))
  const at = (file: string) => absolute(file, homelabDir)
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
    newHardware: v.NEW_HARDWARE,
    maintenanceWindow: v.MAINTENANCE_WINDOW,
    notifyCommand: v.NOTIFY_CMD,
    notifyUrl: v.NOTIFY_URL,
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
    newMachineAddress: v.NEW_MACHINE_ADDRESS,
    secretsBundle: optional(v.SECRETS_BUNDLE),
    outputDir: at(v.OUTPUT_DIR),
    earlierRunsDir: at(v.EARLIER_RUNS_DIR),
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
    alsoChange: v.ALSO_CHANGE,
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

/** A path as the settings have it: relative to a folder, or with ~ for the home folder. */
export function absolute(file: string, folder: string): string {
  return resolve(folder, expandHome(file))
}

function expandHome(file: string): string {
  return file === '~' || file.startsWith('~/') ? join(homedir(), file.slice(1)) : file
}
