import test from 'ava'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import { driftOf } from '../../lib/rehearsal/adversaries/drift.ts'
import { fileServerAddresses } from '../../lib/rehearsal/file-servers.ts'
import { type Homelab, readHomelab } from '../../lib/rehearsal/homelab/fixtures.ts'
import { ownerOf } from '../../lib/rehearsal/homelab/ownership.ts'
import { nameOf } from '../../lib/rehearsal/homelab/resources.ts'
import { withPlainValues } from '../../lib/rehearsal/homelab/secrets.ts'

interface ClaimSpec {
  volumeName: string
  storageClassName: string
}

interface VolumeSpec {
  storageClassName: string
  claimRef?: { namespace: string; name: string }
  nfs?: { server: string }
  hostPath?: { path: string }
  local?: { path: string }
  nodeAffinity?: unknown
}

interface PodSpec {
  serviceAccountName?: string
  priorityClassName?: string
  volumes?: { persistentVolumeClaim?: { claimName: string }; configMap?: { name: string } }[]
  containers: { envFrom?: { secretRef: { name: string } }[] }[]
}

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job']
const madeByKubernetes = ['kube-system', 'default', 'kube-public', 'kube-node-lease']

const homelab = await readHomelab()
const names = new Set(homelab.objects.map(nameOf))

function ofKind({ objects }: Homelab, kind: string): KubernetesObject[] {
  return objects.filter((object) => object.kind === kind)
}

function podSpecOf(workload: KubernetesObject): PodSpec {
  const spec = workload.spec as {
    template?: { spec: PodSpec }
    jobTemplate?: { spec: { template: { spec: PodSpec } } }
  }
  const pod = spec.jobTemplate?.spec.template.spec ?? spec.template?.spec
  if (!pod) throw new Error(`${nameOf(workload)} has no pod template`)
  return pod
}

test('the homelab has 27 namespaces, and something in each that it makes itself', (t) => {
  const made = ofKind(homelab, 'Namespace').map(({ metadata }) => metadata.name)
  t.is(new Set([...made, ...madeByKubernetes]).size, 27)
  for (const namespace of made) {
    t.true(
      homelab.objects.some(({ metadata }) => metadata.namespace === namespace),
      namespace,
    )
  }
})

test('every object is in a namespace of the homelab, and there is only one of its name', (t) => {
  const namespaces = new Set([
    ...ofKind(homelab, 'Namespace').map(({ metadata }) => metadata.name),
    ...madeByKubernetes,
  ])
  t.is(names.size, homelab.objects.length)
  for (const object of homelab.objects) {
    const { namespaced } = homelab.types.of(object)
    t.is(object.metadata.namespace !== undefined, namespaced, nameOf(object))
    if (namespaced) t.true(namespaces.has(object.metadata.namespace ?? ''), nameOf(object))
  }
})

test('about 50 volumes are spread over the four storage classes of the runbook', (t) => {
  const classes = ofKind(homelab, 'PersistentVolume').map(({ spec }) => (spec as VolumeSpec).storageClassName)
  const count = (name: string) => classes.filter((each) => each === name).length
  t.is(classes.length, 51)
  t.deepEqual(
    ['local-path', 'fatboy-nfs-appdata', 'truenas-nfs', 'synology-nfs'].map((name) => [name, count(name)]),
    [
      ['local-path', 15],
      ['fatboy-nfs-appdata', 23],
      ['truenas-nfs', 7],
      ['synology-nfs', 6],
    ],
  )
})

test('every claim and its volume name each other, and agree', (t) => {
  const volumes = new Map(ofKind(homelab, 'PersistentVolume').map((volume) => [volume.metadata.name, volume]))
  for (const claim of ofKind(homelab, 'PersistentVolumeClaim')) {
    const { volumeName, storageClassName } = claim.spec as ClaimSpec
    const volume = volumes.get(volumeName)?.spec as VolumeSpec | undefined
    const { namespace, name } = claim.metadata
    t.like(volume?.claimRef, { namespace: namespace ?? '', name }, nameOf(claim))
    t.is(volume?.storageClassName, storageClassName)
    volumes.delete(volumeName)
  }
  t.deepEqual([...volumes.keys()], ['synology-surveillance'])
})

