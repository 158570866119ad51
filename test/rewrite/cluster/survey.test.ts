import test from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { systemClock } from '../../../lib/migration/clock.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { changeInCluster, undoInCluster } from '../../../lib/rewrite/cluster/change.ts'
import { shownPointer } from '../../../lib/rewrite/cluster/fields.ts'
import { showWhatIsLeft } from '../../../lib/rewrite/cluster/left.ts'
import { settledSurvey } from '../../../lib/rewrite/cluster/settle.ts'
import { countsOf, showSurvey } from '../../../lib/rewrite/cluster/show.ts'
import { surveyCluster } from '../../../lib/rewrite/cluster/survey.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../../kubernetes/bare-cluster.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { findOld, old, young } from './find-old.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const secretText = 'password: hunter2, at 192.168.1.54 and 192.168.1.54:5432'

let cluster: BareCluster
test.before(async () => {
  cluster = await startBareCluster()
  await installDefinitions(cluster.api, ['flux.yaml', 'argocd.yaml', 'metallb.yaml'])
  await fill(cluster.api)
})
test.after.always(() => cluster?.stop())

const flux = { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' }

async function put(api: KubernetesApi, path: string, object: object): Promise<KubernetesObject> {
  return api.create(path, object)
}

async function fill(api: KubernetesApi): Promise<void> {
  for (const name of ['flux-system', 'argocd', 'metallb-system', 'media']) {
    await put(api, '/api/v1/namespaces', { metadata: { name } })
  }
  await gitOps(api)
  const inMedia = (kind: string) => `/api/v1/namespaces/media/${kind}`
  await put(api, inMedia('configmaps'), { metadata: { name: 'of-git', labels: flux }, data: { url: `http://${old}` } })
  const notes = { metadata: { name: 'notes' }, data: { url: `${old} and ${old}:6443`, near: '192.168.1.540' } }
  await put(api, inMedia('configmaps'), notes)
  await put(api, inMedia('configmaps'), { metadata: { name: 'sealed' }, immutable: true, data: { a: old } })
  await put(api, inMedia('secrets'), { metadata: { name: 'by-hand' }, data: { 'app.conf': base64(secretText) } })
  await put(api, inMedia('secrets'), {
    metadata: { name: 'sh.helm' },
    type: 'helm.sh/release.v1',
    data: { release: base64(old) },
  })
  const maker = await put(api, inMedia('configmaps'), { metadata: { name: 'maker' } })
  await put(api, inMedia('secrets'), {
    metadata: { name: 'made', ownerReferences: [ownerOf('ConfigMap', maker)] },
    data: { address: base64(old) },
  })
  await services(api)
  await machines(api)
}

async function gitOps(api: KubernetesApi): Promise<void> {
  await put(api, '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations', {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'apps', labels: flux },
    spec: {
      interval: '10m',
      prune: true,
      path: './apps',
      sourceRef: { kind: 'GitRepository', name: 'flux-system' },
      postBuild: { substitute: { NODE_ADDRESS: old } },
    },
  })
  await put(api, '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications', {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: 'metallb' },
    spec: {
      project: 'default',
      source: { repoURL: 'https://git.example.org', path: 'metallb' },
      destination: { server: 'https://kubernetes.default.svc' },
    },
  })
  const id = 'metallb:metallb.io/IPAddressPool:metallb-system/first'
  await put(api, '/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools', {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name: 'first', annotations: { 'argocd.argoproj.io/tracking-id': id } },
    spec: { addresses: [`${old}/32`] },
  })
  await put(api, '/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools', {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name: 'by-hand' },
    spec: { addresses: ['192.168.1.50-192.168.1.54'] },
  })
}

