import test from 'ava'
import { applied, installed, lossesOf, object, ownedBy, rebuildOf, restoredOf, whyOf } from './objects.ts'

const root = object('Kustomization', 'flux-system/flux-system', {
  spec: {},
  metadata: applied('flux-system/flux-system'),
})
const apps = object('Kustomization', 'flux-system/apps', { spec: {}, metadata: applied('flux-system/flux-system') })
const asleep = object('Kustomization', 'flux-system/asleep', {
  spec: { suspend: true },
  metadata: applied('flux-system/flux-system'),
})
const release = object('HelmRelease', 'media/plex', { spec: {}, metadata: applied('flux-system/apps') })
const git = [root, apps, asleep, release]
const itself = 'kustomizations.kustomize.toolkit.fluxcd.io flux-system/flux-system'

test('what a person made by hand is restored, and what Git or its controller makes is not', async (t) => {
  const byGit = object('Deployment', 'media/jellyfin', { metadata: applied('flux-system/apps') })
  const byChart = object('Deployment', 'media/plex', { metadata: installed('media/plex') })
  const replicas = object('ReplicaSet', 'media/plex-1', { metadata: ownedBy(byChart) })
  const byHand = object('ConfigMap', 'default/notes')
  const pod = object('Pod', 'media/plex-1-a', { metadata: ownedBy(replicas) })
  t.deepEqual(await restoredOf(...git, byGit, byChart, replicas, pod, byHand), ['configmaps default/notes', itself])
})

test('what the cluster makes by itself is not restored', async (t) => {
  const made = [
    object('Namespace', 'kube-system', { metadata: { labels: { 'kubernetes.io/metadata.name': 'kube-system' } } }),
    object('ServiceAccount', 'media/default'),
    object('ServiceAccount', 'kube-system/deployment-controller'),
    object('ConfigMap', 'media/kube-root-ca.crt'),
    object('Node', 'talos00'),
    object('Lease', 'kube-node-lease/talos00'),
    object('Event', 'media/plex.1'),
    object('Service', 'default/kubernetes'),
    object('PriorityClass', 'system-node-critical'),
    object('ClusterRole', 'admin', { metadata: { labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } } }),
    object('EndpointSlice', 'media/plex-x', {
      metadata: { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' } },
    }),
  ]
  t.deepEqual(await restoredOf(...made), [])
})

test('what a person has put on what the cluster makes is restored', async (t) => {
  const marked = [
    object('ServiceAccount', 'media/default', { imagePullSecrets: [{ name: 'registry-pull' }] }),
    object('Namespace', 'kube-system', {
      metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
    }),
    // Of the same name in another namespace, it is no part of the controller manager.
    object('ServiceAccount', 'media/deployment-controller'),
  ]
  t.deepEqual(await restoredOf(...marked), [
    'namespaces kube-system',
    'serviceaccounts media/default',
    'serviceaccounts media/deployment-controller',
  ])
})

