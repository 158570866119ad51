import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Dependencies } from '../../lib/backup/dependencies.ts'
import { readManifest } from '../../lib/backup/manifest.ts'
import type { VeleroOutlook } from '../../lib/backup/velero.ts'
import type { GitopsState } from '../../lib/gitops/state.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import type { VolumeRecord } from '../../lib/kubernetes/volume-inventory.ts'
import { killWhen, type Practice, practise } from '../end-to-end/on-practice-cluster.ts'
import { until } from '../kubernetes/bare-cluster.ts'
import { backupsIn, installVelero, playVelero } from './play-velero.ts'

const canary = 'CANARY-fac75'

test('a backup tells what is missing and what the cluster rests on; excused and killed it goes on without reading all anew', async (t) => {
  const practice = await practise(t, { canary })
  const api = await practice.cluster.api()
  t.teardown(() => api.close())
  await loseAnAggregatedApi(api)
  await installVelero(api)

  const folder = await endsWith1(t, practice)
  await letsNothingBeDrained(t, practice)
  await tellsOfTheCluster(t, api, folder)
  await isTakenUpInVelerosWait(t, practice, api)
  await isTakenAnewOnceMended(t, practice, api, folder)
})

/** As a metrics-server that is gone leaves it: announced, and nobody answers. */
async function loseAnAggregatedApi(api: KubernetesApi): Promise<void> {
  const service = { namespace: 'default', name: 'gone' }
  await api.create('/apis/apiregistration.k8s.io/v1/apiservices', {
    metadata: { name: 'v1beta1.metrics.k8s.io' },
    spec: {
      group: 'metrics.k8s.io',
      version: 'v1beta1',
      service,
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 100,
      versionPriority: 100,
    },
  })
  await until('the API server knows that it is dead', async () => {
    const { status } = await api.get('/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io')
    const { conditions = [] } = (status ?? {}) as { conditions?: { status: string }[] }
    return conditions.some((condition) => condition.status === 'False')
  })
}

async function endsWith1(t: ExecutionContext, { cluster, task }: Practice): Promise<string> {
  const { exitCode, output } = await task(['--exit-code', 'migrate:backup'])
  t.is(exitCode, 1, output)
  t.regex(output, /Not in the backup: \*\.metrics\.k8s\.io \(.+\)/)
  t.regex(output, /task migrate:backup BACKUP_EXCUSE='\*\.metrics\.k8s\.io'/)
  t.regex(output, /Volumes that Velero will NOT have: \d+/)
  const [name = '', ...others] = readdirSync(cluster.homelab.backupDir)
  t.deepEqual(others, [])
  const folder = join(cluster.homelab.backupDir, name)
  const { unreadable } = await readManifest(folder)
  t.deepEqual(
    unreadable.map(({ group, excused }) => [group, excused]),
    [['metrics.k8s.io', undefined]],
  )
  return folder
}

async function letsNothingBeDrained(t: ExecutionContext, { task }: Practice): Promise<void> {
  const { exitCode, output } = await task(['--yes', 'migrate:drain'])
  t.not(exitCode, 0)
  t.regex(output, /drain comes after migrate:backup/)
}

async function tellsOfTheCluster(t: ExecutionContext, api: KubernetesApi, folder: string): Promise<void> {
  const read = <T>(file: string): T => {
    const text = readFileSync(join(folder, file), 'utf8')
    t.false(text.includes(canary), `${file} holds a value of a Secret`)
    return JSON.parse(text) as T
  }
  await tellsOfGitops(t, api, read<GitopsState>('gitops.json'))
  await tellsOfVolumes(t, api, read<VolumeRecord[]>('volumes.json'))
  tellsOfDependencies(t, read<Dependencies>('dependencies.json'))
  const { location, volumes } = read<VeleroOutlook>('velero.json')
  t.is(location, 'default')
  t.true(
    volumes.some(({ claim, by, reason }) => claim.startsWith('monitoring/') && by === null && /hostPath/.test(reason)),
  )
}

async function tellsOfGitops(t: ExecutionContext, api: KubernetesApi, { flux, argocd }: GitopsState): Promise<void> {
  const kustomizations = await api.list('/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations')
  t.is(flux?.filter(({ kind }) => kind === 'Kustomization').length, kustomizations.length)
  const found = (kind: string, name: string) => flux?.find((each) => each.kind === kind && each.name === name)
  t.like(found('Kustomization', 'secrets'), {
    suspended: false,
    ready: 'True',
    path: './infrastructure/secrets',
    interval: '10m',
    source: 'GitRepository flux-system/flux-system',
    dependsOn: ['flux-system/networking'],
  })
  t.regex(found('Kustomization', 'secrets')?.appliedRevision ?? '', /^main@sha1:/)
  t.true(found('Kustomization', 'sandbox')?.suspended)
  t.like(found('HelmRelease', 'external-secrets'), { chart: 'external-secrets', version: '0.19.2' })
  t.deepEqual(found('GitRepository', 'flux-system')?.secrets, ['flux-system/flux-system'])

  const applications = await api.list('/apis/argoproj.io/v1alpha1/applications')
  t.true(applications.length > 10)
  for (const { metadata, spec } of applications) {
    const record = argocd?.applications.find(({ name }) => name === metadata.name)
    t.deepEqual(record?.syncPolicy, (spec as { syncPolicy?: never }).syncPolicy ?? null, metadata.name)
    t.is(record?.sources.length, 1)
  }
  t.deepEqual(argocd?.applications.filter(({ syncPolicy }) => !syncPolicy?.automated).length, 2)
  t.true((argocd?.projects.length ?? 0) > 0)
}