async function services(api: KubernetesApi): Promise<void> {
  const services = '/api/v1/namespaces/media/services'
  const ports = [{ port: 80 }]
  await put(api, services, {
    metadata: { name: 'plex', annotations: { 'metallb.io/loadBalancerIPs': old } },
    spec: { type: 'LoadBalancer', ports, selector: { app: 'plex' }, loadBalancerIP: old, externalIPs: [old] },
  })
  await api.mergePatch(`${services}/plex/status`, { status: { loadBalancer: { ingress: [{ ip: old }] } } })
  const subsets = [{ addresses: [{ ip: old }], ports }]
  await put(api, '/api/v1/namespaces/media/endpoints', { metadata: { name: 'plex' }, subsets })
  await put(api, '/api/v1/namespaces/media/endpoints', { metadata: { name: 'outside' }, subsets })
  const service = await api.get(`${services}/plex`)
  await put(api, '/apis/discovery.k8s.io/v1/namespaces/media/endpointslices', {
    metadata: { name: 'plex-1', ownerReferences: [ownerOf('Service', service)] },
    addressType: 'IPv4',
    endpoints: [{ addresses: [old] }],
    ports,
  })
  const ingresses = '/apis/networking.k8s.io/v1/namespaces/media/ingresses'
  const backend = { service: { name: 'plex', port: { number: 80 } } }
  await put(api, ingresses, { metadata: { name: 'plex', labels: flux }, spec: { defaultBackend: backend } })
  await api.mergePatch(`${ingresses}/plex/status`, { status: { loadBalancer: { ingress: [{ ip: old }] } } })
}

async function machines(api: KubernetesApi): Promise<void> {
  await put(api, '/api/v1/nodes', {
    metadata: { name: 'talos00', annotations: { 'flannel.alpha.coreos.com/public-ip': old } },
  })
  await api.mergePatch('/api/v1/nodes/talos00/status', {
    status: { addresses: [{ type: 'InternalIP', address: old }] },
  })
  await put(api, '/apis/coordination.k8s.io/v1/namespaces/media/leases', {
    metadata: { name: 'l' },
    spec: { holderIdentity: old },
  })
}

function ownerOf(kind: string, { metadata: { name, uid } }: KubernetesObject) {
  return { apiVersion: 'v1', kind, name, uid, controller: true }
}

const look = () => surveyCluster(cluster.api, findOld, { clock: systemClock })

test.serial('all that holds the address is found, each with its field and its owner, and nothing else', async (t) => {
  const { hits, leftOut, unread } = await look()
  const rows = hits.map(({ resource, name, fields, whose }) =>
    [resource, name, fields.map(({ pointer }) => shownPointer(pointer)).join(' '), ...Object.values(whose)].join(' | '),
  )
  const apps = 'git | Kustomization flux-system/apps'
  const status = 'cluster | its controller writes its status anew'
  t.deepEqual(rows.toSorted(), [
    'configmaps | media/notes | data.url | nobody',
    `configmaps | media/of-git | data.url | ${apps}`,
    'configmaps | media/sealed | data.a | nobody',
    'endpoints | media/outside | subsets[0].addresses[0].ip | nobody',
    'endpoints | media/plex | subsets[0].addresses[0].ip | follows | Service media/plex',
    'endpointslices.discovery.k8s.io | media/plex-1 | endpoints[0].addresses[0] | follows | Service media/plex',
    `ingresses.networking.k8s.io | media/plex | status.loadBalancer.ingress[0].ip | ${status}`,
    'ipaddresspools.metallb.io | metallb-system/by-hand | spec.addresses[0] | nobody',
    'ipaddresspools.metallb.io | metallb-system/first | spec.addresses[0] | git | Application argocd/metallb | Application argocd/metallb is not synced by itself',
    `kustomizations.kustomize.toolkit.fluxcd.io | flux-system/apps | spec.postBuild.substitute.NODE_ADDRESS | ${apps}`,
    'nodes | talos00 | metadata.annotations["flannel.alpha.coreos.com/public-ip"] | cluster | the kubelet and the agents on the node write it anew',
    'secrets | media/by-hand | data["app.conf"] | nobody',
    'secrets | media/made | data.address | maker | ConfigMap media/maker',
    'services | media/plex | metadata.annotations["metallb.io/loadBalancerIPs"] spec.externalIPs[0] spec.loadBalancerIP | nobody',
    `services | media/plex | status.loadBalancer.ingress[0].ip | ${status}`,
  ])
  t.deepEqual(
    leftOut.map(({ what }) => what),
    ['Events and Leases', 'the status of 1 Nodes and Pods', "1 of Helm's own records"],
  )
  t.deepEqual(unread, [])
})

