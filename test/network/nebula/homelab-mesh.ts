import { spawn } from 'node:child_process'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import type { Job, Pod } from '../../../lib/kubernetes/kinds.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import type { TestAuthority } from './authority.ts'

/** What a node's config tells of hosts. */
export const config = `pki: { ca: /etc/nebula/ca.crt, cert: /etc/nebula/host.crt, key: /etc/nebula/host.key }
static_host_map:
  "10.42.0.1": ["203.0.113.10:4242"]   # the lighthouse in AWS
  "10.42.1.1": ["192.168.1.54:4242"]
lighthouse: { am_lighthouse: false, hosts: ["10.42.0.1"] }
firewall: { inbound: [{ port: any, proto: any, cidr: 10.42.1.1/32 }] }
`

export interface MeshInCluster {
  readonly namespace: string
  readonly host: { certificate: string; key: string }
  secret(): Promise<Record<string, string>>
  configMap(): Promise<string>
  daemonSet(): Promise<KubernetesObject>
}

/** Installs what a homelab has of Nebula: a Secret with certificate and key, a ConfigMap, a DaemonSet that mounts both. */
export async function installMesh(
  api: KubernetesApi,
  namespace: string,
  authority: TestAuthority,
  labels: Record<string, string> = {},
): Promise<MeshInCluster> {
  const host = authority.host('talos00', '10.42.1.1/16', '-groups', 'homelab,k8s')
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const core = `/api/v1/namespaces/${namespace}`
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  await api.create(`${core}/secrets`, {
    metadata: { name: 'nebula-certs' },
    data: {
      'ca.crt': base64(authority.certificate),
      'host.crt': base64(host.certificate),
      'host.key': base64(host.key),
    },
  })
  await api.create(`${core}/configmaps`, { metadata: { name: 'nebula', labels }, data: { 'config.yml': config } })
  const app = { app: 'nebula' }
  const volumes = [
    { name: 'certs', secret: { secretName: 'nebula-certs' } },
    { name: 'config', configMap: { name: 'nebula' } },
  ]
  await api.create(`/apis/apps/v1/namespaces/${namespace}/daemonsets`, {
    metadata: { name: 'nebula' },
    spec: {
      selector: { matchLabels: app },
      template: {
        metadata: { labels: app },
        spec: {
          hostNetwork: true,
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'nebula', image: 'nebulaoss/nebula:1.9.7' }],
          volumes,
        },
      },
    },
  })
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/nebula`
  await until('Nebula runs', async () => {
    const { status } = await api.get<{ status?: { numberAvailable?: number } }>(path)
    return status?.numberAvailable === 1
  })
  const data = async (kind: string) => (await api.get(`${core}/${kind}`)).data as Record<string, string>
  return {
    namespace,
    host,
    secret: async () =>
      Object.fromEntries(
        Object.entries(await data('secrets/nebula-certs')).map(([key, value]) => [
          key,
          Buffer.from(value, 'base64').toString('utf8'),
        ]),
      ),
    configMap: async () => (await data('configmaps/nebula'))['config.yml'] ?? '',
    daemonSet: () => api.get(path),
  }
}

/** The fingerprints of a pod template's restarts. */
export function restartedFor(daemonSet: KubernetesObject): string | undefined {
  const { template } = daemonSet.spec as { template: { metadata: { annotations?: Record<string, string> } } }
  return template.metadata.annotations?.['talos-migrate/restarted-for']
}

/**
 * Is the kubelet of one Job: runs its pod's very command on this machine, and reports as a kubelet would.
 * @param image the folder of the image's programs, which are all that there are
 */
export async function runJob(api: KubernetesApi, namespace: string, job: string, image: string): Promise<Pod> {
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs/${job}`
  let pod: Pod | undefined
  await until('the Job has a pod that runs', async () => {
    const { metadata } = await api.get<Job>(jobs)
    const labelSelector = `batch.kubernetes.io/controller-uid=${metadata.uid}`
    const pods = await api.list<Pod>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector })
    pod = pods[0]
    return pod?.status.phase === 'Running'
  })
  if (!pod) throw new Error('no pod')
  const [program = '', ...args] = pod.spec.containers?.[0]?.command ?? []
  const { exitCode, output } = await run(program, args, image)
  const terminated = { exitCode, ...(exitCode === 0 ? {} : { message: output }), startedAt: null, finishedAt: null }
  const status = {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [
      { name: 'ask', image: 'i', imageID: 'i', ready: false, restartCount: 0, state: { terminated } },
    ],
  }
  await api.mergePatch(`/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}/status`, { status })
  return pod
}

function run(program: string, args: string[], image: string): Promise<{ exitCode: number | null; output: string }> {
  const child = spawn(program, args, { env: { PATH: image }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return new Promise((resolve) => child.once('close', (exitCode) => resolve({ exitCode, output })))
}
