import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { Discovery } from '../kubernetes/discovery.ts'

/** What lies outside of the cluster and must be there for it to work, as far as the cluster shows it. */
export type Dependencies = {
  nfs: { server: string; export: string; usedBy: string[] }[]
  hosts: { host: string; usedBy: string[] }[]
  addresses: { address: string; usedBy: string[] }[]
  secretStores: { name: string; provider: string; server: string | null }[]
}

/** In one line, for the operator; the whole is in dependencies.json. */
export function describeDependencies({ nfs, hosts, addresses, secretStores }: Dependencies): string {
  const servers = [...new Set(nfs.map(({ server }) => server))]
  const parts = [
    `${nfs.length} NFS exports${servers.length > 0 ? ` on ${servers.join(', ')}` : ''}`,
    `${hosts.length} hosts`,
    `load balancers: ${addresses.map(({ address }) => address).join(', ') || 'none'}`,
    `secret stores: ${secretStores.map(({ provider }) => provider).join(', ') || 'none'}`,
  ]
  return `The cluster depends on: ${parts.join('; ')}.`
}

type Spec = Record<string, unknown>
type Reader = (group: string, resource: string) => Promise<KubernetesObject[]>

/**
 * Looks for NFS servers and exports (volumes, storage classes, workloads that mount them), the hosts of Ingresses, Traefik's
 * IngressRoutes and Gateway API routes, the addresses of load balancers, and the providers behind External Secrets.
 */
export async function findDependencies(api: KubernetesApi, { resources }: Discovery): Promise<Dependencies> {
  const read: Reader = async (group, resource) => {
    const listed = resources.find((candidate) => candidate.group === group && candidate.resource === resource)
    return listed ? api.list(listed.path) : []
  }
  const nfs = await nfsExports(read)
  const hosts = await routedHosts(read)
  const addresses = await loadBalancers(read)
  return {
    nfs: [...nfs.values()],
    hosts: [...hosts].map(([host, usedBy]) => ({ host, usedBy })),
    addresses: [...addresses].map(([address, usedBy]) => ({ address, usedBy })),
    secretStores: await secretStores(read),
  }
}

async function nfsExports(read: Reader): Promise<Map<string, Dependencies['nfs'][number]>> {
  const found = new Map<string, Dependencies['nfs'][number]>()
  const add = (server: unknown, path: unknown, user: string) => {
    if (typeof server !== 'string' || typeof path !== 'string') return
    const key = JSON.stringify([server, path])
    const known = found.get(key) ?? { server, export: path, usedBy: [] }
    found.set(key, { ...known, usedBy: [...new Set([...known.usedBy, user])] })
  }
  for (const volume of await read('', 'persistentvolumes')) {
    const { nfs, csi } = specOf(volume) as { nfs?: NfsVolume; csi?: { driver?: string; volumeAttributes?: Spec } }
    const user = `PersistentVolume ${volume.metadata.name}`
    if (nfs) add(nfs.server, nfs.path, user)
    if (csi?.driver?.includes('nfs')) add(csi.volumeAttributes?.server, csi.volumeAttributes?.share, user)
  }
  for (const storageClass of await read('storage.k8s.io', 'storageclasses')) {
    const { server, share, path } = (storageClass.parameters ?? {}) as Spec
    add(server, share ?? path, `StorageClass ${storageClass.metadata.name}`)
  }
  for (const resource of ['deployments', 'statefulsets', 'daemonsets']) {
    for (const workload of await read('apps', resource)) {
      const { template } = specOf(workload) as { template?: { spec?: { volumes?: { nfs?: NfsVolume }[] } } }
      for (const { nfs } of template?.spec?.volumes ?? []) add(nfs?.server, nfs?.path, nameOf(workload, resource))
    }
  }
  return found
}

interface NfsVolume {
  server: string
  path: string
}

async function routedHosts(read: Reader): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const ingress of await read('networking.k8s.io', 'ingresses')) {
    const { rules = [] } = specOf(ingress) as { rules?: { host?: string }[] }
    for (const { host } of rules) note(found, host, nameOf(ingress, 'Ingress'))
  }
  for (const group of ['traefik.io', 'traefik.containo.us']) {
    for (const resource of ['ingressroutes', 'ingressroutetcps']) {
      for (const route of await read(group, resource)) {
        const { routes = [] } = specOf(route) as { routes?: { match?: string }[] }
        for (const { match } of routes) {
          for (const host of hostsOfRule(match ?? '')) note(found, host, nameOf(route, 'IngressRoute'))
        }
      }
    }
  }
  for (const resource of ['httproutes', 'tlsroutes', 'grpcroutes']) {
    for (const route of await read('gateway.networking.k8s.io', resource)) {
      const { hostnames = [] } = specOf(route) as { hostnames?: string[] }
      for (const host of hostnames) note(found, host, nameOf(route, resource))
    }
  }
  return found
}

/**
 * The hosts in a rule of Traefik, such as "Host(`a.talos00`) && PathPrefix(`/x`)".
 * Source: https://doc.traefik.io/traefik/routing/routers/#rule
 */
export function hostsOfRule(rule: string): string[] {
  const calls = [...rule.matchAll(/\bHost(?:SNI)?\(([^)]*)\)/g)]
  return calls.flatMap((call) => [...(call[1] ?? '').matchAll(/[`"']([^`"']+)[`"']/g)].flatMap((host) => host[1] ?? []))
}

async function loadBalancers(read: Reader): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const service of await read('', 'services')) {
    const status = (service.status ?? {}) as { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } }
    for (const { ip, hostname } of status.loadBalancer?.ingress ?? []) {
      note(found, ip ?? hostname, nameOf(service, 'Service'))
    }
  }
  return found
}

/** Source: https://external-secrets.io/latest/api/secretstore/ ; each provider is a field of its own under spec.provider. */
async function secretStores(read: Reader): Promise<Dependencies['secretStores']> {
  const stores = [
    ...(await read('external-secrets.io', 'clustersecretstores')),
    ...(await read('external-secrets.io', 'secretstores')),
  ]
  return stores.map((store) => {
    const { provider = {} } = specOf(store) as { provider?: Record<string, Spec> }
    const [name = 'unknown', settings = {}] = Object.entries(provider)[0] ?? []
    const server = settings.connectHost ?? settings.server ?? settings.url
    return { name: nameOf(store, 'store'), provider: name, server: typeof server === 'string' ? server : null }
  })
}

function note(found: Map<string, string[]>, what: string | undefined, usedBy: string): void {
  if (what === undefined) return
  const users = found.get(what) ?? []
  if (!users.includes(usedBy)) users.push(usedBy)
  found.set(what, users)
}

const specOf = (object: KubernetesObject) => (object.spec ?? {}) as Spec

function nameOf({ metadata: { namespace, name }, kind }: KubernetesObject, fallback: string): string {
  return `${kind ?? fallback} ${namespace ? `${namespace}/` : ''}${name}`
}
