import { type Reader, specOf, titleOf, Users } from '../../kubernetes/reader.ts'

/** Hosts that somebody's DNS or hosts file must lead here: of Ingresses, of Traefik's IngressRoutes, and of the Gateway API. */
export async function findHosts(reader: Reader) {
  const found = new Users<{ host: string }>()
  const read = async (group: string, resource: string, hostsIn: (spec: unknown) => (string | undefined)[]) => {
    const routes = await reader.pick(group, resource, (route) => [
      { by: titleOf(route), hosts: hostsIn(specOf(route)) },
    ])
    for (const { by, hosts } of routes) for (const host of hosts) if (host) found.add({ host }, by)
  }
  await read('networking.k8s.io', 'ingresses', (spec) =>
    ((spec as { rules?: { host?: string }[] }).rules ?? []).map(({ host }) => host),
  )
  for (const group of ['traefik.io', 'traefik.containo.us']) {
    for (const resource of ['ingressroutes', 'ingressroutetcps']) {
      await read(group, resource, (spec) =>
        ((spec as { routes?: { match?: string }[] }).routes ?? []).flatMap(({ match }) => hostsOfRule(match ?? '')),
      )
    }
  }
  for (const resource of ['httproutes', 'tlsroutes', 'grpcroutes']) {
    await read('gateway.networking.k8s.io', resource, (spec) => (spec as { hostnames?: string[] }).hostnames ?? [])
  }
  await read('gateway.networking.k8s.io', 'gateways', (spec) =>
    ((spec as { listeners?: { hostname?: string }[] }).listeners ?? []).map(({ hostname }) => hostname),
  )
  return found.list()
}

/**
 * The hosts in a rule of Traefik, such as "Host(`a.talos00`) && PathPrefix(`/x`)".
 * Source: https://doc.traefik.io/traefik/routing/routers/#rule
 */
export function hostsOfRule(rule: string): string[] {
  const calls = [...rule.matchAll(/\bHost(?:SNI)?\(([^)]*)\)/g)]
  return calls.flatMap((call) => [...(call[1] ?? '').matchAll(/[`"']([^`"']+)[`"']/g)].flatMap((host) => host[1] ?? []))
}
