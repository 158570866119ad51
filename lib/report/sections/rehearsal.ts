import { html } from 'hono/html'
import { formatSeconds } from '../../migration/clock.ts'
import type { ReportFacts } from '../facts.ts'
import { type Fragment, table } from '../fragment.ts'
import type { Outage } from '../outage.ts'
import type { Story } from '../story.ts'

/** The evening beside its rehearsal, phase by phase. */
export function besideRehearsal({ story, outages, rehearsed }: ReportFacts): Fragment | '' {
  if (rehearsed === null) return ''
  const names = [...new Set([...rehearsed.phases.map(({ name }) => name), ...story.attempts.map(({ phase }) => phase)])]
  const inRehearsal = new Map(rehearsed.phases.map(({ name, seconds }) => [name, seconds]))
  const rows = names.map((name) => [name, told(inRehearsal.get(name)), told(secondsOf(name, story))])
  const without = ['without API', told(rehearsed.outage), told(outageSeconds(outages))]
  return html`<section id="rehearsal"><h2>Beside its rehearsal</h2>
<p>Rehearsed on this machine, ${rehearsed.at}.</p>${table(['phase', 'rehearsal', 'tonight'], [...rows, without])}</section>`
}

/** All attempts at a phase together; undefined when there was none. */
export function secondsOf(phase: string, { attempts }: Story): number | undefined {
  const own = attempts.filter((attempt) => attempt.phase === phase)
  return own.length === 0 ? undefined : own.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)
}

function outageSeconds(outages: readonly Outage[]): number {
  return outages.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)
}

function told(seconds: number | undefined): string {
  return seconds === undefined ? '–' : formatSeconds(seconds)
}
