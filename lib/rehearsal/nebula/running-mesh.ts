import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import type { Networks, Side } from './networks.ts'

/** What tells one member of a mesh from another, as PEM. */
export interface MeshHost {
  readonly certificate: string
  readonly key: string
}

export interface RunningMeshParts {
  /** the program */
  readonly nebula: string
  readonly networks: Networks
  /** PEM of the CA's certificate */
  readonly ca: string
  /** for 10.42.0.1 */
  readonly lighthouse: MeshHost
}

/** The lighthouse, which stands in for AWS, has this address in the mesh, and something accepts connections at the port. */
export const lighthouse = { address: '10.42.0.1', port: 6443 } as const

const linesKept = 400

/** A real Nebula lighthouse, and a node's Nebula that is started with whatever certificate it is given. */
export class RunningMesh {
  readonly networks: Networks
  readonly #parts: RunningMeshParts
  readonly #folder: string
  readonly #putAway: () => Promise<void>
  #heard: string[] = []
  #node: ChildProcess | undefined

  private constructor(parts: RunningMeshParts, folder: string, putAway: () => Promise<void>) {
    this.networks = parts.networks
    this.#parts = parts
    this.#folder = folder
    this.#putAway = putAway
  }

  static async start(parts: RunningMeshParts): Promise<RunningMesh> {
    const { folder, putAway } = await holdMemoryFolder()
    const mesh = new RunningMesh(parts, folder, putAway)
    mesh.#run('lighthouse', parts.lighthouse, mesh.#configOf('lighthouse'))
    if (parts.networks.tunnels) parts.networks.start('lighthouse', process.execPath, ['-e', listener])
    return mesh
  }

  /**
   * Starts the node, or starts it anew, as a kubelet does when its pod is made anew.
   * @param config the text of its config file, of which the network's own addresses and the places of certificates do not count; by default one that knows
   * the lighthouse
   */
  async startNode(host: MeshHost, config = this.#configOf('node')): Promise<void> {
    await this.stopNode()
    this.#heard = []
    this.#node = this.#run('node', host, config)
  }

  async stopNode(): Promise<void> {
    const node = this.#node
    this.#node = undefined
    if (node === undefined || node.exitCode !== null || node.signalCode !== null) return
    const gone = once(node, 'exit')
    node.kill('SIGTERM')
    await gone
  }

  /** Knocks over TCP from one side. A refused connection is an answer, too: the packet went there and back. */
  async knocks(from: Side, address: string, port: number): Promise<'reached' | 'silent'> {
    const child = this.networks.start(from, process.execPath, ['-e', knock, address, String(port)])
    return (await text(child.stdout as NodeJS.ReadableStream)).trim() === 'reached' ? 'reached' : 'silent'
  }

  /** What both have said since the node was last started. */
  get log(): string {
    return this.#heard.join('\n')
  }

  /** The networks are whoever's who made them. */
  async stop(): Promise<void> {
    await this.stopNode()
    await this.#putAway()
  }

  #run(side: Side, host: MeshHost, config: string): ChildProcess {
    const child = this.networks.start(side, this.#parts.nebula, ['-config', this.#write(side, host, config)])
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        const lines = String(chunk).split('\n')
        this.#heard = [...this.#heard, ...lines.map((line) => `${side}: ${line}`)].slice(-linesKept)
      })
    }
    return child
  }

  /** A folder of two files, of which the second wins. Source: https://nebula.defined.net/docs/config/ (-config takes a folder) */
  #write(side: Side, host: MeshHost, config: string): string {
    const folder = join(this.#folder, side)
    const configs = join(folder, 'config')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(configs, { recursive: true, mode: 0o700 })
    const files = { 'ca.crt': this.#parts.ca, 'host.crt': host.certificate, 'host.key': host.key }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 })
    const { addresses, tunnels } = this.networks
    const here = {
      pki: { ca: join(folder, 'ca.crt'), cert: join(folder, 'host.crt'), key: join(folder, 'host.key') },
      listen: { host: addresses[side], port: 4242 },
      tun: tunnels ? { dev: 'nebula1' } : { disabled: true },
      logging: { level: 'info', format: 'text' },
    }
    writeFileSync(join(configs, '1-config.yml'), config)
    writeFileSync(join(configs, '2-here.yml'), JSON.stringify(here))
    return configs
  }

  #configOf(side: Side): string {
    const isLighthouse = side === 'lighthouse'
    const all = [{ port: 'any', proto: 'any', host: 'any' }]
    return JSON.stringify({
      static_host_map: isLighthouse ? {} : { [lighthouse.address]: [`${this.networks.addresses.lighthouse}:4242`] },
      lighthouse: { am_lighthouse: isLighthouse, interval: 1, hosts: isLighthouse ? [] : [lighthouse.address] },
      firewall: { inbound: all, outbound: all },
    })
  }
}

/** Keys are on no disk, not for a rehearsal either. */
function holdMemoryFolder(): Promise<{ folder: string; putAway: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const held = withMemoryFolder({ memoryDir: '/dev/shm' }, async (folder) => {
      const stopped = new Promise<void>((stop) => {
        resolve({
          folder,
          putAway: async () => {
            stop()
            await held
          },
        })
      })
      await stopped
    })
    held.catch(reject)
  })
}

const listener = `require('node:net').createServer((socket) => socket.end()).listen(${lighthouse.port}, '0.0.0.0')`

const knock = `
const [address, port] = process.argv.slice(-2)
const socket = require('node:net').connect({ host: address, port: Number(port) })
const say = (what) => { console.log(what); process.exit() }
socket.setTimeout(3000, () => say('silent'))
socket.once('connect', () => say('reached'))
socket.once('error', ({ code }) => say(code === 'ECONNREFUSED' ? 'reached' : 'silent'))
`
