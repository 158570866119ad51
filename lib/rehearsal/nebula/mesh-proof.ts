import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { Pod } from '../../kubernetes/kinds.ts'
import { messageOf } from '../../migration/errors.ts'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import { findNebulaCert } from '../../network/nebula/nebula-cert.ts'
import { type Proof, proof } from '../proofs.ts'
import { type ObjectTruth, truthOf } from '../truth.ts'
import { meshAddresses, meshNamespace, meshPaths, type PracticeMesh } from './practice-mesh.ts'

const memory = { memoryDir: '/dev/shm' }
const hostCertificate = 'host.crt'
/** What a restart leaves in a pod template, and nothing else may. */
const restartMark = 'talos-migrate/restarted-for'

/** What is re-made on purpose; that nothing else of it changed, the proof below says. */
export function isOfMesh({ group, resource, namespace, name }: ObjectTruth): boolean {
  if (namespace !== meshNamespace) return false
  return (group === '' && resource === 'secrets' && name === 'nebula-certs') || (group === 'apps' && name === 'nebula')
}

/**
 * The node is in the mesh at its new address, by the real nebula-cert; the Secret and what runs Nebula are otherwise what they were. What still holds an old
 * address must have been named.
 * @param said all that the run has said
 * @param oldAddresses of the node, in the mesh and outside of it
 */
export async function meshProof(
  api: KubernetesApi,
  mesh: PracticeMesh,
  said: string,
  oldAddresses: readonly string[],
): Promise<Proof> {
  const secret = await api.get(meshPaths.secret)
  const against = [
    ...(await certificateFaults(mesh, secret)),
    ...untouchedFaults('the Secret', withoutCertificate(mesh.secret), withoutCertificate(secret)),
    ...(await workloadFaults(api, mesh)),
  ]
  const held = await unchangedHosts(api, oldAddresses)
  for (const name of held) if (!said.includes(name)) against.push(`${name} holds an old address, and nobody said so`)
  const evidence = [
    `nebula-cert: for ${meshAddresses.new}, by the same CA, same name, groups and key, not for ${meshAddresses.old}`,
    'nothing else of the Secret changed; its pods were made anew',
    held.length === 0 ? 'static_host_map has the new addresses' : `${held.join(', ')} was named`,
  ]
  return proof('the node is in the mesh at its new address', evidence.join('; '), against)
}

async function certificateFaults(mesh: PracticeMesh, secret: KubernetesObject): Promise<string[]> {
  const pem = certificateIn(secret)
  const tool = await findNebulaCert({ nebulaCert: mesh.nebulaCert, ...memory })
  const [was] = await tool.print(certificateIn(mesh.secret), 'the old Secret')
  const [is] = await tool.print(pem, 'the Secret')
  if (!was || !is) return ['the Secret has no certificate']
  const faults = await distrust(mesh, pem)
  if (!isDeepStrictEqual(is.networks, [`${meshAddresses.new}/16`])) faults.push(`it is for ${is.networks.join(', ')}`)
  for (const same of ['name', 'groups', 'unsafeNetworks', 'issuer', 'publicKey', 'isCa'] as const) {
    if (!isDeepStrictEqual(is[same], was[same])) faults.push(`its ${same} is ${is[same]}, was ${was[same]}`)
  }
  return faults
}

/** Asks what a member of the mesh asks in a handshake. */
function distrust({ nebulaCert, caCertificate }: PracticeMesh, pem: string): Promise<string[]> {
  return withMemoryFolder(memory, async (folder) => {
    const file = join(folder, hostCertificate)
    writeFileSync(file, pem, { mode: 0o600 })
    try {
      await promisify(execFile)(nebulaCert, ['verify', '-ca', caCertificate, '-crt', file])
      return []
    } catch (error) {
      return [`its CA does not vouch for it: ${messageOf(error)}`]
    }
  })
}

async function workloadFaults(api: KubernetesApi, { workload: before }: PracticeMesh): Promise<string[]> {
  const after = await api.get(meshPaths.workload)
  const faults = untouchedFaults('the DaemonSet', withoutMark(before), withoutMark(after))
  if (truthOf('apps', 'daemonsets', before).content === truthOf('apps', 'daemonsets', after).content)
    faults.push('the DaemonSet was not restarted')
  const mark = markOf(after)
  const pods = await api.list<Pod>(`/api/v1/namespaces/${meshNamespace}/pods`)
  const standing = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  if (standing.length !== 1) faults.push(`Nebula has ${standing.length} pods`)
  for (const { metadata, status } of standing) {
    if (metadata.annotations?.[restartMark] !== mark) faults.push(`${metadata.name} was not made anew`)
    if (status.phase !== 'Running') faults.push(`${metadata.name} is ${status.phase}`)
  }
  return faults
}

function untouchedFaults(what: string, was: KubernetesObject, is: KubernetesObject): string[] {
  const told = ({ metadata, status: _status, ...content }: KubernetesObject) => {
    const { uid, labels, annotations } = metadata
    // The controller writes down there how many templates there were.
    const { 'deprecated.daemonset.template.generation': _generation, ...own } = annotations ?? {}
    return { uid, labels, annotations: own, content }
  }
  return isDeepStrictEqual(told(was), told(is)) ? [] : [`${what} says something else than before`]
}

function withoutCertificate(secret: KubernetesObject): KubernetesObject {
  const { [hostCertificate]: _exchanged, ...data } = secret.data as Record<string, string>
  return { ...secret, data }
}

interface Workload extends KubernetesObject {
  spec: { template: { metadata: { annotations?: Record<string, string> } } }
}

function withoutMark(workload: KubernetesObject): KubernetesObject {
  const copy = structuredClone(workload) as Workload
  const { metadata } = copy.spec.template
  const { [restartMark]: _mark, ...annotations } = metadata.annotations ?? {}
  metadata.annotations = annotations
  return copy
}

const markOf = (workload: KubernetesObject) => (workload as Workload).spec.template.metadata.annotations?.[restartMark]

function certificateIn({ data }: KubernetesObject): string {
  return Buffer.from((data as Record<string, string>)[hostCertificate] ?? '', 'base64').toString('utf8')
}

/** As an operator reads it in what the run says. */
async function unchangedHosts(api: KubernetesApi, old: readonly string[]): Promise<string[]> {
  const { data = {} } = (await api.get(meshPaths.config)) as { data?: Record<string, string> }
  return Object.entries(data).flatMap(([key, text]) =>
    old.some((address) => new RegExp(`(?<![\\d.])${address.replaceAll('.', '\\.')}(?!\\d)`).test(text))
      ? [`ConfigMap ${meshNamespace}/static-hosts, ${key}`]
      : [],
  )
}
