import test from 'ava'
import { predictBlockers } from '../../lib/kubernetes/disruption.ts'
import type { Pod, PodDisruptionBudget } from '../../lib/kubernetes/kinds.ts'

let count = 0
function pod(node: string, state: { ready?: boolean; phase?: string; labels?: Record<string, string> } = {}): Pod {
  count++
  const { ready = true, phase = 'Running', labels = { app: 'db' } } = state
  return {
    metadata: { name: `pod-${count}`, namespace: 'ns', uid: `uid-${count}`, labels },
    spec: { nodeName: node },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }
}

function budget(
  status: PodDisruptionBudget['status'],
  spec: Partial<PodDisruptionBudget['spec']> = {},
): PodDisruptionBudget {
  return {
    metadata: { name: 'db', namespace: 'ns' },
    spec: { selector: { matchLabels: { app: 'db' } }, minAvailable: 1, ...spec },
    ...(status ? { status } : {}),
  }
}

test('on the only home a budget blocks although it allows a disruption now, for no replacement can start', (t) => {
  const pods = [pod('talos00'), pod('talos00')]
  const two = budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 })
  const blockers = predictBlockers([two], pods, pods, { onlyHome: true })
  t.is(blockers.length, 1)
  t.true(blockers[0]?.hopeless)
  t.is(blockers[0]?.pods.length, 2)
  t.deepEqual(predictBlockers([two], pods, pods, { onlyHome: false }), [])
})

test('on the only home a budget whose demand is met on other nodes does not block', (t) => {
  const here = [pod('talos00')]
  const all = [...here, pod('worker')]
  const one = budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 })
  t.deepEqual(predictBlockers([one], here, all, { onlyHome: true }), [])
})

test('a budget that demands nothing does not block', (t) => {
  const pods = [pod('talos00')]
  t.deepEqual(predictBlockers([budget({ desiredHealthy: 0 })], pods, pods, { onlyHome: true }), [])
})

test('with another home a budget that allows no disruption is named, and may come right by waiting', (t) => {
  const pods = [pod('talos00')]
  const full = budget({ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 })
  const [blocker] = predictBlockers([full], pods, pods, { onlyHome: false })
  t.is(blocker?.budget, 'ns/db')
  t.false(blocker?.hopeless)
})

test('pods that are pending or finished are evicted whatever their budget says', (t) => {
  const pods = [pod('talos00', { phase: 'Pending', ready: false }), pod('talos00', { phase: 'Failed', ready: false })]
  t.deepEqual(predictBlockers([budget({ desiredHealthy: 1 })], pods, pods, { onlyHome: true }), [])
})

test('an unready pod is evicted if its budget always allows that', (t) => {
  const pods = [pod('talos00', { ready: false })]
  const status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1, expectedPods: 1 }
  const always = budget(status, { unhealthyPodEvictionPolicy: 'AlwaysAllow' })
  t.deepEqual(predictBlockers([always], pods, pods, { onlyHome: true }), [])
  t.is(predictBlockers([budget(status)], pods, pods, { onlyHome: true }).length, 1)
})

test('a pod with two budgets is named, for the API server refuses it for ever, other homes or not', (t) => {
  const pods = [pod('talos00')]
  const loose = budget({ disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 0, expectedPods: 1 })
  const second = { ...loose, metadata: { name: 'also', namespace: 'ns' } }
  const [blocker] = predictBlockers([loose, second], pods, pods, { onlyHome: false })
  t.is(blocker?.budget, 'ns/db and ns/also')
  t.true(blocker?.hopeless)
})

test('a budget of another namespace, or with no selector, guards nothing', (t) => {
  const pods = [pod('talos00')]
  const status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 9, expectedPods: 9 }
  const elsewhere = { ...budget(status), metadata: { name: 'db', namespace: 'other' } }
  const { selector: _, ...spec } = budget(status).spec
  t.deepEqual(predictBlockers([elsewhere, { ...budget(status), spec }], pods, pods, { onlyHome: true }), [])
})

test('an empty selector guards every pod of its namespace, as policy/v1 has it', (t) => {
  const pods = [pod('talos00', { labels: { any: 'thing' } })]
  const all = budget({ desiredHealthy: 1 }, { selector: {} })
  t.is(predictBlockers([all], pods, pods, { onlyHome: true }).length, 1)
})
