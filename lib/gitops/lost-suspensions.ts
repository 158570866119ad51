import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { LostChange } from '../migration/adopt.ts'
import type { Migration } from '../migration/migration.ts'
import { type ArgoObject, argoObjectsFrom, isAutomatic, readArgoCd, servedArgoKinds } from './argocd.ts'
import { fluxObjectsFrom, readFlux, servedFluxKinds, suspensionOrder } from './flux.ts'
import { generations } from './ordering.ts'
import { argoUndoKind, isOurs, rememberUnsynced, whatOfArgo } from './suspend-argocd.ts'
import { fluxUndoKind, rememberUnready } from './suspend-flux.ts'

type InBackup = (group: string, resource: string) => Promise<KubernetesObject[]>

/**
 * What a drain has suspended, found without its journal: whatever is suspended now as a drain does it, and was not in
 * the backup that was taken before. In the order in which a drain suspends.
 */
export async function findLostSuspensions(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  return [...(await lostInFlux(api, inBackup)), ...(await lostInArgoCd(api, inBackup))]
}

/** What was not ready or not synced in the backup need not be waited for: the journal that knew it is lost. */
export async function rememberUnsettledIn(migration: Migration, api: KubernetesApi, inBackup: InBackup): Promise<void> {
  rememberUnready(migration, await fluxObjectsFrom(await servedFluxKinds(api), inBackup))
  rememberUnsynced(migration, await argoObjectsFrom(await servedArgoKinds(api), inBackup))
}

async function lostInFlux(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  const kinds = await servedFluxKinds(api)
  const before = new Map((await fluxObjectsFrom(kinds, inBackup)).map((object) => [object.key, object]))
  const lost = (await readFlux(api, kinds)).filter(({ key, suspended }) => {
    return suspended && before.get(key)?.suspended === false
  })
  return suspensionOrder(lost)
    .flat()
    .map(({ key, path }) => ({
      what: `Suspend ${key}`,
      now: 'suspended',
      before: 'not suspended',
      undo: { kind: fluxUndoKind, path, suspend: before.get(key)?.suspendField ?? null },
    }))
}

async function lostInArgoCd(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  const kinds = await servedArgoKinds(api)
  const before = new Map((await argoObjectsFrom(kinds, inBackup)).map((object) => [object.key, object]))
  const lost = (await readArgoCd(api, kinds)).filter((object) => isSuspendedSince(object, before.get(object.key)))
  return generations(lost)
    .flat()
    .map((object) => {
      const syncPolicy = before.get(object.key)?.syncPolicy ?? null
      return {
        what: whatOfArgo(object),
        now: JSON.stringify(object.syncPolicy),
        before: JSON.stringify(syncPolicy),
        undo: { kind: argoUndoKind, path: object.path, syncPolicy },
      }
    })
}

function isSuspendedSince(now: ArgoObject, before: ArgoObject | undefined): boolean {
  return before !== undefined && isAutomatic(before) && !isAutomatic(now) && isOurs(now.syncPolicy, before.syncPolicy)
}
