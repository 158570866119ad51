import test from 'ava'
import { type Baseline, baselineSchema } from '../../lib/verify/baseline.ts'
import { compare, isConverging, type NamedFinding } from '../../lib/verify/comparison.ts'
import { emptyState } from './states.ts'

const healthy: Baseline = {
  ...emptyState,
  nodes: [{ key: 'Node talos00', ready: true, schedulable: true, virtual: false, kubelet: 'v1.34.0' }],
  workloads: [
    { key: 'Deployment media/plex', wanted: 1, ready: 1, observed: true },
    { key: 'StatefulSet databases/postgres', wanted: 1, ready: 1, observed: true },
    { key: 'DaemonSet kube-system/proxy', wanted: 1, ready: 1, observed: true },
  ],
  pods: [{ owner: 'Deployment media/plex', total: 1, ready: 1, restarts: 0, restarting: [], notReady: [] }],
  cronJobs: [{ key: 'CronJob backups/restic', suspended: false }],
  volumes: [{ key: 'PersistentVolume pv-1', phase: 'Bound', storageClass: 'local-path', claim: 'media/config' }],
  claims: [{ key: 'PersistentVolumeClaim media/config', phase: 'Bound', storageClass: 'local-path', size: '1Gi' }],
  flux: [
    { key: 'Kustomization flux-system/apps', ready: 'True', message: 'Applied', suspended: false, observed: true },
  ],
  applications: [{ key: 'Application argocd/media', automated: true, sync: 'Synced', health: 'Healthy', message: '' }],
  externalSecrets: [{ key: 'ExternalSecret media/token', ready: 'True', message: 'synced' }],
}

const names = (findings: readonly NamedFinding[]) => findings.map(({ check, subject }) => `${check}: ${subject}`)

/** The first of a list, otherwise. */
function changed<
  K extends keyof Baseline &
    ('nodes' | 'workloads' | 'flux' | 'applications' | 'claims' | 'volumes' | 'cronJobs' | 'externalSecrets'),
>(list: K, change: Partial<Baseline[K][number]>): Baseline {
  const [first, ...rest] = healthy[list]
  return { ...healthy, [list]: [{ ...first, ...change }, ...rest] }
}

test('a baseline survives being written and read', (t) => {
  t.deepEqual(baselineSchema.parse(JSON.parse(JSON.stringify(healthy))), healthy)
})

test('a cluster that is as it was has nothing in any list but the one of what is fine', (t) => {
  const { newlyBroken, brokenBefore, healed, warnings, fine } = compare(healthy, healthy)
  t.deepEqual([newlyBroken, brokenBefore, healed, warnings], [[], [], [], []])
  t.true(fine.length > 10)
})

test('what is broken now and was not is newly broken', (t) => {
  const now = changed('workloads', { ready: 0 })
  const { newlyBroken, brokenBefore, fine } = compare(healthy, now)
  t.deepEqual(names(newlyBroken), ['Workloads are ready: Deployment media/plex'])
  t.deepEqual(brokenBefore, [])
  t.false(fine.includes('Workloads are ready'))
})

test('what was broken before is told apart, whatever its evidence says now', (t) => {
  const before = changed('flux', { ready: 'False', message: 'cannot clone' })
  const now = changed('flux', { ready: 'False', message: 'timeout' })
  const { newlyBroken, brokenBefore } = compare(before, now)
  t.deepEqual(newlyBroken, [])
  t.deepEqual(names(brokenBefore), ['Flux has reconciled: Kustomization flux-system/apps'])
})

test('what was broken before and is not any more is healed', (t) => {
  const { healed, brokenBefore } = compare(changed('claims', { phase: 'Pending' }), healthy)
  t.deepEqual(names(healed), ['PersistentVolumeClaims are bound: PersistentVolumeClaim media/config'])
  t.deepEqual(brokenBefore, [])
})

test('what has vanished is newly broken; what has appeared is not, and is listed', (t) => {
  const without = { ...healthy, workloads: healthy.workloads.slice(1) }
  t.deepEqual(names(compare(healthy, without).newlyBroken), ['Nothing is missing: Deployment media/plex'])
  const { newlyBroken, appeared } = compare(without, healthy)
  t.deepEqual([newlyBroken, appeared], [[], ['Deployment media/plex']])
})

test('of a kind that an older baseline has not noted, nothing has appeared', (t) => {
  const now = { ...healthy, names: [{ key: 'Secret media/token' }] }
  t.deepEqual(compare(healthy, now).appeared, [])
  t.deepEqual(compare(now, { ...now, names: [...now.names, { key: 'Secret media/more' }] }).appeared, [
    'Secret media/more',
  ])
})

test('without a baseline all that is broken counts as new, and nothing as vanished or appeared', (t) => {
  const { newlyBroken, brokenBefore, appeared } = compare(null, changed('claims', { phase: 'Pending' }))
  t.deepEqual(names(newlyBroken), ['PersistentVolumeClaims are bound: PersistentVolumeClaim media/config'])
  t.deepEqual([brokenBefore, appeared], [[], []])
})