test('local volumes stay on the node, and file servers have names that only a practice operator knows', (t) => {
  const servers = fileServerAddresses('127.0.9.54').map(([name]) => name)
  for (const volume of ofKind(homelab, 'PersistentVolume')) {
    const { nfs, hostPath, local, nodeAffinity } = volume.spec as VolumeSpec
    const path = hostPath?.path ?? local?.path
    if (path === undefined) {
      t.true(servers.includes(nfs?.server ?? ''))
    } else {
      t.true(path.startsWith('/var/local-path-provisioner/'))
      t.regex(JSON.stringify(nodeAffinity), /"talos00"/)
    }
  }
})

test('whatever a pod needs is there: claims, config maps, secrets, service account, priority class', (t) => {
  const workloads = homelab.objects.filter(({ kind }) => workloadKinds.includes(kind ?? ''))
  for (const workload of workloads) {
    const { namespace } = workload.metadata
    const pod = podSpecOf(workload)
    for (const { persistentVolumeClaim, configMap } of pod.volumes ?? []) {
      if (persistentVolumeClaim)
        t.true(names.has(`PersistentVolumeClaim ${namespace}/${persistentVolumeClaim.claimName}`))
      if (configMap) t.true(names.has(`ConfigMap ${namespace}/${configMap.name}`))
    }
    for (const { secretRef } of pod.containers.flatMap(({ envFrom = [] }) => envFrom)) {
      t.true(names.has(`Secret ${namespace}/${secretRef.name}`))
    }
    if (pod.serviceAccountName) t.true(names.has(`ServiceAccount ${namespace}/${pod.serviceAccountName}`))
    const { priorityClassName: priority } = pod
    if (priority && !priority.startsWith('system-')) t.true(names.has(`PriorityClass ${priority}`))
  }
  t.true(workloads.length > 80, `${workloads.length} workloads`)
})

test('every claim template of a StatefulSet has its claims already', (t) => {
  for (const set of ofKind(homelab, 'StatefulSet')) {
    const { replicas = 1, volumeClaimTemplates } = set.spec as {
      replicas?: number
      volumeClaimTemplates: { metadata: { name: string } }[]
    }
    for (const { metadata } of volumeClaimTemplates) {
      for (let ordinal = 0; ordinal < replicas; ordinal++) {
        const { namespace, name } = set.metadata
        t.true(names.has(`PersistentVolumeClaim ${namespace}/${metadata.name}-${name}-${ordinal}`), name)
      }
    }
  }
})

test('every owner that an object is marked with is there, up to flux-system, which owns itself', (t) => {
  for (const object of homelab.objects) {
    const owner = ownerOf(object)
    if (owner) t.true(names.has(nameOf({ kind: owner.kind, metadata: owner })), nameOf(object))
  }
  const chain = chainOf('Deployment media/plex')
  t.deepEqual(chain, [
    'Application argocd/plex',
    'ApplicationSet argocd/media',
    'Application argocd/root',
    'Kustomization flux-system/argocd',
    'Kustomization flux-system/flux-system',
  ])
})

function chainOf(name: string): string[] {
  const object = homelab.objects.find((each) => nameOf(each) === name)
  const owner = object && ownerOf(object)
  if (!owner) return []
  const ownerName = nameOf({ kind: owner.kind, metadata: owner })
  return ownerName === name ? [] : [ownerName, ...chainOf(ownerName)]
}

test('all workloads outside of kube-system are owned, in observability and monitoring by Flux and Argo CD both', (t) => {
  const ownersIn = (namespace: string) => {
    const own = homelab.objects.filter(({ kind, metadata }) => {
      return workloadKinds.includes(kind ?? '') && metadata.namespace === namespace
    })
    return [...new Set(own.map((object) => ownerOf(object)?.kind ?? 'nobody'))].sort()
  }
  for (const { metadata } of ofKind(homelab, 'Namespace')) t.false(ownersIn(metadata.name).includes('nobody'))
  t.deepEqual(ownersIn('observability'), ['Application', 'HelmRelease', 'Kustomization'])
  t.deepEqual(ownersIn('monitoring'), ['Alertmanager', 'Application', 'HelmRelease', 'Kustomization', 'Prometheus'])
})

