import { join } from 'node:path'
import type { PracticeCluster } from '../../../lib/rehearsal/practice-cluster.ts'
import { runTalosctl } from '../../../lib/rehearsal/run-talosctl.ts'

/** A control plane's config for the same names, made from another secrets bundle. @returns its path */
export async function foreignConfig({ binaries, folder, address }: PracticeCluster): Promise<string> {
  const path = join(folder, 'foreign.yaml')
  const output = ['--output-types', 'controlplane', '--output', path]
  await runTalosctl(binaries.talosctl, ['gen', 'config', 'catalyst-cluster', `https://${address}:6443`, ...output])
  return path
}

/** Another secrets bundle. @returns its path */
export async function foreignBundle({ binaries, folder }: PracticeCluster): Promise<string> {
  const path = join(folder, 'foreign-secrets.yaml')
  await runTalosctl(binaries.talosctl, ['gen', 'secrets', '--output-file', path])
  return path
}
