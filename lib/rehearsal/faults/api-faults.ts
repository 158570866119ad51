import { join } from 'node:path'
import { KubernetesApi } from '../../kubernetes/api.ts'
import { systemClock } from '../../migration/clock.ts'
import { waitFor } from '../../migration/wait.ts'
import type { PracticeMachine } from '../practice-machine.ts'
import type { Fault } from './fault.ts'
import type { Place } from './places.ts'
import { machineOf, signalProgram } from './scene.ts'

const name = 'a-fault'
const flowControl = '/apis/flowcontrol.apiserver.k8s.io/v1'
const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
const removedWithinSeconds = 120

/** Not right before the final snapshot: an API server that was overloaded then is not so on another machine. */
const isApiInUse = ({ phase }: Place, inRollback: boolean) =>
  !inRollback && ['backup', 'drain', 'resume', 'join'].includes(phase)

/** What the API server answers, or does not. */
export const apiFaults: readonly Fault[] = [
  {
    name: 'API hangs',
    strikes: ({ runs, phase }) => runs !== 'neither' && phase !== 'shutdown',
    strike: async (scene) => void signalProgram(machineOf(scene), 'kube-apiserver', 'SIGSTOP'),
    takeAway: async (scene) => {
      for (const machine of scene.cluster.machines) signalProgram(machine, 'kube-apiserver', 'SIGCONT')
    },
  },
  {
    name: 'API answers 429',
    strikes: isApiInUse,
    strike: (scene) => withOwnApi(machineOf(scene), rejectOperator),
    takeAway: (scene) =>
      removed(() => withOwnApi(machineOf(scene), (api) => removeAll(api, flowSchemaPath, priorityLevelPath))),
  },
  {
    name: 'API answers 500',
    strikes: isApiInUse,
    strike: (scene) => withOwnApi(machineOf(scene), async (api) => void (await api.create(webhooks, deadWebhook))),
    takeAway: (scene) => removed(() => withOwnApi(machineOf(scene), (api) => removeAll(api, `${webhooks}/${name}`))),
  },
]

const flowSchemaPath = `${flowControl}/flowschemas/${name}`
const priorityLevelPath = `${flowControl}/prioritylevelconfigurations/${name}`

/** A priority level without a seat, for the operator alone. Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ */
async function rejectOperator(api: KubernetesApi): Promise<void> {
  const limited = { nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0 }
  await api.create(`${flowControl}/prioritylevelconfigurations`, {
    metadata: { name },
    spec: { type: 'Limited', limited: { ...limited, limitResponse: { type: 'Reject' } } },
  })
  const resourceRules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] }]
  const nonResourceRules = [{ verbs: ['*'], nonResourceURLs: ['*'] }]
  const subjects = [{ kind: 'User', user: { name: 'admin' } }]
  await api.create(`${flowControl}/flowschemas`, {
    metadata: { name },
    spec: {
      // As early as the schema that exempts administrators, and before it by its name.
      matchingPrecedence: 1,
      priorityLevelConfiguration: { name },
      rules: [{ subjects, resourceRules, nonResourceRules }],
    },
  })
}

/** Nobody listens where it is to be asked: every change fails as an internal error. */
const deadWebhook = {
  metadata: { name },
  webhooks: [
    {
      name: 'dead.a-fault.invalid',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      timeoutSeconds: 1,
      clientConfig: { url: 'https://127.0.0.1:9/' },
      rules: [
        {
          apiGroups: ['', 'apps', 'batch', 'argoproj.io', 'kustomize.toolkit.fluxcd.io', 'helm.toolkit.fluxcd.io'],
          apiVersions: ['*'],
          operations: ['CREATE', 'UPDATE', 'DELETE'],
          resources: ['*/*'],
        },
      ],
    },
  ],
}

/** As an administrator of the machine's own, on the machine itself: not the operator, and by none of his cables. */
async function withOwnApi(
  machine: PracticeMachine | undefined,
  use: (api: KubernetesApi) => Promise<void>,
): Promise<void> {
  if (!machine) return
  const api = await KubernetesApi.fromFile(join(machine.disk, 'run/kubernetes/admin.kubeconfig'))
  await use(api).finally(() => api.close())
}

async function removeAll(api: KubernetesApi, ...paths: string[]): Promise<void> {
  for (const path of paths) if (await api.getOrNull(path)) await api.remove(path)
}

async function removed(remove: () => Promise<void>): Promise<void> {
  const condition = {
    name: 'the fault of the API is removed',
    timeoutSeconds: removedWithinSeconds,
    everyMs: 200,
    probe: async () => {
      await remove()
      return { met: true as const, value: undefined }
    },
  }
  const waiting = { clock: systemClock, signal: new AbortController().signal, onSeen: () => undefined }
  await waitFor(condition, waiting)
}
