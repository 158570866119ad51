import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import { type Announced, compareRebuilt, readAnnounced } from '../../lib/rehearsal/rebuilt.ts'
import { keyOf, type Truth, truthOf } from '../../lib/rehearsal/truth.ts'

type Listed = [group: string, resource: string, object: KubernetesObject]

function truth(...objects: Listed[]): Truth {
  return new Map(
    objects.map(([group, resource, object]) => [
      keyOf(truthOf(group, resource, object)),
      truthOf(group, resource, object),
    ]),
  )
}

const namespace = (uid: string): Listed => ['', 'namespaces', { metadata: { name: 'kube-system', uid } }]
const config = (uid: string, value = 'a'): Listed => [
  '',
  'configmaps',
  { metadata: { name: 'notes', namespace: 'default', uid }, data: { value } },
]
const secret = (uid: string, value = 'a'): Listed => [
  '',
  'secrets',
  { metadata: { name: 'token', namespace: 'media', uid }, data: { value } },
]
const service = (uid: string, clusterIP: string, port = 80): Listed => [
  '',
  'services',
  {
    metadata: { name: 'plex', namespace: 'media', uid },
    spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port, nodePort: port + 30000 }] },
  },
]
const volume = (uid: string, claim: string): Listed => [
  '',
  'persistentvolumes',
  { metadata: { name: 'pvc-1', uid }, spec: { claimRef: { name: 'config', uid: claim } } },
]
const claim = (uid: string, volumeName = 'pvc-1', phase = 'Bound'): Listed => [
  '',
  'persistentvolumeclaims',
  { metadata: { name: 'config', namespace: 'media', uid }, spec: { volumeName }, status: { phase } },
]
const deployment = (uid: string, replicas: number): Listed => [
  'apps',
  'deployments',
  { metadata: { name: 'plex', namespace: 'media', uid }, spec: { replicas } },
]

const before = truth(
  namespace('1'),
  config('2'),
  secret('3'),
  service('4', '10.96.0.4'),
  volume('5', '6'),
  claim('6'),
  deployment('7', 2),
)
const after = (...changed: Listed[]): Truth =>
  new Map([
    ...truth(
      namespace('11'),
      config('12'),
      secret('13'),
      service('14', '10.96.0.9'),
      volume('15', '16'),
      claim('16'),
      deployment('17', 2),
    ),
    ...truth(...changed),
  ])
const nothing: Announced = { restored: ['configmaps default/notes', 'secrets media/token'], losses: new Map() }

function against(now: Truth, announced: Announced = nothing): string[] {
  return compareRebuilt(before, now, announced).flatMap((proof) => proof.against)
}

function missing(name: string): Truth {
  const now = after()
  now.delete(name)
  return now
}

test('a cluster that was rebuilt and lost nothing is proven, other cluster IPs and UIDs notwithstanding', (t) => {
  t.deepEqual(against(after()), [])
})

test('what is lost without having been announced is named, and so is what was announced and is not lost', (t) => {
  t.true(against(missing('services media/plex')).includes('services media/plex is lost, and was not announced'))
  const announced = { restored: [], losses: new Map([['services media/plex', 'object']]) }
  t.deepEqual(against(missing('services media/plex'), announced), [])
  t.deepEqual(against(after(), announced), ['services media/plex was announced as lost, and is there'])
})

test('what says something else is named, unless it was announced', (t) => {
  const changed = after(deployment('17', 1))
  t.true(against(changed).includes('deployments.apps media/plex says something else, and that was not announced'))
  t.deepEqual(against(changed, { restored: [], losses: new Map([['deployments.apps media/plex', 'changes']]) }), [])
  t.true(
    against(after(service('14', '10.96.0.9', 81)))
      .join()
      .includes('services media/plex says something else'),
  )
})

test('the list, Secrets, bindings and the new etcd each have a proof that can fail', (t) => {
  t.true(against(missing('configmaps default/notes')).includes('configmaps default/notes is not there'))
  t.true(against(after(config('12', 'b'))).includes('configmaps default/notes says something else than before'))
  t.true(against(after(secret('13', 'b'))).includes('secrets media/token decrypts to another value'))
  t.true(
    against(after(claim('16', 'pvc-2')))
      .join()
      .includes('media/config: pvc-2, Bound; it was pvc-1, Bound'),
  )
  t.true(
    against(after(claim('16', 'pvc-1', 'Pending')))
      .join()
      .includes('pvc-1, Pending'),
  )
  t.true(against(after(secret('3'))).includes('secrets media/token has the UID that it had'))
})

test('what was announced is read from the files that the plan leaves', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'announced-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  const [list, losses] = [join(folder, 'list.txt'), join(folder, 'losses.txt')]
  writeFileSync(list, '# a\n\nsecrets media/token  # by hand\n# configmaps default/notes  # taken out\n')
  writeFileSync(losses, '# In any case: UIDs\njobs.batch media/init  # runs again: Application makes it anew\n')
  const announced = readAnnounced(list, losses)
  t.deepEqual(announced.restored, ['secrets media/token'])
  t.deepEqual([...announced.losses], [['jobs.batch media/init', 'runs again']])
})
