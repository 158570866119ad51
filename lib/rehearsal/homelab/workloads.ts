import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { App, AppVolume, Claim } from './apps.ts'

type Fields = Record<string, unknown>

/** The workload that runs an app. */
export function workload(app: App, namespace: string): KubernetesObject {
  const labels = labelsOf(app)
  const metadata = { name: app.name, namespace, labels }
  const pod = { metadata: { labels }, spec: podSpec(app) }
  const selector = { matchLabels: { 'app.kubernetes.io/name': app.name } }
  const replicas = app.replicas === 'autoscaled' ? {} : { replicas: app.replicas }
  switch (app.kind) {
    case 'Deployment': {
      const strategy = app.volumes.length > 0 ? { strategy: { type: 'Recreate' } } : {}
      return appsV1('Deployment', metadata, { ...replicas, selector, ...strategy, template: pod })
    }
    case 'StatefulSet':
      return appsV1('StatefulSet', metadata, {
        ...replicas,
        selector,
        serviceName: app.name,
        podManagementPolicy: 'Parallel',
        template: pod,
        volumeClaimTemplates: app.volumes.flatMap((volume) => ('claim' in volume ? [] : [claimTemplate(volume)])),
      })
    case 'DaemonSet':
      return appsV1('DaemonSet', metadata, { selector, template: pod })
    case 'Job':
      return { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { backoffLimit: 3, template: run(pod) } }
    case 'CronJob': {
      const { schedule = '17 4 * * *', suspend = false } = app
      const jobTemplate = { spec: { template: run(pod) } }
      const spec = { schedule, suspend, concurrencyPolicy: 'Forbid', jobTemplate }
      return { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec }
    }
  }
}

/** What a workload's pods, and all that belongs to the app, are labelled with. */
export function labelsOf(app: App): Record<string, string> {
  return { 'app.kubernetes.io/name': app.name }
}

function appsV1(kind: string, metadata: KubernetesObject['metadata'], spec: Fields): KubernetesObject {
  return { apiVersion: 'apps/v1', kind, metadata, spec }
}

function run(pod: { metadata: Fields; spec: Fields }): Fields {
  return { ...pod, spec: { ...pod.spec, restartPolicy: 'OnFailure' } }
}

function podSpec(app: App): Fields {
  const volumes = podVolumes(app)
  return {
    ...(app.serviceAccount ? { serviceAccountName: app.name } : {}),
    ...(app.hostNetwork ? { hostNetwork: true } : {}),
    ...(app.priority === undefined ? {} : { priorityClassName: app.priority }),
    ...(app.kind === 'DaemonSet' ? { tolerations: [{ operator: 'Exists' }] } : {}),
    containers: [container(app)],
    ...(volumes.length > 0 ? { volumes } : {}),
  }
}

function container(app: App): Fields {
  const env = Object.entries(app.env ?? {}).map(([name, value]) => ({ name, value }))
  const mounts = [
    ...app.volumes.map((volume) => ({ name: volumeNameOf(volume), mountPath: volume.mount })),
    ...(app.config ? [{ name: 'settings', mountPath: `/etc/${app.name}` }] : []),
  ]
  return {
    name: app.name,
    image: app.image,
    ...(app.args ? { args: app.args } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(app.secrets ? { envFrom: [{ secretRef: { name: app.name } }] } : {}),
    ...(app.port === undefined ? {} : { ports: [{ name: 'http', containerPort: app.port, protocol: 'TCP' }] }),
    resources: { requests: { cpu: '10m', memory: '32Mi' } },
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  }
}

function podVolumes(app: App): Fields[] {
  const claimed = app.volumes.flatMap((volume) => {
    if ('claim' in volume) return [claimVolume(volume.claim, volume.claim)]
    return app.kind === 'StatefulSet' ? [] : [claimVolume(volume.name, `${app.name}-${volume.name}`)]
  })
  return [...claimed, ...(app.config ? [{ name: 'settings', configMap: { name: app.name } }] : [])]
}

function claimVolume(name: string, claimName: string): Fields {
  return { name, persistentVolumeClaim: { claimName } }
}

function volumeNameOf(volume: AppVolume): string {
  return 'claim' in volume ? volume.claim : volume.name
}

function claimTemplate(volume: Exclude<AppVolume, { claim: string }>): Fields {
  return {
    metadata: { name: volume.name },
    spec: {
      accessModes: [volume.mode ?? 'ReadWriteOnce'],
      storageClassName: volume.class,
      resources: { requests: { storage: volume.size } },
    },
  }
}

/** The claims that an app's own volumes need: one each, or one for each replica of a StatefulSet. */
export function claimsOf(app: App): Claim[] {
  return app.volumes.flatMap((volume) => {
    if ('claim' in volume) return []
    const { mount: _, ...claim } = volume
    if (app.kind !== 'StatefulSet') return [{ ...claim, name: `${app.name}-${volume.name}`, labels: labelsOf(app) }]
    const replicas = app.replicas === 'autoscaled' ? 1 : app.replicas
    return Array.from({ length: replicas }, (_, ordinal) => ({
      ...claim,
      mode: claim.mode ?? 'ReadWriteOnce',
      name: `${volume.name}-${app.name}-${ordinal}`,
      labels: labelsOf(app),
    }))
  })
}
