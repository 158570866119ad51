import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { type ListingOptions, type Page, readListing } from '../../lib/kubernetes/listing.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { type BareCluster, startBareCluster, until } from './bare-cluster.ts'
import { asServiceAccount } from './service-account.ts'

const test = anyTest as TestFn<{ cluster: BareCluster }>
const maps = '/api/v1/namespaces/default/configmaps'
const count = 60

// Two requests at once, and no fairness: who comes third gets a real 429.
const narrow = ['--enable-priority-and-fairness=false', '--max-requests-inflight=2']

test.before(async (t) => {
  const cluster = await startBareCluster({ apiServer: narrow })
  t.context = { cluster }
  for (let i = 0; i < count; i++) {
    await cluster.api.create(maps, {
      metadata: { name: `map-${i}`, labels: { listed: 'yes' } },
      data: { n: String(i) },
    })
  }
})

test.after.always((t) => t.context.cluster?.stop())

/** Reads the config maps in pages of ten. `meanwhile` is called once, when the first page is there. */
async function read(t: ExecutionContext<{ cluster: BareCluster }>, meanwhile: () => Promise<unknown>) {
  const { api } = t.context.cluster
  const options: ListingOptions = { clock: systemClock, firstPage: 10 }
  let attempts = 0
  let interrupted = false
  const paged = {
    raw: (...[path, query, rest]: Parameters<KubernetesApi['raw']>) => api.raw(path, { ...query, limit: 10 }, rest),
  }
  const names = await readListing(paged, maps, options, async (pages: AsyncGenerator<Page>) => {
    attempts++
    const found: string[] = []
    for await (const page of pages) {
      for (const line of page.lines.toString().split('\n').slice(0, -1)) {
        found.push((JSON.parse(line) as KubernetesObject).metadata.name)
      }
      if (interrupted) continue
      interrupted = true
      await meanwhile()
    }
    return found
  })
  const whole = await api.get<{ items: KubernetesObject[] }>(maps)
  t.deepEqual(
    names,
    whole.items.map(({ metadata }) => metadata.name),
  )
  t.true(names.length >= count)
  return attempts
}

test.serial('a listing goes on over the death of the API server, and is whole', async (t) => {
  const { cluster } = t.context
  const attempts = await read(t, async () => {
    await cluster.killApiServer()
    cluster.startApiServer()
  })
  t.is(attempts, 1)
})

test.serial('a listing whose moment is compacted in the middle begins anew, and is whole', async (t) => {
  const { api, etcd } = t.context.cluster
  const attempts = await read(t, async () => {
    const { metadata } = await api.create(maps, { metadata: { generateName: 'later-' } })
    await compact(etcd, Number(metadata.resourceVersion))
    // What the API server still has in memory it would list without asking etcd.
    await t.context.cluster.killApiServer()
    t.context.cluster.startApiServer()
  })
  t.is(attempts, 2)
})

test.serial('a listing whose moment lies in the future of etcd begins anew, and is whole', async (t) => {
  const { api } = t.context.cluster
  let forged = false
  const raw: KubernetesApi['raw'] = (path, query, options) => {
    const token = query?.continue
    if (typeof token !== 'string' || forged) return api.raw(path, query, options)
    forged = true
    const moment = JSON.parse(Buffer.from(token, 'base64').toString()) as { rv: number }
    const future = Buffer.from(JSON.stringify({ ...moment, rv: moment.rv + 1_000_000 })).toString('base64url')
    return api.raw(path, { ...query, continue: future }, options)
  }
  let attempts = 0
  const found = await readListing({ raw }, maps, { clock: systemClock, firstPage: 10 }, async (pages) => {
    attempts++
    let objects = 0
    for await (const page of pages) objects += page.count
    return objects
  })
  t.true(forged)
  t.is(attempts, 2)
  t.is(found, (await api.get<{ items: unknown[] }>(maps)).items.length)
})

test.serial('a server that says 429 is asked again until it has time', async (t) => {
  // The administrator is never turned away.
  const api = await asServiceAccount(t, t.context.cluster, [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] },
  ])
  let refused = 0
  const raw: KubernetesApi['raw'] = (...request) =>
    api.raw(...request).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 429) refused++
      throw error
    })
  const listings = Array.from({ length: 40 }, () =>
    readListing({ raw }, maps, { clock: systemClock, firstPage: 10 }, async (pages) => {
      let objects = 0
      for await (const page of pages) objects += page.count
      return objects
    }),
  )
  const sizes = new Set(await Promise.all(listings))
  t.deepEqual([...sizes], [(await api.get<{ items: unknown[] }>(maps)).items.length])
  t.true(refused > 0, 'the server was never too busy')
})

test.serial('an aggregated API without a server is named, with the reason', async (t) => {
  const { api } = t.context.cluster
  const name = 'v1beta1.metrics.k8s.io'
  const service = { name: 'metrics-server', namespace: 'kube-system', port: 443 }
  const spec = { group: 'metrics.k8s.io', version: 'v1beta1', groupPriorityMinimum: 100, versionPriority: 100, service }
  await api.create('/apis/apiregistration.k8s.io/v1/apiservices', {
    metadata: { name },
    spec: { ...spec, insecureSkipTLSVerify: true },
  })
  t.teardown(() => api.remove(`/apis/apiregistration.k8s.io/v1/apiservices/${name}`))
  await until('the API server knows that it does not answer', async () => {
    const found = await api.get<{ status?: { conditions?: { type: string; status: string }[] } }>(
      `/apis/apiregistration.k8s.io/v1/apiservices/${name}`,
    )
    return found.status?.conditions?.some(({ type, status }) => type === 'Available' && status === 'False') ?? false
  })
  const { dead, resources } = await discover(api)
  t.deepEqual(
    dead.map(({ group, version }) => [group, version]),
    [['metrics.k8s.io', 'v1beta1']],
  )
  t.truthy(dead[0]?.reason)
  t.true(resources.some(({ resource }) => resource === 'configmaps'))
})

/** Forgets all of etcd's revisions before this one. Source: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/ */
async function compact(etcd: string, revision: number): Promise<void> {
  const body = JSON.stringify({ revision, physical: true })
  const response = await fetch(`${etcd}/v3/kv/compaction`, { method: 'POST', body })
  if (!response.ok) throw new Error(await response.text())
}
