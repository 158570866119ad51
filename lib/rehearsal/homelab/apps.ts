import * as z from 'zod'

const name = z.string().regex(/^[a-z0-9][a-z0-9-]*$/)
const storageClass = z.enum(['local-path', 'fatboy-nfs-appdata', 'truenas-nfs', 'synology-nfs'])
const words = z.record(z.string(), z.string())

const claimSchema = z.strictObject({
  name,
  class: storageClass,
  size: z.string(),
  mode: z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadOnlyMany']).optional(),
  /** the folder below the server's export, where many claims share one */
  path: z.string().optional(),
  /** the volume's own name, where a person made it and no provisioner */
  volume: name.optional(),
  /** a `local` volume instead of a hostPath one; local-path-provisioner makes either */
  local: z.boolean().optional(),
  labels: words.optional(),
})

const volumeSchema = z.union([
  /** the app's own volume: a claim of its own, or a volumeClaimTemplate of a StatefulSet */
  claimSchema.omit({ labels: true, volume: true }).extend({ mount: z.string() }),
  /** a claim that several apps share */
  z.strictObject({ claim: name, mount: z.string(), readOnly: z.boolean().optional() }),
])

const appSchema = z.strictObject({
  name,
  kind: z.enum(['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job']).default('Deployment'),
  image: z.string(),
  /** absent from Git where an autoscaler decides */
  replicas: z.union([z.number().int(), z.literal('autoscaled')]).default(1),
  port: z.number().int().optional(),
  /** served by Traefik under this name */
  host: z.string().optional(),
  schedule: z.string().optional(),
  suspend: z.boolean().optional(),
  args: z.array(z.string()).optional(),
  env: words.optional(),
  /** files of a ConfigMap, mounted under /etc/<app> */
  config: words.optional(),
  /** keys that External Secrets fetches from 1Password into a Secret named like the app */
  secrets: z.array(z.string()).optional(),
  volumes: z.array(volumeSchema).default([]),
  /** the HelmRelease (of the same namespace) that installs it */
  release: name.optional(),
  /** the operator's custom resource that it is made from, of the same namespace */
  operator: z.strictObject({ apiVersion: z.string(), kind: z.enum(['Prometheus', 'Alertmanager']), name }).optional(),
  serviceAccount: z.boolean().optional(),
  hostNetwork: z.boolean().optional(),
  priority: z.string().optional(),
  pdb: z.strictObject({ minAvailable: z.number().optional(), maxUnavailable: z.number().optional() }).optional(),
  metrics: z.boolean().optional(),
})

const releaseSchema = z.strictObject({
  name,
  chart: z.string(),
  version: z.string(),
  repository: name,
  suspend: z.boolean().optional(),
  /** helm-controller puts back what drifts only in the mode `enabled` */
  drift: z.enum(['enabled', 'warn', 'disabled']).default('enabled'),
  dependsOn: z.array(name).optional(),
  values: z.record(z.string(), z.json()).optional(),
})

/** One apps.yaml: the apps of a namespace, in the few words in which they differ. */
export const appsFileSchema = z.strictObject({
  namespace: name,
  /** the ApplicationSet (in namespace argocd) that makes one Application for each app */
  applicationSet: name.optional(),
  releases: z.array(releaseSchema).default([]),
  claims: z.array(claimSchema).default([]),
  apps: z.array(appSchema).default([]),
})

export type AppsFile = z.infer<typeof appsFileSchema>
export type App = z.infer<typeof appSchema>
export type Claim = z.infer<typeof claimSchema>
export type Release = z.infer<typeof releaseSchema>
export type AppVolume = z.infer<typeof volumeSchema>
