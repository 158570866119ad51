import test from 'ava'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import { hasMandate, isAutomated, leavesSyncPolicy } from '../../lib/rehearsal/adversaries/mandate.ts'
import { nameOf } from '../../lib/rehearsal/homelab/resources.ts'

function object(kind: string, namespace: string, name: string, spec: Record<string, unknown>): KubernetesObject {
  return { kind, metadata: { namespace, name }, spec }
}

function lookupIn(objects: KubernetesObject[]) {
  const byName = new Map(objects.map((each) => [nameOf(each), each]))
  return (name: string) => byName.get(name)
}

const controllers = (replicas: number) => [
  object('Deployment', 'flux-system', 'kustomize-controller', { replicas }),
  object('Deployment', 'flux-system', 'helm-controller', { replicas }),
  object('StatefulSet', 'argocd', 'argocd-application-controller', { replicas }),
  object('Deployment', 'argocd', 'argocd-applicationset-controller', { replicas }),
  object('Deployment', 'monitoring', 'kube-prometheus-stack-operator', { replicas }),
]

const heals = { syncPolicy: { automated: { selfHeal: true } } }
const drift = { driftDetection: { mode: 'enabled' } }

const hasActed = { status: { conditions: [{ type: 'Ready', status: 'True' }], sync: { status: 'Synced' } } }

const cases = [
  ['Kustomization', 'flux-system', {}, true],
  ['Kustomization', 'flux-system', { suspend: true }, false],
  ['HelmRelease', 'monitoring', drift, true],
  ['HelmRelease', 'monitoring', { ...drift, suspend: true }, false],
  ['HelmRelease', 'monitoring', { driftDetection: { mode: 'warn' } }, false],
  ['HelmRelease', 'monitoring', {}, false],
  ['Application', 'argocd', heals, true],
  ['Application', 'argocd', { syncPolicy: { automated: { selfHeal: true, enabled: false } } }, false],
  ['Application', 'argocd', { syncPolicy: { automated: {} } }, false],
  ['Application', 'argocd', {}, false],
  ['ApplicationSet', 'argocd', {}, true],
  ['ApplicationSet', 'argocd', { syncPolicy: { applicationsSync: 'create-update' } }, true],
  ['ApplicationSet', 'argocd', { syncPolicy: { applicationsSync: 'create-only' } }, false],
  ['Prometheus', 'monitoring', {}, true],
  ['Prometheus', 'monitoring', { paused: true }, false],
] as const

for (const [kind, namespace, spec, expected] of cases) {
  test(`a ${kind} with ${JSON.stringify(spec)} ${expected ? 'puts back what drifts' : 'leaves what drifts'}`, (t) => {
    const owner = { kind, namespace, name: 'one' }
    const live = { ...object(kind, namespace, 'one', spec), ...hasActed }
    t.is(hasMandate(owner, lookupIn([live, ...controllers(1)])), expected)
    t.false(hasMandate(owner, lookupIn([live, ...controllers(0)])), 'its controller is scaled to 0')
    t.false(hasMandate(owner, lookupIn(controllers(1))), 'it is not in the cluster')
  })
}

test('who has not installed or synced yet does so once, whatever is told about drift, unless suspended', (t) => {
  const makes = (kind: 'HelmRelease' | 'Application', spec: Record<string, unknown>) =>
    hasMandate(
      { kind, namespace: 'argocd', name: 'one' },
      lookupIn([object(kind, 'argocd', 'one', spec), ...controllers(1)]),
    )
  t.true(makes('HelmRelease', {}))
  t.false(makes('HelmRelease', { suspend: true }))
  t.true(makes('Application', { syncPolicy: { automated: {} } }))
  t.false(makes('Application', {}))
})

test('External Secrets writes a Secret when its store and the token that opens it are there', (t) => {
  const running = [
    object('Deployment', 'external-secrets', 'external-secrets', { replicas: 1 }),
    object('ExternalSecret', 'media', 'one', {}),
    { kind: 'ClusterSecretStore', metadata: { name: 'onepassword' } },
  ]
  const token = object('Secret', 'external-secrets', 'onepassword-connect', {})
  const owner = { kind: 'ExternalSecret', namespace: 'media', name: 'one' } as const
  t.true(hasMandate(owner, lookupIn([...running, token])))
  t.false(hasMandate(owner, lookupIn(running)))
})

test('an Application that is told to skip reconciling is not automated', (t) => {
  const application = object('Application', 'argocd', 'one', heals)
  t.true(isAutomated(application))
  const annotations = { 'argocd.argoproj.io/skip-reconcile': 'true' }
  t.false(isAutomated({ ...application, metadata: { ...application.metadata, annotations } }))
})

test('an ApplicationSet leaves the sync policies that it is told to ignore', (t) => {
  const ignoring = (difference: Record<string, unknown>) =>
    object('ApplicationSet', 'argocd', 'media', { ignoreApplicationDifferences: [difference] })
  t.true(leavesSyncPolicy(ignoring({ jsonPointers: ['/spec/syncPolicy'] }), 'plex'))
  t.true(leavesSyncPolicy(ignoring({ jqPathExpressions: ['.spec.syncPolicy.automated'] }), 'plex'))
  t.false(leavesSyncPolicy(ignoring({ name: 'jellyfin', jsonPointers: ['/spec/syncPolicy'] }), 'plex'))
  t.false(leavesSyncPolicy(ignoring({ jsonPointers: ['/spec/source'] }), 'plex'))
  t.false(leavesSyncPolicy(undefined, 'plex'))
})
