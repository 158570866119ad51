import { html, raw } from 'hono/html'
import { redact } from '../migration/redact.ts'
import type { ReportFacts } from './facts.ts'
import { changes } from './sections/changes.ts'
import { checks } from './sections/checks.ts'
import { beforeAndAfter, evidence, volumes } from './sections/cluster.ts'
import { heading } from './sections/heading.ts'
import { besideRehearsal } from './sections/rehearsal.ts'
import { timeline } from './sections/timeline.ts'
import { style } from './style.ts'

/**
 * The report as one HTML file that needs nothing else: no script, no network (its own policy forbids it), light and dark by the
 * reader's settings, readable on a phone and on paper.
 * Source: https://www.w3.org/TR/CSP3/ (the policy), https://www.w3.org/TR/mediaqueries-5/#prefers-color-scheme
 */
export async function renderReport(facts: ReportFacts): Promise<string> {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Migration of ${facts.clusterName}, ${facts.story.id}</title><style>${raw(style)}</style></head>
<body><main>
${heading(facts)}
${timeline(facts)}
${besideRehearsal(facts)}
${beforeAndAfter(facts)}
${volumes(facts)}
${checks(facts)}
${changes(facts)}
${evidence(facts)}
</main></body></html>
`
  return redact(String(await page))
}
