import test from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { readHosts } from '../../lib/verify/hosts.ts'

function apiWith(rules: { match?: string; host?: string }[]): KubernetesApi {
  const ingresses = rules
    .filter(({ host }) => host)
    .map(({ host }) => ({ metadata: { name: 'i', namespace: 'n' }, spec: { rules: [{ host }] } }))
  const routes = rules
    .filter(({ match }) => match)
    .map((route) => ({ metadata: { name: 'r', namespace: 'n' }, spec: { routes: [route] } }))
  const api: Partial<KubernetesApi> = {
    list: async <T>(path: string) => (path.includes('ingressroutes') ? routes : ingresses) as T[],
    getOrNull: async <T>(path: string) =>
      (path === '/apis/traefik.io'
        ? { versions: [{ groupVersion: 'traefik.io/v1alpha1', version: 'v1alpha1' }] }
        : { resources: [{ name: 'ingressroutes', kind: 'IngressRoute', namespaced: true }] }) as T,
  }
  return api as KubernetesApi
}

const hosts = async (rules: { match?: string; host?: string }[]) =>
  (await readHosts(apiWith(rules))).map(({ host }) => host)

test('hosts come from Ingresses and from the rules of IngressRoutes, each once', async (t) => {
  const found = await hosts([
    { host: 'grafana.talos00' },
    { match: 'Host(`grafana.talos00`)' },
    { match: 'Host(`a.talos00`) || Host("b.talos00") && PathPrefix(`/x`)' },
  ])
  t.deepEqual(found, ['a.talos00', 'b.talos00', 'grafana.talos00'])
})

test('a regular expression names no host to ask for', async (t) => {
  t.deepEqual(await hosts([{ match: 'HostRegexp(`.+\\.talos00`)' }]), [])
})
