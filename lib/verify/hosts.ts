import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { fullName } from '../kubernetes/kinds.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import type { Baseline } from './baseline.ts'

type Host = Baseline['hosts'][number]

/** Every host name that the ingress controller answers for: of Ingress objects, and of Traefik's IngressRoutes. */
export async function readHosts(api: KubernetesApi): Promise<Host[]> {
  const [ingresses, routeKinds] = await Promise.all([
    api.list('/apis/networking.k8s.io/v1/ingresses'),
    servedResources(api, 'traefik.io', ['ingressroutes']),
  ])
  const routes = await Promise.all(routeKinds.map((kind) => api.list(collectionPath(kind))))
  const all = [...ingresses.flatMap(hostsOfIngress), ...routes.flat().flatMap(hostsOfRoute)]
  return [...new Map(all.map((each) => [each.host, each])).values()].sort((a, b) => a.host.localeCompare(b.host))
}

function hostsOfIngress(ingress: KubernetesObject): Host[] {
  const { rules = [] } = (ingress.spec ?? {}) as { rules?: { host?: string }[] }
  return rules.flatMap(({ host }) => (host ? [{ host, from: `Ingress ${fullName(ingress)}` }] : []))
}

/**
 * The hosts that a route's rule names literally; HostRegexp has no name to ask for.
 * Source: https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/
 */
function hostsOfRoute(route: KubernetesObject): Host[] {
  const { routes = [] } = (route.spec ?? {}) as { routes?: { match?: string }[] }
  const from = `IngressRoute ${fullName(route)}`
  return routes.flatMap(({ match = '' }) =>
    [...match.matchAll(/\bHost\(([^)]*)\)/g)].flatMap((rule) =>
      [...(rule[1] ?? '').matchAll(/[`"']([^`"']+)[`"']/g)].map((name) => ({ host: name[1] ?? '', from })),
    ),
  )
}
