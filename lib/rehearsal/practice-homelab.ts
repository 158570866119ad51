import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { variables } from '../settings/variables.ts'
import type { Environment } from './binaries/find.ts'
import type { Binaries } from './binaries.ts'
import { canCopy } from './copying-pods.ts'
import { repositoryFiles } from './homelab-repository.ts'
import { makeOperatorFiles, type OperatorFiles, operatorFiles } from './operator-files.ts'
import { runTalosctl } from './run-talosctl.ts'

/** What an operator of the practice cluster has on disk: a homelab's repository, its credentials, its settings. */
export interface PracticeHomelab {
  folder: string
  talosconfig: string
  controlplaneConfig: string
  workerConfig: string
  kubeconfig: string
  ageIdentityFile: string
  outputDir: string
  backupDir: string
  envDir: string
  /** what an operator has outside of the repository: ~/.talos/config, ~/.kube/config, /etc/hosts */
  own: OperatorFiles
}

export interface HomelabOptions {
  folder: string
  address: string
  binaries: Binaries
  /** Machine config patches (JSON or YAML texts), given to `talosctl gen config`. */
  configPatches?: readonly string[]
}

export const practiceNames = { cluster: 'catalyst-cluster', node: 'talos00', environment: 'rehearsal' } as const
export const practiceVersions = { talos: 'v1.11.1', kubernetes: 'v1.34.0' } as const

const ownerOnly = { mode: 0o600 } as const

/**
 * Makes the homelab of a practice cluster: secrets bundle, machine config and talosconfig by the real `talosctl gen`, an age
 * identity, a Git repository, an env file. Everything lies below `folder`.
 */
export async function createHomelab(options: HomelabOptions): Promise<PracticeHomelab> {
  const folder = join(options.folder, 'homelab')
  const homelab: PracticeHomelab = {
    folder,
    talosconfig: join(folder, 'configs/talosconfig'),
    controlplaneConfig: join(folder, 'configs/controlplane.yaml'),
    workerConfig: join(folder, 'configs/worker.yaml'),
    kubeconfig: join(folder, '.output/kubeconfig'),
    ageIdentityFile: join(options.folder, 'operator/identity.txt'),
    outputDir: join(folder, '.output/migrate'),
    backupDir: join(options.folder, 'nas/backup'),
    envDir: join(options.folder, 'env'),
    own: operatorFiles(join(options.folder, 'operator')),
  }
  for (const path of [
    join(folder, 'configs'),
    join(folder, '.output'),
    join(options.folder, 'operator'),
    homelab.envDir,
  ]) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  }
  mkdirSync(homelab.backupDir, { recursive: true, mode: 0o700 })
  await generateConfigs(homelab, options)
  makeOperatorFiles(homelab.own, homelab.talosconfig, options.address)
  const identity = await generateX25519Identity()
  writeFileSync(homelab.ageIdentityFile, `${identity}\n`, ownerOnly)
  const file = environmentFile(homelab, options, await identityToRecipient(identity))
  writeFileSync(join(homelab.envDir, `${practiceNames.environment}.env`), file, ownerOnly)
  await makeRepository(folder, options.address)
  return homelab
}

/**
 * The environment in which a user would type `task migrate:…` for this cluster: that of this process, less every setting
 * that it may hold for a real one.
 */
export function homelabEnvironment(homelab: PracticeHomelab, base: Environment = process.env): Environment {
  const foreign = new Set([...Object.keys(variables), 'CLUSTER', 'ENV_DIR', 'MIGRATE_LOCK'])
  const kept = Object.entries(base).filter(([name]) => !foreign.has(name))
  return { ...Object.fromEntries(kept), CLUSTER: practiceNames.environment, ENV_DIR: homelab.envDir }
}

