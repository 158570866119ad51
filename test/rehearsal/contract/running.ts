import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KubernetesApi, type KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { openPractice, type PracticeTarget, type Target } from './target.ts'

const withinSeconds = 60

/** A practice machine that runs a bootstrapped cluster. The caller closes it. */
export async function openRunning(): Promise<PracticeTarget> {
  const target = await openPractice()
  try {
    const { old } = target.cluster
    old.powerOn()
    await old.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds })
    await apply(target)
    await old.waitFor('booted', { timeoutSeconds: withinSeconds })
    await must(target, 'bootstrap')
    await old.waitFor('node-ready', { timeoutSeconds: withinSeconds })
    return target
  } catch (error) {
    await target.close()
    throw error
  }
}

/** Gives a machine in maintenance mode the config of the practice homelab. */
export async function apply(target: PracticeTarget): Promise<void> {
  const answer = await target.insecure('apply-config', '--file', target.cluster.homelab.controlplaneConfig)
  if (answer.exitCode !== 0) throw new Error(answer.text)
}

/** As target.talosctl, for what has to succeed. @returns the standard output */
export async function must(target: Target, ...args: string[]): Promise<string> {
  const answer = await target.talosctl(...args)
  if (answer.exitCode !== 0) throw new Error(`talosctl ${args.join(' ')}: ${answer.text}`)
  return answer.stdout
}

/** Lends the Kubernetes API by the kubeconfig that the machine gives. */
export async function withApi<T>(target: Target, use: (api: KubernetesApi) => Promise<T>): Promise<T> {
  const path = join(target.folder, 'kubeconfig')
  await must(target, 'kubeconfig', path, '--merge=false', '--force')
  const api = await KubernetesApi.fromFile(path)
  try {
    return await use(api)
  } finally {
    api.close()
  }
}

const mirrored = 'kubernetes.io/config.mirror'

/** The mirror pods of the control plane's static pods. */
export async function mirrorPods(api: KubernetesApi): Promise<KubernetesObject[]> {
  const pods = await api.list('/api/v1/namespaces/kube-system/pods', { labelSelector: 'tier=control-plane' })
  return pods.filter((pod) => pod.metadata.annotations?.[mirrored] !== undefined)
}

/** Looks until probe gives something. @throws when it has given nothing for a minute, with the name of what was waited for */
export async function eventually<T>(name: string, probe: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + withinSeconds * 1000; ; ) {
    let saw: unknown = 'nothing'
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (error) {
      saw = error
    }
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${name}; saw: ${saw}`)
    await delay(100)
  }
}
