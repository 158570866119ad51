import test from 'ava'
import { findHosts, hostsOfRule } from '../../../lib/backup/dependencies/hosts.ts'
import { object, readerOver } from './reader-over.ts'

test('hosts of Ingresses, of Traefik and of the Gateway API are found', async (t) => {
  const reader = await readerOver(t, {
    'networking.k8s.io/ingresses': [object('Ingress', 'plex', { spec: { rules: [{ host: 'plex.talos00' }, {}] } })],
    'traefik.io/ingressroutes': [
      object('IngressRoute', 'grafana', {
        spec: { routes: [{ match: 'Host(`grafana.talos00`) && PathPrefix(`/x`)' }, { match: 'Host(`plex.talos00`)' }] },
      }),
    ],
    'gateway.networking.k8s.io/httproutes': [object('HTTPRoute', 'web', { spec: { hostnames: ['web.talos00'] } })],
    'gateway.networking.k8s.io/gateways': [
      object('Gateway', 'house', { spec: { listeners: [{ hostname: '*.talos00' }, { port: 80 }] } }),
    ],
  })
  t.deepEqual(await findHosts(reader), [
    { host: 'plex.talos00', usedBy: ['Ingress media/plex', 'IngressRoute media/grafana'] },
    { host: 'grafana.talos00', usedBy: ['IngressRoute media/grafana'] },
    { host: 'web.talos00', usedBy: ['HTTPRoute media/web'] },
    { host: '*.talos00', usedBy: ['Gateway media/house'] },
  ])
})

test("the hosts of Traefik's rules are read in all their forms", (t) => {
  t.deepEqual(hostsOfRule('Host(`a.x`, `b.x`) || (HostSNI("c.x") && !Path(`/d.x`))'), ['a.x', 'b.x', 'c.x'])
  t.deepEqual(hostsOfRule('PathPrefix(`/`) && Headers(`Host`, `h`)'), [])
})
