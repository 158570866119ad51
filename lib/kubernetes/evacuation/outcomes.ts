import * as z from 'zod'
import type { Journal } from '../../migration/journal.ts'
import type { Settings } from '../../settings.ts'
import { matchesClaim } from '../volumes.ts'
import { evacuatedNow, stillAway } from './ledger.ts'

const storedVolumes = z.array(
  z.object({
    volume: z.string().nullable(),
    claim: z.string().nullable(),
    storageClass: z.string(),
    size: z.string(),
    fate: z.enum(['lost', 'preserved', 'evacuated', 'unknown', 'empty']),
    usedBy: z.array(z.string()),
  }),
)

/** What has become of a volume's data, in words, and whether it is there. */
export interface VolumeOutcome {
  readonly claim: string
  readonly size: string
  readonly storageClass: string
  readonly usedBy: readonly string[]
  readonly fate: string
  readonly kept: boolean
}

/**
 * What has become of every claimed volume in a run, by the inventory that its backup holds and by what the journal tells of copies.
 * @param inventory the text of the backup's volumes.json
 * @throws ZodError or SyntaxError when it is none
 */
export function volumeOutcomes(
  inventory: string,
  journal: Journal,
  { acceptDataLoss }: Pick<Settings, 'acceptDataLoss'>,
): VolumeOutcome[] {
  const away = new Map(stillAway(journal).map(({ namespace, claim, copy }) => [`${namespace}/${claim}`, copy]))
  const replaced = journal.phaseState('shutdown') === 'done'
  const copied = new Set([...evacuatedNow(journal), ...broughtBack(journal)])
  return storedVolumes.parse(JSON.parse(inventory)).flatMap(({ volume, claim, fate, ...rest }) => {
    if (volume === null || claim === null) return []
    const { size, storageClass, usedBy } = rest
    const outcome = (words: string, kept: boolean) => [{ claim, size, storageClass, usedBy, fate: words, kept }]
    if (fate !== 'lost') return outcome(fate === 'unknown' ? 'unknown: its class is in no setting' : 'preserved', true)
    const copy = away.get(claim)
    if (copy !== undefined) return outcome(`evacuated; its copy ${copy} is not brought back`, true)
    if (copied.has(claim)) return outcome('evacuated and brought back', true)
    if (!replaced) return outcome('still on the old machine', true)
    const accepted = acceptDataLoss.find((pattern) => matchesClaim(pattern, claim))
    return outcome(accepted === undefined ? 'lost' : `lost, accepted by ${accepted}`, false)
  })
}

function broughtBack({ records }: Journal): string[] {
  const prefix = 'brought back '
  return records.flatMap((record) =>
    record.type === 'fact' && record.name.startsWith(prefix) ? [record.name.slice(prefix.length)] : [],
  )
}
