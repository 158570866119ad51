import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import pMap from 'p-map'
import { parse } from 'yaml'
import { z } from 'zod'
import { verifyTalosconfig } from '../../talos/talosconfig.ts'
import type { Finding, Severity } from '../check.ts'
import type { PreflightCheck } from './context.ts'

const dayMs = 86_400_000

const talosctlIsThere: PreflightCheck = {
  name: 'talosctl is of the minor version of the machines',
  run: async (context) => {
    await context.openTalosctl()
    return []
  },
}

const talosAnswers: PreflightCheck = {
  name: 'The machine lets us in as an administrator',
  run: async (context) => {
    const version = await context.openMachine()
    // Only os:admin may read the machine config, and so only it can take what a recovery needs.
    await context.openLiveConfig()
    if (version === context.settings.talosVersion) return []
    return [
      {
        subject: `Talos on ${context.target.address}`,
        evidence: `it runs ${version}, and TALOS_VERSION is ${context.settings.talosVersion}`,
        severity: 'error',
        wayOut: `Set TALOS_VERSION=${version}: the new machine has to be installed with the same version.`,
      },
    ]
  },
}

const apiAnswers: PreflightCheck = {
  name: 'The kubeconfig opens the cluster',
  run: async (context) => {
    const api = await context.openApi()
    const { gitVersion } = await api.get<{ gitVersion: string }>('/version')
    if (gitVersion === context.settings.kubernetesVersion) return []
    return [
      {
        subject: api.server,
        evidence: `Kubernetes is ${gitVersion}, and KUBERNETES_VERSION is ${context.settings.kubernetesVersion}`,
        severity: 'warning',
        wayOut: `Set KUBERNETES_VERSION=${gitVersion}, so that the new control plane does not upgrade on the way.`,
      },
    ]
  },
}

/** What the evening does with the API, beyond reading: verb, resource (with subresource), group. */
const deeds: readonly [verb: string, resource: string, group: string][] = [
  ['list', 'secrets', ''],
  ['patch', 'nodes', ''],
  ['create', 'pods/eviction', ''],
  ['patch', 'deployments', 'apps'],
  ['patch', 'statefulsets', 'apps'],
  ['patch', 'cronjobs', 'batch'],
  ['patch', 'kustomizations', 'kustomize.toolkit.fluxcd.io'],
  ['patch', 'helmreleases', 'helm.toolkit.fluxcd.io'],
  ['patch', 'gitrepositories', 'source.toolkit.fluxcd.io'],
  ['patch', 'applications', 'argoproj.io'],
]

/** And where local volumes are copied. */
const deedsOfEvacuation: typeof deeds = [
  ['create', 'persistentvolumeclaims', ''],
  ['create', 'jobs', 'batch'],
  ['delete', 'jobs', 'batch'],
  ['create', 'secrets', ''],
]

/** Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access */
const weMayDoIt: PreflightCheck = {
  name: 'We may do what the evening needs',
  run: async (context) => {
    const api = await context.api()
    const answers = await pMap(
      [...deeds, ...(context.settings.evacuateTo === undefined ? [] : deedsOfEvacuation)],
      async ([verb, resource, group]) => {
        const [name, subresource] = resource.split('/')
        const resourceAttributes = { verb, group, resource: name, ...(subresource ? { subresource } : {}) }
        const review = {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes },
        }
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
        const answer = await api.create<{ status?: { allowed?: boolean } }>(path, review)
        return answer.status?.allowed === true ? [] : [`${verb} ${resource}${group ? `.${group}` : ''}`]
      },
      { concurrency: 8 },
    )
    return answers.flat().map((deed) => ({
      subject: deed,
      evidence: 'the API server says that we may not',
      severity: 'error',
      wayOut: 'Use the kubeconfig of an administrator: task talos:kubeconfig',
    }))
  },
}

const talosconfigFits: PreflightCheck = {
  name: 'The talosconfig opens machines of CONTROLPLANE_CONFIG',
  run: async (context) => {
    await verifyTalosconfig(context.settings.talosconfig, await context.config(), context.now)
    return []
  },
}

const talosconfigFile = z.looseObject({
  context: z.string(),
  contexts: z.record(z.string(), z.looseObject({ crt: z.string() })),
})
const kubeconfigFile = z.looseObject({
  clusters: z.array(z.looseObject({ cluster: z.looseObject({ 'certificate-authority-data': z.string().optional() }) })),
  users: z.array(
    z.looseObject({ name: z.string(), user: z.looseObject({ 'client-certificate-data': z.string().optional() }) }),
  ),
})

const credentialsOutliveTheEvening: PreflightCheck = {
  name: 'Credentials do not expire tonight',
  run: async ({ settings, now }) => {
    const [talos, kube] = await Promise.all([
      readFile(settings.talosconfig, 'utf8').catch(() => ''),
      readFile(settings.kubeconfig, 'utf8').catch(() => ''),
    ])
    const talosFile = talosconfigFile.safeParse(parse(talos, { prettyErrors: false }))
    const kubeFile = kubeconfigFile.safeParse(parse(kube, { prettyErrors: false }))
    const fromTalos = talosFile.success ? [talosFile.data.contexts[talosFile.data.context]?.crt] : []
    const fromKube = kubeFile.success ? kubeFile.data.users.map(({ user }) => user['client-certificate-data']) : []
    return [
      ...fromTalos.flatMap((crt) => expiring(settings.talosconfig, crt, now)),
      ...fromKube.flatMap((crt) => expiring(settings.kubeconfig, crt, now)),
    ]
  },
}

const kubeconfigIsTheMachines: PreflightCheck = {
  name: 'The kubeconfig and the machine are of one cluster',
  run: async (context) => {
    await context.api()
    const { fingerprints } = await context.liveConfig()
    const { kubeconfig } = context.settings
    const file = kubeconfigFile.parse(parse(await readFile(kubeconfig, 'utf8'), { prettyErrors: false }))
    const authorities = file.clusters.flatMap(({ cluster }) => cluster['certificate-authority-data'] ?? [])
    if (authorities.length === 0 || authorities.some((crt) => fingerprintOf(crt) === fingerprints.kubernetes)) return []
    return [
      {
        subject: kubeconfig,
        evidence: `it trusts another Kubernetes CA than the one that the machine at ${context.target.address} has`,
        severity: 'error',
        wayOut:
          'One of KUBECONFIG and TALOS_NODE is of another cluster. Fetch the right kubeconfig: task talos:kubeconfig',
      },
    ]
  },
}

function fingerprintOf(base64: string): string {
  return new X509Certificate(Buffer.from(base64, 'base64')).fingerprint256
}

function expiring(file: string, base64: string | undefined, now: Date): Finding[] {
  if (base64 === undefined) return []
  const { validTo } = new X509Certificate(Buffer.from(base64, 'base64'))
  const days = (new Date(validTo).getTime() - now.getTime()) / dayMs
  if (days > 14) return []
  const severity: Severity = days > 1 ? 'warning' : 'error'
  return [
    {
      subject: file,
      evidence: days < 0 ? `its client certificate expired on ${validTo}` : `its client certificate ends on ${validTo}`,
      severity,
      wayOut: 'talosctl config new (talosconfig), task talos:kubeconfig (kubeconfig)',
    },
  ]
}

/** Tools, and the rights that our credentials carry. */
export const accessChecks: readonly PreflightCheck[] = [
  talosctlIsThere,
  talosAnswers,
  apiAnswers,
  weMayDoIt,
  talosconfigFits,
  kubeconfigIsTheMachines,
  credentialsOutliveTheEvening,
]
