import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { Settings } from '../settings.ts'

const range = { fromSeconds: z.number(), toSeconds: z.number() }
const plannedSchema = z.object({
  at: z.string(),
  cluster: z.string(),
  scenario: z.string(),
  phases: z.array(z.object({ phase: z.string(), ...range })),
  evening: z.object(range),
})

/** How long the evening was planned to take, in seconds. */
export type Planned = z.output<typeof plannedSchema>

/** Where migrate:plan leaves its plan as JSON, for whoever asks later how the evening keeps to it. */
export function planPath({ outputDir }: Pick<Settings, 'outputDir'>): string {
  return join(outputDir, 'plan.json')
}

/** The plan of this cluster and scenario; null when none was made, or another version made it. */
export function readPlanned(settings: Pick<Settings, 'outputDir' | 'cluster' | 'scenario'>): Planned | null {
  try {
    const planned = plannedSchema.parse(JSON.parse(readFileSync(planPath(settings), 'utf8')))
    return planned.cluster === settings.cluster && planned.scenario === settings.scenario ? planned : null
  } catch {
    return null
  }
}
