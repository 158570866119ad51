import test from 'ava'
import { ApiError } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { instantClock } from './list-server.ts'

const verbs = ['get', 'list']
const entry = (resource: string, kind: string, scope = 'Namespaced', can = verbs) => ({
  resource,
  responseKind: { group: '', version: '', kind },
  scope,
  verbs: can,
})

const core = {
  metadata: {},
  versions: [
    {
      version: 'v1',
      freshness: 'Current',
      resources: [entry('pods', 'Pod'), entry('bindings', 'Binding', 'Namespaced', ['create'])],
    },
  ],
}
const widgets = {
  metadata: { name: 'x.io' },
  versions: [
    { version: 'v2', freshness: 'Current', resources: [entry('widgets', 'Widget')] },
    { version: 'v1', freshness: 'Current', resources: [entry('widgets', 'Widget'), entry('gears', 'Gear', 'Cluster')] },
  ],
}
const metrics = { metadata: { name: 'metrics.k8s.io' }, versions: [{ version: 'v1beta1', freshness: 'Stale' }] }

function aggregated(groups: unknown[]) {
  const list = (items: unknown[]) => ({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items })
  return answering({ '/api': list([core]), '/apis': list(groups) })
}

function answering(answers: Record<string, unknown>) {
  return {
    raw: async (path: string) => {
      if (answers[path] === undefined) throw new ApiError('GET', path, 503, 'service unavailable', undefined)
      return Buffer.from(JSON.stringify(answers[path]))
    },
  }
}

const unaggregated = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': {
    kind: 'APIGroupList',
    groups: [
      { name: 'x.io', versions: [{ version: 'v1' }, { version: 'v2' }], preferredVersion: { version: 'v2' } },
      { name: 'metrics.k8s.io', versions: [{ version: 'v1beta1' }], preferredVersion: { version: 'v1beta1' } },
    ],
  },
  '/api/v1': {
    resources: [
      { name: 'pods', kind: 'Pod', namespaced: true, verbs },
      { name: 'pods/log', kind: 'Pod', namespaced: true, verbs: ['get'] },
      { name: 'bindings', kind: 'Binding', namespaced: true, verbs: ['create'] },
    ],
  },
  '/apis/x.io/v2': { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true, verbs }] },
  '/apis/x.io/v1': {
    resources: [
      { name: 'widgets', kind: 'Widget', namespaced: true, verbs },
      { name: 'widgets/status', kind: 'Widget', namespaced: true, verbs },
      { name: 'gears', kind: 'Gear', namespaced: false, verbs },
    ],
  },
}

const expected = [
  { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true, path: '/api/v1/pods' },
  { group: 'x.io', version: 'v1', resource: 'gears', kind: 'Gear', namespaced: false, path: '/apis/x.io/v1/gears' },
  {
    group: 'x.io',
    version: 'v2',
    resource: 'widgets',
    kind: 'Widget',
    namespaced: true,
    path: '/apis/x.io/v2/widgets',
  },
]

test('each listable resource is found once, at the first version in the order of preference that has it', async (t) => {
  const { resources, dead } = await discover(aggregated([widgets]))
  t.deepEqual(resources, expected)
  t.deepEqual(dead, [])
})

test('a server without aggregated discovery gives the same', async (t) => {
  const { resources } = await discover(answering(unaggregated))
  t.deepEqual(resources, expected)
})

test('an aggregated API whose server is gone is named by both ways of discovery', async (t) => {
  for (const api of [aggregated([widgets, metrics]), answering(unaggregated)]) {
    const { resources, dead } = await discover(api)
    t.deepEqual(resources, expected)
    t.deepEqual(
      dead.map(({ group, version }) => [group, version]),
      [['metrics.k8s.io', 'v1beta1']],
    )
    t.truthy(dead[0]?.reason)
  }
})

test('the core group alone does not pass for a whole API', async (t) => {
  await t.throwsAsync(
    discover(answering({ '/api': { versions: ['v1'] }, '/api/v1': { resources: [] } }), instantClock()),
    {
      instanceOf: ApiError,
    },
  )
})

test('a server that is too busy for discovery, or breaks off, is asked again', async (t) => {
  const faults = [new ApiError('GET', '/api', 429, 'too many requests', '1'), new SyntaxError('cut off')]
  for (const whole of [aggregated([widgets]), answering(unaggregated)]) {
    const left = new Map<string, Error[]>()
    const raw = async (path: string) => {
      if (!left.has(path)) left.set(path, [...faults])
      const fault = left.get(path)?.shift()
      if (fault) throw fault
      return whole.raw(path)
    }
    t.deepEqual((await discover({ raw }, instantClock())).resources, expected)
  }
})
