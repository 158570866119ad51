import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { peerId, startAwsPeer } from './liqo/aws-peer.ts'
import { mentionsProof } from './mentions-proof.ts'
import { isOfMesh, meshProof } from './nebula/mesh-proof.ts'
import { makePracticeMesh, meshAddresses, type PracticeMesh } from './nebula/practice-mesh.ts'
import { runMesh, whyNoNetworks } from './nebula/run-mesh.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import { practiceNames } from './practice-homelab.ts'
import type { Proof } from './proofs.ts'
import { movedProofs, peeringProof } from './scenario-b-proofs.ts'
import type { Truth } from './truth.ts'

const tunnelsWithinSeconds = 60

/** What is different in an evening whose new machine gets another address. */
export interface Moving {
  /** for the task line */
  readonly settings: readonly string[]
  /** the new machine's */
  readonly address: string
  /** The truth without what the evening makes anew on purpose. */
  owed(truth: Truth): Truth
  /** Says what that leaves out. */
  readonly excused: readonly string[]
  proofs(): Promise<Proof[]>
  /** That the peering is there on both sides, with the homelab at this address. */
  peeredAt(address: string): Promise<Proof>
  stop(): Promise<void>
}

/**
 * Prepares a practice cluster for scenario B: a second control plane that it is peered with, a mesh in which its node gets another address, and what the
 * settings say of both.
 * @param liqoctl path of the real one; null: a program stands in for it
 */
export async function prepareMove(cluster: PracticeCluster, liqoctl: string | null): Promise<Moving> {
  const mesh = await meshOf(cluster)
  const { kubeconfig } = cluster.homelab
  const machine = () => cluster.machines.findLast(({ running }) => running)?.hardware.name
  const running = await runMesh({ nebula: cluster.binaries.nebula, kubeconfig, machine }, mesh)
  const peer = await startAwsPeer(cluster, liqoctl)
  await noteByHand(cluster)
  const lines = Object.entries({ ...mesh.settings, ...running?.settings, ...peer.settings }).map(
    ([name, value]) => `${name}=${value}\n`,
  )
  appendFileSync(join(cluster.homelab.envDir, `${practiceNames.environment}.env`), lines.join(''))
  return {
    settings: [`NEW_TALOS_NODE=${cluster.newAddress}`, `NEW_MESH_ADDRESS=${meshAddresses.new}`],
    address: cluster.newAddress,
    owed: (truth) => new Map([...truth].filter(([, one]) => !isOfPeering(one) && !isOfMesh(one))),
    excused: [
      `objects of Liqo, and of its peering with ${peerId} (not compared): torn down, and made again`,
      'the Secret and the DaemonSet of the mesh (2, by a proof of their own): one certificate exchanged, and pods made anew',
      ...(running ? [] : [`reachability over the mesh (not tried): ${whyNoNetworks}`]),
    ],
    proofs: async () => [
      ...(await movedProofs(cluster)),
      await peeringProof(cluster, peer.api, cluster.newAddress),
      await inMeshProof(cluster, mesh),
      ...(running ? [await running.proof(saidIn(cluster), tunnelsWithinSeconds)] : []),
      await mentionsProof(cluster),
    ],
    peeredAt: (address) => peeringProof(cluster, peer.api, address),
    stop: async () => {
      await running?.stop()
      await peer.stop()
    },
  }
}

async function meshOf(cluster: PracticeCluster): Promise<PracticeMesh> {
  const { binaries, address, folder, homelab } = cluster
  const api = await cluster.api()
  try {
    return await makePracticeMesh({
      api,
      nebulaCert: binaries['nebula-cert'],
      nodeName: practiceNames.node,
      nodeAddress: address,
      folder: join(folder, 'operator'),
      ageIdentityFile: homelab.ageIdentityFile,
    })
  } finally {
    api.close()
  }
}

async function inMeshProof(cluster: PracticeCluster, mesh: PracticeMesh): Promise<Proof> {
  const api = await cluster.api()
  try {
    return await meshProof(api, mesh, saidIn(cluster), [cluster.address, meshAddresses.old])
  } finally {
    api.close()
  }
}

/** All that the run has said. */
function saidIn({ homelab }: PracticeCluster): string {
  return readFileSync(join(homelab.outputDir, 'current/log.txt'), 'utf8')
}

/** Something that a person made in the cluster: nobody but a person can change it. */
async function noteByHand(cluster: PracticeCluster): Promise<void> {
  const api = await cluster.api()
  const metadata = { name: 'dashboard-links', namespace: 'default' }
  const data = { api: `https://${cluster.address}:6443` }
  await api.create('/api/v1/namespaces/default/configmaps', { metadata, data })
  api.close()
}

/** The peering is torn down and made again, with all that Liqo keeps for it. */
function isOfPeering({ group, namespace, name }: { group: string; namespace: string; name: string }): boolean {
  return group.endsWith('liqo.io') || [namespace, name].some((each) => each.includes(peerId))
}
