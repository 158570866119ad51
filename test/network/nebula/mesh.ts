import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { temporaryFolder } from '../../temporary-folder.ts'
import { nebula, type TestAuthority } from './authority.ts'
import { makeNetworks, type Networks, type Side } from './networks.ts'

interface Host {
  certificate: string
  key: string
}

/** A real Nebula lighthouse, 10.42.0.1, and a node that is started with whatever certificate it is given. */
export class Mesh {
  readonly networks: Networks
  readonly #authority: TestAuthority
  readonly #folder = temporaryFolder('mesh')
  #heard: string[] = []
  #node: ChildProcess | undefined

  private constructor(networks: Networks, authority: TestAuthority) {
    this.networks = networks
    this.#authority = authority
  }

  static async start(t: ExecutionContext<unknown>, authority: TestAuthority): Promise<Mesh> {
    const mesh = new Mesh(await makeNetworks(t), authority)
    mesh.#run('lighthouse', authority.host('lighthouse', '10.42.0.1/16'))
    return mesh
  }

  /** Starts the node, or starts it anew, as a kubelet does when its pod is made anew. */
  async startNode(host: Host): Promise<void> {
    if (this.#node) {
      const gone = once(this.#node, 'exit')
      this.#node.kill('SIGTERM')
      await gone
    }
    this.#heard = []
    this.#node = this.#run('node', host)
  }

  /** Mesh addresses that the lighthouse has made a handshake with since the node was last started. */
  handshakes(): string[] {
    const made = this.#heard.filter((line) => line.includes('Handshake message'))
    return [...new Set(made.flatMap((line) => /vpnIp"?[=:]"?([\d.]+)/.exec(line)?.[1] ?? []))]
  }

  get log(): string {
    return this.#heard.join('\n')
  }

  #run(side: Side, host: Host): ChildProcess {
    const child = this.networks.start(side, nebula, ['-config', this.#configOf(side, host)])
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) =>
        this.#heard.push(
          ...String(chunk)
            .split('\n')
            .map((line) => `${side}: ${line}`),
        ),
      )
    }
    return child
  }

  #configOf(side: Side, host: Host): string {
    const { addresses, tunnels } = this.networks
    const folder = join(this.#folder, side)
    mkdirSync(folder, { recursive: true })
    const files = { 'ca.crt': this.#authority.certificate, 'host.crt': host.certificate, 'host.key': host.key }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
    const isLighthouse = side === 'lighthouse'
    const all = [{ port: 'any', proto: 'any', host: 'any' }]
    const config = {
      pki: { ca: join(folder, 'ca.crt'), cert: join(folder, 'host.crt'), key: join(folder, 'host.key') },
      static_host_map: isLighthouse ? {} : { '10.42.0.1': [`${addresses.lighthouse}:4242`] },
      lighthouse: { am_lighthouse: isLighthouse, interval: 1, hosts: isLighthouse ? [] : ['10.42.0.1'] },
      listen: { host: addresses[side], port: 4242 },
      tun: tunnels ? { dev: 'nebula1' } : { disabled: true },
      firewall: { inbound: all, outbound: all },
      logging: { level: 'info', format: 'text' },
    }
    const path = join(folder, 'config.yml')
    writeFileSync(path, JSON.stringify(config))
    return path
  }
}
