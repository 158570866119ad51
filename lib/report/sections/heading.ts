import { html } from 'hono/html'
import { formatSeconds } from '../../migration/clock.ts'
import type { ReportFacts } from '../facts.ts'
import { duration, type Fragment } from '../fragment.ts'

const scenarios: Readonly<Record<string, string>> = {
  A: 'new hardware, same address',
  B: 'new hardware, new address',
  C: 'one control plane node to three',
}

/** What it was and how it ended, in the size of a headline. */
export function heading({ clusterName, story, outages, verdict, volumes }: ReportFacts): Fragment {
  const { words, mood } = outcome(story, verdict)
  const made = story.changes.filter(({ state }) => state === 'made').length
  const undone = story.changes.filter(({ state }) => state === 'undone').length
  const away = outages.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)
  const broken = verdict?.lists.filter(({ bad }) => bad).flatMap(({ findings }) => findings).length
  return html`<header>
<p class="eyebrow">Control plane migration · ${story.id}</p>
<h1>${clusterName} <span class="outcome ${mood}">${words}</span></h1>
<p>Scenario ${story.scenario}: ${scenarios[story.scenario] ?? ''}. Begun ${clock(story.from)}, last entry ${clock(story.to)} (UTC).</p>
<dl class="tiles">
${tile('The evening', duration(story))}
${tile('Without API', outages.length === 0 ? 'not at all' : `${formatSeconds(away)}${outages.every(({ over }) => over) ? '' : ', still'}`)}
${tile('Changes', `${made} made, ${undone} undone`)}
${tile('Newly broken', broken === undefined ? 'not verified' : String(broken))}
${tile('Volumes lost', volumes.length === 0 ? 'not known' : `${volumes.filter(({ kept }) => !kept).length} of ${volumes.length}`)}
</dl>
</header>`
}

function tile(what: string, figure: string): Fragment {
  return html`<div><dt>${what}</dt><dd>${figure}</dd></div>`
}

function outcome(story: ReportFacts['story'], verdict: ReportFacts['verdict']): { words: string; mood: string } {
  const broken = verdict?.lists.some(({ bad, findings }) => bad && findings.length > 0) ?? false
  if (story.ended && !broken) return { words: 'migrated and verified', mood: 'good' }
  const last = story.attempts.at(-1)
  if (last?.phase === 'rollback' && last.state === 'done') return { words: 'rolled back', mood: 'good' }
  if (broken) return { words: 'something is broken', mood: 'bad' }
  if (last && last.state !== 'done') return { words: `${last.phase} ${last.state}`, mood: 'bad' }
  return { words: `under way, ${last?.phase ?? 'nothing'} done`, mood: 'open' }
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}
