import { readFileSync } from 'node:fs'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { rebuiltMayDiffer } from './may-differ.ts'
import { owes, type Proof, proof, secretsProof } from './proofs.ts'
import { keyOf, type ObjectTruth, type Truth } from './truth.ts'

/** What the run's plan has announced, from the files that it has left for its operator. */
export interface Announced {
  /** restore-list.txt: RESOURCE NAMESPACE/NAME */
  restored: readonly string[]
  /** losses.txt: of each object, all of it, what was changed in it by hand, or that it runs again */
  losses: ReadonlyMap<string, string>
}

/** Reads what the plan has announced, by itself and not with the plan's own code. */
export function readAnnounced(restoreList: string, losses: string): Announced {
  const lines = (path: string) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => /^[a-z]/.test(line))
  const split = (line: string) => line.split(/ {2}# /)
  return {
    restored: lines(restoreList).map((line) => split(line)[0]?.trim() ?? ''),
    losses: new Map(lines(losses).map((line) => [split(line)[0]?.trim() ?? '', split(line)[1]?.split(':')[0] ?? ''])),
  }
}

/** Every proof about a cluster that was rebuilt from Git, which rests on the objects of the two. */
export function compareRebuilt(before: Truth, after: Truth, announced: Announced): Proof[] {
  return [
    newClusterProof(before, after),
    restoredProof(before, after, announced),
    lossesProof(before, after, announced),
    secretsProof(before, after),
    boundProof(before, after),
    switchesProof(before, after, announced),
  ]
}

function newClusterProof(before: Truth, after: Truth): Proof {
  const uids = new Set([...before.values()].map(({ uid }) => uid))
  const against = [...after.values()]
    .filter(({ uid }) => uids.has(uid))
    .map((one) => `${keyOf(one)} has the UID that it had`)
  const uid = (truth: Truth) => truth.get('namespaces kube-system')?.uid ?? 'none'
  return proof('it is another etcd', `kube-system was ${uid(before)} and is ${uid(after)}; no UID is left`, against)
}

function restoredProof(before: Truth, after: Truth, { restored }: Announced): Proof {
  const against = restored.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    if (!old) return [`${name} was not there before`]
    if (!now) return [`${name} is not there`]
    return old.substance === now.substance ? [] : [`${name} says something else than before`]
  })
  return proof('what Git does not hold is back as it was', `${restored.length} objects of restore-list.txt`, against)
}

/** Both ways: nothing is lost that was not announced, and nothing was announced that is not lost. */
function lossesProof(before: Truth, after: Truth, { losses }: Announced): Proof {
  const owed = [...before.values()].filter(owedByRebuild)
  const lost = owed.filter((old) => !after.has(keyOf(old))).map(keyOf)
  const changed = owed.filter((old) => differs(old, after.get(keyOf(old)))).map(keyOf)
  const ofKind = (kind: string) => [...losses].filter(([, what]) => what === kind).map(([name]) => name)
  const against = [
    ...without(lost, ofKind('object')).map((name) => `${name} is lost, and was not announced`),
    ...without(changed, ofKind('changes')).map((name) => `${name} says something else, and that was not announced`),
    ...without(ofKind('object'), lost).map((name) => `${name} was announced as lost, and is there`),
    ...without(ofKind('changes'), changed).map((name) => `${name} was announced as changed, and is as it was`),
  ]
  const evidence = `of ${owed.length} objects: lost ${lost.join(', ') || 'none'}; changed ${changed.join(', ') || 'none'}`
  return proof('what is lost is just what the plan announced', evidence, against)
}

function boundProof(before: Truth, after: Truth): Proof {
  const claims = [...before.values()].filter(
    ({ group, resource }) => group === '' && resource === 'persistentvolumeclaims',
  )
  const against = claims.flatMap((old) => {
    const now = after.get(keyOf(old))?.switches.volume ?? 'gone'
    return now === old.switches.volume ? [] : [`${keyOf(old)}: ${now}; it was ${old.switches.volume}`]
  })
  return proof('every claim is bound to its old volume', `${claims.length} claims`, against)
}

function switchesProof(before: Truth, after: Truth, { losses }: Announced): Proof {
  const owed = [...before.values()].filter((one) => owedByRebuild(one) && !losses.has(keyOf(one)))
  const against = owed.flatMap((old) => {
    const now = after.get(keyOf(old))
    const differing = Object.entries(old.switches).filter(([name, value]) => now?.switches[name] !== value)
    return differing.map(([name, value]) => `${keyOf(old)}: ${name} ${now?.switches[name] ?? 'unset'}, was ${value}`)
  })
  const count = owed.filter(({ switches }) => Object.keys(switches).length > 0).length
  return proof('replicas, suspended flags, sync policies and cordon are as before', `${count} objects`, against)
}

interface Conditions {
  suspend?: boolean
  syncPolicy?: { automated?: { enabled?: boolean } | null }
}
interface Observed {
  conditions?: { type: string; status: string }[]
  sync?: { status?: string }
  health?: { status?: string }
}

/** Every Kustomization and HelmRelease that is not suspended is Ready, every Application that syncs by itself is synced and healthy. */
export async function convergedProof(api: KubernetesApi): Promise<Proof> {
  const [kustomizations, releases, applications] = await Promise.all([
    api.list('/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations'),
    api.list('/apis/helm.toolkit.fluxcd.io/v2/helmreleases'),
    api.list('/apis/argoproj.io/v1alpha1/applications'),
  ])
  const flux = [...kustomizations, ...releases].filter(({ spec }) => (spec as Conditions).suspend !== true)
  const synced = applications.filter(({ spec }) => (spec as Conditions).syncPolicy?.automated)
  const name = ({ metadata }: KubernetesObject) => `${metadata.namespace}/${metadata.name}`
  const against = [
    ...flux.filter(({ status }) => !isReady(status as Observed | undefined)).map((one) => `${name(one)} is not Ready`),
    ...synced
      .filter(({ status }) => !isSynced(status as Observed | undefined))
      .map((one) => `${name(one)} is not synced`),
  ]
  const evidence = `${flux.length} Kustomizations and HelmReleases, ${synced.length} Applications`
  return proof('Flux and Argo CD have taken over, and have converged', evidence, against)
}

function isReady(status: Observed | undefined): boolean {
  return (status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')
}

function isSynced(status: Observed | undefined): boolean {
  return status?.sync?.status === 'Synced' && status.health?.status === 'Healthy'
}

function owedByRebuild(one: ObjectTruth): boolean {
  return owes(one) && !rebuiltMayDiffer.some(({ group, resource }) => group === one.group && resource === one.resource)
}

function differs(old: ObjectTruth, now: ObjectTruth | undefined): boolean {
  return now !== undefined && !isFollowing(old) && now.substance !== old.substance
}

/** Endpoints follow pods, whose addresses are others. */
const isFollowing = ({ group, resource }: ObjectTruth) => group === '' && resource === 'endpoints'

function without(names: readonly string[], others: readonly string[]): string[] {
  const excluded = new Set(others)
  return names.filter((name) => !excluded.has(name))
}
