import { html } from 'hono/html'
import { formatSeconds } from '../migration/clock.ts'
import type { Span } from './story.ts'

/** A piece of the page; every text that is put into one is escaped. */
export type Fragment = ReturnType<typeof html>

/** A table that scrolls by itself where the page is narrower than it; the first column names the row. */
export function table(columns: readonly string[], rows: readonly (readonly (string | Fragment)[])[]): Fragment {
  return html`<div class="scroll"><table>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`
}

/** `18:24:02`, in UTC, as the journal has it. */
export function timeOfDay(at: number): string {
  return new Date(at).toISOString().slice(11, 19)
}

export function duration({ from, to }: Span): string {
  return formatSeconds((to - from) / 1000)
}
