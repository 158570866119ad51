import { undoClaimUid, undoOverwritten, undoRestored } from '../../backup/restore/undo.ts'
import { requestUndoKind, undoRequest } from '../../gitops/request.ts'
import { undoFluxSuspend } from '../../gitops/resume-flux.ts'
import { argoUndoKind, undoArgoSync } from '../../gitops/suspend-argocd.ts'
import { fluxUndoKind } from '../../gitops/suspend-flux.ts'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { cronJobUndoKind, undoCronJobSuspend } from '../../kubernetes/cronjobs.ts'
import { kubeconfigServerUndoKind, undoKubeconfigServer } from '../../kubernetes/kubeconfig-server.ts'
import { cordonUndoKind, undoCordon } from '../../kubernetes/nodes.ts'
import { operatorUndoKind, undoOperatorPause } from '../../kubernetes/operators.ts'
import { scaleUndoKind, undoScale } from '../../kubernetes/scale.ts'
import type { JournaledChange, Migration, UndoData, Undone } from '../../migration/migration.ts'
import type { Mesh } from '../../network/liqo/arguments.ts'
import { offloadingUndoKind, undoOffloading } from '../../network/liqo/offloading.ts'
import { orphanUndoKind, undoOrphan } from '../../network/liqo/orphans.ts'
import { peerUndoKind, undoPeer } from '../../network/liqo/peer.ts'
import { unpeerUndoKind } from '../../network/liqo/record.ts'
import { undoUnpeer } from '../../network/liqo/unpeer.ts'
import { takeBackHosts } from '../../network/nebula/change-hosts.ts'
import { takeBackMeshCheck } from '../../network/nebula/peer-job.ts'
import { takeBackCertificate } from '../../network/nebula/renew.ts'
import { hostsUndoKind, systemSudo, undoHosts } from '../../network/rewrite-hosts.ts'
import { rewriteKind, undoRewrite } from '../../rewrite/apply.ts'
import { inClusterUndoKind, undoInCluster } from '../../rewrite/cluster/change.ts'
import { resetKind } from '../../talos/join/candidate.ts'
import { undoKubeconfig } from '../../talos/kubeconfig.ts'
import { endpointUndoKind } from '../../talos/other-nodes.ts'
import { talosconfigUndoKind, undoTalosconfig } from '../../talos/talosconfig-address.ts'
import { Talosctl } from '../../talos/talosctl.ts'
import { makeWorkerAgain } from './joined.ts'
import { untellIfThere } from './other-nodes.ts'

/** What an undo may need of the world. */
export interface Effects {
  readonly migration: Migration
  readonly talosctl: Talosctl
  /** opens an encrypted file */
  readonly open: (path: string) => Promise<Buffer>
  /** also over what somebody has changed since */
  readonly takeBack: boolean
}

/** Can be had only when the old machine runs the cluster. */
export interface ClusterEffects extends Effects {
  readonly api: KubernetesApi
}

type Way<E> = (effects: E, change: JournaledChange) => Promise<Undone>

/**
 * Where the change was made. This is the order, too, in which a rollback goes:
 * `machines`: undone by going back to the old one. `files`: the operator's. `nodes`: the other machines of the cluster.
 * `cluster`: in etcd; that of the old machine knows nothing of what was done to the new one's. `peering`: in two clusters. `cloud`: in AWS.
 */
export type Undo =
  | { readonly where: 'machines' }
  | { readonly where: 'files' | 'nodes' | 'cloud'; readonly undo: Way<Effects> }
  | { readonly where: 'cluster'; readonly undo: Way<ClusterEffects> }
  | { readonly where: 'peering'; readonly undo: Way<Effects & { readonly mesh: Mesh }> }

const inFiles = (undo: Way<Effects>): Undo => ({ where: 'files', undo })
const onNodes = (undo: Way<Effects>): Undo => ({ where: 'nodes', undo })
const inCloud = (undo: Way<Effects>): Undo => ({ where: 'cloud', undo })
const inCluster = (undo: Way<ClusterEffects>): Undo => ({ where: 'cluster', undo })
const inPeering = (undo: Way<Effects & { readonly mesh: Mesh }>): Undo => ({ where: 'peering', undo })

