import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { PracticeCluster } from '../../lib/rehearsal/practice-cluster.ts'
import { projectFolder } from '../../lib/settings.ts'
import type { Command } from '../backup/contenders.ts'
import { peerOf } from './ours.ts'

/**
 * The commands of the guide's section "Post-Migration Verification", in its order. Where flux, argocd and liqoctl are not on PATH, the kubectl command
 * stands in that reads the same objects, which is the least that they do; so does `nebula-cert print` of a file for the one that is run in a pod.
 * @param certificate a file that nebula-cert can print
 */
export async function guide(
  cluster: PracticeCluster,
  kubectl: string,
  certificate: string,
  workFolder: string,
): Promise<Command[]> {
  const { homelab, binaries, address } = cluster
  const cache = join(workFolder, 'kubectl-cache')
  const get = (...what: string[]): Command => ({
    program: kubectl,
    args: ['--kubeconfig', homelab.kubeconfig, '--cache-dir', cache, 'get', ...what],
  })
  const settings = [`TALOS_NODE=${address}`, `TALOSCONFIG=${homelab.talosconfig}`, `KUBECONFIG=${homelab.kubeconfig}`]
  const curl = (host: string): Command => ({
    program: 'curl',
    args: ['--silent', '--output', '/dev/null', '-H', `Host: ${host}`, `http://${address}`],
  })
  return [
    {
      program: binaries.task,
      args: ['--dir', projectFolder, 'talos:health', ...settings, `TALOSCTL=${binaries.talosctl}`],
    },
    get('nodes', '-o', 'wide'),
    get('pods', '-A'),
    get('pv'),
    get('pvc', '-A'),
    onPath('flux', ['get', 'all', '-A', '--kubeconfig', homelab.kubeconfig]) ?? get(fluxKinds, '-A'),
    get('applications.argoproj.io', '-A'),
    { program: binaries['nebula-cert'], args: ['print', '-json', '-path', certificate] },
    ...ping(peerOf(cluster)),
    get('foreignclusters.core.liqo.io'),
    curl('grafana.talos00'),
    curl('argocd.talos00'),
  ]
}

const fluxKinds = [
  // Those that the practice cluster has.
  ...['gitrepositories', 'helmrepositories'].map((kind) => `${kind}.source.toolkit.fluxcd.io`),
  ...['helmreleases.helm.toolkit.fluxcd.io', 'kustomizations.kustomize.toolkit.fluxcd.io'],
].join(',')

/** Nothing where there is no ping: to the guide's good. */
function ping(address: string): Command[] {
  const command = { program: 'ping', args: ['-c', '1', address] }
  return spawnSync(command.program, ['-V'], { stdio: 'ignore' }).status === 0 ? [command] : []
}

function onPath(program: string, args: string[]): Command | undefined {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0 ? { program, args } : undefined
}
