import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import pMap from 'p-map'
import { parse } from 'yaml'
import { verifyTalosconfig } from '../../talos/talosconfig.ts'
import { NotChecked } from '../check.ts'
import type { PreflightCheck } from './context.ts'
import { kubeconfigFile, talosconfigFile } from './credentials.ts'

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

/** Nothing of the evening needs it; but the ways out name it. Source: https://kubernetes.io/releases/version-skew-policy/#kubectl */
const kubectlFits: PreflightCheck = {
  name: 'kubectl, where there is one, is within a minor version of the cluster',
  run: async (context) => {
    const version = await context.kubectlVersion()
    const { gitVersion } = await (await context.api()).get<{ gitVersion: string }>('/version')
    if (version === undefined || Math.abs(minorOf(version) - minorOf(gitVersion)) <= 1) return []
    return [
      {
        subject: 'kubectl',
        evidence: `it is ${version}, and the cluster is ${gitVersion}`,
        severity: 'warning',
        wayOut: 'Install one of the cluster’s minor version, for what is to be looked at by hand.',
      },
    ]
  },
}

function minorOf(version: string): number {
  return Number(/^v?\d+\.(\d+)/.exec(version)?.[1])
}

/** What the evening does with the API, beyond reading: verb, resource (with subresource), group. */
const deeds: readonly [verb: string, resource: string, group: string][] = [
  // The backup holds every object there is.
  ['list', '*', '*'],
  ['list', 'secrets', ''],
  ['patch', 'nodes', ''],
  ['create', 'pods/eviction', ''],
  ['delete', 'pods', ''],
  ['patch', 'deployments', 'apps'],
  ['patch', 'statefulsets', 'apps'],
  ['patch', 'daemonsets', 'apps'],
  ['patch', 'cronjobs', 'batch'],
  ['patch', 'kustomizations', 'kustomize.toolkit.fluxcd.io'],
  ['patch', 'helmreleases', 'helm.toolkit.fluxcd.io'],
  ['patch', 'gitrepositories', 'source.toolkit.fluxcd.io'],
  ['patch', 'applications', 'argoproj.io'],
  ['patch', 'applicationsets', 'argoproj.io'],
]

/** In scenario B besides: what holds the old address is rewritten. */
const deedsOfRewrite: typeof deeds = [
  ['patch', 'configmaps', ''],
  ['patch', 'secrets', ''],
  ['patch', 'services', ''],
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
    const { evacuateTo, scenario } = context.settings
    const answers = await pMap(
      [...deeds, ...(scenario === 'B' ? deedsOfRewrite : []), ...(evacuateTo === undefined ? [] : deedsOfEvacuation)],
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

/** Source: https://www.talos.dev/v1.11/talos-guides/configuration/rbac/ : roles are the organisations of the client certificate. */
const talosconfigIsTheAdmins: PreflightCheck = {
  name: 'The talosconfig has the role os:admin',
  run: async ({ settings }) => {
    const text = await readFile(settings.talosconfig, 'utf8').catch(() => '')
    const file = talosconfigFile.safeParse(parse(text, { prettyErrors: false }))
    const crt = file.success ? file.data.contexts[file.data.context]?.crt : undefined
    if (crt === undefined) throw new NotChecked('it needs a talosconfig with a client certificate')
    const { subject } = new X509Certificate(Buffer.from(crt, 'base64'))
    const roles = [...subject.matchAll(/^O=(.*)$/gm)].map((line) => line[1])
    if (roles.includes('os:admin')) return []
    return [
      {
        subject: settings.talosconfig,
        evidence: `its role is ${roles.join(', ') || 'none'}: it may read little, and change nothing`,
        severity: 'error',
        wayOut: 'With a talosconfig of an administrator: talosctl config new --roles os:admin FILE',
      },
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

/** Tools, and the rights that our credentials carry. */
export const accessChecks: readonly PreflightCheck[] = [
  talosctlIsThere,
  talosAnswers,
  apiAnswers,
  kubectlFits,
  weMayDoIt,
  talosconfigFits,
  talosconfigIsTheAdmins,
  kubeconfigIsTheMachines,
]
