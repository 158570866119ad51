import type { VolumeOutlook } from '../kubernetes/volumes.ts'
import { formatBytes } from '../migration/console/bytes.ts'
import type { Migration } from '../migration/migration.ts'
import { estimate, formatRange, totals } from './estimate.ts'
import { type Inventory, inventoryRows } from './inventory.ts'
import { type Question, questions } from './questions.ts'

/**
 * The plan as the operator reads it before the evening: what is there, what becomes of the data, how long, what is
 * open.
 */
export function showPlan({ console, settings }: Migration, inventory: Inventory): void {
  console.table(`Cluster ${settings.clusterName}`, ['what', 'how much'], inventoryRows(inventory))
  showFates(console, settings, inventory)
  showEstimate(console, inventory)
  showQuestions(console, questions(settings, { liqo: inventory.liqo, nodes: inventory.nodes.length }))
}

const order = [
  'LOST',
  'unknown',
  'lost, accepted',
  'to be evacuated',
  'evacuated',
  'preserved',
  'no volume yet',
] as const

function showFates(console: Migration['console'], settings: Migration['settings'], { volumes }: Inventory): void {
  const groups = order.flatMap((fate) => {
    const group = volumes.filter((volume) => fateFor(volume, settings) === fate)
    return group.length === 0 ? [] : [{ fate, group }]
  })
  const counts = groups.map(({ fate, group }) => {
    const bytes = group.reduce((sum, volume) => sum + volume.bytes, 0)
    return `${group.length} ${fate} (${formatBytes(bytes)} claimed)`
  })
  const rows = groups.flatMap(({ fate, group }) =>
    group.map(({ claim, usedBy, size, storageClass, acceptedBy, where }) => [
      claim,
      usedBy.join(', ') || 'nobody',
      size,
      storageClass,
      fate === 'lost, accepted' ? `lost, accepted by ${acceptedBy}` : fate,
      where,
    ]),
  )
  console.table(`Volumes: ${counts.join(', ')}`, ['claim', 'used by', 'size', 'class', 'fate', 'where'], rows)
}

/** What becomes of its data as the settings are. Unknown: its class is in neither LOCAL_STORAGE_CLASSES nor NFS_STORAGE_CLASSES. */
function fateFor({ fate, acceptedBy }: VolumeOutlook, settings: Migration['settings']): (typeof order)[number] {
  if ((fate === 'lost' || fate === 'unknown') && acceptedBy !== null) return 'lost, accepted'
  if (fate === 'lost') return settings.evacuateTo === undefined ? 'LOST' : 'to be evacuated'
  return fate === 'empty' ? 'no volume yet' : fate
}

function showEstimate(console: Migration['console'], inventory: Inventory): void {
  const pods = inventory.outlook.evicted.map(({ pod }) => pod)
  const grace = pods.map((pod) => pod.spec.terminationGracePeriodSeconds ?? 30)
  const phases = estimate({
    objects: inventory.objects,
    stateful: inventory.stateful.length,
    pods: pods.length,
    graceSeconds: Math.max(0, ...grace),
    gitops: inventory.flux + inventory.applications,
  })
  const { evening, downtime } = totals(phases)
  const rows = [...phases, evening, downtime].map((each) => [each.phase, formatRange(each), each.basedOn])
  console.table('How long it takes', ['phase', 'from – to', 'based on'], rows)
}

function showQuestions(console: Migration['console'], all: readonly Question[]): void {
  const rows = all.map(({ question, answer, how }) => [question, answer ?? 'OPEN', answer === null ? how : ''])
  console.table('Questions of the runbook', ['question', 'answer', 'how to answer it'], rows)
}
