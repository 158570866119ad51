import test from 'ava'
import { type Blocker, predictBlockers } from '../../lib/kubernetes/disruption.ts'
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

/** On the only home nobody's replacement finds a place; else everybody's does. */
function predict(
  budgets: PodDisruptionBudget[],
  leaving: Pod[],
  all: Pod[],
  { onlyHome }: { onlyHome: boolean },
): Blocker[] {
  const stranded = new Set(onlyHome ? leaving : [])
  return predictBlockers(budgets, { leaving, all, stranded, describeWorkload: () => 'Deployment ns/db (2 replicas)' })
}

test('on the only home a budget blocks although it allows a disruption now, for no replacement can start', (t) => {
  const pods = [pod('talos00'), pod('talos00')]
  const two = budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 })
  const blockers = predict([two], pods, pods, { onlyHome: true })
  t.is(blockers.length, 1)
  t.true(blockers[0]?.hopeless)
  t.is(blockers[0]?.pods.length, 2)
  t.deepEqual(predict([two], pods, pods, { onlyHome: false }), [])
})

test('on the only home a budget whose demand is met on other nodes does not block', (t) => {
  const here = [pod('talos00')]
  const all = [...here, pod('worker')]
  const one = budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 })
  t.deepEqual(predict([one], here, all, { onlyHome: true }), [])
})

test('a budget that demands nothing does not block', (t) => {
  const pods = [pod('talos00')]
  const free = budget({ disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 0, expectedPods: 1 })
  t.deepEqual(predict([free], pods, pods, { onlyHome: true }), [])
})

test('with another home a budget that allows no disruption is named, and may come right by waiting', (t) => {
  const pods = [pod('talos00')]
  const full = budget({ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 2 })
  const [blocker] = predict([full], pods, pods, { onlyHome: false })
  t.is(blocker?.budget, 'ns/db')
  t.false(blocker?.hopeless)
})

test('pods that are pending or finished are evicted whatever their budget says', (t) => {
  const pods = [pod('talos00', { phase: 'Pending', ready: false }), pod('talos00', { phase: 'Failed', ready: false })]
  t.deepEqual(predict([budget({ desiredHealthy: 1 })], pods, pods, { onlyHome: true }), [])
})

test('an unready pod is evicted if its budget always allows that', (t) => {
  const pods = [pod('talos00', { ready: false })]
  const status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1, expectedPods: 1 }
  const always = budget(status, { unhealthyPodEvictionPolicy: 'AlwaysAllow' })
  t.deepEqual(predict([always], pods, pods, { onlyHome: true }), [])
  t.is(predict([budget(status)], pods, pods, { onlyHome: true }).length, 1)
})

test('a pod with two budgets is named, for the API server refuses it for ever, other homes or not', (t) => {
  const pods = [pod('talos00')]
  const loose = budget({ disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 0, expectedPods: 1 })
  const second = { ...loose, metadata: { name: 'also', namespace: 'ns' } }
  const [blocker] = predict([loose, second], pods, pods, { onlyHome: false })
  t.is(blocker?.budget, 'ns/db and ns/also')
  t.true(blocker?.hopeless)
})

test('a budget of another namespace, or with no selector, guards nothing', (t) => {
  const pods = [pod('talos00')]
  const status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 9, expectedPods: 9 }
  const elsewhere = { ...budget(status), metadata: { name: 'db', namespace: 'other' } }
  const { selector: _, ...spec } = budget(status).spec
  t.deepEqual(predict([elsewhere, { ...budget(status), spec }], pods, pods, { onlyHome: true }), [])
})

test('minAvailable of all replicas allows nothing, ever: the workload is named with its replicas, and a way out', (t) => {
  const pods = [pod('talos00'), pod('worker')]
  const all = budget(
    { disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy: 2, expectedPods: 2 },
    { minAvailable: 2 },
  )
  const [blocker] = predict([all], pods.slice(0, 1), pods, { onlyHome: false })
  t.true(blocker?.hopeless)
  t.deepEqual(blocker?.workloads, ['Deployment ns/db (2 replicas)'])
  t.is(blocker?.reason, 'minAvailable 2 never lets one of 2 go')
  t.regex(blocker?.wayOut ?? '', /more replicas/)
})

test('maxUnavailable 0 allows nothing, ever', (t) => {
  const pods = [pod('talos00')]
  const none = budget({ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 })
  const strict = { ...none, spec: { selector: none.spec.selector ?? {}, maxUnavailable: 0 } }
  const [blocker] = predict([strict], pods, pods, { onlyHome: false })
  t.is(blocker?.reason, 'maxUnavailable 0 never lets one of 1 go')
  t.regex(blocker?.wayOut ?? '', /larger maxUnavailable/)
})

test('where a pod is not ready, the budget may come right by waiting, and that pod is named', (t) => {
  const pods = [pod('talos00'), pod('talos00'), pod('worker', { ready: false })]
  const hurt = budget({ disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy: 2, expectedPods: 3 })
  const [blocker] = predict([hurt], pods.slice(0, 2), pods, { onlyHome: false })
  t.false(blocker?.hopeless)
  t.regex(blocker?.reason ?? '', new RegExp(`2 of 3 pods healthy, 2 demanded; not ready: ${pods[2]?.metadata.name}`))
})

test('a budget whose status is older than its spec is told apart: the API refuses until its controller has looked', (t) => {
  const pods = [pod('talos00')]
  const edited = budget({ disruptionsAllowed: 1, currentHealthy: 1, expectedPods: 1, observedGeneration: 3 })
  edited.metadata.generation = 4
  const [blocker] = predict([edited], pods, pods, { onlyHome: false })
  t.is(blocker?.reason, 'its status is of generation 3, the budget of 4')
  t.false(blocker?.hopeless)
})

test('what would be left running elsewhere is not scaled down for the sake of a budget', (t) => {
  const here = [pod('talos00')]
  const all = [...here, pod('worker')]
  const both = budget({ disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy: 2, expectedPods: 2 })
  t.false(predict([both], here, all, { onlyHome: true })[0]?.unlessScaledDown)
  const last = budget({ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 })
  t.true(predict([last], here, here, { onlyHome: true })[0]?.unlessScaledDown)
})

test('a pod that is ending already goes, whatever its budget says', (t) => {
  const ending = pod('talos00')
  ending.metadata.deletionTimestamp = '2026-11-24T12:00:00Z'
  const full = budget({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1, expectedPods: 1 })
  t.deepEqual(predict([full], [ending], [ending], { onlyHome: true }), [])
})

test('an empty selector guards every pod of its namespace, as policy/v1 has it', (t) => {
  const pods = [pod('talos00', { labels: { any: 'thing' } })]
  const all = budget({ desiredHealthy: 1 }, { selector: {} })
  t.is(predict([all], pods, pods, { onlyHome: true }).length, 1)
})
