import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import type { Flags } from '../../lib/migration/migration.ts'
import { type BareCluster, startBareCluster, until } from './bare-cluster.ts'
import { type Drained, DrainGround, makeNode } from './draining.ts'
import { punctualPods } from './punctual-pods.ts'

/** Each behaviour that kubectl documents, on two nodes with the same workloads: one drained by us, one by kubectl. */
const test = anyTest as TestFn
const home = 'another-home'
let cluster: BareCluster

test.before(async () => {
  // The garbage collector would end a pod whose DaemonSet is gone within a second.
  const controllers = '*,-garbage-collector-controller'
  cluster = await startBareCluster({ pods: true, stages: punctualPods, controllers })
  await makeNode(cluster.api, home)
})

test.after.always(() => cluster?.stop())

interface Expectation {
  flags?: Flags
  done: boolean
  left: string[]
  says?: RegExp
  kubectlSays?: RegExp
  /** what its documentation says of kubectl where it differs from us */
  kubectl?: { done: boolean; left: string[] }
}

let count = 0

/** Sets the stage on both nodes, drains both, and compares each with what is documented. */
async function bothDrain(
  t: ExecutionContext,
  set: (ground: DrainGround) => Promise<void>,
  expected: Expectation,
  otherHomes: readonly string[] = [],
): Promise<void> {
  const name = `case-${++count}`
  const { api, kubeconfig } = cluster
  const [ours, theirs] = await Promise.all([
    DrainGround.make(api, `${name}-ours`, otherHomes),
    DrainGround.make(api, `${name}-kubectl`, otherHomes),
  ])
  await Promise.all([set(ours), set(theirs)])
  const [we, kubectl] = await Promise.all([ours.ours(expected.flags), theirs.kubectls(kubeconfig, expected.flags)])
  verify(t, 'ours', we, expected, expected.says)
  if (kubectl) verify(t, 'kubectl', kubectl, expected.kubectl ?? expected, expected.kubectlSays)
  else t.log('kubectl is not on this machine: not compared')
}

function verify(
  t: ExecutionContext,
  who: string,
  { done, left, said }: Drained,
  expected: { done: boolean; left: string[] },
  says: RegExp | undefined,
) {
  t.deepEqual({ who, done, left }, { who, done: expected.done, left: expected.left }, said)
  if (says) t.regex(said, says, who)
}

test.serial('pods of ReplicaSets, Deployments, StatefulSets and Jobs are evicted', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'web', 2)
      await ground.workload('ReplicaSet', 'bare', 1)
      await ground.workload('StatefulSet', 'db', 2)
      await ground.api.create(`/apis/batch/v1/namespaces/${ground.namespace}/jobs`, {
        metadata: { name: 'job' },
        spec: { template: ground.template('job', { restartPolicy: 'Never' }) },
      })
      await ground.running(6)
    },
    { done: true, left: [] },
  ),
)

test.serial('pods of DaemonSets and mirror pods stay, with --force too', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('DaemonSet', 'agent', 1)
      const { uid } = (await ground.api.get(`/api/v1/nodes/${ground.node}`)).metadata
      const owner = { apiVersion: 'v1', kind: 'Node', name: ground.node, uid, controller: true }
      const annotations = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' }
      await ground.pod('static', { metadata: { annotations, ownerReferences: [owner] } })
      await ground.running(2)
    },
    { flags: { force: true }, done: true, left: ['agent', 'static'] },
  ),
)

const orphanOfDaemonSet = async (ground: DrainGround) => {
  const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'gone', uid: 'a-uid', controller: true }
  await ground.pod('orphan', { metadata: { ownerReferences: [owner] } })
  await ground.workload('Deployment', 'web', 1)
  await ground.running(2)
}

test.serial('a pod whose DaemonSet is gone stops the drain before anything is evicted', (t) =>
  bothDrain(t, orphanOfDaemonSet, {
    done: false,
    left: ['orphan', 'web'],
    says: /orphan: its DaemonSet .*gone is gone/,
    kubectlSays: /daemonsets.apps "gone" not found/,
  }),
)

test.serial('with --force a pod whose DaemonSet is gone is evicted', (t) =>
  bothDrain(t, orphanOfDaemonSet, { flags: { force: true }, done: true, left: [] }),
)

