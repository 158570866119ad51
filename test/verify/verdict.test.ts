import { join } from 'node:path'
import test from 'ava'
import { beforeAndAfter } from '../../lib/verify/figures.ts'
import { keepPreflight, keepVerdict, listsOf, readPreflight, readVerdict } from '../../lib/verify/verdict.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'
import { emptyState as empty } from './states.ts'

const finding = (subject: string, evidence = 'not ready') => ({
  ...{ check: 'Workloads are ready', subject, evidence, wayOut: 'kubectl describe' },
  severity: 'error' as const,
})

const nothing = {
  ...{ newlyBroken: [], brokenBefore: [], healed: [], warnings: [], announced: [] },
  ...{ fine: [], appeared: ['Deployment a/new'], notChecked: [] },
}

test('what verify has found is kept in the run, without what looks like a credential', async (t) => {
  const folder = newFolder()
  const result = { ...nothing, newlyBroken: [finding('Deployment a/b', 'token: abcdefghijkl')], now: empty }
  await runIn(folder, 'backup', (migration) => keepVerdict(migration, result))
  const kept = await readVerdict(join(folder, 'output', 'current'))
  t.deepEqual(
    kept?.newlyBroken.map(({ subject, evidence }) => [subject, evidence]),
    [['Deployment a/b', 'token: [redacted]']],
  )
  t.deepEqual(kept?.now, empty)
  t.deepEqual(kept && listsOf(kept).map(({ title, bad, findings }) => [title, bad, findings.length]), [
    ['Newly broken', true, 1],
    ['New, but no error', false, 0],
    ['Lost, as was announced', false, 0],
    ['Broken before too', false, 0],
    ['Healed since the backup', false, 0],
    ['Appeared since the backup', false, 1],
  ])
})

test('what preflight has found is kept by severity; a check that could not look is not called fine', async (t) => {
  const folder = newFolder()
  const results = [
    {
      name: 'Nodes are ready',
      findings: [finding('Node a'), { ...finding('Node b'), severity: 'warning' as const }],
      seconds: 1,
    },
    { name: 'etcd is healthy', findings: [], seconds: 1 },
    { name: 'Flux is ready', findings: [], seconds: 1, notChecked: 'there is no kubeconfig' },
  ]
  await runIn(folder, 'backup', (migration) => keepPreflight(migration, results))
  const kept = await readPreflight(join(folder, 'output', 'current'))
  t.deepEqual([kept?.errors.length, kept?.warnings.length, kept?.fine], [1, 1, ['etcd is healthy']])
})

test('a run that was not verified has no verdict', async (t) => {
  t.is(await readVerdict(newFolder()), null)
})

test('the cluster is told in numbers before and after, as far as they are known', (t) => {
  const node = { key: 'Node a', ready: true, schedulable: true, virtual: false, kubelet: 'v1.34.0' }
  const rows = beforeAndAfter(
    { ...empty, nodes: [node, { ...node, key: 'Node b' }] },
    { ...empty, nodes: [node, { ...node, ready: false }] },
  )
  t.deepEqual(rows[0], { what: 'Nodes ready', before: '2 of 2', after: '1 of 2' })
  t.deepEqual(beforeAndAfter(null, null), [])
  t.is(beforeAndAfter(empty, null)[0]?.after, '')
})
