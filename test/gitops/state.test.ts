import test from 'ava'
import { describeGitops, readGitopsState } from '../../lib/gitops/state.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'

/** The groups that are served, each with its version and its resources. */
function apiWith(groups: Record<string, { version: string; resources: Record<string, object[]> }>): KubernetesApi {
  return {
    getOrNull: async (path: string) => {
      const [, , group = '', version] = path.split('/')
      const served = groups[group]
      if (!served || (version !== undefined && version !== served.version)) return null
      if (version === undefined)
        return { versions: [{ groupVersion: `${group}/${served.version}`, version: served.version }] }
      return { resources: Object.keys(served.resources).map((name) => ({ name, kind: kinds[name], namespaced: true })) }
    },
    list: async (path: string) => {
      const [, , group = '', , resource = ''] = path.split('/')
      return groups[group]?.resources[resource] ?? []
    },
  } as unknown as KubernetesApi
}

const kinds: Record<string, string> = {
  kustomizations: 'Kustomization',
  helmreleases: 'HelmRelease',
  gitrepositories: 'GitRepository',
  buckets: 'Bucket',
  applications: 'Application',
  applicationsets: 'ApplicationSet',
  appprojects: 'AppProject',
}

const named = (name: string, spec: object, status: object = {}) => ({
  metadata: { name, namespace: 'flux-system' },
  spec,
  status,
})
const ready = (message: string) => ({ conditions: [{ type: 'Ready', status: 'True', message }] })

test('where neither is installed, both are null', async (t) => {
  const state = await readGitopsState(apiWith({}))
  t.deepEqual(state, { flux: null, argocd: null })
  t.deepEqual(describeGitops(state), ['Flux is not installed.', 'Argo CD is not installed.'])
})

test('Argo Workflows shares the API group, and is no Argo CD', async (t) => {
  const { argocd } = await readGitopsState(
    apiWith({ 'argoproj.io': { version: 'v1alpha1', resources: { workflows: [] } } }),
  )
  t.is(argocd, null)
})

test('Flux: what each object is told, how far it came, and the Secrets that it needs; at older versions too', async (t) => {
  const api = apiWith({
    'kustomize.toolkit.fluxcd.io': {
      version: 'v1beta2',
      resources: {
        kustomizations: [
          named(
            'apps',
            {
              suspend: true,
              interval: '10m',
              path: './apps',
              sourceRef: { kind: 'GitRepository', name: 'flux-system' },
              dependsOn: [{ name: 'core' }, { name: 'x', namespace: 'other' }],
              decryption: { provider: 'sops', secretRef: { name: 'sops-age' } },
            },
            { ...ready('Applied'), lastAppliedRevision: 'main@sha1:a', lastAttemptedRevision: 'main@sha1:b' },
          ),
        ],
      },
    },
    'helm.toolkit.fluxcd.io': {
      version: 'v2',
      resources: {
        helmreleases: [
          named(
            'loki',
            {
              interval: '1h',
              chart: {
                spec: { chart: 'loki', version: '6.x', sourceRef: { kind: 'HelmRepository', name: 'grafana' } },
              },
            },
            {
              conditions: [{ type: 'Ready', status: 'False', message: 'pull https://bot:hunter22@r.lan failed' }],
              history: [
                { chartVersion: '6.2.0', status: 'failed' },
                { chartVersion: '6.1.0', status: 'deployed' },
              ],
              lastAttemptedRevision: '6.2.0',
            },
          ),
          named('by-reference', { chartRef: { kind: 'OCIRepository', name: 'loki', namespace: 'oci' } }),
        ],
      },
    },
    'source.toolkit.fluxcd.io': {
      version: 'v1',
      resources: {
        gitrepositories: [
          named(
            'flux-system',
            {
              url: 'https://oauth2:TOKEN-1234567@git.lan/home.git',
              ref: { branch: 'main' },
              secretRef: { name: 'deploy-key' },
            },
            { ...ready('stored'), artifact: { revision: 'main@sha1:a' } },
          ),
        ],
        buckets: [named('charts', { endpoint: 's3.lan', bucketName: 'charts' })],
      },
    },
  })
  const state = await readGitopsState(api)
  t.deepEqual(
    state.flux?.map(({ kind, name, ready }) => [kind, name, ready]),
    [
      ['Kustomization', 'apps', 'True'],
      ['HelmRelease', 'loki', 'False'],
      ['HelmRelease', 'by-reference', 'Absent'],
      ['GitRepository', 'flux-system', 'True'],
      ['Bucket', 'charts', 'Absent'],
    ],
  )
  const [apps, loki, reference, repository, bucket] = state.flux ?? []
  t.like(apps, {
    suspended: true,
    dependsOn: ['flux-system/core', 'other/x'],
    secrets: ['flux-system/sops-age'],
    appliedRevision: 'main@sha1:a',
    attemptedRevision: 'main@sha1:b',
  })
  t.like(loki, {
    chart: 'loki',
    version: '6.x',
    source: 'HelmRepository flux-system/grafana',
    appliedRevision: '6.1.0',
  })
  t.is(reference?.source, 'OCIRepository oci/loki')
  t.like(repository, {
    url: 'https://[redacted]@git.lan/home.git',
    ref: { branch: 'main' },
    appliedRevision: 'main@sha1:a',
  })
  t.is(bucket?.url, 's3.lan/charts')
  t.false(JSON.stringify(state).includes('TOKEN-1234567') || JSON.stringify(state).includes('hunter22'))
  t.deepEqual(describeGitops(state), ['Flux: 5 objects, 1 suspended, 3 not ready.', 'Argo CD is not installed.'])
})