const unmanaged = async (ground: DrainGround) => {
  await ground.pod('lonely')
  await ground.workload('Deployment', 'web', 1)
  await ground.running(2)
}

test.serial('a pod that no controller would bring back stops the drain before anything is evicted', (t) =>
  bothDrain(t, unmanaged, {
    done: false,
    left: ['lonely', 'web'],
    says: /lonely: no controller would bring Pod .* back[\s\S]*-- --force/,
    kubectlSays: /declare no controller.*lonely/,
  }),
)

test.serial('with --force a pod that no controller would bring back is evicted', (t) =>
  bothDrain(t, unmanaged, { flags: { force: true }, done: true, left: [] }),
)

const withScratch = async (ground: DrainGround) => {
  await ground.workload('Deployment', 'cache', 1, {
    spec: { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] },
  })
  await ground.workload('Deployment', 'scratch', 1, { spec: { volumes: [{ name: 'v', emptyDir: {} }] } })
  await ground.running(2)
}

test.serial('emptyDir data, on the disk or in memory, is not deleted untold', (t) =>
  bothDrain(t, withScratch, {
    done: false,
    left: ['cache', 'scratch'],
    says: /scratch.*emptyDir data that would be deleted[\s\S]*-- --delete-emptydir-data/,
    kubectlSays: /local storage/,
  }),
)

test.serial('with --delete-emptydir-data pods with emptyDir volumes are evicted', (t) =>
  bothDrain(t, withScratch, { flags: { 'delete-emptydir-data': true }, done: true, left: [] }),
)

test.serial('finished pods are removed untold, whatever they hold and whoever made them', (t) =>
  bothDrain(
    t,
    async (ground) => {
      const labels = { completes: 'yes' }
      await ground.pod('finished', { metadata: { labels }, spec: { volumes: [{ name: 'v', emptyDir: {} }] } })
      await ground.running(1)
    },
    { done: true, left: [] },
  ),
)

test.serial('a budget that allows no disruption holds its pod until the timeout, and the others go', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'db', 1)
      await ground.workload('Deployment', 'web', 1)
      await ground.running(2)
      await ground.budget('keep', 'db', { minAvailable: 1 })
    },
    {
      flags: { timeout: '3s' },
      done: false,
      left: ['db'],
      says: /db-\S+:\s+budget keep needs 1 healthy, has 1/,
      kubectlSays: /violate the pod's disruption budget[\s\S]*global timeout/,
    },
  ),
)

test.serial('where replacements find another home, a budget lets one pod after the other go', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'db', 3)
      await ground.running(3)
      await ground.budget('one-by-one', 'db', { maxUnavailable: 1 })
    },
    { flags: { timeout: '60s' }, done: true, left: [] },
    [home],
  ),
)

test.serial('with --disable-eviction pods are deleted past their budgets', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'db', 1)
      await ground.running(1)
      await ground.budget('keep', 'db', { minAvailable: 1 })
    },
    { flags: { 'disable-eviction': true }, done: true, left: [] },
  ),
)

test.serial('a pod with two budgets is never evicted; kubectl gives up at once, we ask until the timeout', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'db', 1)
      await ground.running(1)
      for (const name of ['first', 'second']) await ground.budget(name, 'db', { maxUnavailable: 1 })
    },
    {
      flags: { timeout: '2s' },
      done: false,
      left: ['db'],
      says: /more than one PodDisruptionBudget/,
      kubectlSays: /more than one PodDisruptionBudget/,
    },
  ),
)

for (const [policy, left] of [
  ['AlwaysAllow', []],
  ['IfHealthyBudget', ['db']],
] as const) {
  test.serial(`a pod that is not ready, under a budget whose unhealthyPodEvictionPolicy is ${policy}`, (t) =>
    bothDrain(
      t,
      async (ground) => {
        await ground.workload('Deployment', 'db', 1, { labels: { unready: 'yes' } })
        await ground.running(1)
        await ground.budget('keep', 'db', { minAvailable: 1, unhealthyPodEvictionPolicy: policy })
      },
      { flags: { timeout: '2s' }, done: left.length === 0, left: [...left] },
    ),
  )
}

