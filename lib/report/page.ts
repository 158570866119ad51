import { renderDocument } from './document.ts'
import type { ReportFacts } from './facts.ts'
import { changes } from './sections/changes.ts'
import { checks } from './sections/checks.ts'
import { beforeAndAfter, evidence, volumes } from './sections/cluster.ts'
import { heading } from './sections/heading.ts'
import { besideRehearsal } from './sections/rehearsal.ts'
import { timeline } from './sections/timeline.ts'

/** The report as one HTML file. */
export function renderReport(facts: ReportFacts): Promise<string> {
  return renderDocument(`Migration of ${facts.clusterName}, ${facts.story.id}`, [
    heading(facts),
    timeline(facts),
    besideRehearsal(facts),
    beforeAndAfter(facts),
    volumes(facts),
    checks(facts),
    changes(facts),
    evidence(facts),
  ])
}
