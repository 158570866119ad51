import { Engine } from './engine.ts'
import { editedByHand } from './hand-edits.ts'
import { type ClusterObject, calledIn, Holders } from './holders.ts'
import { type Fate, fateOf, type LeftToCluster } from './not-in-git.ts'
import { SecretUses } from './secret-uses.ts'

/** All objects of a cluster, from a backup or from itself; read twice. */
export interface ObjectSource {
  /** a path or an address, for messages */
  readonly origin: string
  objects(): AsyncIterable<ClusterObject>
}

/** An object that a rebuild from Git restores, with why. */
export interface Restored {
  /** by calledIn() */
  readonly called: string
  readonly kind: string
  readonly why: string
  /** whether it is a part of Flux or Argo CD: they come after everything else */
  readonly engine: boolean
}

/** What a rebuild from Git loses of one object: all of it, or what was changed in it. */
export interface Loss {
  readonly called: string
  readonly kind: string
  readonly what: 'object' | 'changes' | 'runs again'
  readonly why: string
  /** Git does not hold it, and the operator's list does not name it */
  readonly unlisted?: true
}

/** A controller of Flux or Argo CD, which has to run before Git can be applied. */
export interface EngineWorkload {
  readonly resource: string
  readonly namespace: string
  readonly name: string
}

/** What becomes of a cluster that is rebuilt from Git. */
export interface Rebuild {
  readonly origin: string
  readonly restored: readonly Restored[]
  readonly losses: readonly Loss[]
  readonly controllers: readonly EngineWorkload[]
  /** objects that come out of Git, and that their controllers or the cluster make anew */
  readonly fromGit: number
  readonly madeAnew: number
}

/**
 * Works out what Git does not hold, and what will be lost: from the objects alone, as they were in the cluster.
 * @param leftToCluster why a restore would leave an object to the cluster
 */
export async function planRebuild(source: ObjectSource, leftToCluster: LeftToCluster): Promise<Rebuild> {
  const holders = new Holders()
  const uses = new SecretUses()
  const engine = new Engine(holders)
  for await (const one of source.objects()) for (const knowing of [holders, uses, engine]) knowing.note(one)
  const restored: Restored[] = []
  const losses: Loss[] = []
  const made = { git: 0, anew: 0 }
  for await (const one of source.objects()) {
    const fate = fateOf(one, { holders, uses, leftToCluster })
    const entry = restoredAs(one, fate, engine)
    if (entry) restored.push(entry)
    else losses.push(...lossesOf(one, fate))
    if (!entry && fate.fate === 'git') made.git++
    else if (!entry && fate.fate !== 'lost') made.anew++
  }
  const controllers = engine.controllers.map(({ resource, object: { metadata } }) => ({
    resource,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
  }))
  return {
    origin: source.origin,
    restored: inOrder(restored),
    losses: inOrder(losses),
    controllers,
    fromGit: made.git,
    madeAnew: made.anew,
  }
}

function restoredAs(one: ClusterObject, fate: Fate, engine: Engine): Restored | undefined {
  const called = calledIn(one)
  const { kind = '' } = one.object
  // The keys that GitOps needs are there before it runs.
  const isEngine = (fate.fate === 'git' || fate.fate === 'restore') && one.resource !== 'secrets' && engine.has(one)
  if (fate.fate === 'restore') return { called, kind, why: fate.why, engine: isEngine }
  return isEngine ? { called, kind, why: 'it has to run before anything comes out of Git', engine: true } : undefined
}

function lossesOf(one: ClusterObject, fate: Fate): Loss[] {
  const named = { called: calledIn(one), kind: one.object.kind ?? '' }
  if (fate.fate === 'lost') return [{ ...named, what: 'object', why: fate.why }]
  if (fate.fate !== 'git') return one.resource === 'nodes' ? nodeLosses(one) : []
  if (one.resource === 'jobs.batch') return [{ ...named, what: 'runs again', why: `${fate.held.holder} makes it anew` }]
  const edited = editedByHand(one.object)
  if (edited.length === 0) return []
  return [{ ...named, what: 'changes', why: `${described(one, edited)}; ${fate.held.holder} brings Git's` }]
}

const knownLabels = /(^|\.)(kubernetes\.io|k8s\.io|talos\.dev|nvidia\.com)\//
const knownTaints = /^node(-role)?\.kubernetes\.io\//

/** A machine announces its Node anew; what people have put on it is not among what it announces. */
function nodeLosses(one: ClusterObject): Loss[] {
  const { metadata, spec } = one.object
  const { unschedulable, taints = [] } = (spec ?? {}) as { unschedulable?: boolean; taints?: { key: string }[] }
  const labels = Object.keys(metadata.labels ?? {}).filter((label) => !knownLabels.test(label))
  const put = [
    ...labels.map((label) => `label ${label}`),
    ...taints.filter(({ key }) => !knownTaints.test(key)).map(({ key }) => `taint ${key}`),
    ...(unschedulable ? ['its cordon'] : []),
  ]
  if (put.length === 0) return []
  const why = `${put.join(', ')}: lost, unless the machine config has it (machine.nodeLabels, machine.nodeTaints)`
  return [{ called: calledIn(one), kind: 'Node', what: 'changes', why }]
}

function described({ resource, object }: ClusterObject, paths: readonly string[]): string {
  const [only = ''] = paths
  const value = resource === 'secrets' || paths.length > 1 ? undefined : valueAt(object, only)
  const plain = ['number', 'boolean'].includes(typeof value) ? ` (${value})` : ''
  const more = paths.length > 4 ? ` and ${paths.length - 4} more` : ''
  return `${paths.slice(0, 4).join(', ')}${plain}${more}, changed by hand`
}

function valueAt(object: object, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], object)
}

function inOrder<T extends { called: string }>(entries: T[]): T[] {
  return entries.toSorted((a, b) => (a.called < b.called ? -1 : 1))
}
