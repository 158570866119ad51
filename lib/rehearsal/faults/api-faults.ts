import { readFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { KubernetesApi } from '../../kubernetes/api.ts'
import { systemClock } from '../../migration/clock.ts'
import { waitFor } from '../../migration/wait.ts'
import type { PracticeMachine } from '../practice-machine.ts'
import type { Fault } from './fault.ts'
import type { Place } from './places.ts'
import { machineOf, type Scene, signalProgram } from './scene.ts'

const name = 'a-fault'
const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
const removedWithinSeconds = 120
/** Nobody listens there. */
const discardPort = 9

/** Not right before the final snapshot: an API server that refused everything then would do so on another machine for ever. */
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
    strike: answerBusy,
    takeAway: async (scene) => {
      await removeWebhook(scene)
      busy.get(scene)?.close()
    },
  },
  {
    name: 'API answers 500',
    strikes: isApiInUse,
    strike: (scene) => addWebhook(scene, discardPort),
    takeAway: removeWebhook,
  },
]

const busy = new WeakMap<Scene, https.Server>()

/** Has every change refused as too many requests, by a webhook that a certificate of the machine's own etcd speaks for. */
async function answerBusy(scene: Scene): Promise<void> {
  const machine = machineOf(scene)
  if (!machine) return
  const pki = (file: string) => readFileSync(join(machine.disk, 'run/etcd', file))
  const server = https.createServer({ cert: pki('server.crt'), key: pki('server.key') }, (request, response) => {
    let asked = ''
    request.setEncoding('utf8').on('data', (text) => {
      asked += text
    })
    request.once('end', () => response.end(JSON.stringify(tooManyRequests(JSON.parse(asked).request.uid))))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  busy.set(scene, server)
  await addWebhook(scene, (server.address() as AddressInfo).port, pki('ca.crt').toString('base64'))
}

/** Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response */
function tooManyRequests(uid: string) {
  const status = { code: 429, reason: 'TooManyRequests', message: 'come back later', details: { retryAfterSeconds: 1 } }
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: false, status } }
}

/** A webhook that is asked before anything changes; when it cannot be, the change fails as an internal error. */
async function addWebhook(scene: Scene, port: number, caBundle?: string): Promise<void> {
  const webhook = {
    name: `${name}.practice.invalid`,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 2,
    clientConfig: { url: `https://127.0.0.1:${port}/`, ...(caBundle === undefined ? {} : { caBundle }) },
    rules: [
      {
        apiGroups: ['', 'apps', 'batch', 'argoproj.io', 'kustomize.toolkit.fluxcd.io', 'helm.toolkit.fluxcd.io'],
        apiVersions: ['*'],
        operations: ['CREATE', 'UPDATE', 'DELETE'],
        resources: ['*/*'],
      },
    ],
  }
  await withOwnApi(machineOf(scene), (api) => api.create(webhooks, { metadata: { name }, webhooks: [webhook] }))
}

async function removeWebhook(scene: Scene): Promise<void> {
  const path = `${webhooks}/${name}`
  const condition = {
    name: 'the fault of the API is removed',
    timeoutSeconds: removedWithinSeconds,
    everyMs: 200,
    probe: async () => {
      await withOwnApi(machineOf(scene), async (api) => (await api.getOrNull(path)) && api.remove(path))
      return { met: true as const, value: undefined }
    },
  }
  const waiting = { clock: systemClock, signal: new AbortController().signal, onSeen: () => undefined }
  await waitFor(condition, waiting)
}

/** As an administrator of the machine's own, on the machine itself: not by the operator's cables. */
async function withOwnApi(
  machine: PracticeMachine | undefined,
  use: (api: KubernetesApi) => Promise<unknown>,
): Promise<void> {
  if (!machine) return
  const api = await KubernetesApi.fromFile(join(machine.disk, 'run/kubernetes/admin.kubeconfig'))
  await Promise.resolve(use(api)).finally(() => api.close())
}
