import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { loadSettings, type Settings } from '../../../lib/settings.ts'
import type { Finding } from '../../../lib/verify/check.ts'
import { LiveContext, type PreflightContext } from '../../../lib/verify/preflight/context.ts'
import { preflight } from '../../../lib/verify/preflight.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../../kubernetes/bare-cluster.ts'
import { nebulaCert } from '../../network/nebula/authority.ts'
import { git } from '../../rewrite/homelab.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { controlplane, FakeMachines, healthyMachine } from './fake-machines.ts'
import { healthyCluster, write } from './healthy-cluster.ts'

const address = '192.168.1.54'
const definitions = ['flux', 'argocd', 'external-secrets', 'cert-manager', 'metallb', 'liqo']

/** An operator's homelab that is well: a real API server, machines as talosctl shows them, and what lies on his disk. */
export class HealthyHomelab {
  readonly machines = new FakeMachines()
  /** away from where backups go, as a NAS is */
  readonly folder = mkdtempSync('/dev/shm/preflight-homelab-')
  readonly #elsewhere = temporaryFolder('preflight')
  readonly cluster: BareCluster
  readonly #environment: Record<string, string>

  private constructor(cluster: BareCluster, identity: string, recipient: string) {
    this.cluster = cluster
    writeFileSync(join(this.#elsewhere, 'identity'), `${identity}\n`)
    this.#environment = {
      CLUSTER: 'catalyst',
      HOMELAB_DIR: this.folder,
      KUBECONFIG: cluster.kubeconfig,
      TALOSCTL: this.machines.talosctl,
      BACKUP_DIR: join(this.#elsewhere, 'backup'),
      AGE_RECIPIENTS: recipient,
      AGE_IDENTITY_FILE: join(this.#elsewhere, 'identity'),
      HOSTS_FILE: join(this.#elsewhere, 'hosts'),
      NEBULA_CERT: nebulaCert,
      LIQO_TEARDOWN: 'no',
    }
  }

  static async make(): Promise<HealthyHomelab> {
    const identity = await generateX25519Identity()
    const homelab = new HealthyHomelab(await startBareCluster(), identity, await identityToRecipient(identity))
    try {
      healthyMachine(homelab.machines, address)
      homelab.names(`${address} talos00 grafana.talos00\n`)
      homelab.#repository()
      homelab.talosconfig('os:admin', 365)
      const { api } = homelab.cluster
      await installDefinitions(
        api,
        definitions.map((name) => `${name}.yaml`),
      )
      await write(api, healthyCluster(git(homelab.folder, 'rev-parse', 'HEAD').trim()))
      return homelab
    } catch (error) {
      await homelab.destroy()
      throw error
    }
  }

  /** A repository whose branch is pushed, by what Git knows of the remote. */
  #repository(): void {
    mkdirSync(join(this.folder, 'configs'))
    this.config(controlplane)
    writeFileSync(join(this.folder, '.gitignore'), 'configs/\n.output/\n')
    const git_ = (...args: string[]) => git(this.folder, ...args)
    git_('init', '--quiet')
    git_('add', '.')
    this.commit()
    git_('remote', 'add', 'origin', 'git@github.com:me/homelab.git')
    git_('update-ref', 'refs/remotes/origin/main', 'HEAD')
    git_('config', 'branch.main.remote', 'origin')
    git_('config', 'branch.main.merge', 'refs/heads/main')
  }

  commit(): void {
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.org']
    git(this.folder, ...author, 'commit', '--quiet', '--allow-empty', '--message', 'a change')
  }

  /** The config that the machine runs on, and the file. */
  config(text: string): void {
    writeFileSync(join(this.folder, 'configs/controlplane.yaml'), text)
    this.machines.has(address, 'get machineconfig v1alpha1', { v1alpha1: text })
  }

  /** The same, with another authority in the place of one of its own. @param at which, in the order of the file: 0 is Talos', 1 Kubernetes' */
  authority(at: number, days: number): void {
    const crt = certificate(this.#elsewhere, '/O=another', days)
    let seen = -1
    this.config(controlplane.replace(/crt: \S+/g, (line) => (++seen === at ? `crt: ${crt}` : line)))
  }

  names(hosts: string): void {
    writeFileSync(join(this.#elsewhere, 'hosts'), hosts)
  }

  /** A client certificate of this role, for some days. */
  talosconfig(role: string, days: number): void {
    const ca = /crt: (\S+)/.exec(controlplane)?.[1] ?? ''
    const crt = certificate(this.#elsewhere, `/O=${role}`, days)
    const contexts = { catalyst: { endpoints: [address], ca, crt, key: '' } }
    writeFileSync(join(this.folder, 'configs/talosconfig'), JSON.stringify({ context: 'catalyst', contexts }))
  }

  /** FOREIGN is a secrets bundle of another cluster, OTHER an identity that no recipient belongs to. */
  async pathsIn(settings: Record<string, string> = {}): Promise<Record<string, string>> {
    const pair = { crt: certificate(this.#elsewhere, '/O=another', 3650) }
    const paths: Record<string, string> = {
      FOREIGN: join(this.#elsewhere, 'secrets.yaml'),
      OTHER: join(this.#elsewhere, 'other'),
    }
    writeFileSync(paths.FOREIGN ?? '', JSON.stringify({ certs: { os: pair, k8s: pair, etcd: pair } }))
    writeFileSync(paths.OTHER ?? '', `${await generateX25519Identity()}\n`)
    return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, paths[value] ?? value]))
  }

  /** What its operator would have in the environment. */
  get environment(): Readonly<Record<string, string>> {
    return this.#environment
  }

  settings(more: Record<string, string> = {}): Settings {
    return loadSettings({ ...this.#environment, ...more })
  }

  /** The whole preflight; what is found, and by which check. @param parts what is not as the machines and the network have it */
  async preflight(settings: Record<string, string> = {}, parts: Partial<PreflightContext> = {}) {
    const live = new LiveContext(this.settings(settings), new Date())
    const context = Object.assign(live, {
      knock: async () => 'open' as const,
      kubectlVersion: async () => undefined,
      ...parts,
    })
    const results = await preflight(context, [])
    await context.close()
    const found = results.flatMap(({ name, findings }) =>
      findings.map((finding: Finding) => ({ check: name, ...finding })),
    )
    return { found, notChecked: results.filter((result) => result.notChecked !== undefined) }
  }

  async destroy(): Promise<void> {
    await this.cluster.stop()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Base64 of PEM. */
export function certificate(folder: string, subject: string, days: number): string {
  const made = ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', '/dev/null', '-days', String(days)]
  return execFileSync('openssl', [...made, '-subj', subject], { cwd: folder, stdio: 'pipe' }).toString('base64')
}
