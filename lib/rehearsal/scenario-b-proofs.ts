import { readFileSync } from 'node:fs'
import { parse, parseAllDocuments } from 'yaml'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { isNodeReady, isVirtual, listNodes } from '../kubernetes/nodes.ts'
import { parseAddress } from '../network/addresses.ts'
import { describeDoors, knockAtAllDoors } from '../network/ports.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import { type Proof, proof } from './proofs.ts'

/** What scenario B has to prove besides what A has: that the cluster is at its new address, for everybody. */
export async function movedProofs(cluster: PracticeCluster): Promise<Proof[]> {
  return [await nodesProof(cluster), await endpointsProof(cluster), await refusedProof(cluster)]
}

/** By the kubeconfig that the run has left: each Node has said there, just now, that it is ready. */
async function nodesProof(cluster: PracticeCluster): Promise<Proof> {
  const wanted = 1 + cluster.workers.length
  const api = await cluster.api()
  try {
    const nodes = (await listNodes(api)).filter((node) => !isVirtual(node))
    const against = nodes.filter((node) => !isNodeReady(node)).map(({ metadata }) => `${metadata.name} is not ready`)
    if (nodes.length !== wanted) against.push(`there are ${nodes.length} Nodes`)
    if (!api.server.includes(cluster.newAddress)) against.push(`the kubeconfig leads to ${api.server}`)
    for (const { metadata } of nodes) {
      const lease = await api.get<{ spec: { renewTime: string } }>(
        `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${metadata.name}`,
      )
      const age = Math.round((Date.now() - Date.parse(lease.spec.renewTime)) / 1000)
      if (age > leaseSeconds) against.push(`the lease of ${metadata.name} was renewed ${age} s ago`)
    }
    const names = nodes.map(({ metadata }) => metadata.name).join(', ')
    return proof(
      'every Node is ready under the new endpoint',
      `${names} at ${api.server}, their leases renewed`,
      against,
    )
  } finally {
    api.close()
  }
}

/** As the controllers of Nodes count: a lease is good for 40 s. */
const leaseSeconds = 40

/** Asked of the machines themselves, by their own addresses. */
async function endpointsProof(cluster: PracticeCluster): Promise<Proof> {
  const machines = [...cluster.machines.slice(-1), ...cluster.workers]
  const endpoint = `https://${cluster.newAddress}:6443`
  const against: string[] = []
  for (const { hardware } of machines) {
    const text = await cluster.talosctl(
      ...['get', 'machineconfig', 'v1alpha1', '--output', 'jsonpath={.spec}'],
      ...['--nodes', hardware.address, '--endpoints', hardware.address],
    )
    const found = parseAllDocuments(text).map((document) => document.toJS())[0].cluster.controlPlane.endpoint
    if (found !== endpoint) against.push(`${hardware.name} goes by ${found}`)
    const others = text.split('\n').filter((line) => line.includes(cluster.address) && !pinned.test(line))
    for (const line of others) against.push(`${hardware.name} has ${line.trim()}`)
  }
  const evidence = `${machines.map(({ hardware }) => hardware.name).join(', ')}: ${endpoint}; but for the issuer of tokens, none names ${cluster.address}`
  return proof('every machine goes by the new endpoint', evidence, against)
}

/** Tokens that pods hold were issued under the old URL. */
const pinned = /^\s*(service-account-issuer|api-audiences): /

async function refusedProof(cluster: PracticeCluster): Promise<Proof> {
  const doors = await knockAtAllDoors(parseAddress(cluster.address, 'the old address'))
  const open = Object.entries(doors).filter(([, answer]) => answer === 'open')
  const against = open.map(([name]) => `${name} is open at ${cluster.address}`)
  const { clusters } = parse(readFileSync(cluster.homelab.kubeconfig, 'utf8'))
  for (const { cluster: one } of clusters)
    if (one.server.includes(cluster.address)) against.push(`the kubeconfig leads to ${one.server}`)
  return proof('the old address is refused everywhere', `${cluster.address}: ${describeDoors(doors)}`, against)
}

/** The peering is there again on both sides, and the other cluster knows the homelab by the address that it has now. */
export async function peeringProof(cluster: PracticeCluster, there: KubernetesApi, address: string): Promise<Proof> {
  const api = await cluster.api()
  try {
    const against: string[] = []
    const node = (await listNodes(api)).find(isVirtual)
    if (node === undefined || !isNodeReady(node)) against.push('the virtual node is not ready')
    const foreign = await there.list<KubernetesObject>('/apis/core.liqo.io/v1beta1/foreignclusters')
    if (foreign.length !== 1) against.push(`the other cluster has ${foreign.length} ForeignClusters`)
    for (const object of foreign) {
      const { apiServerUrl } = object.status as { apiServerUrl?: string }
      if (!apiServerUrl?.includes(address)) against.push(`the other cluster goes to ${apiServerUrl}`)
    }
    const name = node?.metadata.name ?? 'no virtual node'
    return proof('the Liqo peering is made again', `${name} is ready; there it goes to ${address}`, against)
  } finally {
    api.close()
  }
}