test.serial('the list says where each is to be changed, and no value of a Secret', async (t) => {
  const { migration, lines } = testMigration()
  const survey = await look()
  showSurvey(migration, survey, old)
  const shown = lines.join('\n')
  t.false(JSON.stringify([shown, survey]).includes('hunter2'))
  for (const row of [
    ['configmaps media/of-git', 'data.url', 'Kustomization flux-system/apps', 'Git'],
    ['secrets media/by-hand', 'data["app.conf"] (decoded)', 'nobody', 'the cluster: -- --cluster does it'],
    [
      'secrets media/made',
      'data.address (decoded)',
      'ConfigMap media/maker',
      'what ConfigMap media/maker makes it from',
    ],
    ['configmaps media/sealed', 'data.a', 'nobody', 'by hand: it is immutable: make it anew'],
  ]) {
    t.true(shown.includes(JSON.stringify(row)), `${JSON.stringify(row)} in ${shown}`)
  }
  t.deepEqual(countsOf(survey), { git: 3, nobody: 6, maker: 1, cluster: 3, follows: 2 })
})

test.serial(
  'what follows by itself is waited for, and then what is left is told; of one kind and owner it is one line',
  async (t) => {
    const { api } = cluster
    const pods = '/api/v1/namespaces/media/pods'
    const owner = ownerOf('Node', await api.get('/api/v1/nodes/talos00'))
    const spec = { nodeName: 'talos00', containers: [{ name: 'c', image: 'i', args: [`--advertise-address=${old}`] }] }
    for (const name of ['a', 'b', 'c']) {
      const annotations = { 'kubernetes.io/config.mirror': 'x' }
      await put(api, pods, { metadata: { name, annotations, ownerReferences: [owner] }, spec })
    }
    const [endpoints, slice, service, ingress] = [
      '/api/v1/namespaces/media/endpoints/plex',
      '/apis/discovery.k8s.io/v1/namespaces/media/endpointslices/plex-1',
      '/api/v1/namespaces/media/services/plex',
      '/apis/networking.k8s.io/v1/namespaces/media/ingresses/plex',
    ] as const
    const before = await Promise.all([api.get(endpoints), api.get(slice)])
    const { migration, lines } = testMigration()
    showSurvey(migration, await look(), old)
    t.true(
      lines
        .join('\n')
        .includes('["pods media/a and 2 more","spec.containers[0].args[0]","Node talos00","nothing: it follows"]'),
    )

    const settling = settledSurvey(migration, api, findOld)
    for (const path of [endpoints, slice]) await api.remove(path)
    const status = { status: { loadBalancer: { ingress: [{ ip: young }] } } }
    for (const path of [service, ingress]) await api.mergePatch(`${path}/status`, status)
    for (const name of ['a', 'b', 'c']) await api.remove(`${pods}/${name}`, { gracePeriodSeconds: 0 })
    const { hits } = await settling
    t.deepEqual(
      hits.filter(({ whose }) => whose.who === 'follows').map(({ name }) => name),
      [],
    )
    t.true(hits.some(({ name }) => name === 'media/of-git'))

    for (const [path, object] of [
      [endpoints, before[0]],
      [slice, before[1]],
    ] as const) {
      const { resourceVersion: _, uid: __, ...metadata } = object.metadata
      await put(api, path.slice(0, path.lastIndexOf('/')), { ...object, metadata })
    }
  },
)

