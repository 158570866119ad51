import { html } from 'hono/html'
import { formatRange } from '../migration/clock.ts'
import { renderDocument } from '../report/document.ts'
import { type Fragment, table } from '../report/fragment.ts'
import { describeFates, type Fate } from './fates.ts'
import type { Plan } from './plan.ts'

const scenarios: Readonly<Record<Plan['scenario'], string>> = {
  A: 'new hardware, same address',
  B: 'new hardware, new address',
  C: 'one control plane node to three',
}

/** The plan as a page to print for the evening: what to type when, with room for what the clock said. */
export function renderPlan(plan: Plan): Promise<string> {
  return renderDocument(`Plan for ${plan.clusterName}`, [
    heading(plan),
    order(plan),
    open(plan),
    fates('lost', 'Data that will be lost', 'how it comes again', plan.lost),
    fates('preserved', 'Data that will be preserved', 'where', plan.preserved),
    html`<section id="cluster"><h2>The cluster</h2>${table(['what', 'how much'], plan.inventory)}</section>`,
  ])
}

function heading({ clusterName, scenario, recovery, at, evening, downtime, window }: Plan): Fragment {
  const tile = (what: string, figure: string) => html`<div><dt>${what}</dt><dd>${figure}</dd></div>`
  const way = recovery === 'gitops' ? ', rebuilt from Git' : ''
  return html`<header>
<p class="eyebrow">Plan of a control plane migration · ${at.slice(0, 16).replace('T', ' ')} UTC</p>
<h1>${clusterName}</h1><p>Scenario ${scenario}: ${scenarios[scenario]}${way}.</p>
<dl class="tiles">
${tile('The evening', formatRange(evening))}
${tile('Without API', formatRange(downtime))}
${tile('Window', window === null ? 'OPEN' : `${window.text}${window.longEnough ? '' : ', too short'}`)}
</dl></header>`
}

function order({ phases }: Plan): Fragment {
  const rows = phases.map((each) => [
    html`☐ <b>${each.does === null ? each.phase : `task migrate:${each.phase}`}</b>`,
    each.does ?? 'unplug the old machine, connect the new one, boot it into maintenance mode',
    each.changes ?? (each.does === null ? 'the hardware' : 'nothing'),
    formatRange(each),
    '___ : ___',
    each.basedOn,
  ])
  const columns = ['what to type', 'what it does', 'what it changes', 'how long', 'begun at', 'based on']
  return html`<section id="order"><h2>The order of the evening</h2>${table(columns, rows)}
<p>All of it in one: task migrate:run. Where it stands: task migrate:status. Back, from anywhere: task migrate:rollback.</p></section>`
}

function open({ questions }: Plan): Fragment {
  const rows = questions.map(({ question, answer, how }) => [
    question,
    answer ?? html`<b class="open">OPEN</b>`,
    answer === null ? how : '',
  ])
  return html`<section id="questions"><h2>Questions of the runbook</h2>${table(['question', 'answer', 'how to answer it'], rows)}</section>`
}

function fates(id: string, title: string, last: string, all: readonly Fate[]): Fragment {
  const rows = all.map(({ what, size, usedBy, note, open: undecided }) => [
    undecided ? html`<b class="bad">${what}</b>` : what,
    size,
    usedBy.join(', '),
    note,
  ])
  return html`<section id="${id}"><h2>${title}: ${describeFates(all)}</h2>${table(['what', 'size', 'used by', last], rows)}</section>`
}