test.serial('--timeout ends a drain that waits for a pod that does not end', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'stuck', 1, { labels: { lingers: 'yes' } })
      await ground.workload('Deployment', 'web', 1)
      await ground.running(2)
    },
    { flags: { timeout: '4s' }, done: false, left: ['stuck'], says: /stuck-.*overdue since.*c still runs/ },
  ),
)

test.serial('--grace-period takes the place of the pods’ own, also for pods that are ending already', async (t) => {
  const stage = async (ground: DrainGround) => {
    const labels = { lingers: 'yes' }
    await ground.workload('Deployment', 'slow', 1, { labels, spec: { terminationGracePeriodSeconds: 600 } })
    await ground.workload('ReplicaSet', 'ending', 1, { labels, spec: { terminationGracePeriodSeconds: 600 } })
    await ground.running(2)
    const ending = (await ground.pods()).find((pod) => pod.metadata.labels?.app === 'ending')
    await ground.api.remove(`/api/v1/namespaces/${ground.namespace}/pods/${ending?.metadata.name}`)
    await until('its replacement runs', async () => (await ground.left()).length === 3)
  }
  const left = ['ending', 'ending', 'slow']
  await bothDrain(t, stage, { flags: { 'grace-period': '7', timeout: '2s' }, done: false, left })
  for (const side of ['ours', 'kubectl']) {
    const pods = await cluster.api.list(`/api/v1/namespaces/on-case-${count}-${side}/pods`, {
      fieldSelector: `spec.nodeName=case-${count}-${side}`,
    })
    const graces = pods.map((pod) => pod.metadata.deletionGracePeriodSeconds)
    if (graces.some((grace) => grace !== undefined)) t.deepEqual(graces, [7, 7, 7], side)
  }
})

test.serial('--skip-wait-for-delete-timeout does not wait for a pod whose end is overdue for longer', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('ReplicaSet', 'dead', 1, { labels: { lingers: 'yes' } })
      await ground.workload('Deployment', 'web', 1)
      await ground.running(2)
      const dead = (await ground.pods()).find((pod) => pod.metadata.labels?.app === 'dead')
      await ground.api.mergePatch(`/apis/apps/v1/namespaces/${ground.namespace}/replicasets/dead`, {
        spec: { replicas: 0 },
      })
      await until('its end is overdue', async () => {
        const pod = await ground.api.get(`/api/v1/namespaces/${ground.namespace}/pods/${dead?.metadata.name}`)
        return Date.now() - Date.parse(pod.metadata.deletionTimestamp ?? '') > 2500
      })
    },
    { flags: { 'skip-wait-for-delete-timeout': '1', timeout: '20s' }, done: true, left: ['dead'] },
  ),
)

test.serial('--pod-selector takes the pods with these labels alone', (t) =>
  bothDrain(
    t,
    async (ground) => {
      for (const app of ['web', 'db', 'queue']) await ground.workload('Deployment', app, 1)
      await ground.pod('lonely')
      await ground.running(4)
    },
    { flags: { 'pod-selector': 'app in (web,queue)' }, done: true, left: ['db', 'lonely'] },
  ),
)

test.serial('pods in a namespace that is ending are waited for', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'web', 1, { spec: { terminationGracePeriodSeconds: 3 } })
      await ground.running(1)
      await ground.api.remove(`/api/v1/namespaces/${ground.namespace}`)
    },
    { flags: { timeout: '60s' }, done: true, left: [] },
  ),
)

test.serial('a StatefulSet’s replacement of the same name on another node is not waited for', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('StatefulSet', 'db', 1)
      await ground.running(1)
      if (!(await ground.left()).includes('db')) throw new Error('it runs elsewhere')
    },
    { flags: { timeout: '60s' }, done: true, left: [] },
  ),
)

test.serial('a node that is cordoned already is drained', (t) =>
  bothDrain(
    t,
    async (ground) => {
      await ground.workload('Deployment', 'web', 1)
      await ground.running(1)
      await ground.api.mergePatch(`/api/v1/nodes/${ground.node}`, { spec: { unschedulable: true } })
    },
    { done: true, left: [] },
  ),
)