test.serial('what does not come by itself in time is told all the same', async (t) => {
  let passed = 0
  const clock = {
    now: () => new Date(passed),
    elapsed: () => passed,
    sleep: async (ms: number) => {
      passed += ms
    },
  }
  const { migration, journal } = testMigration({}, { clock })
  const { hits } = await settledSurvey(migration, cluster.api, findOld)
  t.true(hits.some(({ whose }) => whose.who === 'follows'))
  t.true(journal.records.some((record) => record.type === 'wait' && !record.met && record.seconds >= 60))
})

test.serial('at the end of scenario B what is left is listed; in scenario A there is no old address', async (t) => {
  let passed = 0
  const clock = {
    now: () => new Date(passed),
    elapsed: () => passed,
    sleep: async (ms: number) => {
      passed += ms
    },
  }
  const moved = testMigration({ SCENARIO: 'B', NEW_TALOS_NODE: young }, { clock })
  await showWhatIsLeft(moved.migration, cluster.api)
  t.true(moved.lines.some((line) => line.startsWith(`table What in the cluster holds ${old}`)))
  const stayed = testMigration()
  await showWhatIsLeft(stayed.migration, cluster.api)
  t.deepEqual(stayed.lines, [])
})

test.serial('what may not be listed is named, and the rest is looked into all the same', async (t) => {
  const { api } = cluster
  const refusing = new Proxy(api, {
    get: (target, property) => {
      if (property !== 'raw') return Reflect.get(target, property)
      return (path: string, ...rest: []) => target.raw(path === '/api/v1/secrets' ? '/api/v1/nothing' : path, ...rest)
    },
  })
  const { hits, unread } = await surveyCluster(refusing, findOld, { clock: systemClock })
  t.deepEqual(
    unread.map(({ what }) => what),
    ['secrets'],
  )
  t.true(hits.some(({ name }) => name === 'media/notes'))
  const { migration, lines } = testMigration()
  showSurvey(migration, { hits: [], leftOut: [], unread }, old)
  t.true(lines.some((line) => line.startsWith('warn secrets could not be looked into')))
})

const mine = [
  '/api/v1/namespaces/media/configmaps/notes',
  '/api/v1/namespaces/media/secrets/by-hand',
  '/api/v1/namespaces/media/services/plex',
  '/api/v1/namespaces/media/endpoints/outside',
]
const contents = async (paths: readonly string[]) => {
  const objects = await Promise.all(paths.map((path) => cluster.api.get(path)))
  return objects.map(({ metadata: { resourceVersion, managedFields, ...metadata }, status, ...rest }) => ({
    ...(rest as { data?: Record<string, string> }),
    metadata,
  }))
}

test.serial('a dry run names every object that would be changed, and changes none', async (t) => {
  const before = await contents(mine)
  const { migration, lines } = testMigration({}, { dryRun: true })
  t.is(await changeInCluster(migration, cluster.api, findOld, await look()), 4)
  t.is(lines.filter((line) => /^change Give .* would be made$/.test(line)).length, 4)
  t.deepEqual(await contents(mine), before)
})

test.serial(
  'on request the objects of nobody get the new address, those of Git never, and the undo is the identity',
  async (t) => {
    const { api } = cluster
    const before = await contents(mine)
    const { migration, journal, lines } = testMigration()
    t.is(await changeInCluster(migration, api, findOld, await look()), 4)
    const secret = await api.get('/api/v1/namespaces/media/secrets/by-hand')
    t.deepEqual((secret as { data?: object }).data, { 'app.conf': base64(secretText.replaceAll(old, young)) })
    const left = (await look()).hits.filter(({ whose }) => whose.who === 'nobody').map(({ name }) => name)
    t.deepEqual(left.toSorted(), ['media/sealed', 'metallb-system/by-hand'])
    const [ofGit] = await contents(['/api/v1/namespaces/media/configmaps/of-git'])
    t.deepEqual(ofGit?.data, { url: `http://${old}` })
    t.false(JSON.stringify([journal.records, lines]).includes('hunter2'), 'nothing of a Secret is in the journal')
    t.is(await changeInCluster(migration, api, findOld, await look()), 0, 'a second time there is nothing to do')

    const changes = journal.changes({ kind: 'address-in-cluster' })
    for (const change of changes.toReversed()) t.is(await undoInCluster(api, change), 'undone')
    t.deepEqual(await contents(mine), before)
    for (const change of changes) t.is(await undoInCluster(api, change), 'already')
  },
)

