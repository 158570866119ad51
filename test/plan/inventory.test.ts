import test from 'ava'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { countObjects, takeInventory } from '../../lib/plan/inventory.ts'
import { questionsAreAnswered } from '../../lib/plan/preflight.ts'
import { LiveContext } from '../../lib/verify/preflight/context.ts'
import { type BareCluster, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

let cluster: BareCluster

test.before(async () => {
  cluster = await startBareCluster()
})

test.after.always(() => cluster?.stop())

test.serial(
  'the objects that are counted are those that can be listed, also those that were made a moment ago',
  async (t) => {
    const { api } = cluster
    const before = await countObjects(api, await discover(api))
    for (let i = 0; i < 25; i++)
      await api.create('/api/v1/namespaces/default/configmaps', { metadata: { name: `counted-${i}` } })
    const after = await countObjects(api, await discover(api))
    t.true(after >= before + 25, `${before}, then ${after}`)
    const lists = await Promise.all((await discover(api)).resources.map(({ path }) => api.list(path)))
    // The API server itself makes a lease or two meanwhile.
    t.true(Math.abs(after - lists.flat().length) <= 5, `${after}, listed ${lists.flat().length}`)
  },
)

test.serial('pods with an emptyDir on the node are found, and those of another node are not', async (t) => {
  const { api } = cluster
  const pod = (name: string, nodeName: string, volume: object) => ({
    metadata: { name },
    spec: { nodeName, automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }], volumes: [volume] },
  })
  const scratch = { name: 'cache', emptyDir: {} }
  const pods = [
    pod('here', 'talos00', scratch),
    pod('there', 'talos01', scratch),
    pod('none', 'talos00', { name: 'file', hostPath: { path: '/x' } }),
  ]
  await api
    .create('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
    .catch(() => undefined)
  for (const each of pods) await api.create('/api/v1/namespaces/default/pods', each)
  const found = await takeInventory(api, testMigration().migration.settings, systemClock, new Set())
  t.deepEqual(found.scratch, ['default/here'])
  t.false(found.liqo)
})

test.serial('preflight names each question of the runbook that nobody has answered', async (t) => {
  const asked = async (more: Record<string, string>) => {
    const { settings } = testMigration({ KUBECONFIG: cluster.kubeconfig, ...more }).migration
    const context = new LiveContext(settings, new Date())
    const findings = await questionsAreAnswered.run(context)
    await context.close()
    return findings.map(({ subject, severity }) => `${severity}: ${subject}`)
  }
  t.deepEqual(await asked({}), ['error: What new hardware?', 'error: Timing constraints? (Maintenance window)'])
  t.deepEqual(await asked({ NEW_HARDWARE: 'a board', MAINTENANCE_WINDOW: '22:00-02:00' }), [])
})
