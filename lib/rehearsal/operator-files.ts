import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileServerAddresses } from './file-servers.ts'

/** What the operator of a practice cluster has outside of the repository, so that a rehearsal touches none of this computer's own. */
export interface OperatorFiles {
  readonly talosconfig: string
  readonly kubeconfig: string
  readonly hosts: string
}

export function operatorFiles(folder: string): OperatorFiles {
  return {
    talosconfig: join(folder, '.talos/config'),
    kubeconfig: join(folder, '.kube/config'),
    hosts: join(folder, 'hosts'),
  }
}

/** @param talosconfig the homelab's, which the operator's own is a link to */
export function makeOperatorFiles(files: OperatorFiles, talosconfig: string, address: string): void {
  for (const path of Object.values(files)) mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  symlinkSync(talosconfig, files.talosconfig)
  writeFileSync(files.kubeconfig, kubeconfigFor(address), { mode: 0o600 })
  writeFileSync(files.hosts, hostsFor(address), { mode: 0o644 })
}

function kubeconfigFor(address: string): string {
  return `apiVersion: v1
kind: Config
# The homelab, and the cluster in the cloud.
clusters:
  - name: catalyst-cluster
    cluster: { server: "https://${address}:6443", insecure-skip-tls-verify: true }
  - name: aws-gpu
    cluster: { server: https://203.0.113.54:6443 }
contexts:
  - { name: admin@catalyst-cluster, context: { cluster: catalyst-cluster, user: admin } }
users:
  - { name: admin, user: {} }
current-context: admin@catalyst-cluster
`
}

function hostsFor(address: string): string {
  const fileServers = fileServerAddresses(address).map(([name, its]) => `${its}\t${name}`)
  return `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost

# The homelab. It was at ${address} from the first day on.
${address}\ttalos00 grafana.talos00 argocd.talos00\t# control plane
${address}0\tnobody.example

# Where the data lies.
${fileServers.join('\n')}
`
}