test.serial('killed after the server had it, the same again comes out the same', async (t) => {
  const { api } = cluster
  const before = await contents(mine)
  const survey = await look()
  const first = testMigration()
  await changeInCluster(first.migration, api, findOld, survey)
  const after = await contents(mine)
  const { journal } = testMigration()
  for (const change of first.journal.changes()) journal.beginChange(change)
  t.is(await changeInCluster(testMigration({}, { journal }).migration, api, findOld, survey), 0)
  t.deepEqual(await contents(mine), after)
  for (const change of journal.changes()) t.is(await undoInCluster(api, change), 'undone')
  t.deepEqual(await contents(mine), before)
})

test.serial('what somebody else has changed meanwhile is neither overwritten nor undone', async (t) => {
  const { api } = cluster
  const [path = ''] = mine
  const before = await contents([path])
  const { migration, journal } = testMigration()
  const survey = await look()
  // Between the look and the write: what was looked at is not there any more.
  const meddling = new Proxy(api, {
    get: (target, property) => {
      if (property !== 'jsonPatch') return Reflect.get(target, property).bind?.(target) ?? Reflect.get(target, property)
      return async (...args: Parameters<KubernetesApi['jsonPatch']>) => {
        await target.mergePatch(path, { data: { other: 'theirs' } })
        return target.jsonPatch(...args)
      }
    },
  })
  const notes = { ...survey, hits: survey.hits.filter(({ name }) => name === 'media/notes') }
  const error = await t.throwsAsync(changeInCluster(migration, meddling, findOld, notes), { instanceOf: OperatorError })
  t.regex(error?.message ?? '', /configmaps media\/notes was changed by somebody else at the same moment/)
  const [now] = await contents([path])
  t.deepEqual(now?.data, { ...before[0]?.data, other: 'theirs' })

  t.is(await changeInCluster(migration, api, findOld, await look()), 4)
  await api.mergePatch(path, { data: { url: `${young}!` } })
  const change = journal.changes().findLast(({ what }) => what.includes('notes'))
  if (!change) return t.fail()
  t.is(await undoInCluster(api, change), 'conflict: data.url was changed meanwhile')
  await api.remove(path)
  t.is(await undoInCluster(api, change), 'conflict: it is not there any more')
  await put(api, path.slice(0, path.lastIndexOf('/')), { metadata: { name: 'notes' }, data: { url: old } })
  t.is(await undoInCluster(api, change), 'conflict: it was made anew meanwhile')
})

test.serial('what the server refuses is named after all others were changed', async (t) => {
  const { api } = cluster
  await put(api, '/api/v1/persistentvolumes', {
    metadata: { name: 'nas' },
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany'], nfs: { server: old, path: '/a' } },
  })
  await put(api, '/api/v1/namespaces/media/secrets', { metadata: { name: 'z' }, stringData: { a: old } })
  const error = await t.throwsAsync(changeInCluster(testMigration().migration, api, findOld, await look()), {
    instanceOf: OperatorError,
    message: /did not take the new address for:\n {2}persistentvolumes nas: .*spec/,
  })
  t.regex(error?.next ?? '', /make them anew/)
  const secret = await api.get('/api/v1/namespaces/media/secrets/z')
  t.deepEqual((secret as { data?: object }).data, { a: base64(young) })
})
