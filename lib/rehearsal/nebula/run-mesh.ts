import { readFileSync } from 'node:fs'
import type { Proof } from '../proofs.ts'
import { canTunnel, makeNetworks } from './networks.ts'
import { type NodePodsOptions, playNodePods } from './node-pods.ts'
import { meshAddresses, type PracticeMesh } from './practice-mesh.ts'
import { reachProof, unreachedIn } from './reach-proof.ts'
import { lighthouse, RunningMesh } from './running-mesh.ts'

export interface MeshGrounds extends NodePodsOptions {
  /** the program */
  readonly nebula: string
}

/** A mesh of real processes around a practice cluster. */
export interface MeshAtWork {
  /** what an operator puts into the environment, to have it asked */
  readonly settings: Readonly<Record<string, string>>
  /** @param said all that the run has said; @param seconds for tunnels to be made */
  proof(said: string, seconds: number): Promise<Proof>
  stop(): Promise<void>
}

const upWithinSeconds = 120

export const whyNoNetworks =
  'this machine lets nobody make network namespaces and tunnels (that takes root, /dev/net/tun and iproute2), so that no real Nebula ran'

/**
 * Runs the mesh of a practice cluster: the lighthouse, and the node's Nebula in the place of its pod, each in a network namespace of its own.
 * @returns null where this machine lets nobody make such
 * @throws Error when the node is not reached in it
 */
export async function runMesh({ nebula, ...node }: MeshGrounds, practice: PracticeMesh): Promise<MeshAtWork | null> {
  if (!canTunnel()) return null
  const networks = await makeNetworks()
  const ca = readFileSync(practice.caCertificate, 'utf8')
  const mesh = await RunningMesh.start({
    nebula,
    networks,
    ca,
    lighthouse: practice.lighthouse,
  })
  const pods = playNodePods(mesh, node)
  const stop = async () => {
    await pods.stop()
    await mesh.stop()
    networks.stop()
  }
  const unreached = await unreachedIn(mesh, meshAddresses.old, upWithinSeconds)
  if (unreached.length > 0) {
    const { log } = mesh
    await stop()
    throw new Error(`The practice mesh does not come up: ${unreached.join('; ')}\n${log}`)
  }
  return {
    settings: { MESH_PEERS: `${lighthouse.address}:${lighthouse.port}` },
    proof: (said, seconds) => reachProof(mesh, said, seconds),
    stop,
  }
}
