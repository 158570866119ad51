import { copyFileSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { objectKey } from '../../../lib/backup/restore/identity.ts'
import { backedUpObjects, restoreObjects } from '../../../lib/backup/restore.ts'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { startBareCluster } from '../../kubernetes/bare-cluster.ts'
import {
  backUp,
  configMap,
  createNamespace,
  inNamespace,
  newVault,
  restore,
  restoring,
  type Vault,
} from './backing-up.ts'

const namespace = 'home'
const core = `/api/v1/namespaces/${namespace}`
const collections = [
  `${core}/secrets`,
  `${core}/configmaps`,
  `${core}/services`,
  `${core}/persistentvolumeclaims`,
  `/apis/apps/v1/namespaces/${namespace}/deployments`,
]

/** A write of the client, counted from 1, at which the process dies: before the server has it, or before the answer is journaled. */
interface Death {
  write: number
  when: 'before' | 'after'
}

test('a restore that is killed at any write goes on in the same run, and ends as if it never had been', async (t) => {
  const { api, stop } = await startBareCluster()
  t.teardown(stop)
  await build(api)
  const vault = await newVault(t)
  const backup = await backUp(vault, api)
  const before = await contentOf(api)
  let deaths = 0
  for (let write = 1; ; write++) {
    for (const when of ['before', 'after'] as const) {
      await wipe(api)
      const runFolder = await restoreUntil({ write, when }, vault, api, backup)
      if (runFolder === undefined) {
        t.true(deaths >= 14, `${deaths} deaths`)
        return
      }
      deaths++
      const { summary } = await restore(vault, api, backup, { selection: inNamespace(namespace), runFolder })
      t.deepEqual(summary.refused, [])
      t.deepEqual(await contentOf(api), before, `killed ${when} write ${write}`)
    }
  }
})

async function wipe(api: KubernetesApi): Promise<void> {
  for (const path of collections) await api.remove(path)
  // No controller runs here that would see that no pod uses it.
  const claim = await api.getOrNull(`${core}/persistentvolumeclaims/data`)
  if (claim) await api.mergePatch(`${core}/persistentvolumeclaims/data`, { metadata: { finalizers: null } })
}

/** Owners that come after what they own are in it, and what is written twice for that. */
async function build(api: KubernetesApi): Promise<void> {
  await createNamespace(api, namespace)
  const deployment = await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, {
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: deployment.metadata.uid }]
  await api.create(`${core}/secrets`, { metadata: { name: 'owned', ownerReferences }, data: { a: 'AAEC' } })
  await api.create(`${core}/configmaps`, configMap(namespace, 'alone'))
  await api.create(
    `${core}/configmaps`,
    configMap(namespace, 'owned', { metadata: { name: 'owned', ownerReferences } as never }),
  )
  await api.create(`${core}/services`, { metadata: { name: 'web' }, spec: { ports: [{ port: 80 }], type: 'NodePort' } })
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  await api.create(`${core}/persistentvolumeclaims`, {
    metadata: { name: 'data', ownerReferences, finalizers: [] },
    spec,
  })
}

/** @returns the run's folder as the killed process left it; undefined when the restore ended before so many writes */
async function restoreUntil(
  death: Death,
  vault: Vault,
  api: KubernetesApi,
  backup: string,
): Promise<string | undefined> {
  const { migration, runFolder } = restoring(vault)
  const left = mkdtempSync(join(vault.folder, 'runs', 'left-'))
  const killed = { yet: false }
  const kill = () => {
    // Nothing that the dying process still does reaches this copy.
    if (!killed.yet) copyFileSync(join(runFolder, 'journal.jsonl'), join(left, 'journal.jsonl'))
    killed.yet = true
  }
  const source = await backedUpObjects(backup, { decryption: vault.decryption, selection: inNamespace(namespace) })
  await restoreObjects(migration, dying(api, death, kill), source, { conflict: 'skip' }).catch((error: unknown) => {
    if (!killed.yet) throw error
  })
  return killed.yet ? left : undefined
}

/** A client whose process is gone from the given write on. */
function dying(api: KubernetesApi, { write, when }: Death, kill: () => void): KubernetesApi {
  let writes = 0
  let dead = false
  const methods = new Set<PropertyKey>(['apply', 'create', 'mergePatch', 'jsonPatch'])
  return new Proxy(api, {
    get(target, name) {
      const method = Reflect.get(target, name, target) as unknown
      if (typeof method !== 'function') return method
      return async (...args: unknown[]) => {
        if (dead) return new Promise(() => undefined)
        if (!methods.has(name) || ++writes < write) return method.apply(target, args)
        dead = true
        if (when === 'after') await method.apply(target, args)
        kill()
        throw new Error('killed')
      }
    },
  })
}

/** What matters of every object: its content, and that its owners are there. */
async function contentOf(api: KubernetesApi): Promise<Record<string, unknown>> {
  const listed = await Promise.all(
    collections.map(async (path) => {
      const { items, kind, apiVersion } = await api.get<{
        items: KubernetesObject[]
        kind: string
        apiVersion: string
      }>(path)
      return items.map((item) => ({ ...item, kind: kind.replace('List', ''), apiVersion }))
    }),
  )
  const objects = listed.flat()
  const names = new Map(objects.map((object) => [object.metadata.uid, objectKey(object)]))
  return Object.fromEntries(
    objects.map((object) => {
      const { metadata, spec, data } = object as KubernetesObject & { data?: unknown }
      return [
        objectKey(object),
        { spec, data, owners: metadata.ownerReferences?.map(({ uid }) => names.get(uid) ?? 'gone') },
      ]
    }),
  )
}