test('what a check of the live machines finds counts as new; one that could not look is not called fine', (t) => {
  const finding = { subject: 'etcd', evidence: 'NOSPACE', severity: 'error' as const, wayOut: '' }
  const looked = [
    { name: 'etcd is healthy', findings: [finding], seconds: 1 },
    { name: 'The machine is healthy', findings: [], seconds: 1 },
    { name: "Nebula's certificates hold", findings: [], seconds: 1, notChecked: 'no nebula-cert' },
  ]
  const { newlyBroken, fine, notChecked } = compare(healthy, healthy, looked)
  t.deepEqual(names(newlyBroken), ['etcd is healthy: etcd'])
  t.deepEqual([fine.includes('The machine is healthy'), fine.includes("Nebula's certificates hold")], [true, false])
  t.deepEqual(notChecked, [{ name: "Nebula's certificates hold", why: 'no nebula-cert' }])
})

const forgotten: [string, Baseline, string][] = [
  [
    'a workload at zero',
    changed('workloads', { wanted: 0, ready: 0 }),
    'Replica counts are as before: Deployment media/plex',
  ],
  ['a cordoned node', changed('nodes', { schedulable: false }), 'Nodes are schedulable: Node talos00'],
  [
    'a suspended CronJob',
    changed('cronJobs', { suspended: true }),
    'CronJobs are suspended only where they were: CronJob backups/restic',
  ],
  [
    'a suspended Kustomization',
    changed('flux', { suspended: true }),
    'Flux is suspended only where it was: Kustomization flux-system/apps',
  ],
  [
    'an Application that lost its automated sync',
    changed('applications', { automated: false }),
    'Argo CD syncs by itself where it did: Application argocd/media',
  ],
]
for (const [what, now, expected] of forgotten) {
  test(`${what} that drain left behind is newly broken, and waiting does not help`, (t) => {
    const comparison = compare(healthy, now)
    t.deepEqual(names(comparison.newlyBroken), [expected])
    t.false(isConverging(comparison))
  })
}

test('what was announced as lost is no news, and only in the check that it shows in', (t) => {
  const without = { ...healthy, workloads: [] }
  const lost = compare(healthy, without, [], new Set(['object Deployment media/plex']))
  t.deepEqual(names(lost.announced), ['Nothing is missing: Deployment media/plex'])
  t.false(names(lost.newlyBroken).includes('Nothing is missing: Deployment media/plex'))
  const changes = new Set(['changes Deployment media/plex'])
  t.true(
    names(compare(healthy, without, [], changes).newlyBroken).includes('Nothing is missing: Deployment media/plex'),
  )
  const scaled = compare(healthy, changed('workloads', { wanted: 3, ready: 2 }), [], changes)
  t.deepEqual(names(scaled.announced), ['Replica counts are as before: Deployment media/plex'])
  t.deepEqual(names(scaled.newlyBroken), ['Workloads are ready: Deployment media/plex'])
})

test('a replica count that an autoscaler moved is a warning', (t) => {
  const { newlyBroken, warnings } = compare(healthy, changed('workloads', { wanted: 3, ready: 3 }))
  t.deepEqual(newlyBroken, [])
  t.deepEqual(names(warnings), ['Replica counts are as before: Deployment media/plex'])
})

test('a suspended Kustomization need not be ready', (t) => {
  const off = changed('flux', { suspended: true, ready: 'False', message: 'old trouble' })
  t.deepEqual(compare(off, off).brokenBefore, [])
})

test('a claim that got a new, empty volume is newly broken although all is bound', (t) => {
  const now = {
    ...healthy,
    volumes: [{ key: 'PersistentVolume pv-2', phase: 'Bound', storageClass: 'local-path', claim: 'media/config' }],
  }
  t.true(
    names(compare(healthy, now).newlyBroken).includes(
      'Claims have the volumes that they had: PersistentVolumeClaim media/config',
    ),
  )
})

test('an Application that is degraded is broken even if nobody syncs it; one that is only out of sync then is a warning', (t) => {
  const manual = changed('applications', { automated: false })
  const outOfSync = changed('applications', { automated: false, sync: 'OutOfSync' })
  const degraded = changed('applications', { automated: false, health: 'Degraded' })
  t.deepEqual(names(compare(manual, outOfSync).warnings), ['Argo CD has synced: Application argocd/media'])
  t.deepEqual(names(compare(manual, degraded).newlyBroken), ['Argo CD has synced: Application argocd/media'])
})

test('what is still coming up is waited for', (t) => {
  t.true(isConverging(compare(healthy, changed('workloads', { ready: 0 }))))
  t.true(isConverging(compare(healthy, changed('flux', { ready: 'Unknown', message: 'Progressing' }))))
  t.true(isConverging(compare(healthy, changed('externalSecrets', { ready: 'False', message: 'no answer' }))))
})

test('a warning alone is not waited for', (t) => {
  const finding = { subject: 'x', evidence: 'HTTP 503', severity: 'warning' as const, wayOut: '', converging: true }
  t.false(isConverging(compare(healthy, healthy, [{ name: 'Ingress', findings: [finding], seconds: 1 }])))
})

const answers = (status: number | null) => ({ ...healthy, ingress: [{ host: 'a.talos00', status, saw: 'x' }] })

test('a host that was served and is not is newly broken; one that never was, was broken before', (t) => {
  t.deepEqual(names(compare(answers(302), answers(503)).newlyBroken), ['Ingress answers by Host header: a.talos00'])
  const { newlyBroken, brokenBefore } = compare(answers(null), answers(404))
  t.deepEqual([newlyBroken, names(brokenBefore)], [[], ['Ingress answers by Host header: a.talos00']])
})

test('without answers from before, a host that is silent is a warning', (t) => {
  const { newlyBroken, warnings } = compare(healthy, answers(null))
  t.deepEqual([newlyBroken, names(warnings)], [[], ['Ingress answers by Host header: a.talos00']])
})
