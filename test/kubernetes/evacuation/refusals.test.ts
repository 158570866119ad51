import test from 'ava'
import type { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { bringBack, evacuate } from '../../../lib/kubernetes/evacuation/evacuate.ts'
import { nameFor } from '../../../lib/kubernetes/evacuation/job.ts'
import { refuseLoss, refuseUndecided } from '../../../lib/kubernetes/evacuation/loss.ts'
import { matchesClaim, readVolumes } from '../../../lib/kubernetes/volumes.ts'
import type { OperatorError } from '../../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster } from '../bare-cluster.ts'
import { testMigration } from '../test-migration.ts'
import { makeVolumes, prepareNode } from './small-homelab.ts'

let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await prepareNode(api)
  await makeVolumes(api, [
    { claim: 'monitoring/grafana-data', size: '10Gi' },
    { claim: 'monitoring/loki-0', size: '50Gi' },
    { claim: 'media/raw', mode: 'Block' },
    { claim: 'media/on-a-worker', node: 'talos01' },
    { claim: 'media/longhorn', storageClass: 'longhorn' },
    { claim: 'locked/data' },
    { claim: 'media/foreign' },
    { claim: 'media/grown', size: '20Gi' },
    { claim: 'media/elsewhere' },
  ])
  await api.create('/api/v1/namespaces/media/persistentvolumeclaims', {
    metadata: { name: 'waiting' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'local-path',
      resources: { requests: { storage: '1Gi' } },
    },
  })
  await api.mergePatch('/api/v1/namespaces/locked', {
    metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  })
  await makeCopy('evacuated-foreign', '1Gi', 'fatboy-nfs-appdata', {})
  await makeCopy('evacuated-grown', '5Gi', 'fatboy-nfs-appdata', { 'talos-migrate/evacuation': 'copy' })
  await makeCopy('evacuated-elsewhere', '1Gi', 'synology-nfs', { 'talos-migrate/evacuation': 'copy' })
  await useClaim()
})

test.after.always(() => cluster?.stop())

async function makeCopy(name: string, storage: string, storageClassName: string, labels: Record<string, string>) {
  await api.create('/api/v1/namespaces/media/persistentvolumeclaims', {
    metadata: { name, labels },
    spec: { accessModes: ['ReadWriteMany'], storageClassName, resources: { requests: { storage } } },
  })
}

/** A pod of a Deployment, without the controllers that would make it. */
async function useClaim(): Promise<void> {
  const apps = '/apis/apps/v1/namespaces/monitoring'
  const selector = { matchLabels: { app: 'grafana' } }
  const containers = [{ name: 'grafana', image: 'grafana' }]
  const template = { metadata: { labels: { app: 'grafana' } }, spec: { containers } }
  const deployment = await api.create(`${apps}/deployments`, {
    metadata: { name: 'grafana' },
    spec: { selector, template },
  })
  const controlledBy = (kind: string, name: string, uid = '') => [
    { apiVersion: 'apps/v1', kind, name, uid, controller: true },
  ]
  const replicaSet = await api.create(`${apps}/replicasets`, {
    metadata: { name: 'grafana-1', ownerReferences: controlledBy('Deployment', 'grafana', deployment.metadata.uid) },
    spec: { selector, template },
  })
  await api.create('/api/v1/namespaces/monitoring/pods', {
    metadata: {
      name: 'grafana-1-x',
      labels: { app: 'grafana' },
      ownerReferences: controlledBy('ReplicaSet', 'grafana-1', replicaSet.metadata.uid),
    },
    spec: { containers, volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'grafana-data' } }] },
  })
}

const nfs = 'fatboy-nfs-appdata,synology-nfs'

test('each volume has the fate that its place, the settings and this run give it', async (t) => {
  const { migration } = testMigration({ ACCEPT_DATA_LOSS: 'media/o*,*/loki-*' })
  const volumes = await readVolumes(api, migration.settings, new Set(['monitoring/grafana-data']))
  const fates = Object.fromEntries(volumes.map(({ claim, fate, acceptedBy }) => [claim, [fate, acceptedBy]]))
  t.deepEqual(fates['monitoring/grafana-data'], ['evacuated', null])
  t.deepEqual(fates['monitoring/loki-0'], ['lost', '*/loki-*'])
  t.deepEqual(fates['media/on-a-worker'], ['preserved', 'media/o*'])
  t.deepEqual(fates['media/longhorn'], ['unknown', null])
  t.deepEqual(fates['media/waiting'], ['empty', null])
  t.deepEqual(fates['media/raw'], ['lost', null])
})

test('a star stands for any part of a namespace or name, and for no more', (t) => {
  t.true(matchesClaim('monitoring/*', 'monitoring/data'))
  t.true(matchesClaim('*/*', 'a/b'))
  t.true(matchesClaim('a.b/*-0', 'a.b/data-0'))
  t.false(matchesClaim('a.b/*-0', 'axb/data-0'))
  t.false(matchesClaim('monitoring/*', 'monitoring-2/data'))
  t.false(matchesClaim('monitoring/data', 'monitoring/data-0'))
})