async function generateConfigs(homelab: PracticeHomelab, options: HomelabOptions): Promise<void> {
  const talosctl = (...args: string[]) => runTalosctl(options.binaries.talosctl, args, { cwd: homelab.folder })
  const minor = practiceVersions.talos.replace(/\.\d+$/, '')
  const patches = [nodePatch, ...(options.configPatches ?? [])].flatMap((patch) => ['--config-patch', patch])
  await talosctl('gen', 'secrets', '--talos-version', minor, '--output-file', 'configs/secrets.yaml')
  await talosctl(
    ...['gen', 'config', practiceNames.cluster, `https://${options.address}:6443`],
    ...['--with-secrets', 'configs/secrets.yaml', '--talos-version', minor],
    ...['--kubernetes-version', practiceVersions.kubernetes.slice(1), '--install-disk', '/dev/sda'],
    ...['--output-types', 'controlplane,worker,talosconfig', '--output', 'configs', '--with-docs=false'],
    ...['--with-examples=false', ...patches],
  )
  const config = ['--talosconfig', homelab.talosconfig]
  await talosctl('config', 'endpoint', options.address, ...config)
  await talosctl('config', 'node', options.address, ...config)
  // talosctl writes the talosconfig anew as its umask says.
  for (const file of [homelab.talosconfig, homelab.controlplaneConfig, homelab.workerConfig]) chmodSync(file, 0o600)
}

/** A node that keeps its name on other hardware, and runs its workloads itself, as the runbook's does. */
const nodePatch = JSON.stringify({
  machine: { network: { hostname: practiceNames.node } },
  cluster: { allowSchedulingOnControlPlanes: true },
})

function environmentFile(homelab: PracticeHomelab, options: HomelabOptions, recipient: string): string {
  const values: Partial<Record<keyof typeof variables, string>> = {
    CLUSTER_NAME: practiceNames.cluster,
    NODE_NAME: practiceNames.node,
    TALOS_NODE: options.address,
    CLUSTER_ENDPOINT: `https://${options.address}:6443`,
    TALOS_VERSION: practiceVersions.talos,
    KUBERNETES_VERSION: practiceVersions.kubernetes,
    HOMELAB_DIR: homelab.folder,
    TALOSCONFIG: homelab.talosconfig,
    KUBECONFIG: homelab.kubeconfig,
    OPERATOR_TALOSCONFIG: homelab.own.talosconfig,
    OPERATOR_KUBECONFIG: homelab.own.kubeconfig,
    HOSTS_FILE: homelab.own.hosts,
    CONTROLPLANE_CONFIG: homelab.controlplaneConfig,
    SECRETS_BUNDLE: join(homelab.folder, 'configs/secrets.yaml'),
    OUTPUT_DIR: homelab.outputDir,
    BACKUP_DIR: homelab.backupDir,
    TALOSCTL: options.binaries.talosctl,
    ETCDUTL: options.binaries.etcdutl,
    NEBULA_CERT: options.binaries['nebula-cert'],
    AGE_RECIPIENTS: recipient,
    AGE_IDENTITY_FILE: homelab.ageIdentityFile,
    NEW_HARDWARE: 'a practice machine',
    MAINTENANCE_WINDOW: '00:00-24:00',
    EARLIER_RUNS_DIR: join(homelab.outputDir, 'earlier-runs'),
    STATEFUL_NAMESPACES: 'observability,monitoring',
    LOCAL_STORAGE_CLASSES: 'local-path',
    NFS_STORAGE_CLASSES: 'fatboy-nfs-appdata,truenas-nfs,synology-nfs',
    EMPTYDIR_DATA: 'delete',
    // At the same address the peering outlives the evening.
    LIQO_TEARDOWN: 'no',
    ...fatesOfVolumes(),
    DRAIN_TIMEOUT: '180',
    SHUTDOWN_TIMEOUT: '120',
    MACHINE_TIMEOUT: '180',
    API_TIMEOUT: '180',
    CONVERGE_TIMEOUT: '300',
  }
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Models can be fetched again; the rest is copied, if this machine has what the pods' image has. */
function fatesOfVolumes(): Partial<Record<keyof typeof variables, string>> {
  return canCopy()
    ? { EVACUATE_TO: 'fatboy-nfs-appdata', EVACUATE_PER_NODE: '4', ACCEPT_DATA_LOSS: 'hybrid-llm/*' }
    : { ACCEPT_DATA_LOSS: '*/*' }
}

/** A clean work tree, as preflight wants it. Without git there is none, and preflight says so. */
async function makeRepository(folder: string, address: string): Promise<void> {
  for (const [path, text] of Object.entries(repositoryFiles(address))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const author = ['-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@localhost']
  try {
    const git = (...args: string[]) => promisify(execFile)('git', [...author, ...args], { cwd: folder })
    await git('init', '--quiet', '--initial-branch=main')
    await git('add', '.')
    await git('commit', '--quiet', '--message', 'The practice homelab')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