test('what is held by somebody who would not make it anew is restored, with who it is', async (t) => {
  const byHand = { syncPolicy: {} }
  const app = object('Application', 'argocd/llm', { spec: byHand, metadata: applied('flux-system/apps') })
  const tracking = { annotations: { 'argocd.argoproj.io/tracking-id': 'llm:apps/Deployment:llm/litellm' } }
  const litellm = object('Deployment', 'llm/litellm', { metadata: tracking })
  const whoami = object('Deployment', 'sandbox/whoami', { metadata: applied('flux-system/asleep') })
  const orphan = object('ConfigMap', 'media/left', { metadata: applied('flux-system/removed') })
  const told = { ...applied('flux-system/apps'), annotations: { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' } }
  const alone = object('ConfigMap', 'media/alone', { metadata: told })
  const prometheus = object('Prometheus', 'monitoring/main', {
    spec: { paused: true },
    metadata: applied('flux-system/apps'),
  })
  const set = object('StatefulSet', 'monitoring/prometheus-main', { metadata: ownedBy(prometheus) })
  const all = [...git, app, litellm, whoami, orphan, alone, prometheus, set]
  const why = (name: string) => whyOf(name, ...all)
  t.regex((await why('deployments.apps llm/litellm')) ?? '', /Application argocd\/llm is not synced by itself/)
  t.regex((await why('deployments.apps sandbox/whoami')) ?? '', /Kustomization flux-system\/asleep is suspended/)
  t.regex((await why('configmaps media/left')) ?? '', /Kustomization flux-system\/removed, .* is not there any more/)
  t.regex((await why('configmaps media/alone')) ?? '', /told to leave it alone/)
  t.regex((await why('statefulsets.apps monitoring/prometheus-main')) ?? '', /Prometheus monitoring\/main is paused/)
  t.is(await why('prometheuses.monitoring.coreos.com monitoring/main'), undefined)
})

test('an Application that syncs by itself makes what it holds, with or without self-heal', async (t) => {
  const app = object('Application', 'argocd/auth', {
    spec: { syncPolicy: { automated: {} } },
    metadata: applied('flux-system/apps'),
  })
  const tracking = { annotations: { 'argocd.argoproj.io/tracking-id': 'auth:apps/Deployment:auth/worker' } }
  const copied = object('ConfigMap', 'auth/copied', { metadata: tracking })
  t.deepEqual(await restoredOf(...git, app, object('Deployment', 'auth/worker', { metadata: tracking }), copied), [
    'configmaps auth/copied',
    itself,
  ])
})

test("a label that was copied from a parent does not make an object Git's", async (t) => {
  const inventory = {
    entries: [
      { id: 'media_pg_postgresql.cnpg.io_Cluster', v: 'v1' },
      { id: '_system:x_rbac.authorization.k8s.io_ClusterRole', v: 'v1' },
    ],
  }
  const apps = object('Kustomization', 'flux-system/apps', {
    spec: {},
    status: { inventory },
    metadata: applied('flux-system/flux-system'),
  })
  const pg = object('Cluster', 'media/pg', { metadata: applied('flux-system/apps') })
  const copied = object('ConfigMap', 'media/pg-monitoring', { metadata: applied('flux-system/apps') })
  t.deepEqual(await restoredOf(root, apps, pg, copied), ['configmaps media/pg-monitoring', itself])
})

test('the instance label that every chart sets is no mark of Argo CD beside the marks of Helm', async (t) => {
  const app = object('Application', 'argocd/grafana', {
    spec: {},
    status: { resources: [] },
    metadata: applied('flux-system/apps'),
  })
  const labels = { 'app.kubernetes.io/instance': 'grafana', 'app.kubernetes.io/managed-by': 'Helm' }
  const annotations = { 'meta.helm.sh/release-name': 'grafana', 'meta.helm.sh/release-namespace': 'monitoring' }
  const byHand = object('Deployment', 'monitoring/grafana', { metadata: { labels, annotations } })
  const why = await whyOf('deployments.apps monitoring/grafana', ...git, app, byHand)
  t.regex(why ?? '', /Helm release monitoring\/grafana was installed by hand/)
  const held = object('HelmRelease', 'monitoring/grafana', { spec: {}, metadata: applied('flux-system/apps') })
  t.is(await whyOf('deployments.apps monitoring/grafana', ...git, app, byHand, held), undefined)
})

test('volumes and their claims are restored whoever holds them: Git would have new, empty ones provisioned', async (t) => {
  const bound = object('PersistentVolumeClaim', 'media/config', {
    spec: { volumeName: 'pvc-1' },
    metadata: applied('flux-system/apps'),
  })
  const pending = object('PersistentVolumeClaim', 'media/pending', { spec: {}, metadata: applied('flux-system/apps') })
  const volume = object('PersistentVolume', 'pvc-1', { spec: {} })
  const names = await restoredOf(...git, bound, pending, volume)
  t.deepEqual(names, [itself, 'persistentvolumeclaims media/config', 'persistentvolumes pvc-1'])
})

test('the keys without which nothing comes out of Git are restored, each with what it is for', async (t) => {
  const objects = [
    ...git,
    object('GitRepository', 'flux-system/flux-system', {
      spec: { secretRef: { name: 'deploy-key' } },
      metadata: applied('flux-system/flux-system'),
    }),
    object('Kustomization', 'flux-system/sealed', {
      spec: { decryption: { secretRef: { name: 'sops-age' } } },
      metadata: applied('flux-system/flux-system'),
    }),
    object('ClusterSecretStore', 'onepassword', {
      spec: {
        provider: {
          onepassword: {
            auth: { secretRef: { connectTokenSecretRef: { name: 'connect', namespace: 'external-secrets' } } },
          },
        },
      },
      metadata: applied('flux-system/apps'),
    }),
    object('ClusterIssuer', 'house', {
      spec: { ca: { secretName: 'house-ca' } },
      metadata: applied('flux-system/apps'),
    }),
    object('Secret', 'flux-system/deploy-key'),
    object('Secret', 'flux-system/sops-age'),
    object('Secret', 'external-secrets/connect'),
    object('Secret', 'cert-manager/house-ca'),
  ]
  const { restored } = await rebuildOf(...objects)
  const whys = restored.filter(({ kind }) => kind === 'Secret').map(({ called, why, engine }) => [called, why, engine])
  t.deepEqual(whys, [
    ['secrets cert-manager/house-ca', 'ClusterIssuer house signs with it', false],
    ['secrets external-secrets/connect', 'ClusterSecretStore onepassword gets in with it', false],
    ['secrets flux-system/deploy-key', 'GitRepository flux-system/flux-system fetches with it', false],
    ['secrets flux-system/sops-age', 'Kustomization flux-system/sealed decrypts what is in Git with it', false],
  ])
})

test('a Secret that External Secrets fetches is not restored, one that an operator or a chart draws at random is', async (t) => {
  const wish = object('ExternalSecret', 'media/plex', { metadata: applied('flux-system/apps') })
  const pg = object('Cluster', 'media/pg', { metadata: applied('flux-system/apps') })
  const names = await restoredOf(
    ...git,
    wish,
    pg,
    object('Secret', 'media/plex', { metadata: ownedBy(wish) }),
    object('Secret', 'media/pg-app', { metadata: ownedBy(pg) }),
    object('Secret', 'media/plex-admin', { metadata: installed('media/plex') }),
    object('Secret', 'media/sealed', { metadata: applied('flux-system/apps') }),
    object('Secret', 'traefik/tls', {
      metadata: { ...ownedBy(wish), annotations: { 'cert-manager.io/certificate-name': 'tls' } },
    }),
  )
  t.deepEqual(names, [itself, 'secrets media/pg-app', 'secrets media/plex-admin', 'secrets traefik/tls'])
})

test("Helm's record of a release is restored when nobody would install it", async (t) => {
  const record = (name: string, release: string) =>
    object('Secret', name, { type: 'helm.sh/release.v1', metadata: { labels: { owner: 'helm', name: release } } })
  const sleeping = object('HelmRelease', 'sandbox/podinfo', {
    spec: { suspend: true },
    metadata: applied('flux-system/apps'),
  })
  const names = await restoredOf(
    ...git,
    sleeping,
    record('media/sh.helm.release.v1.plex.v3', 'plex'),
    record('sandbox/sh.helm.release.v1.podinfo.v1', 'podinfo'),
    record('tools/sh.helm.release.v1.tool.v1', 'tool'),
  )
  t.deepEqual(names, [
    itself,
    'secrets sandbox/sh.helm.release.v1.podinfo.v1',
    'secrets tools/sh.helm.release.v1.tool.v1',
  ])
})

test('a webhook that an operator has registered is not restored: before the operator runs it would refuse everything', async (t) => {
  t.deepEqual(await restoredOf(object('MutatingWebhookConfiguration', 'kyverno')), [])
})

test('losses have names: what was changed by hand, what had ended, what runs again, what was put on the Node', async (t) => {
  const managedFields = [
    { manager: 'kustomize-controller', fieldsV1: { 'f:spec': { 'f:template': {} } } },
    { manager: 'kubectl-edit', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
  ]
  const edited = object('Deployment', 'media/jellyfin', {
    spec: { replicas: 3 },
    metadata: { ...applied('flux-system/apps'), managedFields },
  })
  const complete = { conditions: [{ type: 'Complete', status: 'True' }] }
  const losses = await lossesOf(
    ...git,
    edited,
    object('Job', 'media/import', { status: complete }),
    object('Job', 'media/init', { status: complete, metadata: applied('flux-system/apps') }),
    object('Node', 'talos00', { metadata: { labels: { 'kubernetes.io/os': 'linux', gpu: 'rtx' } } }),
  )
  t.deepEqual(losses, [
    { called: 'deployments.apps media/jellyfin', what: 'changes' },
    { called: 'jobs.batch media/import', what: 'object' },
    { called: 'jobs.batch media/init', what: 'runs again' },
    { called: 'nodes talos00', what: 'changes' },
  ])
  const { losses: named } = await rebuildOf(...git, edited)
  t.is(named[0]?.why, "spec.replicas (3), changed by hand; Kustomization flux-system/apps brings Git's")
})
