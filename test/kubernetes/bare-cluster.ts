import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { KubernetesApi, type KubernetesObject } from '../../lib/kubernetes/api.ts'
import { takeNetwork } from '../../lib/rehearsal/addresses.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }

/** A real etcd and API server without a machine around them; with `pods`, also the controllers, the scheduler and, unless they are `scheduled` only, kwok's pods. */
export interface BareCluster {
  readonly api: KubernetesApi
  readonly kubeconfig: string
  /** URL of its etcd, plain HTTP */
  readonly etcd: string
  /** kill -9; what was asked of it breaks off */
  killApiServer(): Promise<void>
  /** Starts one again, on the same etcd; does not wait until it is ready. */
  startApiServer(): void
  stop(): Promise<void>
}

export interface BareClusterOptions {
  pods?: boolean | 'scheduled'
  /** kwok's Stages of pods, instead of its own, which end a pod at once whatever its grace and its finalizers */
  stages?: string
  /** which of kube-controller-manager's controllers run, as its --controllers has it */
  controllers?: string
  /** further arguments of kube-apiserver */
  apiServer?: readonly string[]
}

/** Starts one on a loopback network of its own. */
export async function startBareCluster(options: BareClusterOptions = {}): Promise<BareCluster> {
  const binaries = await ensureBinaries({ progress: silent })
  const network = await takeNetwork('a bare cluster of the tests', 1)
  const address = network.address(1)
  const folder = mkdtempSync(join(tmpdir(), 'bare-cluster-'))
  const children: ChildProcess[] = []
  const killAll = () => {
    for (const child of children) child.kill('SIGKILL')
  }
  process.once('exit', killAll)
  const start = (binary: string, args: string[]) => {
    const child = spawn(binary, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(join(folder, `${children.length}.log`))
    child.stdout?.pipe(log)
    child.stderr?.pipe(log)
    children.push(child)
    return child
  }
  const stop = async () => {
    api.close()
    killAll()
    process.off('exit', killAll)
    await Promise.all(children.map(ended))
    network.release()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  const { kubeconfig, etcdUrl, etcd, apiServer } = prepare(folder, address)
  const api = await KubernetesApi.fromFile(kubeconfig)
  start(binaries.etcd, etcd)
  const startApiServer = () => start(binaries['kube-apiserver'], [...apiServer, ...(options.apiServer ?? [])])
  let running = startApiServer()
  try {
    await until('the API server is ready', async () => (await api.raw('/readyz')).toString() === 'ok')
    if (options.pods) {
      const connect = ['--kubeconfig', kubeconfig]
      const quiet = ['--bind-address', address, '--leader-elect=false']
      const manager = [
        '--service-account-private-key-file',
        'sa.key',
        '--secure-port',
        '10257',
        '--cert-dir',
        'manager',
        ...(options.controllers === undefined ? [] : [`--controllers=${options.controllers}`]),
      ]
      start(binaries['kube-controller-manager'], [...connect, ...quiet, ...manager])
      const scheduler = [
        ...['--secure-port', '10259', '--cert-dir', 'scheduler'],
        // Of 1.34.0 a pod may miss the event that it waits for, and would be looked at again after five minutes.
        ...['--feature-gates', 'SchedulerAsyncAPICalls=false', '--pod-max-in-unschedulable-pods-duration', '20s'],
      ]
      start(binaries['kube-scheduler'], [...connect, ...quiet, ...scheduler])
      const stages = join(folder, 'stages.yaml')
      if (options.stages !== undefined) writeFileSync(stages, options.stages)
      const kwok = [
        ...connect,
        ...(options.stages === undefined ? [] : ['--config', stages]),
        ...['--manage-all-nodes', '--node-ip', address, '--node-lease-duration-seconds', '40'],
      ]
      if (options.pods !== 'scheduled') start(binaries.kwok, kwok)
    }
    return {
      ...{ api, kubeconfig, etcd: etcdUrl, stop },
      killApiServer: async () => {
        running.kill('SIGKILL')
        await ended(running)
      },
      startApiServer: () => {
        running = startApiServer()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

function prepare(folder: string, address: string) {
  const token = randomBytes(16).toString('hex')
  const kubeconfig = join(folder, 'kubeconfig')
  execFileSync('openssl', ['genrsa', '-out', join(folder, 'sa.key'), '2048'], { stdio: 'ignore' })
  writeFileSync(join(folder, 'tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 })
  const file = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bare', cluster: { server: `https://${address}:6443`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'bare', context: { cluster: 'bare', user: 'admin' } }],
    'current-context': 'bare',
  }
  writeFileSync(kubeconfig, JSON.stringify(file), { mode: 0o600 })
  const client = `http://${address}:2379`
  const peer = `http://${address}:2380`
  return {
    kubeconfig,
    etcdUrl: client,
    etcd: [
      ...['--data-dir', 'etcd', '--unsafe-no-fsync', '--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
    ],
    apiServer: [
      ...['--etcd-servers', client, '--bind-address', address, '--secure-port', '6443', '--cert-dir', 'api'],
      ...['--service-account-key-file', 'sa.key', '--service-account-signing-key-file', 'sa.key'],
      ...['--service-account-issuer', 'https://kubernetes.default.svc', '--token-auth-file', 'tokens.csv'],
      ...['--authorization-mode', 'RBAC', '--service-cluster-ip-range', '10.96.0.0/16'],
      // The API server refuses a loopback address as its own in Endpoints, so it is given none to announce.
      ...['--endpoint-reconciler-type', 'none', '--advertise-address', '192.0.2.1'],
      ...['--disable-admission-plugins', 'ServiceAccount'],
    ],
  }
}

/** @throws Error when the condition does not come true within the seconds */
export async function until(condition: string, probe: () => Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`)
    await delay(50)
  }
}

/** Installs CustomResourceDefinitions of the homelab's fixtures and waits until they are served. */
export async function installDefinitions(
  api: KubernetesApi,
  files: readonly string[],
  change = (text: string) => text,
) {
  for (const file of files) {
    const text = readFileSync(new URL(`../fixtures/catalyst/crds/${file}`, import.meta.url), 'utf8')
    const documents = parseAllDocuments(change(text))
    if (!Array.isArray(documents)) throw new Error(`${file} is empty`)
    for (const definition of documents.map((document) => document.toJS() as KubernetesObject)) {
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition.metadata.name}`
      await api.apply(path, definition, 'test')
      const { group, names, versions } = definition.spec as {
        group: string
        names: { plural: string }
        versions: { name: string }[]
      }
      await until(`${names.plural} are served`, async () => {
        await api.list(`/apis/${group}/${versions[0]?.name}/${names.plural}`)
        return true
      })
    }
  }
}
