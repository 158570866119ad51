import { setTimeout as delay } from 'node:timers/promises'
import { type Proof, proof } from '../proofs.ts'
import { meshAddresses, meshNamespace } from './practice-mesh.ts'
import { lighthouse, type RunningMesh } from './running-mesh.ts'

/** A port that nobody listens at: the kernel at the other end of the tunnel refuses, which is an answer. */
const closed = 9

/**
 * Waits until the lighthouse reaches the node at an address, and the node the lighthouse: tunnels take a handshake.
 * @returns what does not come about within the seconds, in words
 */
export async function unreachedIn(mesh: RunningMesh, address: string, seconds: number): Promise<string[]> {
  const ways = [
    { from: 'lighthouse', to: address, port: closed },
    { from: 'node', to: lighthouse.address, port: lighthouse.port },
  ] as const
  const deadline = Date.now() + seconds * 1000
  const unreached: string[] = []
  for (const { from, to, port } of ways) {
    let answer = await mesh.knocks(from, to, port)
    while (answer === 'silent' && Date.now() < deadline) {
      await delay(200)
      answer = await mesh.knocks(from, to, port)
    }
    if (answer === 'silent') unreached.push(`the ${from} does not reach ${to}`)
  }
  return unreached
}

/**
 * With real Nebula processes: the node is reached at its new mesh address and no longer at the old one, 10.42.0.1 is reached from there, and the run itself
 * has asked it.
 * @param said all that the run has said
 * @param seconds for tunnels to be made
 */
export async function reachProof(mesh: RunningMesh, said: string, seconds: number): Promise<Proof> {
  const peer = `${lighthouse.address}:${lighthouse.port}`
  const asked = `ask ${peer} from talos00 (Job ${meshNamespace}/talos-migrate-mesh-check)`
  const against = await unreachedIn(mesh, meshAddresses.new, seconds)
  if ((await mesh.knocks('lighthouse', meshAddresses.old, closed)) === 'reached')
    against.push(`the lighthouse still reaches ${meshAddresses.old}`)
  if (!said.includes(asked)) against.push(`the run has not asked ${peer}`)
  const evidence = `two Nebula processes, between network namespaces: ${peer} answers the node, as it did the run; the lighthouse reaches ${meshAddresses.new}, and ${meshAddresses.old}, which it reached before, no longer`
  return proof(`${lighthouse.address} is reached over the mesh`, evidence, against)
}
