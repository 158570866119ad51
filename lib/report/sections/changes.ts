import { html } from 'hono/html'
import type { ReportFacts } from '../facts.ts'
import { type Fragment, table, timeOfDay } from '../fragment.ts'
import type { Change } from '../story.ts'

const states: Readonly<Record<Change['state'], string>> = {
  begun: 'begun, end unknown',
  made: 'made',
  undone: 'made, and undone',
  failed: 'failed',
  conflict: 'not undone: somebody changed it meanwhile',
}

/** What was changed outside of the run's own folder, step by step, and what of it was taken back. */
export function changes({ story }: ReportFacts): Fragment {
  const steps = [...new Set(story.changes.map(stepOf))]
  const groups = steps.map((step) => ({ step, group: story.changes.filter((change) => stepOf(change) === step) }))
  return html`<section id="changes"><h2>What was changed</h2>
${groups.map(({ step, group }) => html`<details><summary><b>${step}</b> <span class="when">${describe(group)}</span></summary>${changeTable(group)}</details>\n`)}
</section>`
}

function changeTable(changes: readonly Change[]): Fragment {
  const rows = changes.map(({ at, what, state, message }) => [
    timeOfDay(at),
    what,
    message ? `${states[state]}: ${message}` : states[state],
  ])
  return table(['when', 'what', 'state'], rows)
}

function stepOf({ phase, step }: Change): string {
  return step === '' ? phase : `${phase}: ${step}`
}

function describe(changes: readonly Change[]): string {
  const kinds = (Object.keys(states) as Change['state'][]).flatMap((state) => {
    const count = changes.filter((change) => change.state === state).length
    return count === 0 ? [] : [`${count} ${states[state]}`]
  })
  return kinds.join(', ')
}
