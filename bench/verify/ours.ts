import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { createConsole } from '../../lib/migration/console.ts'
import { Interrupt } from '../../lib/migration/interrupt.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { Migration } from '../../lib/migration/migration.ts'
import { fileServerAddresses } from '../../lib/rehearsal/file-servers.ts'
import type { PracticeCluster } from '../../lib/rehearsal/practice-cluster.ts'
import { loadSettings } from '../../lib/settings.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { readCore, readGitOps, readIngress, readOutside, readStorage, takeBaseline } from '../../lib/verify/baseline.ts'
import { runChecks } from '../../lib/verify/check.ts'
import { liveChecks, openLiveCluster } from '../../lib/verify/live-checks.ts'
import { lookAgainst } from '../../lib/verify/look.ts'
import { askMesh } from '../../lib/verify/mesh.ts'

/** The checks of verify by the sections of the guide, each alone, and all of them as migrate:verify makes them. */
export interface Checks {
  readonly alone: Readonly<Record<string, () => Promise<unknown>>>
  all(): Promise<unknown>
  close(): void
}

/** @param more settings beside those of the practice homelab */
export async function openChecks(cluster: PracticeCluster, more: Readonly<Record<string, string>>): Promise<Checks> {
  const migration = migrationOf({ ...cluster.environment, ...more, MESH_PEERS: peerOf(cluster) })
  const { settings } = migration
  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  const talosctl = await Talosctl.open(settings)
  // Each time anew: it would remember Nebula's certificates for a minute.
  const open = () => openLiveCluster(migration, api, talosctl)
  const live = open()
  const before = await takeBaseline(api)
  const named = (wanted: RegExp) => liveChecks.filter(({ name }) => wanted.test(name))
  const alone = {
    'Talos and etcd': () => runChecks(named(/machine|etcd|control plane/), live),
    'Nodes, workloads and pods': () => readCore(api, new Date()),
    Storage: () => readStorage(api),
    'Flux and Argo CD': () => readGitOps(api),
    'Nebula certificates': () => runChecks(named(/Nebula/), open()),
    'Mesh peers': () => askMesh(settings.meshPeers, live.reach),
    'Liqo and External Secrets': () => readOutside(api),
    Ingress: () => readIngress(api, live.askIngress),
  }
  return { alone, all: () => lookAgainst(before, open(), migration)(), close: () => api.close() }
}

/** Somebody on loopback who answers pings, as the lighthouse does. */
export function peerOf(cluster: PracticeCluster): string {
  return fileServerAddresses(cluster.address)[0]?.[1] ?? ''
}

function migrationOf(environment: Record<string, string | undefined>): Migration {
  const never = () => undefined
  return new Migration({
    settings: loadSettings(environment),
    console: createConsole({ out: process.stderr }),
    clock: systemClock,
    journal: Journal.inMemory(null, systemClock.now),
    interrupt: new Interrupt(never, never),
    ...{ phase: 'verify', runFolder: '', dryRun: false, flags: {} },
    prompt: { secret: async () => undefined, confirm: async () => undefined },
  })
}
