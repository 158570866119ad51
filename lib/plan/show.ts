import { formatBytes, type VolumeOutlook } from '../kubernetes/volumes.ts'
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
  showFate(console, 'Data that WILL be lost (on the disk of the old machine)', inventory, 'lost')
  showFate(console, 'Data that will be preserved (outside of the machine)', inventory, 'preserved')
  showFate(
    console,
    'Data whose fate is unknown: a class in neither LOCAL_STORAGE_CLASSES nor NFS_STORAGE_CLASSES',
    inventory,
    'unknown',
  )
  showEstimate(console, inventory)
  showQuestions(console, questions(settings, { liqo: inventory.liqo, nodes: inventory.nodes.length }))
}

function showFate(
  console: Migration['console'],
  title: string,
  inventory: Inventory,
  fate: VolumeOutlook['fate'],
): void {
  const volumes = inventory.volumes.filter((volume) => volume.fate === fate)
  if (volumes.length === 0) return
  const bytes = volumes.reduce((sum, volume) => sum + volume.bytes, 0)
  const rows = volumes.map(({ claim, size, storageClass, usedBy, where }) => [
    claim,
    size,
    storageClass,
    usedBy.join(', ') || 'nobody',
    where,
  ])
  console.table(
    `${title}: ${volumes.length} volumes, ${formatBytes(bytes)} claimed`,
    ['claim', 'size', 'class', 'used by', 'where'],
    rows,
  )
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
