import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseMachineConfig } from '../../../lib/talos/machine-config.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

// What a machine answers lies in a file by its address and by the words of the call; where there is none, nobody answers there.
const script = `#!/bin/sh
case "$1 $2" in 'version --client') echo 'Talos v1.11.1'; exit 0;; esac
for address; do :; done
file="$(dirname "$0")/$address/"
case "$*" in *--insecure*) file="\${file}insecure-";; esac
for word; do case "$word" in --*) break;; *) file="$file$word ";; esac; done
[ -f "$file" ] && exec cat "$file"
[ -f "\${file}refused" ] && { cat "\${file}refused" >&2; exit 1; }
echo 'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp: connect: connection refused"' >&2
exit 1
`

export const controlplane = readFileSync(new URL('../../talos/fixtures/controlplane.yaml', import.meta.url), 'utf8')
export const config = parseMachineConfig(controlplane, 'the fixture')

/** Machines as talosctl shows them, at a border where no machine is needed. */
export class FakeMachines {
  readonly folder = temporaryFolder('fake-machines')
  readonly talosctl = join(this.folder, 'talosctl')

  constructor() {
    writeFileSync(this.talosctl, script)
    chmodSync(this.talosctl, 0o755)
  }

  /** @param call its words, `etcd members`; in maintenance mode `insecure-get disks` */
  answers(address: string, call: string, text: string): void {
    mkdirSync(join(this.folder, address), { recursive: true })
    writeFileSync(join(this.folder, address, `${call} `), text)
  }

  refuses(address: string, call: string, words: string): void {
    mkdirSync(join(this.folder, address), { recursive: true })
    writeFileSync(join(this.folder, address, `${call} refused`), `${words}\n`)
  }

  /** `talosctl get`; each resource with its id. */
  has(address: string, call: string, resources: Record<string, unknown>): void {
    const documents = Object.entries(resources).map(([id, spec]) => ({ metadata: { id, namespace: 'n' }, spec }))
    this.answers(address, call, documents.map((each) => `${JSON.stringify(each, null, 4)}\n`).join(''))
  }

  isGone(address: string): void {
    rmSync(join(this.folder, address), { recursive: true, force: true })
  }
}

/** A table as Go's tabwriter sets it. */
export function table(...rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3)).join('')}\n`).join('')
}

/** What `talosctl etcd status` prints of the one member. */
export function etcdStatus(size: string, inUse: string): string {
  const heading = ['NODE', 'MEMBER', 'DB SIZE', 'IN USE', 'LEADER', 'RAFT INDEX', 'RAFT TERM', 'LEARNER', 'ERRORS']
  return table(heading, ['n', 'a1', size, inUse, 'a1', '100', '2', 'false', ''])
}

/** What `talosctl etcd members` prints. */
export function etcdMembers(...hostnames: readonly string[]): string {
  const heading = ['NODE', 'ID', 'HOSTNAME', 'PEER URLS', 'CLIENT URLS', 'LEARNER']
  const rows = hostnames.map((name, at) => [
    'n',
    `a${at}`,
    name,
    `https://${name}:2380`,
    `https://${name}:2379`,
    'false',
  ])
  return table(heading, ...rows)
}

/** A control plane machine that is well, with this config. */
export function healthyMachine(machines: FakeMachines, address: string): void {
  machines.answers(address, 'version', 'Client:\n\tTag: v1.11.1\nServer:\n\tNODE: n\n\tTag: v1.11.1\n')
  machines.has(address, 'get machineconfig v1alpha1', { v1alpha1: controlplane })
  machines.has(address, 'get services', { etcd: { running: true, healthy: true } })
  machines.has(address, 'get machinestatus', { machine: { stage: 'running', status: { ready: true } } })
  machines.has(address, 'get timestatus', { node: { synced: true } })
  machines.has(address, 'get processors.hardware.talos.dev', { 'CPU-0': { coreCount: 4, threadCount: 8 } })
  machines.has(address, 'get memorymodules.hardware.talos.dev', { 'DIMM-0': { sizeMiB: 32_768 } })
  machines.answers(address, 'etcd members', etcdMembers('talos00'))
  machines.answers(address, 'etcd alarm list', '')
  machines.answers(address, 'etcd status', etcdStatus('12 MB', '8.1 MB (67.50%)'))
}

/** A machine without a config: its disk, its threads and its memory. */
export function waitingMachine(machines: FakeMachines, address: string, disk: string, threads: number, memory: number) {
  machines.has(address, 'insecure-get disks', { d: { dev_path: disk, size: 500_000_000_000 } })
  machines.has(address, 'insecure-get systeminformation', { systeminformation: { uuid: 'u-2' } })
  machines.has(address, 'insecure-get links', { eth0: { type: 'ether', hardwareAddr: '02:00:00:00:00:02' } })
  machines.has(address, 'insecure-get processors.hardware.talos.dev', { 'CPU-0': { threadCount: threads } })
  machines.has(address, 'insecure-get memorymodules.hardware.talos.dev', { 'DIMM-0': { sizeMiB: memory } })
}
