import { formatRange } from '../migration/clock.ts'
import type { Console } from '../migration/console.ts'
import { describeFates, type Fate } from './fates.ts'
import type { Plan } from './plan.ts'

/** The plan as the operator reads it before the evening: what is there, what becomes of the data, how long, what is open. */
export function showPlan(console: Console, plan: Plan): void {
  console.facts('plan', plan)
  console.table(`Cluster ${plan.clusterName}`, ['what', 'how much'], plan.inventory)
  showFates(console, `Data that will be lost: ${describeFates(plan.lost)}`, 'how it comes again', plan.lost)
  showFates(console, `Data that will be preserved: ${describeFates(plan.preserved)}`, 'where', plan.preserved)
  const parts = [...plan.phases, plan.evening, plan.downtime]
  const times = parts.map((each) => [each.phase, formatRange(each), each.basedOn])
  console.table('How long it takes', ['phase', 'from – to', 'based on'], times)
  showWindow(console, plan)
  const answers = plan.questions.map(({ question, answer, how }) => [question, answer ?? 'OPEN', answer ? '' : how])
  console.table('Questions of the runbook', ['question', 'answer', 'how to answer it'], answers)
}

function showFates(console: Console, title: string, last: string, fates: readonly Fate[]): void {
  const rows = fates.map(({ what, size, usedBy, note, open }) => [
    open ? `! ${what}` : what,
    size,
    usedBy.join(', '),
    note,
  ])
  console.table(title, ['what', 'size', 'used by', last], rows)
}

function showWindow(console: Console, { window, evening }: Plan): void {
  if (window === null || window.longEnough) return
  console.warn(
    `The maintenance window (${window.text}) is shorter than the evening may be (${formatRange(evening)}), and the way back needs its time too.`,
  )
}