test('Argo CD: sync policies exactly, all sources of an Application, generators by kind, projects', async (t) => {
  const syncPolicy = {
    automated: { prune: true, selfHeal: false },
    syncOptions: ['CreateNamespace=true'],
    retry: { limit: 2 },
  }
  const values = 'password: hunter22'
  const api = apiWith({
    'argoproj.io': {
      version: 'v1alpha1',
      resources: {
        applications: [
          named(
            'one',
            {
              project: 'homelab',
              syncPolicy,
              source: { repoURL: 'https://git.lan/x', path: 'a', targetRevision: 'main' },
            },
            { sync: { status: 'Synced', revision: 'abc' }, health: { status: 'Healthy' } },
          ),
          named(
            'two',
            {
              sources: [
                { repoURL: 'https://charts.lan', chart: 'loki', targetRevision: '6.1.0', helm: { values } },
                { repoURL: 'https://git.lan/x', ref: 'values' },
              ],
            },
            { sync: { status: 'OutOfSync', revisions: ['6.1.0', 'abc'] } },
          ),
        ],
        applicationsets: [
          named('set', { generators: [{ git: {} }, { matrix: {} }], syncPolicy: { applicationsSync: 'sync' } }),
        ],
        appprojects: [named('homelab', { sourceRepos: ['*'], destinations: [{ namespace: '*', server: '*' }] })],
      },
    },
  })
  const state = await readGitopsState(api)
  const [one, two] = state.argocd?.applications ?? []
  t.deepEqual(one?.syncPolicy as unknown, syncPolicy)
  t.like(one, { project: 'homelab', sync: 'Synced', health: 'Healthy', revisions: ['abc'] })
  t.is(two?.syncPolicy, null)
  t.deepEqual(
    two?.sources.map(({ repo, chart }) => [repo, chart]),
    [
      ['https://charts.lan', 'loki'],
      ['https://git.lan/x', null],
    ],
  )
  t.deepEqual(two?.revisions, ['6.1.0', 'abc'])
  t.like(state.argocd?.applicationSets[0], { generators: ['git', 'matrix'], syncPolicy: { applicationsSync: 'sync' } })
  t.like(state.argocd?.projects[0], { name: 'homelab', sourceRepos: ['*'] })
  t.false(JSON.stringify(state).includes('hunter22'))
  t.regex(describeGitops(state).join(), /2 Applications, 1 not synced; 1 ApplicationSets/)
})
