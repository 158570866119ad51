import type { VolumeOutlook } from '../kubernetes/volumes.ts'
import { formatBytes } from '../migration/console/bytes.ts'
import type { Settings } from '../settings.ts'
import type { Inventory } from './inventory.ts'

/** One row of the runbook's tables "Data That WILL Be Lost" and "Data That WILL Be Preserved". */
export interface Fate {
  readonly what: string
  /** as it is claimed, or how many there are */
  readonly size: string
  /** bytes that are claimed; 0 for what is no volume */
  readonly bytes: number
  readonly usedBy: readonly string[]
  /** of what is lost: how it comes again; of what is preserved: where it is, and why it stays */
  readonly note: string
  /** nobody has decided about it: migrate:drain refuses */
  readonly open: boolean
}

export interface Fates {
  readonly lost: readonly Fate[]
  readonly preserved: readonly Fate[]
}

/** What is lost with the machine and what outlives it, by name and size, as the settings are. */
export function fatesOf(inventory: Inventory, settings: Settings): Fates {
  const volumes = inventory.volumes.map((volume) => ({ volume, fate: fateOf(volume, settings) }))
  const rows = (isLost: boolean) =>
    volumes.filter(({ fate }) => fate.isLost === isLost).map(({ volume, fate }) => ({ ...row(volume), ...fate.words }))
  const lost = rows(true).toSorted((a, b) => Number(b.open) - Number(a.open))
  return {
    lost: [
      ...(settings.recovery === 'gitops' ? [etcdLost(inventory)] : []),
      ...lost,
      ...scratchOf(inventory, settings),
    ],
    preserved: [
      ...(settings.recovery === 'gitops' ? [] : [etcdKept(inventory, settings)]),
      ...rows(false),
      ...originsOf(inventory),
    ],
  }
}

type Words = Pick<Fate, 'note' | 'open'>

function fateOf(volume: VolumeOutlook, settings: Settings): { isLost: boolean; words: Words } {
  const { fate, acceptedBy, where, storageClass } = volume
  const kept = (note: string) => ({ isLost: false, words: { note, open: false } })
  const lost = (note: string, open: boolean) => ({ isLost: true, words: { note, open } })
  const place = [where, storageClass].filter((text) => text !== '').join(', ')
  if (settings.scenario === 'C') return kept(`${place}; the machine stays`)
  if (fate === 'preserved') return kept(place)
  if (fate === 'evacuated') return kept(`copied off the machine; ${place}`)
  if (fate === 'empty') return kept('the claim has no volume yet')
  if (acceptedBy !== null) return lost(`begins empty, as accepted (${acceptedBy})`, false)
  if (fate === 'unknown')
    return lost(`not known: ${storageClass} is in neither LOCAL_STORAGE_CLASSES nor NFS_STORAGE_CLASSES`, true)
  if (settings.evacuateTo !== undefined) return kept(`copied to ${settings.evacuateTo} by drain, and back by resume`)
  return lost(`on the disk of ${settings.nodeName} (${place}): copy it (EVACUATE_TO), or accept the loss`, true)
}

function row({ claim, size, bytes, usedBy }: VolumeOutlook): Omit<Fate, keyof Words> {
  return { what: claim, size, bytes, usedBy }
}

function plain(what: string, size: string, note: string, usedBy: readonly string[] = []): Fate {
  return { what, size, bytes: 0, usedBy, note, open: false }
}

function etcdLost({ objects }: Inventory): Fate {
  return plain(
    'etcd',
    `${objects} objects`,
    'Flux brings what Git holds, the backup what it does not; UIDs and the rest are new',
  )
}

function etcdKept({ objects }: Inventory, { scenario }: Settings): Fate {
  const note =
    scenario === 'C' ? 'it never goes away: members join it' : 'in the final snapshot, recovered with every UID'
  return plain('etcd', `${objects} objects`, note)
}

function scratchOf({ scratch }: Inventory, { scenario }: Settings): Fate[] {
  if (scratch.length === 0 || scenario === 'C') return []
  const named = `${scratch.slice(0, 3).join(', ')}${scratch.length > 3 ? ', …' : ''}`
  return [plain('emptyDir volumes and what is in memory', `${scratch.length} pods`, 'made anew with each pod', [named])]
}

function originsOf({ gitSources, secretStores }: Inventory): Fate[] {
  return [
    ...gitSources.map((url) => plain(`Git: ${url}`, '', 'where it was; Flux follows it')),
    ...secretStores.map(({ store, provider, server, vaults }) =>
      plain(`${provider}: ${server ?? vaults.join(', ')}`, '', `where it was; ${store} syncs from it`),
    ),
  ]
}

/** `3 (1.2 GB claimed)`. */
export function describeFates(fates: readonly Fate[]): string {
  const bytes = fates.reduce((sum, fate) => sum + fate.bytes, 0)
  return bytes === 0 ? String(fates.length) : `${fates.length} (${formatBytes(bytes)} claimed)`
}
