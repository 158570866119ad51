import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { projectFolder } from '../../settings.ts'
import { installLiqo, type LiqoCluster } from './install.ts'
import { type Play, playLiqo } from './play.ts'

export type { Play } from './play.ts'

/** One side of a practised peering. */
export interface PeerSide {
  readonly api: KubernetesApi
  /** what Liqo is to call the cluster */
  readonly id: string
  /** default: liqo */
  readonly namespace?: string
}

/**
 * Installs Liqo, as far as liqoctl and the API show it, in two clusters and plays its controllers in both until it is stopped. Nothing is peered yet:
 * call liqoctl, or what `liqoctlFor` gives for it.
 */
export async function startLiqoPeer(home: PeerSide, peer: PeerSide): Promise<Play> {
  const clusters = [home, peer].map(({ api, id, namespace = 'liqo' }): LiqoCluster => ({ api, id, namespace }))
  const [one, two] = clusters as [LiqoCluster, LiqoCluster]
  await installLiqo(one, '10.244.0.0/16', '10.70.0.0/16')
  await installLiqo(two, '10.245.0.0/16', '10.71.0.0/16')
  return playLiqo(one, two)
}

/** The real liqoctl that LIQOCTL_BINARY names; without one, a program in the folder that stands in for it. */
export function liqoctlFor(folder: string, environment = process.env): string {
  return environment.LIQOCTL_BINARY || writeStandIn(folder)
}

/** Writes a program `liqoctl` into the folder that runs stand-in.ts. */
function writeStandIn(folder: string): string {
  const path = join(folder, 'liqoctl')
  // In a bundle this file is elsewhere; the sources are where they were.
  const source = join(projectFolder, 'lib/rehearsal/liqo/stand-in.ts')
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  // Every phase asks for the version; that takes no Node.
  const version = `[ "$1" = version ] && { echo 'Client version: v1.0.1'; exit 0; }`
  writeFileSync(path, `#!/bin/sh\n${version}\nexec '${process.execPath}' --import '${tsx}' '${source}' "$@"\n`)
  chmodSync(path, 0o755)
  return path
}
