import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import type { Pod } from '../../kubernetes/kinds.ts'
import { podPath } from '../../kubernetes/pods.ts'
import { systemClock } from '../../migration/clock.ts'
import { messageOf, RemoteError } from '../../migration/errors.ts'
import { meshNamespace, meshPaths } from './practice-mesh.ts'
import type { RunningMesh } from './running-mesh.ts'

const lookEveryMs = 300
const checkJob = 'talos-migrate-mesh-check'

export interface NodePodsOptions {
  readonly kubeconfig: string
  /** What tells one machine from another, of the one that is on; undefined: all are off. */
  machine(): string | undefined
}

/**
 * Does for the node's pods in the mesh what kwok only pretends: a real Nebula runs, with the config and the certificate that the cluster has for it, as
 * long as its machine is on and its pod is there; and the pod that asks over the mesh really asks, in the node's network.
 * @returns what ends it
 */
export function playNodePods(mesh: RunningMesh, options: NodePodsOptions): { stop(): Promise<void> } {
  const kubelet = new MeshKubelet(mesh, options)
  return { stop: () => kubelet.stop() }
}

class MeshKubelet {
  readonly #mesh: RunningMesh
  readonly #options: NodePodsOptions
  readonly #stopped = new AbortController()
  /** UIDs of the pods that have asked, or are asking. */
  readonly #asked = new Set<string>()
  readonly #image = checkImage()
  readonly #ended: Promise<void>
  /** The machine and the pod whose Nebula runs. */
  #runs: string | undefined

  constructor(mesh: RunningMesh, options: NodePodsOptions) {
    this.#mesh = mesh
    this.#options = options
    this.#ended = this.#play()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#ended
    rmSync(this.#image, { recursive: true, force: true })
  }

  async #play(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const machine = this.#options.machine()
      if (machine === undefined) await this.#run(undefined)
      else await this.#lookAt(machine)
      await systemClock.sleep(lookEveryMs, signal)
    }
  }

  async #lookAt(machine: string): Promise<void> {
    let api: KubernetesApi | undefined
    try {
      api = await KubernetesApi.fromFile(this.#options.kubeconfig)
      const pods = await api.list<Pod>(`/api/v1/namespaces/${meshNamespace}/pods`)
      const standing = pods.filter(({ metadata, status }) => !metadata.deletionTimestamp && status.phase === 'Running')
      const nebula = standing.find((pod) => isOf(pod, 'DaemonSet'))
      await this.#run(nebula && `${machine} ${nebula.metadata.uid}`, api)
      for (const pod of standing.filter((one) => isOf(one, 'Job'))) this.#ask(pod)
    } catch (error) {
      // The API server is away, as it is for a while in every migration; what runs, runs on.
      if (!(error instanceof RemoteError)) process.emitWarning(`pods of the mesh: ${messageOf(error)}`)
    } finally {
      api?.close()
    }
  }

  /** @param what undefined: nothing runs */
  async #run(what: string | undefined, api?: KubernetesApi): Promise<void> {
    if (what === this.#runs) return
    if (what === undefined || api === undefined) {
      await this.#mesh.stopNode()
    } else {
      const secret = await api.get(meshPaths.secret)
      const config = await api.get(meshPaths.config)
      const read = (key: string) => Buffer.from(entryOf(secret, key), 'base64').toString('utf8')
      const host = { certificate: read('host.crt'), key: read('host.key') }
      await this.#mesh.startNode(host, entryOf(config, 'config.yml'))
    }
    this.#runs = what
  }

  #ask(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    if (pod.metadata.labels?.['batch.kubernetes.io/job-name'] !== checkJob || this.#asked.has(uid)) return
    this.#asked.add(uid)
    void this.#answer(pod).catch((error: unknown) => process.emitWarning(`asking over the mesh: ${messageOf(error)}`))
  }

  async #answer(pod: Pod): Promise<void> {
    const [program = '', ...args] = pod.spec.containers?.[0]?.command ?? []
    // The image's programs are all that there are.
    const child = this.#mesh.networks.start('node', 'env', ['-i', `PATH=${this.#image}`, program, ...args])
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 137)))
    const said = await Promise.all([child.stdout, child.stderr].map((stream) => (stream ? text(stream) : '')))
    const status = endedWith(await ended, said.join(''))
    const api = await KubernetesApi.fromFile(this.#options.kubeconfig)
    try {
      await api.mergePatch<KubernetesObject>(`${podPath(pod)}/status`, { status })
    } finally {
      api.close()
    }
  }
}

/** As a kubelet reports a pod with terminationMessagePolicy FallbackToLogsOnError. */
function endedWith(exitCode: number, log: string) {
  const at = `${systemClock.now().toISOString().slice(0, 19)}Z`
  const message = exitCode === 0 ? {} : { message: log.slice(-2048) }
  const terminated = {
    exitCode,
    ...message,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    startedAt: at,
    finishedAt: at,
  }
  const container = { name: 'ask', image: 'busybox', imageID: 'busybox', ready: false, restartCount: 0 }
  return {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ ...container, state: { terminated } }],
  }
}

const isOf = ({ metadata }: Pod, kind: string) =>
  metadata.ownerReferences?.some((owner) => owner.kind === kind) === true

function entryOf(object: KubernetesObject, key: string): string {
  return ((object.data ?? {}) as Record<string, string>)[key] ?? ''
}

/** What the image of the pod has, as programs of this machine. Whoever has a port is asked with nc; nobody is asked with ping here. */
function checkImage(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-check-'))
  const programs = {
    nc: `exec '${process.execPath}' -e '${nc}' -- "$@"`,
    ping: 'echo there is no ping in this image; exit 1',
    date: 'exec /bin/date "$@"',
    sleep: 'exec /bin/sleep "$@"',
  }
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  return folder
}

const nc = `
const [address, port] = process.argv.slice(-2)
const socket = require("node:net").connect({ host: address, port: Number(port) })
const fail = (why) => { console.error(why); process.exit(1) }
socket.setTimeout(3000, () => fail("timed out"))
socket.once("connect", () => process.exit(0))
socket.once("error", ({ code }) => fail(code === "ECONNREFUSED" ? "Connection refused" : code))
`