/** Every kind of undo data that anything journals, and the code that undoes it. */
export const undoTable: Readonly<Record<string, Undo>> = {
  power: { where: 'machines' },
  'machine-config': { where: 'machines' },
  etcd: { where: 'machines' },

  kubeconfig: inFiles(({ migration, open, takeBack }, { undo }) => undoKubeconfig(migration, undo, open, takeBack)),
  [kubeconfigServerUndoKind]: inFiles((_, change) => undoKubeconfigServer(change)),
  [rewriteKind]: inFiles((_, change) => undoRewrite(change)),
  [talosconfigUndoKind]: inFiles(async ({ migration: { settings } }, change) => {
    const talosctl = await Talosctl.open({ ...settings, talosconfig: String(change.undo?.path) })
    return undoTalosconfig(talosctl, settings, change)
  }),
  [hostsUndoKind]: inFiles(({ migration }, change) => {
    const { console, prompt, runFolder } = migration
    return undoHosts({ console, prompt, runFolder, sudo: systemSudo }, change)
  }),

  [endpointUndoKind]: onNodes(untellIfThere),
  [resetKind]: onNodes(makeWorkerAgain),

  [cordonUndoKind]: inCluster(({ api }, { undo }) => undoCordon(api, undo)),
  [scaleUndoKind]: inCluster(({ api, takeBack }, { undo }) => undoScale(api, undo, takeBack)),
  [operatorUndoKind]: inCluster(({ api, takeBack }, { undo }) => undoOperatorPause(api, undo, takeBack)),
  [cronJobUndoKind]: inCluster(({ api }, { undo }) => undoCronJobSuspend(api, undo)),
  [argoUndoKind]: inCluster(({ api, takeBack }, { undo }) => undoArgoSync(api, undo, takeBack)),
  [fluxUndoKind]: inCluster(({ api }, { undo }) => undoFluxSuspend(api, undo)),
  [requestUndoKind]: inCluster(({ api }, { undo }) => undoRequest(api, undo)),
  [inClusterUndoKind]: inCluster(({ api }, change) => undoInCluster(api, change)),
  'nebula-certificate': inCluster(({ api }, change) => takeBackCertificate(api, change)),
  'nebula-hosts': inCluster(({ api }, change) => takeBackHosts(api, change)),
  'mesh-check': inCluster(({ api }, change) => takeBackMeshCheck(api, change)),
  restored: inCluster(({ api, takeBack }, { undo }) => undoRestored(api, undo, takeBack)),
  overwritten: inCluster(({ api, migration, open, takeBack }, { undo }) => {
    const kept = async (file: string) => asObject(await open(`${migration.runFolder}/${file}`))
    return undoOverwritten(api, undo, kept, takeBack)
  }),
  'claim-uid': inCluster(({ api }, { undo }) => undoClaimUid(api, undo)),

  [offloadingUndoKind]: inPeering(({ mesh }, change) => undoOffloading(mesh.here, change)),
  [peerUndoKind]: inPeering(({ migration, mesh }, change) => undoPeer(migration, mesh, change)),
  [unpeerUndoKind]: inPeering(({ migration, mesh }, change) => undoUnpeer(migration, mesh, change)),
  [orphanUndoKind]: inPeering(({ mesh }, change) => undoOrphan({ here: mesh.here.api, there: mesh.there.api }, change)),

  'aws-rule-added': inCloud(undoInAws),
  'aws-rule-removed': inCloud(undoInAws),
  'aws-elastic-ip': inCloud(undoInAws),
  'aws-prefix-list': inCloud(undoInAws),
}

/** AWS is outside of both machines, as the operator's files are; its client is large, and connected to only for this. */
async function undoInAws({ migration }: Effects, change: JournaledChange): Promise<Undone> {
  const [{ connectEc2 }, { takeBackAws }] = await Promise.all([
    import('../../network/aws/ec2.ts'),
    import('../../network/aws/change.ts'),
  ])
  const ec2 = await connectEc2(migration.settings)
  try {
    return await takeBackAws(ec2, change)
  } finally {
    ec2.close()
  }
}

/** @throws Error for a kind that has no entry: then undo data was written that nobody can read */
export function undoOf({ kind }: UndoData): Undo {
  const undo = undoTable[kind]
  if (undo) return undo
  throw new Error(`nothing undoes ${kind}: it has no entry in lib/recovery/rollback/undo-table.ts`)
}

function asObject(json: Buffer): KubernetesObject {
  return JSON.parse(json.toString('utf8')) as KubernetesObject
}