async function tellsOfVolumes(t: ExecutionContext, api: KubernetesApi, volumes: VolumeRecord[]): Promise<void> {
  const names = (await api.list('/api/v1/persistentvolumes')).map(({ metadata }) => metadata.name)
  t.deepEqual(volumes.flatMap(({ volume }) => volume ?? []).toSorted(), names.toSorted())
  t.like(
    volumes.find(({ volume }) => volume === 'synology-surveillance'),
    {
      claim: null,
      phase: 'Available',
      fate: 'preserved',
      place: { type: 'nfs', server: 'synology.home.arpa', path: '/volume1/surveillance' },
      reclaimPolicy: 'Retain',
      usedBy: [],
    },
  )
  const local = volumes.filter(({ storageClass }) => storageClass === 'local-path')
  t.true(local.length > 10)
  for (const { place, fate, usedBy, volume } of local) {
    t.is(place && 'node' in place ? place.node : null, 'talos00', volume ?? '')
    t.is(fate, 'lost')
    t.true(usedBy.length > 0, volume ?? '')
  }
  t.deepEqual(volumes.find(({ claim }) => claim === 'backups/restic-offsite')?.usedBy, ['CronJob backups/restic'])
}

function tellsOfDependencies(t: ExecutionContext, found: Dependencies): void {
  t.deepEqual([...new Set(found.nfs.map(({ server }) => server))].toSorted(), [
    'fatboy.home.arpa',
    'synology.home.arpa',
    'truenas.home.arpa',
  ])
  t.deepEqual(found.secretStores, [
    {
      store: 'ClusterSecretStore onepassword',
      provider: 'onepassword',
      server: 'http://onepassword-connect-api.external-secrets.svc.cluster.local:8080',
      vaults: ['homelab'],
      credentials: [{ secret: 'external-secrets/onepassword-connect', key: 'token' }],
    },
  ])
  t.deepEqual(
    found.onePassword.map(({ workload }) => workload),
    ['Deployment external-secrets/onepassword-connect-api'],
  )
  t.like(found.nebula.configs[0], { configMap: 'nebula-system/nebula', lighthouses: ['10.42.0.1'], punch: true })
  t.deepEqual(
    found.nebula.workloads.map(({ workload }) => workload),
    ['DaemonSet nebula-system/nebula'],
  )
  t.like(found.liqo.foreignClusters[0], { name: 'aws-gpu', apiServerUrl: 'https://10.42.0.1:6443' })
  t.deepEqual(
    found.publicAddresses.map(({ address }) => address),
    ['203.0.113.10'],
  )
  t.deepEqual(found.pools, [{ pool: 'IPAddressPool metallb-system/house', addresses: ['192.0.2.240-192.0.2.250'] }])
  t.deepEqual(found.dns.forwards, [{ configMap: 'kube-system/coredns', zone: '.', to: ['/etc/resolv.conf'] }])
  t.true(found.hosts.some(({ host }) => host === 'grafana.talos00'))
  t.deepEqual(found.notRead, [])
}

async function isTakenUpInVelerosWait(t: ExecutionContext, practice: Practice, api: KubernetesApi): Promise<void> {
  const command = ['--exit-code', 'migrate:backup', 'BACKUP_EXCUSE=*.metrics.k8s.io']
  const running = practice.task(command)
  await killWhen(practice, (records) =>
    records.some((record) => record.type === 'fact' && record.name === 'velero-backup'),
  )
  t.not((await running).exitCode, 0)
  const stop = playVelero(api, () => [
    { phase: 'InProgress', progress: { totalItems: 9, itemsBackedUp: 3 } },
    { phase: 'Completed', progress: { totalItems: 9, itemsBackedUp: 9 } },
  ])
  t.teardown(stop)
  const { exitCode, output } = await practice.task(command)
  t.is(exitCode, 0, output)
  t.regex(output, /Velero's Backup velero\/\S+ is complete: 9 items/)
  t.is((await backupsIn(api)).length, 1)
  t.is(readdirSync(practice.cluster.homelab.backupDir).length, 1)
  const written = practice.records().filter((one) => one.type === 'change' && one.what.startsWith('Write all objects'))
  t.is(written.length, 1, 'the objects were read once')
  await stop()
}

async function isTakenAnewOnceMended(t: ExecutionContext, practice: Practice, api: KubernetesApi, first: string) {
  const more = ['--exit-code', 'migrate:backup', 'VELERO=off']
  t.is((await practice.task(more)).exitCode, 1)
  await api.remove('/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io')
  const { exitCode, output } = await practice.task(more)
  t.is(exitCode, 0, output)
  t.regex(output, /lacks something that is not excused: a new backup is taken/)
  const folders = readdirSync(practice.cluster.homelab.backupDir)
  t.is(folders.length, 3)
  for (const name of folders) {
    const { unreadable } = await readManifest(join(first, '..', name))
    t.is(unreadable.length, name === folders.toSorted().at(-1) ? 0 : 1)
  }
}
