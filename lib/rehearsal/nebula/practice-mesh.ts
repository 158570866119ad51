import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Encrypter, identityToRecipient } from 'age-encryption'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { isRolledOut } from '../../kubernetes/rollout.ts'
import { systemClock } from '../../migration/clock.ts'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import { waitFor } from '../../migration/wait.ts'
import { underlay } from './networks.ts'
import { lighthouse, type MeshHost } from './running-mesh.ts'

/** The fixture's own Nebula has its namespace, and no certificate that can be read; this one runs beside it. */
export const meshNamespace = 'nebula-practice'
export const meshPaths = {
  secret: `/api/v1/namespaces/${meshNamespace}/secrets/nebula-certs`,
  config: `/api/v1/namespaces/${meshNamespace}/configmaps/static-hosts`,
  workload: `/apis/apps/v1/namespaces/${meshNamespace}/daemonsets/nebula`,
} as const
export const meshAddresses = { old: '10.42.1.1', new: '10.42.1.57' } as const

const groups = 'homelab,k8s'
const readyWithinSeconds = 120

/** What the mesh needs of its surroundings. */
export interface MeshGround {
  readonly api: KubernetesApi
  /** the program */
  readonly nebulaCert: string
  readonly nodeName: string
  /** where the node is found in the network that carries the mesh */
  readonly nodeAddress: string
  /** what an operator keeps: there come the CA's certificate and its encrypted key */
  readonly folder: string
  readonly ageIdentityFile: string
}

/** A mesh as it was before the evening. */
export interface PracticeMesh {
  readonly nebulaCert: string
  /** file of the CA's certificate */
  readonly caCertificate: string
  /** what an operator puts into the environment, for the mesh to follow the machine */
  readonly settings: Readonly<Record<string, string>>
  readonly secret: KubernetesObject
  readonly workload: KubernetesObject
  /** of the lighthouse, for whoever runs one */
  readonly lighthouse: MeshHost
}

/**
 * Makes a mesh as a homelab has it, with the real nebula-cert: a CA, whose key the operator keeps encrypted with age, a certificate for the node's mesh
 * address, and in the cluster a Secret, a ConfigMap whose static_host_map says where the node is, and a DaemonSet that mounts both. Nobody else holds them.
 */
export async function makePracticeMesh(ground: MeshGround): Promise<PracticeMesh> {
  const { api, nebulaCert } = ground
  const folder = join(ground.folder, 'mesh')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const files = { caCertificate: join(folder, 'ca.crt'), caKey: join(folder, 'ca.key.age') }
  const signed = await sign(ground)
  writeFileSync(files.caCertificate, signed['ca.crt'])
  writeFileSync(files.caKey, await encryptedFor(ground.ageIdentityFile, signed['ca.key']), { mode: 0o600 })
  await install(ground, signed)
  return {
    nebulaCert,
    caCertificate: files.caCertificate,
    settings: {
      MESH_ADDRESS: meshAddresses.old,
      NEBULA_NAMESPACE: meshNamespace,
      NEBULA_CERT: nebulaCert,
      NEBULA_CA_CERT: files.caCertificate,
      NEBULA_CA_KEY: files.caKey,
    },
    secret: await api.get(meshPaths.secret),
    workload: await api.get(meshPaths.workload),
    lighthouse: { certificate: signed['lighthouse.crt'], key: signed['lighthouse.key'] },
  }
}

/** Plain keys are never on a disk, not for a rehearsal either. */
function sign({ nebulaCert, nodeName }: MeshGround) {
  return withMemoryFolder({ memoryDir: '/dev/shm' }, async (cwd) => {
    const run = (...args: string[]) => promisify(execFile)(nebulaCert, args, { cwd })
    const read = (name: string) => readFileSync(join(cwd, name), 'utf8')
    await run('ca', '-name', 'practice mesh', '-ips', '10.42.0.0/16')
    const sign = (file: string, ...args: string[]) =>
      run('sign', ...args, '-out-crt', `${file}.crt`, '-out-key', `${file}.key`)
    await sign('host', '-name', nodeName, '-ip', `${meshAddresses.old}/16`, '-groups', groups)
    await sign('lighthouse', '-name', 'aws', '-ip', `${lighthouse.address}/16`)
    return {
      'ca.crt': read('ca.crt'),
      'ca.key': read('ca.key'),
      'host.crt': read('host.crt'),
      'host.key': read('host.key'),
      'lighthouse.crt': read('lighthouse.crt'),
      'lighthouse.key': read('lighthouse.key'),
    }
  })
}

async function encryptedFor(identityFile: string, text: string): Promise<Uint8Array> {
  const encrypter = new Encrypter()
  encrypter.addRecipient(await identityToRecipient(readFileSync(identityFile, 'utf8').trim()))
  return encrypter.encrypt(text)
}

async function install(ground: MeshGround, signed: Awaited<ReturnType<typeof sign>>): Promise<void> {
  const { api, nodeName, nodeAddress } = ground
  const certs = { 'ca.crt': signed['ca.crt'], 'host.crt': signed['host.crt'], 'host.key': signed['host.key'] }
  const core = `/api/v1/namespaces/${meshNamespace}`
  // Talos lets nobody onto the host's network otherwise.
  const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' }
  await api.create('/api/v1/namespaces', { metadata: { name: meshNamespace, labels } })
  await api.create(`${core}/secrets`, { metadata: { name: 'nebula-certs' }, stringData: certs })
  const data = { 'config.yml': configFor(nodeAddress) }
  await api.create(`${core}/configmaps`, { metadata: { name: 'static-hosts' }, data })
  await api.create(`/apis/apps/v1/namespaces/${meshNamespace}/daemonsets`, workloadOn(nodeName))
  const workload = { kind: 'DaemonSet', namespace: meshNamespace, name: 'nebula' }
  await waitFor(isRolledOut(api, workload, readyWithinSeconds), {
    clock: systemClock,
    signal: new AbortController().signal,
    onSeen: () => undefined,
  })
}

function configFor(nodeAddress: string): string {
  return `pki: { ca: /etc/nebula-pki/ca.crt, cert: /etc/nebula-pki/host.crt, key: /etc/nebula-pki/host.key }
static_host_map:
  "${lighthouse.address}": ["${underlay.lighthouse}:4242"]   # the lighthouse in AWS
  "${meshAddresses.old}": ["${nodeAddress}:4242"]
lighthouse: { am_lighthouse: false, interval: 60, hosts: ["${lighthouse.address}"] }
punchy: { punch: true }
firewall: { outbound: [{ port: any, proto: any, host: any }], inbound: [{ port: any, proto: any, host: any }] }
`
}

/** The certificate is one node's, and so is what reads it. */
function workloadOn(nodeName: string) {
  const labels = { app: 'nebula' }
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [nodeName] }]
  const required = { nodeSelectorTerms: [{ matchFields }] }
  return {
    metadata: { name: 'nebula' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: true,
          terminationGracePeriodSeconds: 1,
          affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
          containers: [{ name: 'nebula', image: 'nebulaoss/nebula:1.9.7' }],
          volumes: [
            { name: 'certs', secret: { secretName: 'nebula-certs' } },
            { name: 'config', configMap: { name: 'static-hosts' } },
          ],
        },
      },
    },
  }
}
