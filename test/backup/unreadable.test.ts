import { join } from 'node:path'
import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { Archive } from '../../lib/backup/archive.ts'
import { encryptionTo } from '../../lib/backup/encryption.ts'
import { backUpResources } from '../../lib/backup/resources.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { type Discovery, discover } from '../../lib/kubernetes/discovery.ts'
import { type BareCluster, startBareCluster, until } from '../kubernetes/bare-cluster.ts'
import { instantClock } from '../kubernetes/list-server.ts'
import { asServiceAccount } from '../kubernetes/service-account.ts'
import { defineTwoVersions } from '../kubernetes/two-versions.ts'
import { makeKeys, scratchFolder } from './keys.ts'

const test = anyTest as TestFn<{ cluster: BareCluster }>
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

test.before(async (t) => {
  t.context = { cluster: await startBareCluster() }
})

test.after.always((t) => t.context.cluster?.stop())

async function backUp(t: ExecutionContext<unknown>, api: KubernetesApi, discovery: Discovery) {
  const scratch = await scratchFolder(t)
  const { recipient } = await makeKeys(scratch)
  const archive = await Archive.begin(join(scratch, 'b'), 'x', encryptionTo([recipient]))
  return backUpResources(api, discovery, archive, { clock: instantClock() })
}

test('what one may not list is named with the reason; the rest is read', async (t) => {
  const rules = [{ apiGroups: [''], resources: ['configmaps', 'services'], verbs: ['list'] }]
  const api = await asServiceAccount(t, t.context.cluster, rules)
  const resources = (await discover(api)).resources.filter(({ group }) => group === '')
  t.true(resources.length > 10)
  const backup = await backUp(t, api, { resources, dead: [] })
  t.deepEqual(
    backup.resources.map(({ resource }) => resource),
    ['configmaps', 'services'],
  )
  t.is(backup.unreadable.length, resources.length - 2)
  for (const { resource, reason } of backup.unreadable) t.regex(reason, new RegExp(`403 ${resource} is forbidden`))
})

test('a custom resource whose conversion webhook is down is named; the others are read at their preferred version', async (t) => {
  const { api } = t.context.cluster
  for (const plural of ['stucks', 'twins']) await defineTwoVersions(api, plural)
  await api.mergePatch(`${definitions}/stucks.x.io`, {
    spec: {
      conversion: {
        strategy: 'Webhook',
        webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:1/convert' } },
      },
    },
  })
  await until('the webhook is asked', async () => {
    const refusal = await api.raw('/apis/x.io/v2/stucks').catch((error: Error) => error.message)
    return typeof refusal === 'string' && refusal.includes('conversion webhook')
  })
  const discovery = await discover(api)
  const { resources, unreadable } = await backUp(t, api, discovery)
  t.deepEqual(
    unreadable.map(({ group, version, resource }) => [group, version, resource]),
    [['x.io', 'v2', 'stucks']],
  )
  t.regex(unreadable[0]?.reason ?? '', /500 conversion webhook for x\.io\/v1, Kind=Stucks failed/)
  t.deepEqual(
    resources.filter(({ group }) => group === 'x.io').map(({ version, resource, count }) => [version, resource, count]),
    [['v2', 'twins', 1]],
  )
  t.is(resources.length, discovery.resources.length - 1)
})