test('a drain is refused before anything is changed while volumes are neither preserved nor accepted, with the line that accepts them', async (t) => {
  const { migration } = testMigration({ NFS_STORAGE_CLASSES: nfs, ACCEPT_DATA_LOSS: 'media/*' })
  const error = await t.throwsAsync<OperatorError>(refuseUndecided(migration, api))
  t.regex(error.message, /^3 volumes are neither preserved, nor evacuated, nor accepted as lost:/)
  t.regex(error.message, /monitoring\/grafana-data \(10Gi, local-path; Deployment monitoring\/grafana\)/)
  t.regex(error.message, /monitoring\/loki-0 \(50Gi, local-path; used by nobody\)/)
  const accept = /ACCEPT_DATA_LOSS=(\S+)/.exec(error.next ?? '')?.[1] ?? ''
  t.is(accept, 'media/*,locked/data,monitoring/grafana-data,monitoring/loki-0')
  t.regex(error.next ?? '', /task migrate:evacuate EVACUATE_TO=fatboy-nfs-appdata/)
  const accepted = testMigration({ NFS_STORAGE_CLASSES: nfs, ACCEPT_DATA_LOSS: accept })
  await t.notThrowsAsync(refuseUndecided(accepted.migration, api))
  await t.notThrowsAsync(refuseLoss(accepted.migration, api))
})

test('with a class to copy to, only a volume whose class nobody knows is refused at once; the rest must be copied before pods are evicted', async (t) => {
  const settings = { NFS_STORAGE_CLASSES: nfs, EVACUATE_TO: 'fatboy-nfs-appdata' }
  const { migration } = testMigration(settings)
  const error = await t.throwsAsync<OperatorError>(refuseUndecided(migration, api))
  t.regex(
    error.message,
    /^1 volume is .*\n {2}media\/longhorn \(1Gi, longhorn, in neither LOCAL_STORAGE_CLASSES nor NFS/,
  )
  const later = testMigration({ ...settings, ACCEPT_DATA_LOSS: 'media/*,locked/*' })
  await t.notThrowsAsync(refuseUndecided(later.migration, api))
  const loss = await t.throwsAsync<OperatorError>(refuseLoss(later.migration, api))
  t.regex(loss.message, /2 volumes are neither/)
  t.regex(loss.means ?? '', /no pod was evicted/)
})

test('volumes that cannot be copied are refused together, each by name and reason, and nothing is made', async (t) => {
  const before = await names()
  const { migration, journal } = testMigration({ NFS_STORAGE_CLASSES: nfs, EVACUATE_TO: 'fatboy-nfs-appdata' })
  const error = await t.throwsAsync<OperatorError>(evacuate(migration, api))
  const lines = error.message.split('\n').slice(1)
  const why = Object.fromEntries(lines.map((line) => line.trim().split(': ', 2)))
  t.is(why['monitoring/grafana-data'], 'in use by Deployment monitoring/grafana (Pod grafana-1-x)')
  t.regex(why['media/raw'] ?? '', /block device/)
  t.regex(why['locked/data'] ?? '', /PodSecurity restricted/)
  t.regex(why['media/foreign'] ?? '', /evacuated-foreign already, and it is not ours/)
  t.is(why['media/grown'], 'its copy evacuated-grown has 5Gi, and it has 20Gi')
  t.regex(why['media/elsewhere'] ?? '', /is of class synology-nfs/)
  t.is(lines.length, 6)
  t.regex(error.next ?? '', /migrate:drain scales down what uses them/)
  t.deepEqual(await names(), before)
  t.deepEqual(journal.changes(), [])
})

test('a class that is not set or not there is wrong usage', async (t) => {
  for (const [settings, says] of [
    [{}, /EVACUATE_TO is not set/],
    [{ EVACUATE_TO: 'nowhere' }, /no storage class nowhere/],
  ] as const) {
    const error = await t.throwsAsync<OperatorError>(evacuate(testMigration(settings).migration, api))
    t.is(error.exitCode, 2)
    t.regex(error.message, says)
    t.regex(error.means ?? '', /fatboy-nfs-appdata, longhorn, synology-nfs/)
  }
})

test('a dry run says what would be copied, what is in use for now, and makes nothing', async (t) => {
  const before = await names()
  const settings = { NFS_STORAGE_CLASSES: nfs, EVACUATE_TO: 'fatboy-nfs-appdata', ACCEPT_DATA_LOSS: 'media/*,locked/*' }
  const { migration, lines } = testMigration(settings, { dryRun: true })
  await evacuate(migration, api)
  const text = lines.join('\n')
  t.regex(text, /monitoring\/grafana-data: in use by Deployment monitoring\/grafana .* copied when that is scaled down/)
  t.regex(text, /Copy volume monitoring\/loki-0 to evacuated-loki-0 \(fatboy-nfs-appdata\)/)
  t.deepEqual(await names(), before)
})

test('once the old machine is off nothing is copied from it, and nothing is brought back before there is a new one', async (t) => {
  const { migration, journal } = testMigration({ EVACUATE_TO: 'fatboy-nfs-appdata' })
  journal.append({ type: 'phase', phase: 'shutdown', state: 'done' })
  const error = await t.throwsAsync<OperatorError>(evacuate(migration, api))
  t.regex(error.message, /was shut down in this run/)
  t.regex(error.next ?? '', /task migrate:evacuate -- --back/)
  t.deepEqual(await bringBack(migration, api), { broughtBack: 0 })
})

test('the names of what belongs to a claim are no longer than a label may be, and no two are the same', (t) => {
  t.is(nameFor('evacuated', 'grafana-data'), 'evacuated-grafana-data')
  const long = (end: string) =>
    nameFor('evacuate-back', `prometheus-kube-prometheus-stack-db-prometheus-kube-prometheus-stack-${end}`)
  t.true(long('0').length <= 63)
  t.not(long('0'), long('1'))
  t.regex(long('0'), /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
})

async function names(): Promise<string[]> {
  const lists = await Promise.all(
    ['/api/v1/persistentvolumeclaims', '/apis/batch/v1/jobs', '/api/v1/pods'].map((path) => api.list(path)),
  )
  return lists.flat().map(({ metadata }) => `${metadata.namespace}/${metadata.name} ${metadata.resourceVersion}`)
}
