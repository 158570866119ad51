import test from 'ava'
import { findStranded, type Surroundings } from '../../../lib/kubernetes/homes/homes.ts'
import type { Affinity, Node, Pod, PodSpec } from '../../../lib/kubernetes/kinds.ts'

const emptied = new Set(['talos00'])

function node(name: string, more: { labels?: Record<string, string>; spec?: Node['spec']; cpu?: string } = {}): Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...more.labels } },
    spec: more.spec ?? {},
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      allocatable: { cpu: more.cpu ?? '4', memory: '8Gi', pods: '110' },
    },
  }
}

function pod(name: string, spec: PodSpec = {}, labels: Record<string, string> = {}): Pod {
  return {
    metadata: { name, namespace: 'ns', uid: name, labels },
    spec: { nodeName: 'talos00', ...spec },
    status: { phase: 'Running' },
  }
}

function whyStranded(leaving: Pod[], nodes: Node[], more: Partial<Surroundings> = {}): Record<string, string> {
  const around = { nodes: [node('talos00'), ...nodes], pods: leaving, claims: [], volumes: [], namespaces: [], ...more }
  return Object.fromEntries(
    findStranded(leaving, emptied, around).map(({ pod: each, why }) => [each.metadata.name, why]),
  )
}

const asking = (cpu: string): PodSpec => ({ containers: [{ name: 'c', resources: { requests: { cpu } } }] })

test('a pod without wishes finds another node', (t) => {
  t.deepEqual(whyStranded([pod('web')], [node('worker')]), {})
})

test('on a cluster of one node there is no other home', (t) => {
  t.deepEqual(whyStranded([pod('web')], []), { web: 'there is no other node' })
})

test('a node that is cordoned, not ready or tainted is no home, and says so', (t) => {
  const deaf = node('deaf')
  const silent = { ...deaf, status: { ...deaf.status, conditions: [{ type: 'Ready', status: 'Unknown' }] } }
  const cordoned = node('cordoned', { spec: { unschedulable: true } })
  const tainted = node('gpu-1', { spec: { taints: [{ key: 'gpu', value: 'true', effect: 'NoSchedule' }] } })
  t.is(
    whyStranded([pod('web')], [silent, cordoned, tainted]).web,
    'deaf: not ready; cordoned: cordoned; gpu-1: taint gpu=true:NoSchedule',
  )
  const tolerant = pod('cuda', { tolerations: [{ key: 'gpu', operator: 'Exists' }] })
  t.deepEqual(whyStranded([tolerant], [tainted]), {})
})

test('a nodeSelector, or required node affinity, that only this node meets keeps the pod here', (t) => {
  const pinned = pod('db', { nodeSelector: { 'kubernetes.io/hostname': 'talos00' } })
  const terms = [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['nvme'] }] }]
  const required = { nodeSelectorTerms: terms }
  const choosy = pod('fast', {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
  })
  const found = whyStranded([pinned, choosy], [node('worker')])
  t.deepEqual(Object.keys(found), ['db', 'fast'])
  t.regex(found.db ?? '', /nodeSelector or node affinity/)
  t.deepEqual(whyStranded([choosy], [node('worker', { labels: { disk: 'nvme' } })]), {})
})

test('a local volume keeps its pod at the node whose disk it lies on', (t) => {
  const claim = {
    metadata: { name: 'data', namespace: 'ns' },
    spec: { volumeName: 'pvc-1' },
  }
  const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['talos00'] }] }]
  const volume = { metadata: { name: 'pvc-1' }, spec: { nodeAffinity: { required: { nodeSelectorTerms: terms } } } }
  const db = pod('db', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] })
  const found = whyStranded([db], [node('worker')], { claims: [claim], volumes: [volume] })
  t.is(found.db, 'worker: its volume pvc-1 is not there')
})

test('pods that fit one by one and not together are found, the smallest of them', (t) => {
  const pods = [pod('small', asking('1500m')), pod('large', asking('3'))]
  const found = whyStranded(pods, [node('worker', { cpu: '4' })])
  t.deepEqual(found, { small: 'worker: cpu: 1.5 asked, 1 left' })
})

test('what runs on the other node already takes its room', (t) => {
  const there = pod('busy', { ...asking('3'), nodeName: 'worker' })
  const web = pod('web', asking('2'))
  t.deepEqual(whyStranded([web], [node('worker')], { pods: [web, there] }), { web: 'worker: cpu: 2 asked, 1 left' })
})

const term = { labelSelector: { matchLabels: { app: 'db' } }, topologyKey: 'kubernetes.io/hostname' }
const apart: Affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } }

test('anti-affinity to a replica on the other node keeps a pod off it, in both directions', (t) => {
  const sibling = pod('db-1', { nodeName: 'worker', affinity: apart }, { app: 'db' })
  const db = pod('db-0', { affinity: apart }, { app: 'db' })
  t.is(whyStranded([db], [node('worker')], { pods: [db, sibling] })['db-0'], 'worker: anti-affinity to ns/db-1')
  const plain = pod('db-2', {}, { app: 'db' })
  t.is(whyStranded([plain], [node('worker')], { pods: [plain, sibling] })['db-2'], 'worker: anti-affinity to ns/db-1')
})

test('of two that may not be together and one other node, one is stranded', (t) => {
  const pods = ['db-0', 'db-1'].map((name) => pod(name, { affinity: apart }, { app: 'db' }))
  t.deepEqual(Object.keys(whyStranded(pods, [node('worker')])), ['db-1'])
})

test('affinity to pods that are elsewhere keeps a pod off; the first of its own group may go anywhere', (t) => {
  const together: Affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } }
  const web = pod('web', { affinity: together })
  const daemon = pod('agent', { nodeName: 'talos00' }, { app: 'db' })
  t.regex(whyStranded([web], [node('worker')], { pods: [web, daemon] }).web ?? '', /affinity asks for are not there/)
  t.deepEqual(whyStranded([pod('first', { affinity: together }, { app: 'db' })], [node('worker')]), {})
})

test('a strict topology spread counts the cordoned node as empty, so the other takes no more than the skew', (t) => {
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: { matchLabels: { app: 'web' } },
  }
  const [here, there] = ['talos00', 'worker'].map((nodeName) =>
    pod(`web-${nodeName}`, { nodeName, topologySpreadConstraints: [spread] }, { app: 'web' }),
  ) as [Pod, Pod]
  t.is(
    whyStranded([here], [node('worker')], { pods: [here, there] })['web-talos00'],
    'worker: topology spread over kubernetes.io/hostname',
  )
})

test('a virtual node of Liqo is a home for pods of offloaded namespaces alone', (t) => {
  const taints = [{ key: 'virtual-node.liqo.io/not-allowed', value: 'true', effect: 'NoExecute' }]
  const virtual = node('aws', { labels: { 'liqo.io/type': 'virtual-node' }, spec: { taints } })
  t.regex(whyStranded([pod('web')], [virtual]).web ?? '', /^aws: another cluster \(Liqo\)/)
  const namespaces = [{ metadata: { name: 'ns', labels: { 'liqo.io/scheduling-enabled': 'true' } } }]
  t.deepEqual(whyStranded([pod('web')], [virtual], { namespaces }), {})
})
