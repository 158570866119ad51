import { html } from 'hono/html'
import { formatSeconds } from '../../migration/clock.ts'
import type { ReportFacts } from '../facts.ts'
import { duration, type Fragment, timeOfDay } from '../fragment.ts'
import type { Attempt, Span, Story, Wait } from '../story.ts'

/** Every phase on one scale, the time without API behind them; each opens to its steps and what they waited for. */
export function timeline({ story, outages }: ReportFacts): Fragment {
  const downs = outages.map((outage) => html`<i class="down" style="${place(outage, story)}"></i>`)
  return html`<section id="timeline"><h2>What happened when</h2>
${outages.length > 0 ? html`<p class="key"><i class="down"></i> no Kubernetes API: ${outages.map((outage) => `${timeOfDay(outage.from)} – ${outage.over ? timeOfDay(outage.to) : 'still'} (${duration(outage)})`).join(', ')}</p>` : ''}
${story.attempts.map((attempt) => attemptRow(attempt, story, downs))}
</section>`
}

function attemptRow(attempt: Attempt, story: Story, downs: readonly Fragment[]): Fragment {
  const { phase, from, state, message, steps, waits } = attempt
  const waited = waits.reduce((sum, wait) => sum + (wait.to - wait.from) / 1000, 0)
  const outside = waits.filter(({ step }) => step === '')
  return html`<details class="attempt ${state}">
<summary><b>${phase}</b> <span class="when">${timeOfDay(from)} · ${duration(attempt)}${state === 'done' ? '' : ` · ${state}`}</span>
<span class="lane">${downs}<i class="bar ${state}" style="${place(attempt, story)}"></i></span></summary>
<p>${steps.length} steps, ${formatSeconds(waited)} of it waiting.${message ? html` <span class="message">${message}</span>` : ''}</p>
<ol>${steps.map(
    (
      step,
    ) => html`<li class="${step.state}"><span class="lane"><i class="bar ${step.state}" style="${place(step, attempt)}"></i></span>
<span>${step.title}</span> <span class="when">${duration(step)}${step.state === 'done' ? '' : ` · ${step.state}`}</span>
${step.message ? html`<p class="message">${step.message}</p>` : ''}${waitList(waits.filter((wait) => wait.step === step.title && wait.from >= step.from - 1000 && wait.to <= step.to + 1000))}</li>\n`,
  )}
${outside.length > 0 ? html`<li>${waitList(outside)}</li>` : ''}</ol>
</details>\n`
}

function waitList(waits: readonly Wait[]): Fragment | '' {
  if (waits.length === 0) return ''
  return html`<ul class="waits">${waits.map((wait) => html`<li>waited ${duration(wait)} until ${wait.name}${wait.met ? '' : ': in vain'}</li>`)}</ul>`
}

/** Where on the scale of the evening it lies. */
function place({ from, to }: Span, { from: begin, to: end }: Span): string {
  const whole = Math.max(end - begin, 1)
  const left = ((from - begin) / whole) * 100
  const width = ((to - from) / whole) * 100
  return `left:${left.toFixed(2)}%;width:${Math.max(width, 0.3).toFixed(2)}%`
}
