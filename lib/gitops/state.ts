import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, type ServedResource, servedResources } from '../kubernetes/served.ts'
import { redacted } from '../migration/redact.ts'
import { isJsonObject, type JsonObject } from './argocd.ts'
import { type FluxResource, fluxObject, servedFluxKinds } from './flux.ts'

/** What a Kustomization, a HelmRelease or a source of Flux is told to do, and how far it has come. */
export type FluxRecord = {
  kind: string
  namespace: string
  name: string
  suspended: boolean
  ready: string
  message: string
  interval: string | null
  /** a source: what it fetches, e.g. a repository's URL and its branch */
  url: string | null
  ref: JsonObject | null
  /** a Kustomization: the folder in its source */
  path: string | null
  /** a HelmRelease or HelmChart: the chart and the version that is asked for */
  chart: string | null
  version: string | null
  /** where it comes from, as `Kind namespace/name` */
  source: string | null
  /** as `namespace/name` */
  dependsOn: string[]
  /** the Secrets that it needs: a deploy key, the key of SOPS; as `namespace/name` */
  secrets: string[]
  appliedRevision: string | null
  attemptedRevision: string | null
}

export type ApplicationRecord = {
  namespace: string
  name: string
  project: string
  /** exactly as it is written; null if there is none */
  syncPolicy: JsonObject | null
  sources: { repo: string; path: string | null; chart: string | null; targetRevision: string | null }[]
  destination: JsonObject
  sync: string
  health: string
  revisions: string[]
}

export type ApplicationSetRecord = {
  namespace: string
  name: string
  syncPolicy: JsonObject | null
  /** list, git, matrix … */
  generators: string[]
}

export type AppProjectRecord = { namespace: string; name: string; sourceRepos: string[]; destinations: JsonObject[] }

/** null: not installed */
export type GitopsState = {
  flux: FluxRecord[] | null
  argocd: {
    applications: ApplicationRecord[]
    applicationSets: ApplicationSetRecord[]
    projects: AppProjectRecord[]
  } | null
}

/** Where Flux and Argo CD stand, at the versions that this server serves. No values of charts, and no credentials in URLs. */
export async function readGitopsState(api: KubernetesApi): Promise<GitopsState> {
  const [flux, argo] = await Promise.all([
    servedFluxKinds(api),
    servedResources(api, 'argoproj.io', ['applications', 'applicationsets', 'appprojects']),
  ])
  const applications = argo.some(({ resource }) => resource === 'applications')
  return redacted({
    flux: flux.length === 0 ? null : await readEach(api, flux, fluxRecord),
    argocd: applications ? await readArgo(api, argo) : null,
  })
}

/** For the operator, in few words; the whole is in gitops.json. */
export function describeGitops({ flux, argocd }: GitopsState): string[] {
  const suspended = (flux ?? []).filter((each) => each.suspended).length
  const unready = (flux ?? []).filter((each) => !each.suspended && each.ready !== 'True').length
  const unsynced = (argocd?.applications ?? []).filter(({ sync }) => sync !== 'Synced').length
  return [
    flux ? `Flux: ${flux.length} objects, ${suspended} suspended, ${unready} not ready.` : 'Flux is not installed.',
    argocd
      ? `Argo CD: ${argocd.applications.length} Applications, ${unsynced} not synced; ${argocd.applicationSets.length} ApplicationSets.`
      : 'Argo CD is not installed.',
  ]
}

async function readEach<K extends ServedResource, R>(
  api: KubernetesApi,
  kinds: readonly K[],
  record: (kind: K, object: KubernetesObject) => R,
): Promise<R[]> {
  const lists = await Promise.all(
    kinds.map(async (kind) => (await api.list(collectionPath(kind))).map((object) => record(kind, object))),
  )
  return lists.flat()
}

interface FluxSpec {
  interval?: string
  url?: string
  endpoint?: string
  bucketName?: string
  ref?: JsonObject
  path?: string
  sourceRef?: Reference
  chartRef?: Reference
  chart?: string | { spec?: { chart?: string; version?: string; sourceRef?: Reference } }
  version?: string
  dependsOn?: { namespace?: string; name: string }[]
  secretRef?: { name: string }
  certSecretRef?: { name: string }
  decryption?: { secretRef?: { name: string } }
  kubeConfig?: { secretRef?: { name: string } }
}

interface Reference {
  kind: string
  namespace?: string
  name: string
}

interface FluxStatus {
  lastAppliedRevision?: string
  lastAttemptedRevision?: string
  artifact?: { revision?: string }
  history?: { chartVersion?: string; status?: string }[]
}

