import { at } from '../healthy-cluster.ts'
import { nebulaHost } from '../healthy-mesh.ts'
import { added, dayMs, old, type Sickness, status } from './sickness.ts'

const greeting = (skewSeconds: number, days = 365) => ({
  greeting: async () => {
    const now = Date.now()
    const certificateEnds = new Date(now + days * dayMs)
    return { certificateEnds, clock: new Date(now + skewSeconds * 1000), sent: new Date(now), received: new Date(now) }
  },
})

const slice = (endpoint: Record<string, unknown>) => ({ endpoints: [{ addresses: ['10.244.1.5'], ...endpoint }] })
const unpeerable = ['/nowhere/liqoctl', 'ForeignCluster aws']
const inTheMesh = 'Nebula has a certificate for MESH_ADDRESS, and runs on the Node'
const nebulaLabels = { app: 'nebula' }
const nebulaDaemon = {
  metadata: { name: 'nebula' },
  spec: {
    selector: { matchLabels: nebulaLabels },
    template: {
      metadata: { labels: nebulaLabels },
      spec: { containers: [{ name: 'nebula', image: 'nebulaoss/nebula:1.9.7' }] },
    },
  },
}
const webhooks = 'No webhook with failurePolicy Fail is without its backend'
const hook = 'check.example.org of ValidatingWebhookConfiguration hook'

const endpoints =
  (sick: Record<string, unknown>): NonNullable<Sickness['sicken']> =>
  async ({ cluster: { api } }) => {
    const { endpoints: before } = await api.get(at.slice)
    await api.mergePatch(at.slice, slice(sick))
    return () => api.mergePatch(at.slice, { endpoints: before })
  }

const configuration = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/hook'

/** A webhook whose backend goes with the node, and which is asked for Deployments of these namespaces, with these labels. */
const selective =
  (selectors: Record<string, unknown>): NonNullable<Sickness['sicken']> =>
  async (homelab) => {
    const { api } = homelab.cluster
    const cure = await endpoints({ conditions: { ready: true }, nodeName: 'talos00' })(homelab)
    const { webhooks: before } = await api.get<{ webhooks: { rules: object[] }[] }>(configuration)
    const rules = [{ ...before[0]?.rules[0], apiGroups: ['apps'], resources: ['deployments'] }]
    await api.mergePatch(configuration, { webhooks: [{ ...before[0], rules, ...selectors }] })
    return async () => {
      await api.mergePatch(configuration, { webhooks: before })
      await cure?.()
    }
  }

const isNamed = (...values: string[]) => ({
  matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }],
})
const has = (label: string, operator = 'Exists') => ({ matchExpressions: [{ key: label, operator }] })

export const ofTheNetwork: readonly Sickness[] = [
  {
    what: 'a webhook that must answer, and has no backend',
    sicken: endpoints({ conditions: { ready: false }, nodeName: 'talos01' }),
    found: [['error', webhooks, hook]],
  },
  {
    what: 'a webhook whose backend goes with the node',
    sicken: endpoints({ conditions: { ready: true }, nodeName: 'talos00' }),
    found: [['warning', webhooks, hook]],
  },
  {
    what: 'a webhook whose backend goes with the node, and which is asked for a namespace with workloads',
    sicken: selective({ namespaceSelector: isNamed('default') }),
    found: [['warning', webhooks, hook]],
  },
  {
    what: 'such a webhook, for a namespace where nothing is changed tonight',
    sicken: selective({ namespaceSelector: isNamed('argocd') }),
    found: [],
  },
  {
    what: 'a webhook whose backend goes with the node, and which is asked for what lacks a label',
    sicken: selective({ objectSelector: has('unchecked', 'DoesNotExist') }),
    found: [['warning', webhooks, hook]],
  },
  {
    what: 'such a webhook, for what has a label that nothing has',
    sicken: selective({ objectSelector: { matchLabels: { injected: 'yes' }, ...has('checked') } }),
    found: [],
  },
  {
    what: 'an NFS server that refuses',
    parts: { knock: async () => 'refused' },
    found: [['error', 'NFS servers answer', '192.0.2.20']],
  },
  {
    what: 'an NFS server that nothing is heard of',
    parts: { knock: async () => 'silent' },
    found: [['warning', 'NFS servers answer', '192.0.2.20']],
  },
  {
    what: 'a load balancer that gives no address',
    sicken: status(at.service, { loadBalancer: null }),
    found: [['warning', 'Services of type LoadBalancer have their addresses', 'Service default/ingress']],
  },
  {
    what: "a pool that holds the machine's own address",
    sicken: async ({ cluster: { api } }) => {
      const { spec } = await api.get(at.pool)
      await api.mergePatch(at.pool, { spec: { addresses: ['192.168.1.50-192.168.1.60'] } })
      return () => api.mergePatch(at.pool, { spec })
    },
    found: [['error', "No pool of a load balancer holds the machine's own address", 'IPAddressPool default/lan']],
  },
  {
    what: 'a clock that is two minutes ahead',
    parts: greeting(120),
    found: [['warning', "This computer's clock and the control plane's agree", old]],
  },
  {
    what: 'a clock that is ten minutes behind',
    parts: greeting(-600),
    found: [['error', "This computer's clock and the control plane's agree", old]],
  },
  {
    what: "an API server's certificate that has ended",
    parts: greeting(0, -1),
    found: [['error', "The API server's certificate does not expire tonight", 'API']],
  },
  {
    what: 'a Nebula certificate that ends in two days',
    sicken: async ({ cluster: { api } }) => {
      const { data } = await api.get(at.nebula)
      await api.mergePatch(at.nebula, { stringData: { 'host.crt': nebulaHost('48h') } })
      return () => api.mergePatch(at.nebula, { data })
    },
    found: [['warning', "Nebula's certificates do not expire tonight", 'Secret default/nebula-certs, host.crt']],
  },
  {
    what: 'a mesh address that no certificate is for',
    settings: { MESH_ADDRESS: '10.42.1.9' },
    found: [['warning', inTheMesh, 'MESH_ADDRESS=10.42.1.9']],
  },
  {
    what: 'a Nebula that does not run on the Node',
    sicken: added(['/apis/apps/v1/namespaces/default/daemonsets', nebulaDaemon]),
    found: [['warning', inTheMesh, 'DaemonSet default/nebula']],
  },
  {
    what: 'a Liqo peering that is broken',
    sicken: status(at.peer, {
      modules: { networking: { enabled: true, conditions: [{ type: 'NetworkConnectionStatus', status: 'Error' }] } },
    }),
    found: [['warning', "Liqo's peerings are established", 'ForeignCluster aws']],
  },
  {
    what: 'a Liqo peering that cannot be taken down, which has not been decided yet',
    settings: { LIQO_TEARDOWN: '', LIQOCTL: '/nowhere/liqoctl' },
    found: unpeerable.map((subject) => ['warning', "Liqo's peerings can be taken down and made again", subject]),
  },
  {
    what: 'a Liqo peering that is to be taken down for the new address, and cannot',
    settings: { LIQO_TEARDOWN: 'yes', LIQOCTL: '/nowhere/liqoctl', SCENARIO: 'B', NEW_TALOS_NODE: '192.168.1.60' },
    found: unpeerable.map((subject) => ['error', "Liqo's peerings can be taken down and made again", subject]),
  },
]
