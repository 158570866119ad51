import { etcdMembers, healthyMachine } from '../preflight/fake-machines.ts'
import { at } from '../preflight/healthy-cluster.ts'
import { nebulaHost } from '../preflight/healthy-mesh.ts'
import { outside, type Regression, status } from './judged-homelab.ts'

const address = '192.168.1.54'
const etcd = 'etcd is healthy'
const machine = 'The machine and its services are healthy'
const ingress = 'Ingress answers by Host header'

/** Another answer of the machine. */
const says = (call: string, answer: string) =>
  outside(
    ({ homelab: { machines } }) => machines.answers(address, call, answer),
    ({ homelab: { machines } }) => healthyMachine(machines, address),
  )

const has = (call: string, resources: Record<string, unknown>) =>
  outside(
    ({ homelab: { machines } }) => machines.has(address, call, resources),
    ({ homelab: { machines } }) => healthyMachine(machines, address),
  )

/** The machine, the mesh, the other cluster, and the ingress. */
export const ofTheOutside: readonly Regression[] = [
  {
    what: 'an etcd that has no space left',
    breaks: says('etcd alarm list', 'MEMBER   ALARM\na1       NOSPACE\n'),
    found: [[etcd, `etcd on ${address}`]],
  },
  {
    what: 'an etcd of two voters',
    breaks: says('etcd members', etcdMembers('talos00', 'talos01')),
    found: [[etcd, `etcd on ${address}`]],
  },
  {
    what: 'a service of Talos that is not healthy',
    breaks: has('get services', { etcd: { running: true, healthy: true }, kubelet: { running: true, healthy: false } }),
    found: [[machine, `service kubelet on ${address}`]],
  },
  {
    what: 'a machine that is still booting',
    breaks: has('get machinestatus', {
      machine: { stage: 'booting', status: { ready: false, unmetConditions: [{ name: 'time', reason: 'no NTP' }] } },
    }),
    found: [[machine, `the machine at ${address}`]],
  },
  {
    what: 'a Liqo peering that is broken',
    breaks: status(at.peer, {
      modules: { networking: { enabled: true, conditions: [{ type: 'NetworkConnectionStatus', status: 'Error' }] } },
    }),
    found: [["Liqo's peerings are established", 'ForeignCluster aws']],
  },
  {
    what: 'a lighthouse that does not answer',
    breaks: outside(
      (home) => home.silentPeers.add('10.42.0.1'),
      (home) => home.silentPeers.delete('10.42.0.1'),
    ),
    found: [['Who must be reached over the mesh answers', 'Mesh peer 10.42.0.1']],
  },
  {
    what: 'a certificate of Nebula that ends tonight',
    breaks: async ({ api }) => {
      const { data } = await api.get(at.nebula)
      await api.mergePatch(at.nebula, { stringData: { 'host.crt': nebulaHost('12h') } })
      return () => api.mergePatch(at.nebula, { data })
    },
    found: [["Nebula's certificates hold", 'Secret default/nebula-certs, host.crt']],
  },
  {
    what: 'a host without a backend',
    breaks: outside(
      ({ answers }) => Object.assign(answers, { 'shop.talos00': 503 }),
      ({ answers }) => delete answers['shop.talos00'],
    ),
    found: [[ingress, 'shop.talos00']],
  },
  {
    what: 'a host that the ingress does not know',
    breaks: outside(
      ({ answers }) => Object.assign(answers, { 'login.talos00': 404 }),
      ({ answers }) => delete answers['login.talos00'],
    ),
    found: [[ingress, 'login.talos00']],
  },
]