test('some things are off before a migration: in Git, and by hand', (t) => {
  const off = homelab.objects.filter(({ spec }) => (spec as { suspend?: boolean })?.suspend === true).map(nameOf)
  t.deepEqual(off.sort(), [
    'CronJob registry/registry-garbage-collect',
    'CronJob sandbox/nightly-chaos',
    'Kustomization flux-system/sandbox',
  ])
  const atZero = homelab.objects.filter(({ spec }) => (spec as { replicas?: number })?.replicas === 0).map(nameOf)
  t.deepEqual(atZero.sort(), ['Deployment monitoring/thanos-query', 'Deployment sandbox/load-test'])
  for (const { object } of homelab.handEdits) t.true(names.has(nameOf(object)), nameOf(object))
})

test('no Secret belongs to Git, and a canary stands in every value', (t) => {
  const secrets = ofKind(homelab, 'Secret')
  t.true(secrets.length > 20)
  for (const secret of secrets) {
    t.true([undefined, 'ExternalSecret'].includes(ownerOf(secret)?.kind), nameOf(secret))
    const { data, stringData } = withPlainValues(secret, 'canary-7d1f')
    t.is(stringData, undefined)
    for (const value of Object.values(data as Record<string, string>)) {
      t.regex(Buffer.from(value, 'base64').toString(), /canary-7d1f/)
    }
  }
})

test('a Secret whose value is not plainly fake is refused', (t) => {
  const secret = { kind: 'Secret', metadata: { name: 'real' }, stringData: { token: 'ghp_0123456789' } }
  t.throws(() => withPlainValues(secret, undefined), { message: /real: token must contain not-a-secret/ })
})

test('the same homelab is read twice the same', async (t) => {
  const again = await readHomelab()
  t.deepEqual(again.objects, homelab.objects)
})

test('the small part of the homelab is whole in itself: namespaces, owners, and both kinds of GitOps', async (t) => {
  const small = await readHomelab({ fixture: 'core' })
  const there = new Set(small.objects.map(nameOf))
  t.true(there.size < names.size / 4 && [...there].every((name) => names.has(name)))
  const namespaces = new Set([...ofKind(small, 'Namespace').map(({ metadata }) => metadata.name), ...madeByKubernetes])
  const gitops = new Set<string>()
  for (const object of small.objects) {
    const { namespace } = object.metadata
    t.true(namespace === undefined || namespaces.has(namespace), nameOf(object))
    const owner = ownerOf(object)
    // Definitions may come from a release of which nothing else is here.
    if (!owner || object.kind === 'CustomResourceDefinition') continue
    gitops.add(owner.kind)
    t.true(there.has(nameOf({ kind: owner.kind, metadata: owner })), `${nameOf(object)} is owned by ${owner.name}`)
  }
  for (const kind of ['Kustomization', 'HelmRelease', 'Application']) t.true(gitops.has(kind), kind)
})

test('fields that only the live object has are no drift, a changed, missing or shorter one is', (t) => {
  const wanted = { kind: 'Deployment', metadata: { name: 'a' }, spec: { replicas: 2, paused: false, list: [{ x: 1 }] } }
  const live = { kind: 'Deployment', metadata: { name: 'a', uid: '1' }, spec: { replicas: 2, list: [{ x: 1, y: 2 }] } }
  t.is(driftOf(wanted, live), undefined)
  t.is(driftOf(wanted, { ...live, spec: { ...live.spec, replicas: 0 } }), 'spec.replicas is 0, and 2 in Git')
  t.is(driftOf(wanted, { ...live, spec: { ...live.spec, list: [] } }), 'spec.list has 0 entries, and 1 in Git')
  t.is(driftOf(wanted, undefined), 'it is gone')
})
