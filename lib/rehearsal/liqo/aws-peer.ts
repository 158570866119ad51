import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KubernetesApi } from '../../kubernetes/api.ts'
import type { Node } from '../../kubernetes/kinds.ts'
import { isNodeReady } from '../../kubernetes/nodes.ts'
import { systemClock } from '../../migration/clock.ts'
import { messageOf } from '../../migration/errors.ts'
import { waitFor } from '../../migration/wait.ts'
import type { PracticeCluster } from '../practice-cluster.ts'
import { practiceVersions } from '../practice-homelab.ts'
import { runTalosctl } from '../run-talosctl.ts'
import { startLiqoPeer } from './liqo-peer.ts'
import { writeStandIn } from './liqoctl.ts'
import { type Play, playLiqo } from './play.ts'

/** The cluster in the cloud that the homelab is peered with. */
export interface AwsPeer {
  /** what an operator puts into the environment to have the peering torn down and made again */
  readonly settings: Readonly<Record<string, string>>
  readonly api: KubernetesApi
  stop(): Promise<void>
}

/** The fixture's own Liqo has its namespace; this one runs beside it. */
const namespace = 'liqo-practice'
const homeId = 'catalyst-cluster'
export const peerId = 'aws-practice'
const aloneSeconds = 120

/**
 * Starts a second control plane, installs Liqo in both as far as it can be seen, and peers them. Its controllers at home follow the
 * homelab's kubeconfig when that leads elsewhere.
 * @param real path of the real liqoctl; null: a program stands in for it
 */
export async function startAwsPeer(cluster: PracticeCluster, real: string | null): Promise<AwsPeer> {
  const kubeconfig = await startControlPlane(cluster)
  const peer = { api: await KubernetesApi.fromFile(kubeconfig), id: peerId, namespace: 'liqo' }
  const home = { api: await cluster.api(), id: homeId, namespace }
  const controllers = new FollowingPlay(cluster, await startLiqoPeer(home, peer), home, peer)
  const liqoctl = real ?? writeStandIn(join(cluster.folder, 'operator'))
  const both = ['--kubeconfig', cluster.homelab.kubeconfig, '--remote-kubeconfig', kubeconfig]
  const names = ['--namespace', namespace, '--remote-namespace', peer.namespace]
  await promisify(execFile)(liqoctl, ['peer', ...both, ...names, '--gw-server-service-type', 'NodePort'])
  await virtualNodeIsReady(home.api)
  return {
    settings: { LIQO_NAMESPACE: namespace, LIQO_REMOTE_KUBECONFIG: kubeconfig, LIQOCTL: liqoctl, LIQO_TEARDOWN: 'yes' },
    api: peer.api,
    stop: () => controllers.stop(),
  }
}

async function startControlPlane(cluster: PracticeCluster): Promise<string> {
  const folder = join(cluster.folder, 'aws')
  mkdirSync(folder, { mode: 0o700 })
  const machine = cluster.addStranger('aws')
  const { address } = machine.hardware
  const talosctl = (...args: string[]) => runTalosctl(cluster.binaries.talosctl, args)
  const patch = JSON.stringify({
    machine: { network: { hostname: 'aws00' } },
    cluster: { allowSchedulingOnControlPlanes: true },
  })
  await talosctl(
    ...['gen', 'config', peerId, `https://${address}:6443`, '--output', folder, '--config-patch', patch],
    ...['--output-types', 'controlplane,talosconfig', '--install-disk', '/dev/sda', '--with-docs=false'],
    ...['--kubernetes-version', practiceVersions.kubernetes.slice(1), '--with-examples=false'],
  )
  machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: aloneSeconds })
  await talosctl('apply-config', '--insecure', '--nodes', address, '--file', join(folder, 'controlplane.yaml'))
  await machine.waitFor('booted', { timeoutSeconds: aloneSeconds })
  const there = ['--talosconfig', join(folder, 'talosconfig'), '--nodes', address, '--endpoints', address]
  await talosctl('bootstrap', ...there)
  await machine.waitFor('node-ready', { timeoutSeconds: aloneSeconds })
  const kubeconfig = join(folder, 'kubeconfig')
  await talosctl('kubeconfig', kubeconfig, '--merge=false', '--force', ...there)
  return kubeconfig
}

async function virtualNodeIsReady(api: KubernetesApi): Promise<void> {
  await waitFor(
    {
      name: `the virtual node ${peerId} is ready`,
      timeoutSeconds: aloneSeconds,
      probe: async () => {
        const node = await api.getOrNull<Node>(`/api/v1/nodes/${peerId}`)
        return node && isNodeReady(node) ? { met: true, value: undefined } : { met: false, saw: 'it is not' }
      },
    },
    { clock: systemClock, signal: new AbortController().signal, onSeen: () => undefined },
  )
}

type Cluster = Parameters<typeof playLiqo>[0]

/**
 * Plays the kubelet of the virtual node, and so what is offloaded to it, until it is ended. kwok gives up when it finds no API server.
 * @returns what ends it
 */
function playVirtualNode(cluster: PracticeCluster, address: string): () => void {
  const node = ['--manage-single-node', peerId, '--node-ip', address, '--node-lease-duration-seconds', '40']
  const ended = new AbortController()
  let kwok: ChildProcess | undefined
  const start = () => {
    if (ended.signal.aborted) return
    kwok = spawn(cluster.binaries.kwok, ['--kubeconfig', cluster.homelab.kubeconfig, ...node], {
      stdio: 'ignore',
      // It would otherwise read settings of whoever rehearses.
      env: { HOME: cluster.folder, KWOK_WORKDIR: cluster.folder },
    })
    kwok.once('exit', () => void systemClock.sleep(1000, ended.signal).then(start))
  }
  const end = () => {
    ended.abort()
    kwok?.kill('SIGKILL')
  }
  start()
  process.once('exit', end)
  return () => {
    process.off('exit', end)
    end()
  }
}

/** Plays Liqo in both clusters, and begins anew when the homelab's API server is another one. */
class FollowingPlay {
  readonly #cluster: PracticeCluster
  readonly #peer: Cluster
  #home: Cluster
  #play: Play
  #endNode: () => void
  readonly #stopped = new AbortController()
  readonly #ended: Promise<void>

  constructor(cluster: PracticeCluster, play: Play, home: Cluster, peer: Cluster) {
    this.#cluster = cluster
    this.#play = play
    this.#home = home
    this.#peer = peer
    this.#endNode = this.#startNode()
    this.#ended = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#ended
    await this.#stopPlay()
    this.#home.api.close()
    this.#peer.api.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await systemClock.sleep(300, signal)
      const api = await this.#cluster.api().catch(() => undefined)
      if (api === undefined || api.server === this.#home.api.server) {
        api?.close()
        continue
      }
      await this.#stopPlay()
      this.#home.api.close()
      this.#home = { ...this.#home, api }
      this.#play = playLiqo(this.#home, this.#peer)
      this.#endNode = this.#startNode()
    }
  }

  #startNode(): () => void {
    return playVirtualNode(this.#cluster, new URL(this.#peer.api.server).hostname)
  }

  async #stopPlay(): Promise<void> {
    this.#endNode()
    await this.#play.stop().catch((error: unknown) => process.emitWarning(`Liqo's play: ${messageOf(error)}`))
  }
}