/** Source: https://fluxcd.io/flux/components/ */
function fluxRecord(kind: FluxResource, object: KubernetesObject): FluxRecord {
  const { namespace, name, suspended, ready, message } = fluxObject(kind, object)
  const spec = (object.spec ?? {}) as FluxSpec
  const status = (object.status ?? {}) as FluxStatus
  const template = typeof spec.chart === 'object' ? spec.chart.spec : undefined
  const source = spec.sourceRef ?? spec.chartRef ?? template?.sourceRef
  const bucket = spec.endpoint ? `${spec.endpoint}/${spec.bucketName ?? ''}` : null
  return {
    kind: kind.kind,
    namespace,
    name,
    suspended,
    ready,
    message,
    interval: spec.interval ?? null,
    url: spec.url ?? bucket,
    ref: spec.ref ?? null,
    path: spec.path ?? null,
    chart: typeof spec.chart === 'string' ? spec.chart : (template?.chart ?? null),
    version: template?.version ?? spec.version ?? null,
    source: source ? `${source.kind} ${source.namespace ?? namespace}/${source.name}` : null,
    dependsOn: (spec.dependsOn ?? []).map((each) => `${each.namespace ?? namespace}/${each.name}`),
    secrets: secretsOf(spec).map((secret) => `${namespace}/${secret}`),
    appliedRevision: status.lastAppliedRevision ?? status.artifact?.revision ?? deployed(status) ?? null,
    attemptedRevision: status.lastAttemptedRevision ?? null,
  }
}

function secretsOf({ secretRef, certSecretRef, decryption, kubeConfig }: FluxSpec): string[] {
  const references = [secretRef, certSecretRef, decryption?.secretRef, kubeConfig?.secretRef]
  return references.flatMap((reference) => reference?.name ?? [])
}

/** A HelmRelease of helm.toolkit.fluxcd.io/v2 tells what it has deployed in its history, newest first. */
function deployed({ history = [] }: FluxStatus): string | undefined {
  return history.find(({ status }) => status === 'deployed')?.chartVersion
}

async function readArgo(api: KubernetesApi, served: readonly ServedResource[]): Promise<GitopsState['argocd']> {
  const of = (resource: string) => served.filter((each) => each.resource === resource)
  const [applications, applicationSets, projects] = await Promise.all([
    readEach(api, of('applications'), applicationRecord),
    readEach(api, of('applicationsets'), applicationSetRecord),
    readEach(api, of('appprojects'), projectRecord),
  ])
  return { applications, applicationSets, projects }
}

interface ArgoSource {
  repoURL?: string
  path?: string
  chart?: string
  targetRevision?: string
}

/** Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml */
function applicationRecord(_: ServedResource, { metadata, ...object }: KubernetesObject): ApplicationRecord {
  const spec = (object.spec ?? {}) as {
    project?: string
    syncPolicy?: JsonObject
    source?: ArgoSource
    sources?: ArgoSource[]
    destination?: JsonObject
  }
  const status = (object.status ?? {}) as {
    sync?: { status?: string; revision?: string; revisions?: string[] }
    health?: { status?: string }
  }
  const { revision, revisions } = status.sync ?? {}
  const sources = spec.sources ?? (spec.source ? [spec.source] : [])
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    project: spec.project ?? 'default',
    syncPolicy: spec.syncPolicy ?? null,
    sources: sources.map(({ repoURL = '', path = null, chart = null, targetRevision = null }) => ({
      repo: repoURL,
      path,
      chart,
      targetRevision,
    })),
    destination: spec.destination ?? {},
    sync: status.sync?.status ?? 'Unknown',
    health: status.health?.status ?? 'Unknown',
    revisions: revisions ?? (revision ? [revision] : []),
  }
}

function applicationSetRecord(_: ServedResource, { metadata, ...object }: KubernetesObject): ApplicationSetRecord {
  const spec = (object.spec ?? {}) as { syncPolicy?: JsonObject; generators?: unknown[] }
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    syncPolicy: spec.syncPolicy ?? null,
    generators: (spec.generators ?? []).flatMap((generator) => (isJsonObject(generator) ? Object.keys(generator) : [])),
  }
}

function projectRecord(_: ServedResource, { metadata, ...object }: KubernetesObject): AppProjectRecord {
  const spec = (object.spec ?? {}) as { sourceRepos?: string[]; destinations?: JsonObject[] }
  const { sourceRepos = [], destinations = [] } = spec
  return { namespace: metadata.namespace ?? '', name: metadata.name, sourceRepos, destinations }
}
