import { html } from 'hono/html'
import type { ReportFacts } from '../facts.ts'
import { type Fragment, table } from '../fragment.ts'

/** The cluster in numbers, before and after. */
export function beforeAndAfter({ figures }: ReportFacts): Fragment | '' {
  if (figures.length === 0) return ''
  const rows = figures.map(({ what, before, after }) => [
    what,
    before || '–',
    after === '' ? '–' : before === after || before === '' ? after : html`<b class="changed">${after}</b>`,
  ])
  return html`<section id="cluster"><h2>Before and after</h2>${table(['what', 'before', 'after'], rows)}</section>`
}

/** What became of each volume; the lost ones first. */
export function volumes({ volumes: all }: ReportFacts): Fragment | '' {
  if (all.length === 0) return ''
  const sorted = [...all.filter(({ kept }) => !kept), ...all.filter(({ kept }) => kept)]
  const rows = sorted.map(({ claim, size, storageClass, usedBy, fate, kept }) => [
    claim,
    size,
    storageClass,
    usedBy.join(', ') || 'nobody',
    html`<span class="${kept ? 'good' : 'bad'}">${fate}</span>`,
  ])
  return html`<section id="volumes"><h2>Volumes</h2>${table(['claim', 'size', 'class', 'used by', 'what became of it'], rows)}</section>`
}

/** Versions, hashes and folders: what a later look would ask for first. */
export function evidence({ evidence: rows }: ReportFacts): Fragment | '' {
  if (rows.length === 0) return ''
  return html`<section id="evidence"><h2>Versions and evidence</h2>${table(['what', 'which'], rows)}</section>`
}
