import { html } from 'hono/html'
import type { Checked, ReportFacts } from '../facts.ts'
import { type Fragment, table } from '../fragment.ts'

/** What the checks before and after the evening have found. */
export function checks({ preflight, verdict }: ReportFacts): Fragment {
  return html`<section id="checks"><h2>Checks</h2>
${outcome('After: migrate:verify', verdict, 'It was not verified.')}
${outcome('Before: migrate:preflight', preflight, 'No preflight of this run is known.')}
</section>`
}

function outcome(title: string, checked: Checked | null, none: string): Fragment {
  if (checked === null) return html`<h3>${title}</h3><p>${none}</p>`
  const { at, lists, fine } = checked
  const found = lists.filter(({ findings }) => findings.length > 0)
  return html`<h3>${title} <span class="when">${at}</span></h3>
${found.map(
  (list) => html`<h4 class="${list.bad ? 'bad' : ''}">${list.title} (${list.findings.length})</h4>
${table(
  ['what', 'evidence', 'what to do', 'check'],
  list.findings.map(({ subject, evidence, wayOut, check }) => [subject, evidence, wayOut, check]),
)}`,
)}
<p><span class="good">Fine (${fine.length}):</span> ${fine.join(' · ') || 'none'}</p>`
}
