import type { Migration } from '../migration/migration.ts'
import type { DrainOutlook } from './drain-outlook.ts'
import { fullName } from './kinds.ts'

/** Shows what goes, what that costs, what blocks, and what comes of it. */
export function showOutlook({ console }: Migration, outlook: DrainOutlook): void {
  const { evicted, left, onlyHome } = outlook
  console.info(
    `${evicted.length} pods are evicted from ${outlook.nodes.join(', ')}, ${left.length} stay (DaemonSets and static pods).` +
      (onlyHome && evicted.length > 0 ? ' No other node can take them: they wait as Pending until resume.' : ''),
  )
  if (outlook.unselected > 0) console.warn(`${outlook.unselected} more stay: --pod-selector leaves them out.`)
  showNotes(console, outlook)
  if (!onlyHome) showStranded(console, outlook)
  const obstacles = outlook.obstacles.map(({ subject, reason, wayOut }) => [subject, reason, wayOut])
  if (obstacles.length > 0) console.table('What will not let go', ['what', 'why', 'way out'], obstacles)
  const blockers = outlook.blockers.map((blocker) => [
    blocker.budget,
    blocker.workloads.join(', '),
    blocker.reason,
    outlook.unresolved.includes(blocker) ? blocker.wayOut : 'none needed: drain scales it to 0, resume brings it back',
  ])
  if (blockers.length > 0) {
    console.table('Budgets that block', ['budget', 'workload', 'why', 'way out'], blockers)
  }
}

/** What eviction costs the pods, each cost once with the names of its pods. */
function showNotes(console: Migration['console'], { evicted }: DrainOutlook): void {
  const pods = new Map<string, string[]>()
  for (const { pod, notes } of evicted) {
    for (const note of notes) pods.set(note, [...(pods.get(note) ?? []), fullName(pod)])
  }
  for (const [note, names] of pods) {
    const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
    console.warn(`${note}: ${names.slice(0, 3).join(', ')}${more}`)
  }
}

function showStranded(console: Migration['console'], { stranded, nodes }: DrainOutlook): void {
  const byWorkload = new Map(stranded.map(({ workload, why }) => [workload, why]))
  if (byWorkload.size === 0) return
  const title = `Whose only home is ${nodes.join(', ')}: down until resume`
  console.table(title, ['workload', 'why no other node takes it'], [...byWorkload])
}
